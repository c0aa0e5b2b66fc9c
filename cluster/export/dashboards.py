"""The dashboards, as data: what is looked at, by subject."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from cluster.export.rules import quantile

Kind = Literal["timeseries", "stat", "table"]
# Units of Grafana (packages/grafana-data, valueFormats): seconds, bytes, a second, share of 1.
Unit = Literal["short", "s", "bytes", "ops", "percentunit", "Bps", "dateTimeFromNow"]


@dataclass(frozen=True, slots=True)
class Query:
    """`legend`: with Grafana's templates, as `{{zone_id}}`."""

    expr: str
    legend: str = ""


@dataclass(frozen=True, slots=True)
class Panel:
    """`width` of 24 columns. `warn`: from this value on it is red."""

    title: str
    unit: Unit
    queries: tuple[Query, ...]
    width: int = 8
    kind: Kind = "timeseries"
    text: str = ""
    warn: float | None = None
    stacked: bool = False


@dataclass(frozen=True, slots=True)
class Dashboard:
    """`variable`: a label that the reader chooses values of; `values`: PromQL of Grafana's label_values for it."""

    uid: str
    title: str
    text: str
    panels: tuple[Panel, ...]
    variable: str = ""
    values: str = ""


def graph(
    title: str, unit: Unit, *queries: tuple[str, str], warn: float | None = None, text: str = "", stacked: bool = False
) -> Panel:
    return Panel(title, unit, tuple(Query(*query) for query in queries), warn=warn, text=text, stacked=stacked)


def number(title: str, unit: Unit, expr: str, warn: float | None = None) -> Panel:
    return Panel(title, unit, (Query(expr),), width=4, kind="stat", warn=warn)


def rate(metric: str, by: str = "", where: str = "") -> str:
    matching = f"{{{where}}}" if where else ""
    return f"sum by ({by}) (rate({metric}{matching}[1m]))" if by else f"sum(rate({metric}{matching}[1m]))"


def quantiles(metric: str, where: str = "") -> tuple[tuple[str, str], ...]:
    return tuple((quantile(q, metric, where=where, over="1m"), f"p{q * 100:g}") for q in (0.5, 0.95, 0.99))


OVERVIEW = Dashboard(
    "rayrealm-overview",
    "Rayrealm / Overview",
    "Is the realm well, and who is in it.",
    (
        number("Sockets", "short", "rayrealm:sockets:sum"),
        number("Users online", "short", "rayrealm:users:sum"),
        number("Players in zones", "short", "rayrealm:players:sum"),
        number("Zones away", "short", "rayrealm:zones_away:count", warn=1),
        number("Sockets taken", "percentunit", "rayrealm:sockets:fill_ratio", warn=0.85),
        number("Alerts firing", "short", 'count(ALERTS{alertstate="firing"}) or vector(0)', warn=1),
        graph(
            "Sockets and room",
            "short",
            ("rayrealm:sockets:sum", "open"),
            ("sum(rayrealm_gateway_capacity)", "capacity"),
        ),
        graph(
            "Messages",
            "ops",
            ("rayrealm:messages_received:rate1m", "received"),
            ("rayrealm:messages_sent:rate1m", "sent"),
        ),
        graph("Time to an answer", "s", *quantiles("websocket_message_latency_seconds"), warn=0.25),
        graph("Slowest zones, p95 of a tick", "s", ("topk(5, rayrealm:tick_seconds:p95)", "{{zone_id}}"), warn=0.05),
        graph(
            "Service levels: what went wrong in an hour",
            "percentunit",
            ("rayrealm:slo_errors:ratio_rate1h", "{{slo}}"),
        ),
        graph(
            "... of what may",
            "percentunit",
            ("rayrealm:slo_errors:ratio_rate1h / on (slo) rayrealm:slo_budget:ratio", "{{slo}}"),
            warn=1,
        ),
        graph(
            "Processes that answer", "short", ('count by (kind) (up{job="rayrealm"} == 1)', "{{kind}}"), stacked=True
        ),
        graph("Versions", "short", ("count by (version) (rayrealm_build_info)", "{{version}}"), stacked=True),
        graph("Plans of the world", "short", ("sum by (outcome) (increase(rayrealm_plans_total[5m]))", "{{outcome}}")),
    ),
)

CHOSEN = 'process=~"$process"'
GATEWAYS = Dashboard(
    "rayrealm-gateways",
    "Rayrealm / Gateways",
    "Sockets, messages, and what waits for clients.",
    (
        graph("Sockets", "short", ('websocket_active_connections{process=~"$process"}', "{{process}}"), stacked=True),
        graph(
            "Sockets taken",
            "percentunit",
            ('websocket_active_connections{process=~"$process"} / rayrealm_gateway_capacity', "{{process}}"),
            warn=0.9,
        ),
        graph("Upgrades", "ops", (rate("rayrealm_gateway_attaches_total", "outcome"), "{{outcome}}"), stacked=True),
        graph("Upgrades refused", "ops", (rate("rayrealm_gateway_upgrades_refused_total", "reason"), "{{reason}}")),
        graph("Closes", "ops", (rate("rayrealm_gateway_closes_total", "code"), "{{code}}"), stacked=True),
        graph(
            "Sockets that ended by an error", "ops", (rate("websocket_connection_errors_total", "reason"), "{{reason}}")
        ),
        graph("Life of a socket", "s", *quantiles("websocket_connection_duration_seconds")),
        graph(
            "Messages received",
            "ops",
            (f"topk(10, {rate('websocket_messages_received_total', 'method', CHOSEN)})", "{{method}}"),
        ),
        graph(
            "Messages sent", "ops", (rate("websocket_messages_sent_total", "kind", 'process=~"$process"'), "{{kind}}")
        ),
        graph(
            "Time to an answer, p99 by method",
            "s",
            (f"topk(10, {quantile(0.99, 'websocket_message_latency_seconds', 'method')})", "{{method}}"),
        ),
        graph("Work on a message", "s", *quantiles("websocket_processing_time_seconds")),
        graph("Size of a message received", "bytes", *quantiles("websocket_message_size_bytes")),
        graph("Bytes that wait for clients", "bytes", ('websocket_queue_depth{process=~"$process"}', "{{process}}")),
        graph(
            "... for the one of whom most waits",
            "bytes",
            ('rayrealm_gateway_queue_worst_bytes{process=~"$process"}', "{{process}}"),
        ),
        graph(
            "Requests not answered yet",
            "short",
            ("sum by (process) (rayrealm_gateway_requests_waiting)", "{{process}}"),
        ),
        graph(
            "Views",
            "ops",
            (rate("rayrealm_gateway_views_sent_total"), "sent"),
            (rate("rayrealm_gateway_views_merged_total"), "merged for slow readers"),
            (rate("rayrealm_gateway_views_dropped_total"), "for nobody"),
        ),
        graph("Views, bytes", "Bps", (rate("rayrealm_gateway_views_bytes_total", "process"), "{{process}}")),
        graph("Compressed to original size", "percentunit", *quantiles("websocket_compression_ratio")),
        graph(
            "Slow and silent clients",
            "ops",
            (rate("rayrealm_gateway_slow_consumers_total"), "do not read"),
            (rate("rayrealm_gateway_heartbeat_timeouts_total"), "send no pong"),
        ),
        graph("Protocol errors", "ops", (rate("websocket_protocol_errors_total", "reason"), "{{reason}}")),
        graph("Draining", "short", ("sum by (process) (rayrealm_gateway_draining)", "{{process}}")),
    ),
    "process",
    "label_values(websocket_active_connections, process)",
)

ZONES = Dashboard(
    "rayrealm-zones",
    "Rayrealm / Zones",
    "Ticks, players, borders, and what waits.",
    (
        graph("Players", "short", ('game_zone_population{zone_id=~"$zone_id"}', "{{zone_id}}"), stacked=True),
        graph("Tick, p95", "s", ('rayrealm:tick_seconds:p95{zone_id=~"$zone_id"}', "{{zone_id}}"), warn=0.05),
        graph(
            "Ticks too long",
            "ops",
            (rate("rayrealm_zone_tick_overruns_total", "zone_id", 'zone_id=~"$zone_id"'), "{{zone_id}}"),
        ),
        graph("Owned", "short", ('rayrealm_zone_owned{zone_id=~"$zone_id"}', "{{zone_id}}")),
        graph("Ticks left out", "ops", (rate("rayrealm_zone_ticks_skipped_total", "zone_id"), "{{zone_id}}")),
        graph("Ticks that raised", "ops", (rate("rayrealm_zone_tick_failures_total", "zone_id"), "{{zone_id}}")),
        graph(
            "Entities",
            "short",
            ('sum by (zone_id) (rayrealm_zone_entities{zone_id=~"$zone_id"})', "{{zone_id}} own"),
            ('sum by (zone_id) (rayrealm_zone_ghosts{zone_id=~"$zone_id"})', "{{zone_id}} ghosts"),
        ),
        graph(
            "Hand-overs",
            "ops",
            (rate("rayrealm_zone_handed_over_total", "zone_id"), "{{zone_id}} out"),
            (rate("rayrealm_zone_admitted_total", "zone_id"), "{{zone_id}} in"),
        ),
        graph(
            "What waits",
            "short",
            ('sum by (queue) (rayrealm_zone_queue{zone_id=~"$zone_id"})', "{{queue}}"),
        ),
        graph("Moves that became true", "ops", (rate("rayrealm_zone_moves_applied_total", "zone_id"), "{{zone_id}}")),
        graph("Moves refused", "ops", (rate("rayrealm_zone_moves_refused_total", "reason"), "{{reason}}")),
        graph("Moves never judged", "ops", (rate("rayrealm_zone_inputs_dropped_total", "reason"), "{{reason}}")),
        graph("Requests judged", "ops", (rate("rayrealm_zone_calls_total", "method"), "{{method}}")),
        graph("Requests refused", "ops", (rate("rayrealm_zone_calls_dropped_total", "reason"), "{{reason}}")),
        graph(
            "Writes",
            "ops",
            (rate("rayrealm_zone_commits_total"), "groups written"),
            (rate("rayrealm_zone_commit_failures_total"), "tries that failed"),
            (rate("rayrealm_zone_checkpoint_failures_total"), "checkpoints that failed"),
        ),
        graph("Checkpoint", "s", *quantiles("rayrealm_zone_checkpoint_seconds")),
        graph(
            "Messages of the game lost",
            "ops",
            (rate("rayrealm_zone_announcements_lost_total", "zone_id"), "{{zone_id}}"),
        ),
        graph("Views started over", "ops", (rate("rayrealm_zone_resyncs_total", "zone_id"), "{{zone_id}}")),
        graph("Epoch", "short", ('rayrealm_zone_epoch{zone_id=~"$zone_id"}', "{{zone_id}}")),
        graph("A probe through the zone", "s", *quantiles("rayrealm_gateway_probe_seconds", 'part="zone"')),
        graph("Clients that crossed a border", "ops", (rate("rayrealm_gateway_crossings_total"), "crossings")),
    ),
    "zone_id",
    "label_values(game_zone_population, zone_id)",
)

SESSIONS = Dashboard(
    "rayrealm-sessions",
    "Rayrealm / Sessions",
    "Session actors and the reliable lane.",
    (
        graph("Sessions", "short", ("sum by (actor) (rayrealm_sessions)", "{{actor}}"), stacked=True),
        graph("Users online", "short", ("rayrealm:users:sum", "users")),
        graph("Calls", "ops", (rate("rayrealm_session_calls_total", "outcome"), "{{outcome}}")),
        graph(
            "Time of a call, p99",
            "s",
            (quantile(0.99, "rayrealm_session_call_seconds", "method"), "{{method}}"),
        ),
        graph(
            "Reliable notifications",
            "ops",
            (rate("rayrealm_reliable_sent_total"), "sent"),
            (rate("rayrealm_reliable_resent_total"), "sent again"),
            (rate("rayrealm_gateway_reliable_delivered_total"), "delivered"),
        ),
        graph(
            "Out of turn at gateways",
            "ops",
            (rate("rayrealm_gateway_reliable_duplicates_total"), "came again"),
            (rate("rayrealm_gateway_reliable_missing_total"), "came too early"),
        ),
        graph("Not acknowledged", "short", ("sum by (actor) (rayrealm_session_outbox_messages)", "{{actor}}")),
        graph("... bytes", "bytes", ("sum by (actor) (rayrealm_session_outbox_bytes)", "{{actor}}")),
        graph("Waiting for the log", "short", ("sum by (actor) (rayrealm_session_lane_waiting)", "{{actor}}")),
        graph("Topics read", "short", ("sum by (actor) (rayrealm_session_topics)", "{{actor}}")),
        graph("Gaps", "ops", (rate("rayrealm_session_gaps_total", "actor"), "{{actor}}")),
        graph("Who came back", "ops", (rate("rayrealm_gateway_attaches_total", "outcome"), "{{outcome}}")),
        graph("Refused: older incarnations", "ops", (rate("rayrealm_epoch_refusals_total", "kind"), "{{kind}}")),
        graph("Never told", "ops", (rate("rayrealm_gateway_consequences_lost_total", "reason"), "{{reason}}")),
        graph("Actors that do not answer", "short", ("rayrealm_actor_up == 0", "{{actor}}")),
    ),
)
