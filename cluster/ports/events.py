"""The port to the event streams that other services read (row 4.3): fire and forget.

Adapter: `cluster/adapters/nats_events.py`. The streams are in `cluster/event_streams.py`, the bodies in docs/events.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Protocol

StreamKind = Literal["presence", "state", "position"]


class EventSink(Protocol):
    def publish(self, stream: StreamKind, key: str, body: Mapping[str, Any], event_id: str) -> None:
        """Hand an event over for sending; never blocks and never raises for the server's sake.

        `key`: whom it is about, the last part of the subject: the user's id for presence, the zone's for the others. `body`: what
        JSON takes. `event_id`: the same for the same event, whoever publishes it how often: the stream keeps one of those that come
        within its duplicate window. What cannot be held until the server takes it is dropped and counted.
        """


class NoEvents:
    """The sink of a realm without streams (`events.enabled` is false)."""

    def publish(self, stream: StreamKind, key: str, body: Mapping[str, Any], event_id: str) -> None:
        """Nobody is told."""
