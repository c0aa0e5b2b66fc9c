"""The reliable lane of a session actor (DESIGN, "Four lanes"): number, log, send, and send again.

Plain Python over ports. One batch is on its way to the log at a time; what comes meanwhile waits for the next, so that the cost in
the store follows the number of batches and not of messages (group commit). Nothing is sent that the log does not have.
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

import structlog

from actors.session.outbox import Body, Limits, Numbered
from actors.session.parcels import Parcels
from actors.session.session import Session
from cluster.errors import RealmError, Unavailable
from cluster.ports.outbox import Logged, OutboxLog
from cluster.ports.sessions import Fence
from cluster.settings import SessionSettings
from cluster.telemetry import tracing
from realm_proto import internal_pb2

# What a batch has, unless one message alone is more. NUMBERS: as often as its messages go to a session.
BATCH_MESSAGES, BATCH_BYTES, BATCH_NUMBERS = 500, 256 * 1024, 50_000
PENDING_MESSAGES = 10_000
PENDING_BYTES = 16 * 1024 * 1024
RESEND_FIRST_S, RESEND_MOST_S = 0.5, 2.0
RESEND_COUNT, RESEND_BYTES = 200, 256 * 1024

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Pending:
    """One message and the sessions it is for. `place`: the topic and id it was read from."""

    body: Body
    session_ids: tuple[str, ...]
    place: tuple[str, str] | None
    logged: asyncio.Future[None] | None


@dataclass(slots=True)
class _Batch:
    """What is on its way to the log; repeated as it is until the log has it."""

    message: internal_pb2.ReliableBatch
    bodies: list[Body]
    places: dict[str, str]
    waiting: list[asyncio.Future[None]]
    first: dict[str, int] = field(default_factory=dict)
    indexes: dict[str, list[int]] = field(default_factory=dict)
    traces: list[str] = field(default_factory=list)


class ReliableLane:
    """`sessions` is the actor's own table, by id.

    `send(gateway_id, data)` publishes a ReliableBatch, fire and forget. `outrun(session)` is told of a socket that is further
    behind than its outbox reaches.
    """

    def __init__(
        self,
        fence: Fence,
        settings: SessionSettings,
        outbox_log: OutboxLog,
        sessions: Mapping[str, Session],
        send: Callable[[str, bytes], None],
        outrun: Callable[[Session], None],
        clock: Callable[[], float],
        wall_clock: Callable[[], float],
        rng: random.Random,
    ) -> None:
        self.limits = Limits(settings.outbox_count, settings.outbox_bytes, settings.outbox_age_s)
        self.sent = 0
        self.resent = 0
        self._fence = fence
        self._log = outbox_log
        self._sessions = sessions
        self._send = send
        self._outrun = outrun
        self._clock = clock
        self._wall_clock = wall_clock
        self._rng = rng
        self._pending: deque[_Pending] = deque()
        self._pending_bytes = 0
        self._batch: _Batch | None = None
        self._work = asyncio.Event()
        self._resend: dict[str, tuple[float, int]] = {}  # session -> when, and how often already
        self._unknown: set[str] = set()  # sessions of which nobody here knows what their sockets have

    # --- in ----------------------------------------------------------------------------------------------------

    @property
    def full(self) -> bool:
        """The log takes no more for now: read no further."""
        return len(self._pending) >= PENDING_MESSAGES or self._pending_bytes >= PENDING_BYTES

    @property
    def waiting(self) -> int:
        """Messages that wait for the log."""
        return len(self._pending)

    def put(self, session_ids: Iterable[str], body: Body, place: tuple[str, str] | None = None) -> None:
        """For the next batch. The caller looks at `full` first."""
        self._add(_Pending(body, tuple(session_ids), place, None))

    async def post(self, messages: list[tuple[list[str], str, bytes]], deadline_s: float) -> None:
        """(session ids, method, params) each. In the log when it returns. Raises Unavailable: then they may be, or not."""
        if self.full:
            raise Unavailable("outbox")
        futures = []
        for session_ids, method, params_json in messages:
            futures.append(asyncio.get_running_loop().create_future())
            self._add(_Pending(Body(method, params_json, tracing.here()), tuple(session_ids), None, futures[-1]))
        try:
            async with asyncio.timeout(deadline_s):
                await asyncio.gather(*futures)
        except TimeoutError:
            raise Unavailable("outbox") from None

    def _add(self, pending: _Pending) -> None:
        self._pending.append(pending)
        self._pending_bytes += pending.body.size
        self._work.set()

    # --- to the log, and on ------------------------------------------------------------------------------------

    async def wait_for_work(self) -> None:
        await self._work.wait()

    async def flush(self) -> None:
        """Log what waits, one batch, and send it. Raises Unavailable or Fenced; then the same batch is tried again next time."""
        if self._batch is None:
            self._batch = self._make_batch()
        batch = self._batch
        if batch is None:
            self._work.clear()
            return
        now = self._wall_clock()
        seqs = {session_id: first + len(batch.indexes[session_id]) - 1 for session_id, first in batch.first.items()}
        data = batch.message.SerializeToString()
        if batch.traces:
            with tracing.spans(
                "outbox.append",
                tracing.Kind.INTERNAL,
                batch.traces,
                messages=len(batch.bodies),
                actor=self._fence.actor,
            ):
                await self._log.append(self._fence, data, seqs, batch.places, now, self.limits.age_s)
        else:
            await self._log.append(self._fence, data, seqs, batch.places, now, self.limits.age_s)
        self._batch = None
        if not self._pending:
            self._work.clear()
        self._sent_to_log(batch)

    def _make_batch(self) -> _Batch | None:
        if not self._pending:
            return None
        message = internal_pb2.ReliableBatch(actor=self._fence.actor, epoch=self._fence.epoch)
        batch = _Batch(message, [], {}, [])
        size = numbers = 0
        while self._pending and len(batch.bodies) < BATCH_MESSAGES and size < BATCH_BYTES and numbers < BATCH_NUMBERS:
            pending = self._pending.popleft()
            self._pending_bytes -= pending.body.size
            size += pending.body.size
            numbers += len(pending.session_ids)
            index = len(batch.bodies)
            batch.bodies.append(pending.body)
            trace = pending.body.trace
            message.bodies.add(method=pending.body.method, params_json=pending.body.params_json, trace=trace)
            if trace:
                batch.traces.append(trace)
            if pending.place is not None:
                batch.places[pending.place[0]] = pending.place[1]
            if pending.logged is not None:
                batch.waiting.append(pending.logged)
            for session_id in pending.session_ids:
                session = self._sessions.get(session_id)
                if session is None:
                    continue
                first = session.outbox.number(1)
                batch.first.setdefault(session_id, first)
                batch.indexes.setdefault(session_id, []).append(index)
        for session_id, first in batch.first.items():
            message.targets.add(session_id=session_id, first_seq=first, bodies=batch.indexes[session_id])
        return batch

    def _sent_to_log(self, batch: _Batch) -> None:
        now = self._clock()
        by_gateway: dict[str, Parcels] = {}
        for session_id, first in batch.first.items():
            session = self._sessions.get(session_id)
            if session is None:
                continue
            indexes = batch.indexes[session_id]
            session.outbox.keep(first, [batch.bodies[i] for i in indexes], now, self.limits)
            gateway_id = session.record.gateway_id
            if gateway_id:
                parcels = by_gateway.get(gateway_id)
                if parcels is None:
                    parcels = by_gateway[gateway_id] = Parcels(self._fence, batch.bodies)
                parcels.add(session.record, first, indexes)
                self._expect(session_id, now)
        for waiting in batch.waiting:
            if not waiting.done():
                waiting.set_result(None)
        for gateway_id, parcels in by_gateway.items():
            self.sent += parcels.targets
            for data in parcels.messages():
                self._send(gateway_id, data)

    # --- what gateways report ----------------------------------------------------------------------------------

    def attached(self, session: Session, delivered: int) -> None:
        """A new socket gets what it missed with the answer to the attach, up to `delivered`."""
        session.outbox.delivered = delivered
        self._resend.pop(session.record.session_id, None)
        self._unknown.discard(session.record.session_id)

    def reported(self, session: Session, delivered: int, acked: int, missing: bool) -> None:
        """From the gateway that holds the present attach. Where something is missing, its word counts, else the furthest."""
        outbox, session_id, now = session.outbox, session.record.session_id, self._clock()
        before, delivered = outbox.delivered, min(delivered, outbox.logged)
        outbox.delivered = delivered if missing or session_id in self._unknown else max(before, delivered)
        self._unknown.discard(session_id)
        if acked:
            try:
                outbox.ack(acked)
            except RealmError:
                log.warning("acknowledged_too_much", session=session_id, seq=acked, sent=outbox.logged)
        if not self._lacks(session):
            self._resend.pop(session_id, None)
            return
        if missing:
            self._again(session)
        if missing or outbox.delivered > before:
            self._resend[session_id] = (now + RESEND_FIRST_S, 0)
        else:
            self._expect(session_id, now)

    def resend(self) -> None:
        """Called several times a second: what no gateway has confirmed in time goes again, with backoff (row 2.5)."""
        now = self._clock()
        asked: dict[str, Parcels] = {}
        for session_id, (due, attempts) in list(self._resend.items()):
            session, unknown = self._sessions.get(session_id), session_id in self._unknown
            if session is None or not (session.record.gateway_id and (unknown or self._lacks(session))):
                del self._resend[session_id]
                self._unknown.discard(session_id)
            elif now >= due:
                if unknown:  # numbers without bodies: the gateway says whether it lacks some
                    parcels = asked.setdefault(session.record.gateway_id, Parcels(self._fence, []))
                    parcels.add(session.record, session.outbox.logged + 1, [])
                else:
                    self._again(session)
                pause = min(RESEND_MOST_S, RESEND_FIRST_S * 2.0 ** min(attempts + 1, 10))
                self._resend[session_id] = (now + self._rng.uniform(0.5, 1.0) * pause, attempts + 1)
        for gateway_id, parcels in asked.items():
            for data in parcels.messages():
                self._send(gateway_id, data)

    @staticmethod
    def _lacks(session: Session) -> bool:
        return session.outbox.delivered < session.outbox.logged

    def _expect(self, session_id: str, now: float) -> None:
        self._resend.setdefault(session_id, (now + RESEND_FIRST_S, 0))

    def _again(self, session: Session) -> None:
        record = session.record
        if not record.gateway_id:
            return
        entries = session.outbox.after(session.outbox.delivered)
        if entries is None:
            self._outrun(session)
            return
        if not entries:
            return
        size, part = 0, list[Body]()
        for entry in entries[:RESEND_COUNT]:
            if part and size + entry.body.size > RESEND_BYTES:
                break
            part.append(entry.body)
            size += entry.body.size
        parcels = Parcels(self._fence, part)
        parcels.add(record, entries[0].seq, range(len(part)))
        self.resent += len(part)
        for data in parcels.messages():
            self._send(record.gateway_id, data)

    # --- time and restarts -------------------------------------------------------------------------------------

    def expire(self) -> None:
        """Called about once a second."""
        now = self._clock()
        for session in self._sessions.values():
            session.outbox.expire(now, self.limits)

    async def restore(self) -> None:
        """After a restart: what the sessions of the table had been sent, from the log.

        Nobody knows what of it their sockets got: their gateways are asked soon.
        """
        wall, now = self._wall_clock(), self._clock()
        for logged in await self._log.load(self._fence.actor, wall - self.limits.age_s):
            self._take_back(logged, now - max(0.0, wall - logged.at))
        for session_id, session in self._sessions.items():
            session.outbox.delivered = session.outbox.logged
            if session.record.gateway_id and session.outbox.logged:
                self._unknown.add(session_id)
                self._resend[session_id] = (now + self._rng.uniform(0.0, RESEND_FIRST_S), 0)

    def _take_back(self, logged: Logged, at: float) -> None:
        message = internal_pb2.ReliableBatch.FromString(logged.data)
        bodies = [Body(b.method, b.params_json, b.trace) for b in message.bodies]
        for target in message.targets:
            session = self._sessions.get(target.session_id)
            if session is not None:
                session.outbox.keep(target.first_seq, [bodies[i] for i in target.bodies], at, self.limits)


def missed(entries: list[Numbered]) -> tuple[tuple[str, bytes], ...]:
    """As the answer to an attach carries them."""
    return tuple((entry.body.method, entry.body.params_json) for entry in entries)


def traces(entries: list[Numbered]) -> tuple[str, ...]:
    """The contexts of all of them, in order; none if none is traced."""
    return tuple(entry.body.trace for entry in entries) if any(entry.body.trace for entry in entries) else ()
