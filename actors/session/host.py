"""What a session actor does: the sessions it hosts, from their first socket to the end of their grace period.

Plain Python over ports; `sessions_actor.py` gives it Ray, a clock and a bus. Every change is in the store before it is
acknowledged, so that a restarted actor finds all of it (row 1.9).
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import structlog

from actors.presence.changes import SessionPresence
from actors.session.session import Session
from actors.session.states import SessionState, check, sources
from actors.session.world_info import spawn_place, world_result
from actors.zone.zone import Arrival
from cluster.errors import (
    InvalidInput,
    InvalidState,
    NotFound,
    RealmError,
    SessionGone,
    Unauthorized,
    Unavailable,
)
from cluster.ports.accounts import Character, CharacterStore
from cluster.ports.calls import Calls, zone_actor
from cluster.ports.sessions import Fence, SessionRecord, SessionStore
from cluster.settings import Settings

log = structlog.get_logger(__name__)

MAX_WATCHED = 200
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
        self._heard: dict[str, float] = {}

    async def restore(self) -> int:
        """After a restart: take back every session the store has for this actor. Returns their number."""
        now = self._clock()
        for record in await self._store.of_actor(self.fence.actor):
            session = Session(record, None if record.gateway_id else now)
            self.sessions[record.session_id] = session
            if record.gateway_id:
                self._heard[record.gateway_id] = now
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
            world = None
            if session.state is SessionState.IN_WORLD:
                world = await self._rejoin(new)
            await self._write(session, new)
            session.detached_at = None
            self._heard[gateway_id] = self._clock()
            if record.gateway_id:
                self._close_socket(record.gateway_id, session_id, epoch - 1, 4500, "replaced")
            self._announce(session)
            return Attached(session_id, user_id, epoch, not first, new.state, world, new.subscriptions)

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
            check(session.state, SessionState.IN_WORLD)
            if zone_id and zone_id not in {zone.id for zone in self._settings.world.zones}:
                raise InvalidInput([("zone", "no such zone")])
            try:
                character = await self._characters.claim(character_id, session.record.user_id, session_id)
            except NotFound:
                raise Unauthorized("character_not_yours") from None
            try:
                result = await self._go_in(session, character, zone_id)
            except RealmError:
                await self._characters.release(character_id, session_id)
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
        standing = await self._zone(zone, "enter", self._arrival(new, x, y, z, yaw))
        try:
            await self._write(session, new)
        except RealmError:
            await self._zone(zone, "leave", record.session_id)
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
            standing = await self._zone(record.zone_id, "enter", self._arrival(record, x, y, z, yaw))
        return world_result(self._settings.world, record.zone_id, record.character_id, record.character_name, standing)

    async def leave(self, session_id: str, attach_epoch: int) -> None:
        """Out of the world, still connected. Nothing if the session is not in it."""
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
            await self._characters.save_place(
                record.character_id, record.zone_id, standing.x, standing.y, standing.z, standing.yaw
            )
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
            return self._presence_of(session), len(session.record.watching)

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
        self._heard[gateway_id] = self._clock()

    async def sweep(self) -> None:
        """Called about once a second: sockets of silent gateways are gone, grace periods end, records are kept alive.

        Raises Fenced when a newer incarnation of this actor exists: the caller must stop.
        """
        now = self._clock()
        limits = self._settings.session
        for session in list(self.sessions.values()):
            gateway = session.record.gateway_id
            try:
                if gateway and now - self._heard.get(gateway, now) > limits.gateway_silence_s:
                    log.info("gateway_silent", gateway=gateway, session=session.record.session_id)
                    await self.detach(session.record.session_id, session.record.attach_epoch)
                elif session.detached_at is not None and now - session.detached_at > limits.grace_s:
                    await self._end(session, now)
            except Unavailable as error:  # the next sweep tries again
                log.warning("sweep_postponed", session=session.record.session_id, what=str(error))
        used = {s.record.gateway_id for s in self.sessions.values()}
        self._heard = {g: t for g, t in self._heard.items() if g in used or now - t < limits.gateway_silence_s}

    async def keep_alive(self) -> None:
        """Every third of the TTL: records stay, the actor's load is corrected, sessions whose record is gone end."""
        gone = await self._store.touch(
            list(self.sessions), self.fence, self._settings.session.record_ttl_s, self._wall_clock()
        )
        for session_id in gone:
            session = self.sessions.get(session_id)
            if session is not None:
                log.warning("session_record_expired", session=session_id)
                await self._end(session, self._clock())

    async def _end(self, session: Session, now: float) -> None:
        async with session.lock:
            record = session.record
            attached_again = session.detached_at is None and record.gateway_id
            if attached_again or record.session_id not in self.sessions:
                return
            if record.character_id:
                await self._go_out(session)
            await self._store.end(record.session_id, self.fence)
            session.record = replace(record, state=SessionState.DISCONNECTED.value)
            del self.sessions[record.session_id]
            self._tell_presence(replace(self._presence_of(session), present=False))
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
        await self._store.write(new, self.fence, sorted(legal), self._settings.session.record_ttl_s)
        session.record = new

    async def _zone(self, zone_id: str, method: str, *args: Any) -> Any:
        return await self._calls.call(
            zone_actor(zone_id),
            method,
            *args,
            deadline_s=self._settings.gateway.call_deadline_s * 0.8,
            idempotent=True,
        )

    def _arrival(self, record: SessionRecord, x: float, y: float, z: float, yaw: float) -> Arrival:
        return Arrival(
            "ent_" + record.character_id.removeprefix("chr_"),
            record.character_name,
            record.session_id,
            record.user_id,
            record.character_id,
            record.gateway_id,
            record.attach_epoch,
            x,
            y,
            z,
            yaw,
        )

    def _presence_of(self, session: Session) -> SessionPresence:
        r = session.record
        return SessionPresence(r.session_id, r.user_id, r.gateway_id, r.status, r.zone_id, r.character_id, r.watching)

    def _announce(self, session: Session) -> None:
        self._tell_presence(self._presence_of(session))
