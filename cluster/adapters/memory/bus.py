"""The bus inside one process: for tests, and for trying the realm's logic without servers."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping

import structlog

from cluster.adapters.bus_headers import outgoing, trace_of
from cluster.errors import Unavailable
from cluster.ports.bus import NO_HEADERS, RECEIVED, Handler, Responder
from cluster.telemetry import tracing
from cluster.telemetry.counts import BusCounts

CAPACITY = 65_536  # messages that wait for delivery
MAX_MESSAGE_BYTES = 1024 * 1024  # what NATS takes unless configured

THE_BUS = "the message bus"

Reply = Callable[[bytes], None]
Headers = Mapping[str, str]
Sink = Callable[[bytes, Reply | None, Headers], None]

log = structlog.get_logger(__name__)


class MemorySubscription:
    def __init__(self, bus: MemoryBus, subject: str, sink: Sink) -> None:
        self.sink = sink
        self.active = True
        self._bus = bus
        self._tokens = subject.split(".")

    def matches(self, tokens: list[str]) -> bool:
        return len(tokens) == len(self._tokens) and all(
            mine in ("*", theirs) for mine, theirs in zip(self._tokens, tokens, strict=True)
        )

    async def unsubscribe(self) -> None:
        self.active = False
        self._bus.forget(self)


class MemoryBus:
    """Delivers in the order of publishing: at the loop's next turn, in `flush`, or by a call of `deliver`."""

    def __init__(self) -> None:
        self.counts = BusCounts()
        self._subscriptions: list[MemorySubscription] = []
        self._queue: deque[tuple[str, bytes, Reply | None, Headers]] = deque()
        self._answers: set[asyncio.Task[None]] = set()
        self._scheduled = False
        self._connected = True
        self._closed = False

    @property
    def connected(self) -> bool:
        return self._connected

    @property
    def pending_bytes(self) -> int:
        """What waits for its delivery."""
        return sum(len(data) for _, data, _, _ in self._queue)

    def set_connected(self, connected: bool) -> None:
        """Play an outage: nothing is delivered meanwhile, and what is published waits."""
        self._connected = connected and not self._closed
        self._schedule()

    async def close(self) -> None:
        self._closed = True
        self._connected = False
        self._queue.clear()
        self._subscriptions.clear()
        for task in self._answers:
            task.cancel()
        await asyncio.gather(*self._answers, return_exceptions=True)

    def publish(self, subject: str, data: bytes, headers: Headers | None = None) -> None:
        self._put(subject, data, None, headers)

    def _put(self, subject: str, data: bytes, reply: Reply | None, headers: Headers | None) -> None:
        told = outgoing(headers, data) or NO_HEADERS
        if len(data) > MAX_MESSAGE_BYTES or not subject or " " in subject:
            raise ValueError(f"cannot send {len(data)} bytes on {subject!r}")
        if self._closed or len(self._queue) >= CAPACITY:
            self.counts.dropped += 1
            return
        self.counts.published += 1
        self.counts.published_bytes += len(data)
        self._queue.append((subject, bytes(data), reply, told))
        self._schedule()

    def _schedule(self) -> None:
        """Without a running loop the test itself calls `deliver`."""
        if self._scheduled or not self._queue or not self._connected:
            return
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return
        self._scheduled = True
        loop.call_soon(self._on_schedule)

    def _on_schedule(self) -> None:
        self._scheduled = False
        self.deliver()
        self._schedule()

    def deliver(self) -> int:
        """Deliver what waits now, and not what handlers publish meanwhile; how many messages that was."""
        if not self._connected:
            return 0
        waiting = len(self._queue)
        for _ in range(waiting):
            if not self._queue:  # a handler closed the bus, or delivered
                break
            subject, data, reply, headers = self._queue.popleft()
            tokens = subject.split(".")
            for subscription in [s for s in self._subscriptions if s.matches(tokens)]:
                if subscription.active:
                    subscription.sink(data, reply, headers)
        return waiting

    async def flush(self, timeout_s: float) -> None:
        """Until nothing waits for delivery: what tests want. Raises Unavailable."""
        try:
            async with asyncio.timeout(timeout_s):
                while self._queue or not self._connected:
                    self.deliver()
                    await asyncio.sleep(0)
        except TimeoutError:
            raise Unavailable(THE_BUS) from None

    async def subscribe(self, subject: str, handler: Handler) -> MemorySubscription:
        def sink(data: bytes, _reply: Reply | None, headers: Headers) -> None:
            self.counts.received += 1
            self.counts.received_bytes += len(data)
            token = RECEIVED.set(headers)
            try:
                handler(data)
            except Exception:
                self.counts.handler_errors += 1
                log.exception("bus_handler_failed", subject=subject)
            finally:
                RECEIVED.reset(token)

        return self._listen(subject, sink)

    async def respond(self, subject: str, responder: Responder) -> MemorySubscription:
        async def answer(data: bytes, reply: Reply | None, headers: Headers) -> None:
            RECEIVED.set(headers)  # of this task alone
            try:
                with tracing.span("bus.respond", tracing.Kind.SERVER, trace_of(headers), subject=subject):
                    result = await responder(data)
                if reply is not None and result is not None:
                    reply(bytes(result))
            except Exception:
                self.counts.handler_errors += 1
                log.exception("bus_responder_failed", subject=subject)

        def sink(data: bytes, reply: Reply | None, headers: Headers) -> None:
            self.counts.received += 1
            self.counts.received_bytes += len(data)
            task = asyncio.get_running_loop().create_task(answer(data, reply, headers))
            self._answers.add(task)
            task.add_done_callback(self._answers.discard)

        return self._listen(subject, sink)

    def _listen(self, subject: str, sink: Sink) -> MemorySubscription:
        if self._closed:
            raise Unavailable(THE_BUS)
        if not all(subject.split(".")) or " " in subject:
            raise ValueError(f"no subject: {subject!r}")
        subscription = MemorySubscription(self, subject, sink)
        self._subscriptions.append(subscription)
        return subscription

    def forget(self, subscription: MemorySubscription) -> None:
        if subscription in self._subscriptions:
            self._subscriptions.remove(subscription)

    async def request(self, subject: str, data: bytes, timeout_s: float, headers: Headers | None = None) -> bytes:
        with tracing.span("bus.request", tracing.Kind.CLIENT, subject=subject):
            answers = await self.gather(subject, data, timeout_s, 1, headers)
            if not answers:
                raise Unavailable(subject)
            return answers[0]

    async def gather(
        self, subject: str, data: bytes, timeout_s: float, limit: int, headers: Headers | None = None
    ) -> list[bytes]:
        answers: list[bytes] = []
        enough = asyncio.Event()

        def reply(answer: bytes) -> None:
            if len(answers) < limit:
                answers.append(answer)
            if len(answers) == limit:
                enough.set()

        tokens = subject.split(".")
        if not any(subscription.matches(tokens) for subscription in self._subscriptions):
            return []
        try:
            async with asyncio.timeout(timeout_s):
                self._put(subject, data, reply, headers)
                await enough.wait()
        except TimeoutError:
            log.debug("bus_request_timed_out", subject=subject, answers=len(answers))
        return answers
