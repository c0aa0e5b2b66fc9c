"""The port to the message bus (row 4.3): subjects, bytes, no promise of delivery.

Adapters: `cluster/adapters/nats_bus.py`, `cluster/adapters/memory/bus.py`; one contract suite runs over both.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextvars import ContextVar
from typing import Protocol

Handler = Callable[[bytes], None]
Responder = Callable[[bytes], Awaitable[bytes | None]]

NO_HEADERS: Mapping[str, str] = {}
RECEIVED: ContextVar[Mapping[str, str]] = ContextVar("bus_headers", default=NO_HEADERS)  # for adapters to set


def received() -> Mapping[str, str]:
    """Inside a handler or a responder: the headers of its message, names in lower case."""
    return RECEIVED.get()


class Subscription(Protocol):
    async def unsubscribe(self) -> None:
        """Stop; messages that are on their way may still arrive. Twice is fine."""


class Bus(Protocol):
    """At most once, in order per publisher and subject. A subject is dot-separated tokens; `*` matches one in a subscription."""

    def publish(self, subject: str, data: bytes, headers: Mapping[str, str] | None = None) -> None:
        """Hand over for sending; never blocks. Dropped and counted while the bus is away for longer than its buffer lasts.

        `headers`: short texts in ASCII, without line ends. None: the trace context of what is being done, if there is one
        (cluster/telemetry/tracing.py). Raises ValueError for a bad subject, bad headers, or too much data.
        """

    async def subscribe(self, subject: str, handler: Handler) -> Subscription:
        """Call `handler` on the event loop with each message's data. A handler that raises is logged and goes on."""

    async def respond(self, subject: str, responder: Responder) -> Subscription:
        """Answer requests on `subject`. A responder that raises, or returns None, sends no answer."""

    async def request(
        self, subject: str, data: bytes, timeout_s: float, headers: Mapping[str, str] | None = None
    ) -> bytes:
        """One answer. Raises Unavailable when nobody answers in time, at once while the bus is known to be away."""

    async def gather(
        self, subject: str, data: bytes, timeout_s: float, limit: int, headers: Mapping[str, str] | None = None
    ) -> list[bytes]:
        """All answers that come within `timeout_s`, at most `limit`; none, at once, while the bus is known to be away."""

    async def flush(self, timeout_s: float) -> None:
        """Until the server has seen everything published so far. Raises Unavailable."""

    @property
    def connected(self) -> bool: ...

    async def close(self) -> None: ...
