"""What a gateway measures (row 5.4): sockets, messages, views, and the reliable lane."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol

from prometheus_client import CollectorRegistry

from cluster.telemetry.collectors import CounterSource, GaugeSource, HistogramSource
from cluster.telemetry.counts import HistogramsByLabel, PlainHistogram, Tally, ViewCounts, exponential
from cluster.telemetry.metrics import UNKNOWN, Metrics, reader

CONNECTION_S = exponential(1, 2, 15)
MESSAGE_S = exponential(0.001, 2, 10)
PROCESSING_S = exponential(0.000_01, 4, 10)
SIZE_BYTES = exponential(16, 4, 9)
RATIO = tuple(step / 10 for step in range(1, 11))

SLOW_CONSUMER, HEARTBEAT_TIMEOUT = "4001", "4002"  # close codes of PROTOCOL.md

VIEWS = {
    "sent": "Views written to clients",
    "merged": "Views merged into a later one for a client that read slowly",
    "dropped": "Views for a viewer that is not here",
    "bytes": "Bytes of views written to clients",
}


class WatchedReliable(Protocol):
    """What the reliable lane says about itself: totals since the gateway started."""

    delivered: int
    duplicates: int
    missing: int
    stale: int
    bad_acks: int


class WatchedZones(Protocol):
    """What the link to the zones says about itself: totals since the gateway started."""

    stale_outputs: int
    lost_outputs: int


class GatewayMetrics(Metrics):
    """Sockets. `methods` are the JSON-RPC methods that exist, `close_codes` those of PROTOCOL.md.

    The hot lane counts into `views`, `received`, `sent`, `latency_s`, `size_bytes` and `processing_s` directly.
    """

    def __init__(
        self, methods: Iterable[str], close_codes: Iterable[int], registry: CollectorRegistry | None = None
    ) -> None:
        super().__init__(registry)
        known = (*methods, UNKNOWN)
        self.opened = 0
        self.views = ViewCounts()
        self.received = Tally(known, UNKNOWN)
        self.sent = Tally()
        self.latency_s = HistogramsByLabel(known, MESSAGE_S, UNKNOWN)
        self.size_bytes = HistogramsByLabel(("in", "out"), SIZE_BYTES)
        self.processing_s = PlainHistogram(PROCESSING_S)
        self.compression = PlainHistogram(RATIO)
        self._closes = Tally(str(code) for code in close_codes)
        self._closed = 0
        self._refused = Tally()
        self._errors = Tally()
        self._protocol_errors = Tally()
        self._recoveries = Tally(("recovered", "resumed", "new"))
        self._untold = Tally(("no_room", "unavailable"))
        self._connection_s = PlainHistogram(CONNECTION_S)
        self.add(
            GaugeSource("websocket_active_connections", "Sockets open", lambda: self.opened - self._closed),
            CounterSource("websocket_connections_total", "Sockets opened", lambda: self.opened),
            HistogramSource("websocket_connection_duration_seconds", "Life of a socket", lambda: self._connection_s),
            CounterSource(
                "websocket_connection_errors_total",
                "Sockets that ended without a close frame or by an error of ours",
                lambda: self._errors,
                "reason",
            ),
            CounterSource("websocket_messages_received_total", "Messages received", lambda: self.received, "method"),
            CounterSource("websocket_messages_sent_total", "Messages sent", lambda: self.sent, "kind"),
            HistogramSource(
                "websocket_message_size_bytes", "Payload of a message", lambda: self.size_bytes, "direction"
            ),
            HistogramSource(
                "websocket_message_latency_seconds",
                "From a message's arrival to its answer",
                lambda: self.latency_s,
                "method",
            ),
            CounterSource(
                "websocket_protocol_errors_total",
                "Messages that broke the protocol",
                lambda: self._protocol_errors,
                "reason",
            ),
            HistogramSource("websocket_compression_ratio", "Compressed to original size", lambda: self.compression),
            HistogramSource(
                "websocket_processing_time_seconds",
                "Work on one message without waiting",
                lambda: self.processing_s,
            ),
            CounterSource(
                "rayrealm_gateway_upgrades_refused_total", "Upgrades refused", lambda: self._refused, "reason"
            ),
            CounterSource(
                "rayrealm_gateway_attaches_total",
                "Sockets by what they got: recovered (nothing missed), resumed (missed messages are gone), a new session",
                lambda: self._recoveries,
                "outcome",
            ),
            CounterSource(
                "rayrealm_gateway_consequences_lost_total",
                "Changes among users that others were never told of: too much waited (no_room), or a part was away too long",
                lambda: self._untold,
                "reason",
            ),
            CounterSource("rayrealm_gateway_closes_total", "Sockets closed", lambda: self._closes, "code"),
            CounterSource(
                "rayrealm_gateway_heartbeat_timeouts_total",
                "Clients that sent no pong in time",
                lambda: self._closes.get(HEARTBEAT_TIMEOUT, 0),
            ),
            CounterSource(
                "rayrealm_gateway_slow_consumers_total",
                "Clients closed because they did not read",
                lambda: self._closes.get(SLOW_CONSUMER, 0),
            ),
            *(
                CounterSource(f"rayrealm_gateway_views_{name}_total", text, reader(self.views, name))
                for name, text in VIEWS.items()
            ),
        )

    def watch_queues(self, depth: Callable[[], int]) -> None:
        """`depth`: messages, or bytes, that wait for clients; called at a scrape."""
        self.add(GaugeSource("websocket_queue_depth", "What waits for clients that read slowly", depth))

    def watch_zones(self, link: WatchedZones) -> None:
        """What comes from zones."""
        self.add(
            CounterSource(
                "rayrealm_gateway_stale_outputs_total",
                "Outputs of older incarnations of a zone, not believed",
                lambda: link.stale_outputs,
            ),
            CounterSource(
                "rayrealm_gateway_lost_outputs_total",
                "Times that an output of a zone was missing, and its views were started over",
                lambda: link.lost_outputs,
            ),
        )

    def watch_reliable(self, lane: WatchedReliable, degraded: Callable[[], int]) -> None:
        """The reliable lane, and how many parts of the realm do not answer."""
        self.add(
            CounterSource(
                "rayrealm_gateway_reliable_delivered_total", "Reliable notifications written", lambda: lane.delivered
            ),
            CounterSource(
                "rayrealm_gateway_reliable_duplicates_total",
                "... that came again and were not",
                lambda: lane.duplicates,
            ),
            CounterSource(
                "rayrealm_gateway_reliable_missing_total", "... that came before what they follow", lambda: lane.missing
            ),
            CounterSource(
                "rayrealm_gateway_reliable_stale_total",
                "Batches of older incarnations, not believed",
                lambda: lane.stale,
            ),
            CounterSource(
                "rayrealm_gateway_bad_acknowledgements_total", "Of what was never sent", lambda: lane.bad_acks
            ),
            GaugeSource("rayrealm_gateway_degraded_parts", "Parts of the realm that do not answer", degraded),
        )

    def attached(self, resumed: bool, recovered: bool) -> None:
        """A socket is open."""
        self.opened += 1
        self._recoveries.add("recovered" if recovered else "resumed" if resumed else "new")

    def closed(self, code: int, seconds: float) -> None:
        """A socket is gone after `seconds`; `code` is the one its close frame had, either way."""
        self._closed += 1
        self._closes.add(str(code))
        self._connection_s.observe(seconds)

    def refused(self, reason: str) -> None:
        """An upgrade was refused; `reason` as in PROTOCOL.md."""
        self._refused.add(reason)

    def untold(self, reason: str, steps: int) -> None:
        """What follows from a change was given up."""
        self._untold.add(reason, steps)

    def failed(self, reason: str) -> None:
        """A socket ended without a close frame, or by an error of ours."""
        self._errors.add(reason)

    def protocol_error(self, reason: str) -> None:
        self._protocol_errors.add(reason)
