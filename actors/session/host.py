"""What a session actor does: the sessions it hosts, from their first socket to the end of their grace period.

Plain Python over ports; `sessions_actor.py` gives it Ray, a clock and a bus. Every change is in the store before it is
acknowledged, so that a restarted actor finds all of it (row 1.9).
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any

import structlog

from actors.presence.changes import SessionPresence, presence_of
from actors.session.gateways import GatewayWatch
from actors.session.session import Session
from actors.session.states import SessionState, check, sources
from actors.session.world_info import arrival, spawn_place, world_result
from cluster.errors import (
    Fenced,
    InvalidInput,
    InvalidState,
    NotFound,
    RealmError,
    SessionGone,
    Unauthorized,
)
from cluster.ports.accounts import Character, CharacterStore
from cluster.ports.calls import Calls, zone_actor
from cluster.ports.sessions import Fence, SessionRecord, SessionStore
from cluster.settings import Settings

log = structlog.get_logger(__name__)

MAX_WATCHED = 200
UNDO_DEADLINE_S = 1.0
SWEPT_AT_ONCE = 32
RESTART, SESSION_LOST, REPLACED = 1012, 4000, 4500  # close codes of PROTOCOL.md
STATUSES = ("online", "away", "busy", "invisible")


@dataclass(frozen=True, slots=True)
class Attached:
    """What a gateway learns of the session it may now carry. `world` is the result of world.enter, or None."""

    session_id: str
    user_id: str
    attach_epoch: int
    resumed: bool
    state: str
    world: dict[str, Any] | None
    subscriptions: tuple[str, ...]


class SessionHost:
    """`tell_presence(change)` and `close_socket(gateway_id, session_id, attach_epoch, code, reason)` are fire and forget."""

    def __init__(
        self,
        fence: Fence,
        settings: Settings,
        store: SessionStore,
        characters: CharacterStore,
        calls: Calls,
        tell_presence: Callable[[SessionPresence], None],
        close_socket: Callable[[str, str, int, int, str], None],
        clock: Callable[[], float],
        wall_clock: Callable[[], float],
        rng: random.Random,
    ) -> None:
        self.fence = fence
        self.sessions: dict[str, Session] = {}
        self._settings = settings
        self._store = store
        self._characters = characters
        self._calls = calls
        self._tell_presence = tell_presence
        self._close_socket = close_socket
        self._clock = clock
        self._wall_clock = wall_clock
        self._rng = rng
        self._gateways = GatewayWatch(settings.session.gateway_silence_s)
        self._lost: set[str] = set()  # sessions whose record is gone

    async def restore(self) -> int:
        """After a restart: take back every session the store has for this actor. Returns their number."""
        now = self._clock()
        for record in await self._store.of_actor(self.fence.actor):
            session = Session(record, None if record.gateway_id else now)
            self.sessions[record.session_id] = session
            if record.gateway_id:
                self._gateways.known(record.gateway_id, now)
            self._announce(session)
        return len(self.sessions)

    # --- sockets -----------------------------------------------------------------------------------------------

    async def attach(self, session_id: str, user_id: str, gateway_id: str) -> Attached:
        """A gateway has a socket for the session. The gateway that had it before loses it (one attach at a time)."""
        session = await self._find(session_id)
        async with session.lock:
            record = session.record
            if record.user_id != user_id:
                raise Unauthorized("session_not_yours")
            first = session.state is SessionState.CONNECTED
            if session.state in (SessionState.DISCONNECTING, SessionState.DISCONNECTED):
                raise SessionGone("session_ended")
            epoch = record.attach_epoch + 1
            new = replace(
                record,
                state=SessionState.AUTHENTICATED.value if first else record.state,
                gateway_id=gateway_id,
                attach_epoch=epoch,
                last_activity=self._wall_clock(),
            )
            world = await self._move_in(session, new)
            session.detached_at = None
            self._gateways.known(gateway_id, self._clock())
            if record.gateway_id:
                self._close_socket(record.gateway_id, session_id, epoch - 1, REPLACED, "replaced")
            self._announce(session)
            return Attached(session_id, user_id, epoch, not first, new.state, world, new.subscriptions)

    async def _move_in(self, session: Session, new: SessionRecord) -> dict[str, Any] | None:
        """Make an attach true in the zone and in the store: the world it is in, or None."""
        old = session.record
        try:
            world = await self._rejoin(new) if old.zone_id else None
            await self._write(session, new)
        except Fenced:
            raise
        except RealmError:
            if old.zone_id:
                back = ("attach", old.session_id, old.gateway_id) if old.gateway_id else ("detach", old.session_id)
                await self._undo(self._zone(old.zone_id, *back, new.attach_epoch, deadline_s=UNDO_DEADLINE_S))
            raise
        return world

    async def detach(self, session_id: str, attach_epoch: int) -> None:
        """The socket is gone; the session waits for another one. Ignored when a newer attach holds."""
        session = self.sessions.get(session_id)
        if session is None:
            return
        async with session.lock:
            if session.record.attach_epoch != attach_epoch or not session.record.gateway_id:
                return
            session.detached_at = self._clock()
            await self._write(session, replace(session.record, gateway_id="", last_activity=self._wall_clock()))
            self._announce(session)
            if session.record.zone_id:
                await self._zone(session.record.zone_id, "detach", session_id, attach_epoch)

    # --- the world ---------------------------------------------------------------------------------------------

    async def enter(
        self, session_id: str, attach_epoch: int, key: str, character_id: str, zone_id: str
    ) -> dict[str, Any]:
        """Bring a character into the world: the result of world.enter. Repeating a call with its `key` gives the first result."""
        session = await self._find(session_id)
        async with session.lock:
            session.check_attach(attach_epoch)
            if session.last_enter is not None and session.last_enter[0] == key:
                return session.last_enter[1]
            record = session.record
            if session.last_enter is None and record.character_id == character_id and zone_id in ("", record.zone_id):
                # This actor died between the entry and its answer, and the gateway asks again.
                session.last_enter = (key, await self._rejoin(record))
                return session.last_enter[1]
            check(session.state, SessionState.IN_WORLD)
            if zone_id and zone_id not in {zone.id for zone in self._settings.world.zones}:
                raise InvalidInput([("zone", "no such zone")])
            try:
                character = await self._characters.claim(character_id, session.record.user_id, session_id)
            except NotFound:
                raise Unauthorized("character_not_yours") from None
            try:
                result = await self._go_in(session, character, zone_id)
            except Fenced:
                raise
            except RealmError:
                await self._undo(self._characters.release(character_id, session_id))
                raise
            session.last_enter = (key, result)
            return result

    async def _go_in(self, session: Session, character: Character, zone_id: str) -> dict[str, Any]:
        record = session.record
        zone, x, y, z, yaw = spawn_place(self._settings.world, character, zone_id, self._rng)
        new = replace(
            record,
            state=SessionState.IN_WORLD.value,
            character_id=character.character_id,
            character_name=character.name,
            zone_id=zone,
            last_activity=self._wall_clock(),
        )
        try:
            standing = await self._zone(zone, "enter", arrival(new, x, y, z, yaw))
            await self._write(session, new)
        except Fenced:
            raise
        except RealmError:
            await self._undo(self._zone(zone, "leave", record.session_id, deadline_s=UNDO_DEADLINE_S))
            raise
        self._announce(session)
        return world_result(self._settings.world, zone, character.character_id, character.name, standing)

    async def _rejoin(self, record: SessionRecord) -> dict[str, Any]:
        """The session's entity gets its views at the new gateway; if the zone lost it, it enters again where it was last stored."""
        try:
            standing = await self._zone(
                record.zone_id, "attach", record.session_id, record.gateway_id, record.attach_epoch
            )
        except InvalidState:
            character = await self._characters.claim(record.character_id, record.user_id, record.session_id)
            _, x, y, z, yaw = spawn_place(self._settings.world, character, record.zone_id, self._rng)
            standing = await self._zone(record.zone_id, "enter", arrival(record, x, y, z, yaw))
        return world_result(self._settings.world, record.zone_id, record.character_id, record.character_name, standing)

    async def leave(self, session_id: str, attach_epoch: int) -> None:
        """Out of the world, still connected. Raises InvalidState if the session is not in it."""
        session = await self._find(session_id)
        async with session.lock:
            session.check_attach(attach_epoch)
            if session.state is not SessionState.IN_WORLD:
                raise InvalidState("not_in_world", session.state.value)
            await self._go_out(session)
            await self._write(
                session,
                replace(
                    session.record,
                    state=SessionState.AUTHENTICATED.value,
                    character_id="",
                    character_name="",
                    zone_id="",
                ),
            )
            session.last_enter = None
            self._announce(session)

    async def _go_out(self, session: Session) -> None:
        """Take the entity out of its zone and keep where it stood. Repeatable: a leave that found nothing saves nothing."""
        record = session.record
        standing = await self._zone(record.zone_id, "leave", record.session_id)
        if standing is not None:
            try:
                await self._characters.save_place(
                    record.character_id, record.zone_id, standing.x, standing.y, standing.z, standing.yaw
                )
            except NotFound:
                log.warning("character_gone", character=record.character_id, session=record.session_id)
        await self._characters.release(record.character_id, record.session_id)

    # --- attributes, topics, presence --------------------------------------------------------------------------

    async def subscribe(self, session_id: str, attach_epoch: int, add: list[str], remove: list[str]) -> tuple[str, ...]:
        """Change the session's topics (row 1.5). Returns all of them."""
        session = await self._find(session_id)
        async with session.lock:
            session.check_attach(attach_epoch)
            new = session.with_subscriptions(add, remove, self._settings.session.max_subscriptions)
            await self._write(session, new)
            return new.subscriptions

    async def set_status(self, session_id: str, attach_epoch: int, status: str) -> str:
        session = await self._find(session_id)
        async with session.lock:
            session.check_attach(attach_epoch)
            if status not in STATUSES:
                raise InvalidInput([("status", "one of " + ", ".join(STATUSES))])
            await self._write(session, replace(session.record, status=status))
            self._announce(session)
            return status

    async def watch(
        self, session_id: str, attach_epoch: int, add: list[str], remove: list[str]
    ) -> tuple[SessionPresence, int]:
        """Change whose presence the session watches. Returns what to tell the presence index, and how many it watches now."""
        session = await self._find(session_id)
        async with session.lock:
            session.check_attach(attach_epoch)
            await self._write(session, session.with_watching(add, remove, MAX_WATCHED))
            return presence_of(session.record), len(session.record.watching)

    async def set_attribute(self, session_id: str, attach_epoch: int, name: str, value: Any) -> None:
        """Keep a small value with the session; None removes it (row 1.5)."""
        session = await self._find(session_id)
        async with session.lock:
            session.check_attach(attach_epoch)
            attributes = {k: v for k, v in {**session.record.attributes, name: value}.items() if v is not None}
            await self._write(session, replace(session.record, attributes=attributes))

    # --- time --------------------------------------------------------------------------------------------------

    def heard(self, gateway_id: str) -> None:
        """A gateway's heartbeat."""
        for session_id, attach_epoch in self._gateways.heard(gateway_id, self._clock()).items():
            self._close_socket(gateway_id, session_id, attach_epoch, RESTART, "gateway_silent")

    async def sweep(self) -> None:
        """Called about once a second: sockets of silent gateways are gone, grace periods end, lost sessions end.

        Raises Fenced when a newer incarnation of this actor exists: the caller must stop.
        """
        now, gateways = self._clock(), self._gateways
        gateways.look(now)
        due = [s for s in self.sessions.values() if self._is_over(s, now) or gateways.silent(s.record.gateway_id, now)]
        for start in range(0, len(due), SWEPT_AT_ONCE):
            await asyncio.gather(*(self._settle(session, now) for session in due[start : start + SWEPT_AT_ONCE]))
        gateways.forget({s.record.gateway_id for s in self.sessions.values()}, now)

    def _is_over(self, session: Session, now: float) -> bool:
        if session.record.session_id in self._lost or session.state is SessionState.DISCONNECTING:
            return True
        return session.detached_at is not None and now - session.detached_at > self._settings.session.grace_s

    async def _settle(self, session: Session, now: float) -> None:
        record = session.record
        try:
            if self._is_over(session, now):
                await self._end(session)
            else:
                log.info("gateway_silent", gateway=record.gateway_id, session=record.session_id)
                self._gateways.take(record.gateway_id, record.session_id, record.attach_epoch, now)
                await self.detach(record.session_id, record.attach_epoch)
        except Fenced:
            raise
        except RealmError as error:  # the next sweep tries again, and the other sessions do not wait for this one
            log.warning("sweep_postponed", session=record.session_id, what=str(error))

    async def keep_alive(self) -> None:
        """Every third of the TTL: records stay, the actor's load is corrected, sessions whose record is gone end."""
        ttl_s = self._settings.session.record_ttl_s
        gone = await self._store.touch(list(self.sessions), self.fence, ttl_s, self._wall_clock())
        self._lost |= gone & self.sessions.keys()

    async def _end(self, session: Session) -> None:
        async with session.lock:
            record = session.record
            attached_again = session.detached_at is None and record.gateway_id and record.session_id not in self._lost
            if attached_again or record.session_id not in self.sessions:
                return
            try:
                # First, so that an older incarnation stops here, before it takes out of its zone whom a newer one has there.
                await self._write(session, replace(record, state=SessionState.DISCONNECTING.value))
            except SessionGone:
                log.warning("session_record_expired", session=record.session_id)
            if record.character_id:
                await self._go_out(session)
            await self._store.end(record.session_id, self.fence)
            session.record = replace(record, state=SessionState.DISCONNECTED.value)
            del self.sessions[record.session_id]
            self._lost.discard(record.session_id)
            if record.gateway_id:
                self._close_socket(
                    record.gateway_id, record.session_id, record.attach_epoch, SESSION_LOST, "session_lost"
                )
            self._tell_presence(replace(presence_of(session.record), present=False))
            log.info("session_ended", session=record.session_id)

    # --- pieces ------------------------------------------------------------------------------------------------

    async def _find(self, session_id: str) -> Session:
        session = self.sessions.get(session_id)
        if session is not None:
            return session
        record = await self._store.get(session_id)
        if record is None or record.actor != self.fence.actor:
            raise SessionGone("session_unknown")
        return self.sessions.setdefault(session_id, Session(record, self._clock()))

    async def _write(self, session: Session, new: SessionRecord) -> None:
        to = SessionState(new.state)
        legal = {new.state, *sources(to)}
        try:
            await self._store.write(new, self.fence, sorted(legal), self._settings.session.record_ttl_s)
        except SessionGone:
            self._lost |= {new.session_id} & self.sessions.keys()
            raise
        session.record = new

    async def _zone(self, zone_id: str, method: str, *args: Any, deadline_s: float = 0.0) -> Any:
        deadline_s = deadline_s or self._settings.gateway.call_deadline_s * 0.8
        return await self._calls.call(zone_actor(zone_id), method, *args, deadline_s=deadline_s, idempotent=True)

    async def _undo(self, step: Awaitable[object]) -> None:
        """Take back a part of a change that failed; zones' sweeps find what stays. Never after Fenced: it may be the newer's."""
        try:
            await step
        except RealmError as error:
            log.warning("undo_failed", what=str(error))

    def _announce(self, session: Session) -> None:
        self._tell_presence(presence_of(session.record))
