"""What both adapters of the bus do with headers: those of messages that go, and the trace of those that come."""

from __future__ import annotations

from collections.abc import Mapping

from cluster.ports.bus import NO_HEADERS
from cluster.telemetry import tracing

MOST_BYTES = 4 * 1024
TRACED_BYTES = 512 * 1024  # headers count as data for the server's limit: a message near it goes without its trace
PREFIX = b"NATS/1.0"


def outgoing(headers: Mapping[str, str] | None, data: bytes) -> dict[str, str] | None:
    """Those given, or the trace of what is being done; None for none. Raises ValueError."""
    if headers is None:
        return tracing.headers() if len(data) <= TRACED_BYTES else None
    if not headers:
        return None
    for name, value in headers.items():
        text = name + value
        if not name or ":" in name or not text.isascii() or not text.isprintable() or " " in name:
            raise ValueError(f"cannot send the header {name!r}")
    if sum(len(name) + len(value) for name, value in headers.items()) > MOST_BYTES:
        raise ValueError(f"cannot send more than {MOST_BYTES} bytes of headers")
    return {name.lower(): value.strip() for name, value in headers.items()}


def incoming(raw: bytes | None) -> Mapping[str, str]:
    """From NATS's own form (https://github.com/nats-io/nats-architecture-and-design/blob/main/adr/ADR-4.md)."""
    if not raw or not raw.startswith(PREFIX):
        return NO_HEADERS
    lines = raw.decode("ascii", "replace").split("\r\n")[1:]
    pairs = (line.partition(":") for line in lines if line)
    return {name.strip().lower(): value.strip() for name, _, value in pairs}


def trace_of(headers: Mapping[str, str]) -> str:
    """The sampled context of a message that came, or ""."""
    return tracing.told(headers[tracing.HEADER]) if tracing.HEADER in headers else ""
