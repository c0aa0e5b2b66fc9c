"""The message bus on core NATS (row 4.3): subscriptions and publishers outlive connections."""

from __future__ import annotations

import asyncio
import itertools
import random
import secrets
from collections.abc import Callable, Mapping
from typing import Self

import structlog
from nats import errors

from cluster.adapters.bus_headers import incoming, outgoing, trace_of
from cluster.adapters.nats_backlog import Backlog
from cluster.adapters.nats_connection import Connection, Sink, nobody
from cluster.adapters.nats_subscription import NatsSubscription
from cluster.breaker import Breaker
from cluster.errors import Unavailable
from cluster.operator_settings import BreakerSettings
from cluster.ports.bus import RECEIVED, Handler, Responder
from cluster.settings import NatsSettings
from cluster.telemetry import tracing
from cluster.telemetry.counts import DEPENDENCY_ERRORS, ROUND_TRIPS, BusCounts

RECONNECT_FIRST_S, RECONNECT_MOST_S = 0.05, 2.0
MISSED_ECHOES = 2  # one may be our own fault: a loop that stood still sees its deadline before the answer
RESPONSES_AT_ONCE = 256
RESPONSE_DEADLINE_S = 30.0

THE_BUS = "the message bus"
CONNECTION_ERRORS = (OSError, errors.Error, TimeoutError)

OnAnswer = Callable[[bytes, bool], None]  # gets the data, and whether it is the server saying that nobody listens

log = structlog.get_logger(__name__)


class NatsBus:
    """Made by `connect`; belongs to the event loop it was made on.

    Publishers never wait. What the server does not take is held in memory: twice `pending_bytes` at most. While the bus has been
    silent for some requests in a row, further ones are refused at once; its return ends that, whatever the breaker's pause.
    """

    def __init__(self, settings: NatsSettings, name: str, breaker: BreakerSettings | None = None) -> None:
        self.counts = BusCounts()
        self._breaker = Breaker("nats", THE_BUS, breaker or BreakerSettings(), asyncio.get_running_loop().time)
        self._settings = settings
        self._name = name
        self._loop = asyncio.get_running_loop()
        self._random = random.Random()  # noqa: S311 - jitter
        self._closed = False
        self._connection: Connection | None = None  # set while the subscriptions are live at the server
        self._online = asyncio.Event()
        self._lost: asyncio.Future[Exception] = self._loop.create_future()
        self._last_error: Exception | None = None
        self._supervisor: asyncio.Task[None] | None = None
        self._backlog = Backlog(settings.pending_bytes, settings.timeout_s)
        self._subscriptions: set[NatsSubscription] = set()
        self._responses: set[asyncio.Task[None]] = set()
        # Answers to this bus's own requests arrive under one wildcard and are told apart by their last token.
        self._inbox = f"_INBOX.{secrets.token_hex(11)}"
        self._tokens = itertools.count()
        self._answers: dict[str, OnAnswer] = {}
        self._subscriptions.add(NatsSubscription(f"{self._inbox}.*", self._on_answer, self._forget))

    @classmethod
    async def connect(cls, settings: NatsSettings, name: str, breaker: BreakerSettings | None = None) -> Self:
        """Connect within `settings.timeout_s`, then stay so until `close`. NATS's monitoring shows `name`.

        Raises Unavailable, because of the last attempt's error.
        """
        bus = cls(settings, name, breaker)
        bus._supervisor = asyncio.create_task(bus._stay_connected(), name=f"nats-bus-{name}")
        try:
            async with asyncio.timeout(settings.timeout_s):
                await bus._online.wait()
        except TimeoutError:
            await bus.close()
            raise Unavailable(THE_BUS) from bus._last_error
        except BaseException:
            await bus.close()
            raise
        return bus

    @property
    def connected(self) -> bool:
        return self._connection is not None

    @property
    def server_version(self) -> tuple[int, int]:
        """Of the server; (0, 0) while the bus is away."""
        connection = self._connection
        version = connection.connected_server_version if connection is not None else None
        return (version.major, version.minor) if version is not None else (0, 0)

    @property
    def pending_bytes(self) -> int:
        """What waits for the server to take it."""
        connection = self._connection
        return self._backlog.size if connection is None else int(connection.pending_data_size)

    async def close(self) -> None:
        """Send what is buffered, for `timeout_s` at most, and end. Twice is fine."""
        if self._closed:
            return
        if self._connection is not None:
            try:
                await self._flush(self._settings.timeout_s)
            except Unavailable:
                log.warning("bus_closed_unflushed", bus=self._name)
        self._closed = True
        tasks = [task for task in (self._supervisor, *self._responses) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._go_offline()
        self._breaker.close()

    # Publishing

    def publish(self, subject: str, data: bytes, headers: Mapping[str, str] | None = None) -> None:
        """See the port. While the bus is away, the newest `timeout_s` and `pending_bytes` of messages wait.

        The server's limit on data is 1 MiB unless configured.
        """
        connection, told = self._connection, outgoing(headers, data)
        if connection is not None:
            self._send(connection, subject, data, "", told)
        elif self._closed:
            self.counts.dropped += 1
        else:
            self.counts.dropped += self._backlog.add(self._loop.time(), subject, data, told)

    def post(self, subject: str, data: bytes, headers: dict[str, str] | None, on_answer: OnAnswer) -> str:
        """For those who look after answers and repetitions themselves. Nothing is sent, and "" returned, while the bus is away.

        `on_answer` gets whatever comes back until `forget_post` is called with the token returned. Raises ValueError as `publish`.
        """
        connection = self._connection
        if connection is None:
            return ""
        token = self._expect(on_answer)
        try:
            self._send(connection, subject, data, f"{self._inbox}.{token}", headers)
        except ValueError:
            self.forget_post(token)
            raise
        return token

    def forget_post(self, token: str) -> None:
        """Twice is fine."""
        self._answers.pop(token, None)

    def _send(
        self, connection: Connection, subject: str, data: bytes, reply: str = "", headers: dict[str, str] | None = None
    ) -> None:
        if connection.pending_data_size + len(data) > self._settings.pending_bytes:
            self.counts.dropped += 1
            return
        connection.send(subject, data, reply, headers)
        self.counts.published += 1
        self.counts.published_bytes += len(data)

    async def flush(self, timeout_s: float) -> None:
        """Until the server has seen everything published so far. Raises Unavailable."""
        tried = self._breaker.enter()
        try:
            await self._flush(timeout_s)
        except Unavailable:
            self._breaker.failed(tried)
            raise

    async def _flush(self, timeout_s: float) -> None:
        """Past the breaker: whoever finds out whether the bus is there."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._online.wait()
                if self._connection is not None:
                    await self._echo(self._connection)
        except TimeoutError:
            raise Unavailable(THE_BUS) from None

    async def _echo(self, connection: Connection) -> None:
        """A message to ourselves: once it is back, the server has seen everything that was sent before."""
        arrived, began = asyncio.Event(), self._loop.time()
        token = self._expect(lambda _data, _nobody: arrived.set())
        try:
            connection.send(f"{self._inbox}.{token}", b"")
            await arrived.wait()
        finally:
            ROUND_TRIPS.observe("nats", self._loop.time() - began)
            self._breaker.succeeded()
            del self._answers[token]

    # Subscribing

    async def subscribe(self, subject: str, handler: Handler) -> NatsSubscription:
        """See the port. Live at the server on return, or else as soon as the bus is back.

        Raises ValueError for a bad subject and Unavailable after `close`.
        """

        def sink(_subject: str, _reply: str, data: bytes, headers: bytes | None) -> None:
            self.counts.received += 1
            self.counts.received_bytes += len(data)
            token = RECEIVED.set(incoming(headers)) if headers else None
            try:
                handler(data)
            except Exception:
                self.counts.handler_errors += 1
                log.exception("bus_handler_failed", subject=subject)
            finally:
                if token is not None:
                    RECEIVED.reset(token)

        return await self._listen(subject, sink)

    async def respond(self, subject: str, responder: Responder) -> NatsSubscription:
        """See the port and `subscribe`. `RESPONSES_AT_ONCE` are answered at a time, more than that never."""

        async def answer(reply: str, data: bytes, headers: Mapping[str, str]) -> None:
            RECEIVED.set(headers)  # of this task alone
            try:
                with tracing.span("bus.respond", tracing.Kind.SERVER, trace_of(headers), subject=subject):
                    async with asyncio.timeout(RESPONSE_DEADLINE_S):
                        result = await responder(data)
                if reply and result is not None:
                    self.publish(reply, result)
            except Exception:
                self.counts.handler_errors += 1
                log.exception("bus_responder_failed", subject=subject)

        def sink(_subject: str, reply: str, data: bytes, headers: bytes | None) -> None:
            self.counts.received += 1
            self.counts.received_bytes += len(data)
            if len(self._responses) >= RESPONSES_AT_ONCE:
                self.counts.unanswered += 1
                return
            task = self._loop.create_task(answer(reply, data, incoming(headers)))
            self._responses.add(task)
            task.add_done_callback(self._responses.discard)

        return await self._listen(subject, sink)

    async def _listen(self, subject: str, sink: Sink) -> NatsSubscription:
        if self._closed:
            raise Unavailable(THE_BUS)
        if any(not token or not token.isprintable() or " " in token for token in subject.split(".")):
            raise ValueError(f"no subject: {subject!r}")
        subscription = NatsSubscription(subject, sink, self._forget)
        self._subscriptions.add(subscription)
        connection = self._connection
        if connection is not None:
            try:
                async with asyncio.timeout(self._settings.timeout_s):
                    await subscription.attach(connection)
                    await self._echo(connection)
            except CONNECTION_ERRORS:
                log.info("bus_subscription_waits", subject=subject)
        return subscription

    def _forget(self, subscription: NatsSubscription) -> None:
        self._subscriptions.discard(subscription)

    # Requests

    async def request(
        self, subject: str, data: bytes, timeout_s: float, headers: Mapping[str, str] | None = None
    ) -> bytes:
        """One answer. Raises Unavailable: at once when nobody listens or the breaker is open, else when the time is over."""
        with tracing.span("bus.request", tracing.Kind.CLIENT, subject=subject):
            answers = await self._ask(subject, data, timeout_s, 1, headers)
            if not answers:
                raise Unavailable(subject)
            return answers[0]

    async def gather(
        self, subject: str, data: bytes, timeout_s: float, limit: int, headers: Mapping[str, str] | None = None
    ) -> list[bytes]:
        """All answers that come within `timeout_s`, at most `limit`. None, at once, when nobody listens."""
        try:
            return await self._ask(subject, data, timeout_s, limit, headers)
        except Unavailable as error:
            log.debug("bus_request_refused", subject=subject, error=str(error))
            return []

    async def _ask(
        self, subject: str, data: bytes, timeout_s: float, limit: int, headers: Mapping[str, str] | None
    ) -> list[bytes]:
        tried = self._breaker.enter()
        answers: list[bytes] = []
        finished = asyncio.Event()
        told, sent = outgoing(headers, data), False

        def on_answer(answer: bytes, nobody: bool) -> None:
            if not nobody and len(answers) < limit:
                answers.append(answer)
            if nobody or len(answers) == limit:
                finished.set()

        token = self._expect(on_answer)
        try:
            async with asyncio.timeout(timeout_s):
                await self._online.wait()
                if self._connection is not None:
                    self._send(self._connection, subject, data, f"{self._inbox}.{token}", told)
                    sent = True
                await finished.wait()
        except TimeoutError:
            log.debug("bus_request_timed_out", subject=subject, answers=len(answers))
            if not sent:  # else it is those who should answer that are silent, and not the bus
                self._breaker.failed(tried)
        finally:
            del self._answers[token]
        return answers

    def _expect(self, on_answer: OnAnswer) -> str:
        token = format(next(self._tokens), "x")
        self._answers[token] = on_answer
        return token

    def _on_answer(self, subject: str, _reply: str, data: bytes, headers: bytes | None) -> None:
        self._breaker.succeeded()
        on_answer = self._answers.get(subject.rpartition(".")[2])
        if on_answer is not None:  # else it came too late
            on_answer(data, nobody(headers))

    # Staying connected

    async def _stay_connected(self) -> None:
        attempt = 0
        while True:
            connection = Connection(self._on_lost)
            online_since = None
            try:
                await self._go_online(connection)
                online_since = self._loop.time()
                await self._watch()
            except CONNECTION_ERRORS as error:
                self._last_error = error
                DEPENDENCY_ERRORS.add("nats")
                log.warning("bus_away", bus=self._name, attempt=attempt, error=repr(error))
            finally:
                self._go_offline()
                connection.discard()
            if online_since is not None and self._loop.time() - online_since > RECONNECT_MOST_S:
                attempt = 0
            await asyncio.sleep(self._random.uniform(0, min(RECONNECT_MOST_S, RECONNECT_FIRST_S * 2**attempt)))
            attempt = min(attempt + 1, 16)

    async def _go_online(self, connection: Connection) -> None:
        self._lost = self._loop.create_future()
        async with asyncio.timeout(self._settings.timeout_s):
            await connection.open(self._settings, self._name)
            while missing := [s for s in self._subscriptions if s.connection is not connection]:
                for subscription in missing:
                    await subscription.attach(connection)
                await self._echo(connection)
        self._connection = connection
        kept, too_old = self._backlog.take(self._loop.time())
        self.counts.dropped += too_old
        for subject, data, headers in kept:
            try:
                connection.send(subject, data, "", headers)
                self.counts.published += 1
                self.counts.published_bytes += len(data)
            except ValueError as error:
                self.counts.dropped += 1
                log.error("bus_message_refused", error=str(error))
        self._online.set()
        self._breaker.close()
        self.counts.connects += 1
        log.info("bus_online", bus=self._name)

    async def _watch(self) -> None:
        """Until the connection is lost; then raises one of CONNECTION_ERRORS."""
        missed = 0
        while missed < MISSED_ECHOES:
            if not missed:
                await asyncio.wait({self._lost}, timeout=self._settings.ping_interval_s)
            if self._lost.done():
                raise self._lost.result()
            try:
                await self._flush(self._settings.timeout_s)
                missed = 0
            except Unavailable:
                missed += 1
        raise ConnectionAbortedError("the server does not answer")

    def _on_lost(self, _connection: Connection, error: Exception) -> None:
        self._go_offline()
        if not self._lost.done():
            self._lost.set_result(error if isinstance(error, CONNECTION_ERRORS) else ConnectionError(repr(error)))

    def _go_offline(self) -> None:
        self._connection = None
        self._online.clear()
