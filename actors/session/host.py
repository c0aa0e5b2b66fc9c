"""What a session actor does: the sessions it hosts, from their first socket to the end of their grace period.

Plain Python over ports; `sessions_actor.py` gives it Ray, a clock and a bus. Every change is in the store before it is
acknowledged, so that a restarted actor finds all of it (row 1.9).
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import structlog

from actors.presence.changes import SessionPresence, presence_of
from actors.session.attaching import Attach, Attached, judge
from actors.session.gateways import GatewayWatch
from actors.session.hearing import Hearing
from actors.session.journey import Journey
from actors.session.lane import ReliableLane, missed, traces
from actors.session.roster import stray, unlisted
from actors.session.session import Session
from actors.session.states import SessionState, check
from actors.session.table import SessionTable
from cluster.errors import Fenced, InvalidInput, InvalidState, NotFound, RealmError, SessionGone, Unauthorized
from cluster.ports.accounts import Character, CharacterStore
from cluster.ports.sessions import SessionRecord
from cluster.settings import Settings

log = structlog.get_logger(__name__)

SWEPT_AT_ONCE = 32
RESTART, SESSION_LOST, SLOW_CONSUMER, REPLACED = 1012, 4000, 4001, 4500  # close codes of PROTOCOL.md
STRAY = {"session_lost": SESSION_LOST, "replaced": REPLACED, "detached": RESTART}

CloseSocket = Callable[[str, str, int, int, str], None]


class SessionHost:
    """`tell_presence(change)` and `close_socket(gateway_id, session_id, attach_epoch, code, reason)` are fire and forget."""

    def __init__(
        self,
        table: SessionTable,
        lane: ReliableLane,
        hearing: Hearing,
        settings: Settings,
        characters: CharacterStore,
        journey: Journey,
        tell_presence: Callable[[SessionPresence], object],
        close_socket: CloseSocket,
        clock: Callable[[], float],
        wall_clock: Callable[[], float],
        rng: random.Random,
    ) -> None:
        self.fence = table.fence
        self.sessions = table.sessions
        self._table = table
        self._lane = lane
        self._hearing = hearing
        self._settings = settings
        self._characters = characters
        self._journey = journey
        self._tell_presence = tell_presence
        self._close_socket = close_socket
        self._clock = clock
        self._wall_clock = wall_clock
        self._rng = rng
        self._gateways = GatewayWatch(settings.session.gateway_silence_s)

    async def restore(self) -> int:
        """After a restart: take back every session the store has for this actor. Returns their number."""
        now = self._clock()
        sessions = await self._table.restore()
        for session in sessions:
            if session.record.gateway_id:
                self._gateways.known(session.record.gateway_id, now)
            if session.record.attach_epoch:  # the status of one that never had a socket is not what its user chose
                self.announce(session)
        await self._lane.restore()
        await self._hearing.restore(sessions)
        return len(self.sessions)

    # --- sockets -----------------------------------------------------------------------------------------------

    async def attach(self, wanted: Attach) -> Attached:
        """A gateway has a socket for the session. The gateway that had it before loses it (one attach at a time).

        Raises Unauthorized, Conflict, InvalidInput (see `attaching.judge`), SessionGone, Unavailable.
        """
        session = await self._table.find(wanted.session_id)
        async with session.lock:
            record, outbox = session.record, session.outbox
            if session.state in (SessionState.DISCONNECTING, SessionState.DISCONNECTED):
                raise SessionGone("session_ended")
            held = bool(record.gateway_id) and not self._gateways.silent(record.gateway_id, self._clock())
            held = held and not (wanted.key and wanted.key == session.attach_key)
            again = 0 if session.heard == record.attach_epoch else record.recovered_from
            judge(record, wanted, again, newest=outbox.logged, held=held, takeover=self._settings.session.takeover)
            first = session.state is SessionState.CONNECTED
            epoch = record.attach_epoch + 1
            new = replace(
                await self._hearing.begin(session),
                role=wanted.role or record.role,
                address=getattr(wanted, "address", ""),  # gateways of the version before do not say it
                state=SessionState.AUTHENTICATED.value if first else record.state,
                gateway_id=wanted.gateway_id,
                attach_epoch=epoch,
                last_activity=self._wall_clock(),
                stream=record.stream or f"{self._rng.getrandbits(48):x}",
                recovered_from=wanted.token_epoch or 0,
            )
            world = await self._move_in(session, new)
            await self._hearing.retune(session)
            session.attach_key = wanted.key
            session.detached_at, session.attached_at, session.unlisted = None, self._clock(), 0
            self._gateways.known(wanted.gateway_id, self._clock())
            if record.gateway_id:
                self._close_socket(record.gateway_id, wanted.session_id, epoch - 1, REPLACED, "replaced")
            self.announce(session)
            entries = outbox.after(wanted.last) if wanted.stream and wanted.stream == new.stream else None
            if entries is not None:
                outbox.ack(wanted.last)
            self._lane.attached(session, outbox.logged)
            return Attached(
                wanted.session_id,
                wanted.user_id,
                epoch,
                not first,
                new.state,
                world,
                new.subscriptions,
                new.stream,
                outbox.logged if entries is None else wanted.last,
                entries is not None,
                missed(entries or []),
                role=new.role,
                idle=new.idle,
                traces=traces(entries or []),
            )

    async def _move_in(self, session: Session, new: SessionRecord) -> dict[str, Any] | None:
        """Make an attach true in the zone and in the store: the world it is in, or None."""
        old = session.record
        world: dict[str, Any] | None = None
        try:
            if old.zone_id:
                world = await self._journey.rejoin(new)
                new = replace(new, zone_id=world["zone"])
            await self._table.write(session, new)
        except Fenced:
            raise
        except RealmError:
            if old.zone_id:
                await self._journey.attach_again(old, new.attach_epoch)
            raise
        return world

    async def detach(self, session_id: str, attach_epoch: int) -> None:
        """The socket is gone; the session waits for another one. Ignored when a newer attach holds."""
        session = self.sessions.get(session_id)
        if session is None:
            return
        async with session.lock:
            if session.record.attach_epoch != attach_epoch or session.record.session_id not in self.sessions:
                return
            if session.record.gateway_id:
                session.detached_at = self._clock()
                new = replace(session.record, gateway_id="", last_activity=self._wall_clock())
                await self._table.write(session, new)
                self.announce(session)
            if session.record.zone_id:  # also when it is asked again: the zone may have been away
                await self._journey.detach(session.record)

    # --- the world ---------------------------------------------------------------------------------------------

    async def enter(
        self, session_id: str, attach_epoch: int, key: str, character_id: str, zone_id: str
    ) -> dict[str, Any]:
        """Bring a character into the world: the result of world.enter. Repeating a call with its `key` gives the first result."""
        session = await self._table.find(session_id)
        async with session.lock:
            session.check_attach(attach_epoch)
            if session.last_enter is not None and session.last_enter[0] == key:
                return session.last_enter[1]
            record = session.record
            if session.last_enter is None and record.character_id == character_id and zone_id in ("", record.zone_id):
                # This actor died between the entry and its answer, and the gateway asks again.
                session.last_enter = (key, await self._journey.rejoin(record))
                return session.last_enter[1]
            check(session.state, SessionState.IN_WORLD)
            if zone_id and self._journey.watch.map.find(zone_id) is None:
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
        place = self._journey.spawn_zone(character, zone_id)
        new = replace(
            session.record,
            state=SessionState.IN_WORLD.value,
            character_id=character.character_id,
            character_name=character.name,
            zone_id=place[0],
            last_activity=self._wall_clock(),
        )
        try:
            world = await self._journey.enter(new, place)
            new = replace(new, zone_id=world["zone"])
            await self._table.write(session, new)
        except Fenced:
            raise
        except RealmError:
            await self._journey.take_back(new)
            raise
        await self._hearing.retune(session)
        self.announce(session)
        await self._undo(self._hearing.seen(session.record))  # others are told the name of who is played
        return world

    async def leave(self, session_id: str, attach_epoch: int) -> None:
        """Out of the world, still connected. Raises InvalidState if the session is not in it."""
        session = await self._table.find(session_id)
        async with session.lock:
            session.check_attach(attach_epoch)
            if session.state is not SessionState.IN_WORLD:
                raise InvalidState("not_in_world", session.state.value)
            await self._journey.leave(session.record)
            await self._undo(self._hearing.seen(session.record))  # lists of friends name who was played last
            await self._table.write(
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
            await self._hearing.retune(session)
            self.announce(session)

    # --- time --------------------------------------------------------------------------------------------------

    def heard(self, gateway_id: str) -> None:
        """A gateway's heartbeat."""
        for session_id, attach_epoch in self._gateways.heard(gateway_id, self._clock()).items():
            self._close_socket(gateway_id, session_id, attach_epoch, RESTART, "gateway_silent")

    def roster(self, gateway_id: str, held: dict[str, int]) -> list[tuple[str, int]]:
        """A gateway has sockets for these (session -> attach epoch). Returns those it should have as well, and twice had not.

        Those that it should not have are closed.
        """
        for session_id, attach_epoch, why in stray(self.sessions, held):
            self._close_socket(gateway_id, session_id, attach_epoch, STRAY[why], why)
        return unlisted(self.sessions.values(), gateway_id, held, self._clock())

    def reported(
        self, session_id: str, attach_epoch: int, delivered: int, acked: int, *, missing: bool, heard: bool
    ) -> None:
        """What a socket has got; ignored from any but the present one."""
        session = self.sessions.get(session_id)
        if session is None or session.record.attach_epoch != attach_epoch:
            return
        if heard:  # the client knows that it has this socket: the token that opened it need not open another
            session.heard = attach_epoch
        self._lane.reported(session, delivered, acked, missing)

    def outrun(self, session: Session) -> None:
        """A socket that is so far behind that its outbox does not reach back to it: it must recover, and be told."""
        record = session.record
        log.warning("outbox_outrun", session=record.session_id)
        self._close_socket(record.gateway_id, record.session_id, record.attach_epoch, SLOW_CONSUMER, "too far behind")

    async def sweep(self, *, deaf: bool = False) -> None:
        """Called about once a second: sockets of silent gateways are gone, grace periods end, lost sessions end.

        `deaf`: the bus brings nothing at the moment, so that no gateway can be told from a silent one.

        Raises Fenced when a newer incarnation of this actor exists: the caller must stop.
        """
        now, gateways = self._clock(), self._gateways
        gateways.look(now, deaf=deaf)
        due = [s for s in self.sessions.values() if self._is_over(s, now) or gateways.silent(s.record.gateway_id, now)]
        for start in range(0, len(due), SWEPT_AT_ONCE):
            await asyncio.gather(*(self._settle(session, now) for session in due[start : start + SWEPT_AT_ONCE]))
        gateways.forget({s.record.gateway_id for s in self.sessions.values()}, now)

    def _is_over(self, session: Session, now: float) -> bool:
        if session.record.session_id in self._table.lost or session.state is SessionState.DISCONNECTING:
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
        await self._table.touch(self._wall_clock())

    async def _end(self, session: Session) -> None:
        async with session.lock:
            record = session.record
            attached_again = (
                session.detached_at is None and record.gateway_id and record.session_id not in self._table.lost
            )
            if attached_again or record.session_id not in self.sessions:
                return
            try:
                # First, so that an older incarnation stops here, before it takes out of its zone whom a newer one has there.
                await self._table.write(session, replace(record, state=SessionState.DISCONNECTING.value))
            except SessionGone:
                log.warning("session_record_expired", session=record.session_id)
            if record.character_id:
                await self._journey.leave(record)
            await self._hearing.seen(record)
            await self._table.end(session)
            await self._hearing.end(record)
            session.record = replace(record, state=SessionState.DISCONNECTED.value)
            if record.gateway_id:
                self._close_socket(
                    record.gateway_id, record.session_id, record.attach_epoch, SESSION_LOST, "session_lost"
                )
            self._tell_presence(replace(presence_of(session.record), present=False))
            log.info("session_ended", session=record.session_id)

    # --- pieces ------------------------------------------------------------------------------------------------

    async def _undo(self, step: Awaitable[object]) -> None:
        """Take back a part of a change that failed; zones' sweeps find what stays. Never after Fenced: it may be the newer's."""
        try:
            await step
        except RealmError as error:
            log.warning("undo_failed", what=str(error))

    def announce(self, session: Session) -> None:
        """Tell the presence index how the session is now."""
        self._tell_presence(presence_of(session.record))
