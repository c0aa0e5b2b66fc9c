"""What a gateway measures (row 5.4): sockets, messages, views, and the reliable lane."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

from prometheus_client import CollectorRegistry

from cluster.settings import Settings
from cluster.telemetry.collectors import CounterSource, GaugeSource, HistogramSource
from cluster.telemetry.counts import COMPRESSION, HistogramsByLabel, PlainHistogram, Tally, ViewCounts, exponential
from cluster.telemetry.metrics import UNKNOWN, Metrics, reader
from rayrealm_client.signing import REASONS

CONNECTION_S = exponential(1, 2, 15)
MESSAGE_S = exponential(0.001, 2, 10)
PROCESSING_S = exponential(0.000_01, 4, 10)
SIZE_BYTES = exponential(16, 4, 9)

PARTS = ("nats", "redis", "zone")
SENT = ("answer", "notification")
MOVES_PER_SAMPLE = 64  # a power of two
NO_CLOSE_FRAME = "1006"  # RFC 6455, section 7.1.5
# Closes that are errors: RFC 6455, section 7.4.1.
ERRORS = {
    1002: "protocol_error",
    1003: "unsupported_data",
    1006: "lost",
    1007: "invalid_text",
    1009: "too_big",
    1011: "internal_error",
}

SLOW_CONSUMER, HEARTBEAT_TIMEOUT = "4001", "4002"  # close codes of PROTOCOL.md

# What becomes of tokens on open sockets.
AUTHORITY = (
    "reminded",
    "renewed",
    "token_expired",
    "token_revoked",
    "key_gone",
    "banned",
    "refused_token_invalid",
    "refused_token_expired",
    "refused_token_expiring",
    "refused_token_revoked",
    "refused_other_user",
)

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


class WatchedReports(Protocol):
    """What the reporter says about itself: totals since the gateway started."""

    reports: int
    told: int
    lost: int


class WatchedOutgoing(Protocol):
    @property
    def queued_bytes(self) -> int: ...


class WatchedClient(Protocol):
    pending_requests: int

    @property
    def outgoing(self) -> WatchedOutgoing: ...


class WatchedLeaving(Protocol):
    @property
    def draining(self) -> bool: ...


class WatchedHub(Protocol):
    """The gateway itself, as it is now."""

    @property
    def clients(self) -> Mapping[str, WatchedClient]: ...
    @property
    def settings(self) -> Settings: ...
    @property
    def leaving(self) -> WatchedLeaving: ...
    @property
    def zones(self) -> WatchedZones: ...
    @property
    def reliable(self) -> WatchedReliable: ...


class WatchedZones(Protocol):
    """What the link to the zones says about itself: totals since the gateway started."""

    crossings: int

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
        self.sent = Tally(SENT)  # views are counted by themselves
        self.latency_s = HistogramsByLabel(known, MESSAGE_S, UNKNOWN)
        self.size_bytes = HistogramsByLabel(known, SIZE_BYTES, UNKNOWN)
        self.processing_s = PlainHistogram(PROCESSING_S)
        self.probe_s = HistogramsByLabel(PARTS, MESSAGE_S)
        self._closes = Tally((NO_CLOSE_FRAME, *(str(code) for code in close_codes)))
        self._closed = 0
        self._refused = Tally()
        self._errors = Tally(ERRORS.values())
        self._protocol_errors = Tally()
        self._recoveries = Tally(("recovered", "resumed", "new"))
        self._authority = Tally((*AUTHORITY, UNKNOWN), UNKNOWN)
        self._untold = Tally(("no_room", "unavailable"))
        self._bad_signatures = Tally(REASONS)
        self._keys_rotated = 0
        self.unsealed = Tally()
        self._connection_s = PlainHistogram(CONNECTION_S)
        self.add(
            GaugeSource("websocket_active_connections", "Sockets open", lambda: self.opened - self._closed),
            CounterSource("websocket_connections_total", "Sockets opened", lambda: self.opened),
            HistogramSource("websocket_connection_duration_seconds", "Life of a socket", lambda: self._connection_s),
            CounterSource(
                "websocket_connection_errors_total",
                "Sockets that ended by an error: lost without a close frame, or closed for one of the protocol's or ours",
                lambda: self._errors,
                "reason",
            ),
            CounterSource("websocket_messages_received_total", "Messages received", lambda: self.received, "method"),
            CounterSource(
                "websocket_messages_sent_total",
                "Messages sent",
                lambda: {**self.sent, "view": self.views.sent},
                "kind",
            ),
            HistogramSource(
                "websocket_message_size_bytes",
                "Payload of what was received; a batch counts for its first method",
                lambda: self.size_bytes,
                "method",
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
            HistogramSource(
                "websocket_compression_ratio",
                "Compressed to original size, of what was worth a try",
                lambda: COMPRESSION,
            ),
            HistogramSource(
                "websocket_processing_time_seconds",
                f"Work on one message until the first wait; of moves, one in {MOVES_PER_SAMPLE} is measured",
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
            CounterSource(
                "rayrealm_gateway_tokens_total",
                "Tokens of open sockets: reminded, renewed, refused_*, and why sockets were closed",
                lambda: self._authority,
                "outcome",
            ),
            CounterSource(
                "rayrealm_gateway_bad_signatures_total",
                "Sockets closed because a message was not signed as agreed",
                lambda: self._bad_signatures,
                "reason",
            ),
            CounterSource(
                "rayrealm_gateway_signing_keys_rotated_total",
                "Times that the keys of a signed socket were changed",
                lambda: self._keys_rotated,
            ),
            CounterSource(
                "rayrealm_gateway_sealed_refused_total",
                "Public keys and sealed messages that were refused",
                lambda: self.unsealed,
                "reason",
            ),
            CounterSource("rayrealm_gateway_closes_total", "Sockets closed", lambda: self._closes, "code"),
            HistogramSource(
                "rayrealm_gateway_probe_seconds",
                "Probes through the parts of the realm and back: a write in redis, a message by nats, a zone's tick",
                lambda: self.probe_s,
                "part",
            ),
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

    def watch_hub(self, hub: WatchedHub) -> None:
        """What the gateway holds now."""

        def queues() -> list[int]:
            return [client.outgoing.queued_bytes for client in hub.clients.values()]

        self.add(
            GaugeSource("websocket_queue_depth", "Bytes that wait for clients that read slowly", lambda: sum(queues())),
            GaugeSource(
                "rayrealm_gateway_queue_worst_bytes",
                "... for the one of whom most waits",
                lambda: max(queues(), default=0),
            ),
            GaugeSource(
                "rayrealm_gateway_requests_waiting",
                "Requests of clients that are not answered yet",
                lambda: sum(client.pending_requests for client in hub.clients.values()),
            ),
            GaugeSource("rayrealm_gateway_capacity", "Sockets that it takes", lambda: hub.settings.gateway.capacity),
            GaugeSource(
                "rayrealm_gateway_draining", "Whether it takes no more sockets", lambda: float(hub.leaving.draining)
            ),
            CounterSource(
                "rayrealm_epoch_refusals_total",
                "What an older incarnation said or wanted to write, and was refused (fencing)",
                lambda: {"zone_output": hub.zones.stale_outputs, "reliable_batch": hub.reliable.stale},
                "kind",
            ),
            CounterSource(
                "rayrealm_gateway_crossings_total",
                "Clients whose entity was handed over to another zone",
                lambda: hub.zones.crossings,
            ),
        )

    def watch_limits(
        self,
        refused: Callable[[], Mapping[str, int]],
        shared: Callable[[], Mapping[str, int]],
        banned: Callable[[], int],
    ) -> None:
        """`refused`: by "user", "address", "method" or "all"; `shared`: answers of the limits that processes share."""
        self.add(
            CounterSource(
                "rayrealm_gateway_messages_limited_total", "Messages over a limit, refused", refused, "limit"
            ),
            CounterSource("rayrealm_gateway_shared_limits_total", "Answers of shared limits", shared, "answer"),
            CounterSource("rayrealm_gateway_flooders_banned_total", "Users banned for flooding", banned),
        )

    def watch_reports(self, reporter: WatchedReports) -> None:
        """What the watch on abuse is told."""
        self.add(
            CounterSource("rayrealm_gateway_abuse_reports_total", "Reports to the watch", lambda: reporter.reports),
            CounterSource("rayrealm_gateway_abuse_sessions_total", "Sessions in them", lambda: reporter.told),
            CounterSource(
                "rayrealm_gateway_abuse_unseen_total", "Sockets that closed untold: too many did", lambda: reporter.lost
            ),
        )

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
        if code in ERRORS:
            self._errors.add(ERRORS[code])
        self._connection_s.observe(seconds)

    @property
    def refusals(self) -> int:
        """How many upgrades were refused."""
        return sum(self._refused.values())

    def refused(self, reason: str) -> None:
        """An upgrade was refused; `reason` as in PROTOCOL.md."""
        self._refused.add(reason)

    def authority(self, outcome: str) -> None:
        """What became of a token on an open socket."""
        self._authority.add(outcome)

    def untold(self, reason: str, steps: int) -> None:
        """What follows from a change was given up."""
        self._untold.add(reason, steps)

    def bad_signature(self, reason: str) -> None:
        """A signed socket was closed; `reason` as in rayrealm_client.signing."""
        self._bad_signatures.add(reason)

    def key_rotated(self) -> None:
        self._keys_rotated += 1

    def probed(self, part: str, seconds: float) -> None:
        """A probe came back; `part` as in health.py."""
        self.probe_s.observe(part.partition(":")[0], seconds)

    def protocol_error(self, reason: str) -> None:
        self._protocol_errors.add(reason)
