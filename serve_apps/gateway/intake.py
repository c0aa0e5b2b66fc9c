"""What clients send, from frame to zone or dispatcher: metered before it is decoded (row 5.3). Plain Python; returns at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from cluster.telemetry.gateway_metrics import MOVES_PER_SAMPLE, GatewayMetrics
from cluster.telemetry.metrics import UNKNOWN
from serve_apps.gateway.client import Client
from serve_apps.gateway.connection import Close, Closing, Event, Moved, Received
from serve_apps.gateway.idling import Idling
from serve_apps.gateway.messages import Call
from serve_apps.gateway.proto_framing import MOVE_METHOD
from serve_apps.gateway.reliable import ReliableLink
from serve_apps.gateway.zone_link import ZoneLink

if TYPE_CHECKING:
    from serve_apps.gateway.dispatch import Dispatcher


class Intake:
    """`clock` gives seconds; `close(client, code, reason)` closes a socket."""

    def __init__(
        self,
        clock: Callable[[], float],
        metrics: GatewayMetrics,
        zones: ZoneLink,
        idling: Idling,
        reliable: ReliableLink,
        close: Callable[[Client, Close, str], None],
    ) -> None:
        self.dispatcher: Dispatcher | None = None
        self._clock = clock
        self._metrics = metrics
        self._move_sizes = metrics.size_bytes[MOVE_METHOD]
        self._zones = zones
        self._idling = idling
        self._reliable = reliable
        self._close = close

    def receive(self, client: Client, text: bool, payload: bytes, fin: bool) -> None:
        """A data frame from the client."""
        connection, now = client.connection, self._clock()
        wait = client.meter.frame(len(payload), now)
        if wait:
            self._refuse(client, text, payload, fin, wait, now)
            return
        event = connection.text(payload, fin, now) if text else connection.binary(payload, fin, now)
        self._act(client, event, now, len(payload))

    def receive_continuation(self, client: Client, payload: bytes, fin: bool) -> None:
        now, meter = self._clock(), client.meter
        wait = meter.frame(len(payload), now)
        if meter.skipping or wait:  # of a message that is let in only as a whole
            client.connection.skip(now)
            meter.skipping = not fin
            if fin or wait:
                self._dropped(client, wait, now)
            return
        size = client.connection.fragment_bytes + len(payload)
        self._act(client, client.connection.continuation(payload, fin, now), now, size)

    def heard(self, client: Client, size: int = 0) -> bool:
        """A ping or a pong from the client. Whether a ping is to be answered."""
        now = self._clock()
        client.connection.alive(now)
        wait = client.meter.frame(size, now)
        if wait:
            self._dropped(client, wait, now)
        return not wait

    def _act(self, client: Client, event: Event, now: float, size: int) -> None:
        if type(event) is Moved:
            self._metrics.received[MOVE_METHOD] += 1
            self._move_sizes.observe(size)
            self._idling.moved(client, event.row, now)
            client.last_move = event.row
            self._zones.move(client.zone_id, event.row)
            if not client.heard:
                self._reliable.heard(client)
            if client.outgoing.framing is not client.connection.framing:
                client.write(client.outgoing.speak(client.connection.framing, now))
            if not self._metrics.received[MOVE_METHOD] % MOVES_PER_SAMPLE:
                self._metrics.processing_s.observe(self._clock() - now)
        elif isinstance(event, Received):
            self._metrics.size_bytes.observe(_method(event), size)
            client.write(client.outgoing.speak(client.connection.framing, now))
            if not client.heard:
                self._reliable.heard(client)
            self._idling.said(client, event.decoded, now)
            if self.dispatcher is not None and not client.closed:
                self.dispatcher.take(client, event.decoded)
            self._metrics.processing_s.observe(self._clock() - now)
        elif isinstance(event, Closing):
            self._close(client, event.code, event.reason)

    # --- what is over a limit ----------------------------------------------------------------------------------

    def _refuse(self, client: Client, text: bool, payload: bytes, fin: bool, wait: float, now: float) -> None:
        """Requests get an answer, unless there are so many that reading them would be the harm."""
        connection, meter = client.connection, client.meter
        if not fin or meter.flooding or not meter.answers(now):
            meter.skipping = not fin
            connection.skip(now)
            self._dropped(client, wait, now)
            return
        event = connection.text(payload, fin, now) if text else connection.binary(payload, fin, now)
        if isinstance(event, Received) and self.dispatcher is not None:
            client.write(client.outgoing.speak(connection.framing, now))
            self.dispatcher.refuse(client, event.decoded, wait)
        elif isinstance(event, Closing):
            self._close(client, event.code, event.reason)
        else:
            self._dropped(client, wait, now)

    def _dropped(self, client: Client, wait: float, now: float) -> None:
        """A frame was not read, or a move not passed on."""
        if client.meter.flooding:
            self._close(client, Close.FLOODING, "flooding")
        elif self.dispatcher is not None and wait:
            self.dispatcher.tell_limited(client, wait, now)


def _method(event: Received) -> str:
    """Of a frame's first message."""
    first = event.decoded.items[0] if event.decoded.items else None
    return first.method if isinstance(first, Call) else UNKNOWN
