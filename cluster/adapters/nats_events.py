"""Event streams in JetStream (row 4.3), over the process's bus: its connection outlives servers, and so do the streams.

Spoken is JetStream's own API (requests to `$JS.API.>`, acknowledgements to the reply subject), because nats-py's needs a connection
of nats-py's making, which the bus's is not (nats_connection.py).
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping
from typing import Any

import orjson
import structlog

from cluster import event_streams
from cluster.adapters.nats_bus import THE_BUS, NatsBus
from cluster.errors import Unavailable
from cluster.event_buffer import EventBuffer, Limits, Waiting
from cluster.event_streams import StreamSpec
from cluster.ports.events import StreamKind
from cluster.social_settings import EventSettings
from cluster.telemetry.counts import DEPENDENCY_ERRORS
from cluster.telemetry.event_metrics import EventCounts

API = "$JS.API"
API_DEADLINE_S = 5.0
LOOK_S = 0.1
LOOK_AT_STREAMS_S = (45.0, 75.0)  # somebody may have deleted one
FIRST_TRY_AGAIN_S, LAST_TRY_AGAIN_S = 0.5, 30.0
CLOSING_S = 1.0
AT_ONCE = 32  # sent in one turn of the loop: about half a millisecond, which a tick can wait

NOT_FOUND = 404  # of `code` in an answer
# `err_code` in an answer.
NOT_ENABLED = frozenset({10039, 10076})  # JetStream is off for this account, or for the whole server
NOT_YET = frozenset({10008, 10009})  # a cluster of NATS that has no leader at the moment
IN_USE = 10058  # another process has just made it, with other members
REFUSED_AFTER = 3  # times without JetStream: a server that just starts has none either

log = structlog.get_logger(__name__)


class NoStreams(Exception):
    """The server has no JetStream that can be used; the text is for the operator."""


class _Refused(Exception):
    """An error in an answer of JetStream's API."""

    def __init__(self, error: Mapping[str, Any]) -> None:
        super().__init__(str(error.get("description", "no reason given")))
        self.code = int(error.get("code", 0))
        self.err_code = int(error.get("err_code", 0))


async def prepare(bus: NatsBus, specs: Mapping[StreamKind, StreamSpec]) -> tuple[frozenset[StreamKind], list[str]]:
    """Create what is missing and update what differs. Returns the streams that take our events, and sentences for the operator.

    Raises NoStreams; Unavailable if the server does not answer in time.
    """
    if (version := bus.server_version) != (0, 0) and version < event_streams.LEAST_NATS:
        have, need = (".".join(map(str, pair)) for pair in (version, event_streams.LEAST_NATS))
        raise NoStreams(f"NATS is {have}, and event streams need {need} or newer")
    usable: set[StreamKind] = set()
    sentences: list[str] = []
    for kind, spec in specs.items():
        try:
            found = await _prepare(bus, spec)
        except _Refused as refused:
            sentences.append(f"{spec.name}: NATS refuses it ({refused}); {kind} events are not kept")
            continue
        sentences += event_streams.report(spec, found)
        if not event_streams.somebody_elses(spec, found):
            usable.add(kind)
    return frozenset(usable), sentences


async def _prepare(bus: NatsBus, spec: StreamSpec) -> Mapping[str, Any]:
    """The configuration that was found; that it was made is no difference. Raises _Refused, NoStreams, Unavailable."""
    for last in (False, True):
        try:
            info = await _ask(bus, f"{API}.STREAM.INFO.{spec.name}", {})
            break
        except _Refused as refused:
            if refused.code != NOT_FOUND:
                raise
        try:
            info = await _ask(bus, f"{API}.STREAM.CREATE.{spec.name}", spec.config())
            break
        except _Refused as refused:
            if refused.err_code != IN_USE or last:
                raise
    found: dict[str, Any] = info["config"]
    changeable = any(not difference.fixed for difference in event_streams.differences(spec, found))
    if changeable and not event_streams.somebody_elses(spec, found):
        await _ask(bus, f"{API}.STREAM.UPDATE.{spec.name}", event_streams.updated(spec, found))
    return found


async def _ask(bus: NatsBus, subject: str, request: Mapping[str, Any]) -> dict[str, Any]:
    """Raises _Refused, NoStreams when nobody answers for JetStream, Unavailable."""
    answered: asyncio.Future[tuple[bytes, bool]] = asyncio.get_running_loop().create_future()

    def on_answer(data: bytes, nobody: bool) -> None:
        if not answered.done():
            answered.set_result((data, nobody))

    token = bus.post(subject, orjson.dumps(request) if request else b"", None, on_answer)
    if not token:
        raise Unavailable(THE_BUS)
    try:
        async with asyncio.timeout(API_DEADLINE_S):
            data, nobody = await answered
    except TimeoutError:
        raise Unavailable("JetStream") from None
    finally:
        bus.forget_post(token)
    if nobody:
        raise NoStreams("NATS has no JetStream: start it with `--jetstream`, or a `jetstream {}` in its configuration")
    answer: dict[str, Any] = orjson.loads(data)
    if error := answer.get("error"):
        if error.get("err_code") in NOT_ENABLED:
            raise NoStreams(f"NATS has no JetStream here ({error.get('description')}): enable it for this account")
        if error.get("err_code") in NOT_YET:
            raise Unavailable("JetStream")
        raise _Refused(error)
    return answer


class NatsEvents:
    """Implements `cluster.ports.events.EventSink`. Belongs to the event loop it was made on; `close` ends it.

    Presence and state are repeated until JetStream has them, with the event's id, by which it tells repetitions. Places are sent
    once and not waited for: the next ones are newer.
    """

    def __init__(self, bus: NatsBus, settings: EventSettings, limits: Limits | None = None) -> None:
        self.counts = EventCounts()
        self._bus = bus
        self._specs = event_streams.specs(settings)
        self._loop = asyncio.get_running_loop()
        self._random = random.Random()  # noqa: S311 - jitter
        self._buffer = EventBuffer(self._random, limits)
        self._usable: frozenset[StreamKind] = frozenset()
        self._refusing = False  # the server cannot: nothing is kept for it
        self._met = -1  # the connection that this is about, by the bus's count of them
        self._connects = -1  # the one on which the streams were looked at last
        self._look_at = 0.0
        self._failures = 0
        self._said: list[str] = []
        self._refusal = ""
        self._scheduled = False
        self._running = self._loop.create_task(self._run(), name="events")

    @property
    def waiting(self) -> int:
        return len(self._buffer)

    def publish(self, stream: StreamKind, key: str, body: Mapping[str, Any], event_id: str) -> None:
        """See the port."""
        spec = self._specs[stream]
        self.counts.published.add(stream)
        try:
            data = orjson.dumps(body, option=orjson.OPT_NON_STR_KEYS)
        except TypeError:
            log.exception("event_is_no_json", stream=stream, key=key)
            return self._drop(stream)
        if stream == "position":
            return self._send_once(stream, spec.of(key), data)
        if self._refusing or self._running.done():
            return self._drop(stream)
        now = self._loop.time()
        for given_up in self._buffer.add(Waiting(stream, spec.of(key), data, event_id, now + spec.max_age_s)):
            self._forget(given_up)
        self._soon()
        return None

    def _send_once(self, stream: StreamKind, subject: str, data: bytes) -> None:
        if stream not in self._usable or not self._bus.connected:
            return self._drop(stream)
        try:
            self._bus.publish(subject, data)
        except ValueError as error:
            log.error("event_refused", stream=stream, error=str(error))
            self._drop(stream)

    def _drop(self, stream: StreamKind) -> None:
        self.counts.dropped.add(stream)

    def _forget(self, event: Waiting) -> None:
        """It is out of the buffer, and was not kept."""
        self._bus.forget_post(event.token)
        self._drop(event.stream)

    # --- sending -----------------------------------------------------------------------------------------------

    def _soon(self) -> None:
        if not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._pump)

    def _pump(self) -> None:
        """Send what waits for its first time, while the streams are there and there is room on the way."""
        self._scheduled = False
        if self._bus.connected and self._bus.counts.connects == self._connects and self.counts.streams_ready:
            for _ in range(AT_ONCE):
                event = self._buffer.next(self._loop.time())
                if event is None:
                    return
                self._send(event)
            self._soon()

    def _send(self, event: Waiting) -> None:
        if event.stream not in self._usable:
            return self._give_up(event)
        self._bus.forget_post(event.token)
        try:
            event.token = self._bus.post(
                event.subject,
                event.data,
                {"Nats-Msg-Id": event.event_id},
                lambda data, nobody: self._answered(event, data, nobody),
            )
        except ValueError as error:
            log.error("event_refused", stream=event.stream, error=str(error))
            self._give_up(event)

    def _give_up(self, event: Waiting) -> None:
        if self._buffer.done(event):
            self._forget(event)

    def _answered(self, event: Waiting, data: bytes, nobody: bool) -> None:
        """An acknowledgement (a PubAck of JetStream's API), or that there is none to be had now: then it is sent again when due."""
        try:
            answer = {} if nobody else orjson.loads(data)
        except orjson.JSONDecodeError:
            answer = {}
        if nobody or "error" in answer or "stream" not in answer:
            DEPENDENCY_ERRORS.add("nats")
            why = "nobody keeps it" if nobody else str(answer.get("error", "not understood"))
            if nobody:  # the stream is gone, or JetStream just starts
                self._look_at = min(self._look_at, self._loop.time() + FIRST_TRY_AGAIN_S)
            if why != self._refusal:
                self._refusal = why
                log.warning("event_not_kept", stream=event.stream, why=why)
            return
        self._bus.forget_post(event.token)
        if self._buffer.done(event):
            self.counts.kept.add(event.stream)
            if answer.get("duplicate"):
                self.counts.suppressed.add(event.stream)
            self._soon()

    # --- the loop ----------------------------------------------------------------------------------------------

    async def _run(self) -> None:
        while True:
            try:
                await self._turn()
            except Exception:
                log.exception("events_failed")
            await asyncio.sleep(LOOK_S)

    async def _turn(self) -> None:
        if not self._bus.connected:
            return
        connects = self._bus.counts.connects
        if connects != self._met:  # another connection: what was on its way is lost, and it may be another server
            self._met, self._look_at = connects, 0.0
            self._buffer.start_over()
        if self._loop.time() >= self._look_at:
            await self._look(connects)
        if self._refusing:
            self._clear()
            return
        if not self.counts.streams_ready:
            return
        repeated, given_up = self._buffer.again(self._loop.time())
        for event in repeated:
            self.counts.repeated.add(event.stream)
            self._send(event)
        for event in given_up:
            self._forget(event)
        self._soon()

    def _clear(self) -> None:
        for event in self._buffer.clear():
            self._forget(event)

    async def _look(self, connects: int) -> None:
        """Are the streams there, and as they should be?"""
        sentences: list[str] = []
        try:
            self._usable, sentences = await prepare(self._bus, self._specs)
        except NoStreams as error:
            sentences, self._usable = [str(error)], frozenset()
            self.counts.streams_ready = False
            self._try_again()
            self._refusing = self._failures >= REFUSED_AFTER
        except Unavailable as error:
            log.warning("event_streams_wait", error=str(error))
            DEPENDENCY_ERRORS.add("nats")
            self._try_again()
            return
        else:
            self._refusing, self._failures = False, 0
            self.counts.streams_ready = True
            self._look_at = self._loop.time() + self._random.uniform(*LOOK_AT_STREAMS_S)
        self._connects = connects
        for sentence in sentences:
            if sentence not in self._said:
                log.warning("event_stream_differs", what=sentence)
        self._said = sentences

    def _try_again(self) -> None:
        pause = min(LAST_TRY_AGAIN_S, FIRST_TRY_AGAIN_S * 2.0 ** min(self._failures, 16))
        self._failures += 1
        self._look_at = self._loop.time() + pause * self._random.uniform(0.5, 1.0)

    async def close(self) -> None:
        """Wait a little for acknowledgements, and end. Twice is fine."""
        until = self._loop.time() + CLOSING_S
        while self._buffer and self._bus.connected and not self._running.done() and self._loop.time() < until:
            await asyncio.wait([self._running], timeout=LOOK_S / 4)
        self._running.cancel()
        await asyncio.gather(self._running, return_exceptions=True)
        self._clear()
