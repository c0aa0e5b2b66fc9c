"""The bus of a command that NATS does not answer: what an operation writes down holds, and nobody is told of it at once."""

from __future__ import annotations

from collections.abc import Mapping

from cluster.errors import Unavailable
from cluster.ports.bus import Handler, Responder

THE_BUS = "the message bus"


class _Nothing:
    async def unsubscribe(self) -> None:
        """There is nothing to stop."""


class AwayBus:
    """Implements `cluster.ports.bus.Bus`. What must be answered or known to be sent is refused."""

    def publish(self, subject: str, data: bytes, headers: Mapping[str, str] | None = None) -> None:
        """Dropped, as by any bus that is away."""

    async def subscribe(self, subject: str, handler: Handler) -> _Nothing:
        return _Nothing()

    async def respond(self, subject: str, responder: Responder) -> _Nothing:
        return _Nothing()

    async def request(
        self, subject: str, data: bytes, timeout_s: float, headers: Mapping[str, str] | None = None
    ) -> bytes:
        raise Unavailable(THE_BUS)

    async def gather(
        self, subject: str, data: bytes, timeout_s: float, limit: int, headers: Mapping[str, str] | None = None
    ) -> list[bytes]:
        return []

    async def flush(self, timeout_s: float) -> None:
        raise Unavailable(THE_BUS)

    @property
    def connected(self) -> bool:
        return False

    async def close(self) -> None:
        """There is nothing to close."""
