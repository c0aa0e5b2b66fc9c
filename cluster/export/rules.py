"""Recording rules (prometheus.io/docs/prometheus/latest/configuration/recording_rules): service levels, and figures that dashboards
and alerts share.

Names are `level:metric:operation` (prometheus.io/docs/practices/rules). Service levels are those of docs/reliability.md.
"""

from __future__ import annotations

from dataclasses import dataclass

WINDOWS = ("5m", "1h")
LEAST = "1e-9"  # a rate below which nothing happened: then nothing went wrong either


@dataclass(frozen=True, slots=True)
class Rule:
    """`labels` are added to what `expr` gives."""

    record: str
    expr: str
    labels: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Objective:
    """A service level: of `total` no more than `budget` may be `bad`; rates over `{w}`."""

    name: str
    text: str
    budget: float
    bad: str
    total: str


OURS = "full|draining|busy|unavailable"  # upgrades that were refused for no fault of the client's

OBJECTIVES = (
    Objective(
        "connects",
        "Upgrades are refused for reasons of the client's only",
        0.001,
        f'sum(rate(rayrealm_gateway_upgrades_refused_total{{reason=~"{OURS}"}}[{{w}}]))',
        f"sum(rate(websocket_connections_total[{{w}}])) + (sum(rate("
        f'rayrealm_gateway_upgrades_refused_total{{reason=~"{OURS}"}}[{{w}}])) or vector(0))',
    ),
    Objective(
        "answers",
        "Requests are answered within 128 ms",
        0.01,
        "sum(rate(websocket_message_latency_seconds_count[{w}]))"
        ' - sum(rate(websocket_message_latency_seconds_bucket{le="0.128"}[{w}]))',
        "sum(rate(websocket_message_latency_seconds_count[{w}]))",
    ),
    Objective(
        "ticks",
        "Ticks take no longer than a tick may",
        0.001,
        "sum(rate(rayrealm_zone_tick_overruns_total[{w}]))",
        "sum(rate(rayrealm_zone_ticks_total[{w}]))",
    ),
    Objective(
        "zones",
        "Every zone has an owner that answers (promises 5 and 8)",
        0.0005,
        "sum(1 - avg_over_time(rayrealm_zone_owned[{w}]))",
        "sum(avg_over_time(rayrealm_zone_owned[{w}]) >= bool 0)",
    ),
    Objective(
        "recoveries",
        "Who comes back within the grace period gets all that was missed (promises 2 and 7)",
        0.001,
        'sum(rate(rayrealm_gateway_attaches_total{outcome="resumed"}[{w}]))',
        'sum(rate(rayrealm_gateway_attaches_total{outcome=~"recovered|resumed"}[{w}]))',
    ),
    Objective(
        "session_calls",
        "Calls of session actors do not fail by our fault (promise 1)",
        0.001,
        'sum(rate(rayrealm_session_calls_total{outcome="failed"}[{w}]))',
        "sum(rate(rayrealm_session_calls_total[{w}]))",
    ),
    Objective(
        "http",
        "The HTTP API answers without an error of ours",
        0.001,
        'sum(rate(rayrealm_http_requests_total{status=~"5.."}[{w}]))',
        "sum(rate(rayrealm_http_requests_total[{w}]))",
    ),
)


def quantile(share: float, metric: str, by: str = "", where: str = "", over: str = "5m") -> str:
    """PromQL for a quantile of a histogram. `where`: matchers of labels."""
    labels = ", ".join(part for part in ("le", by) if part)
    matching = f"{{{where}}}" if where else ""
    return f"histogram_quantile({share}, sum by ({labels}) (rate({metric}_bucket{matching}[{over}])))"


def ratio(objective: Objective, window: str) -> str:
    """The share of what went wrong; 0 while nothing happened."""
    bad, total = (part.replace("{w}", window) for part in (objective.bad, objective.total))
    return f"({bad} or vector(0)) / clamp_min({total} or vector(0), {LEAST})"


def service_levels() -> list[Rule]:
    made = []
    for objective in OBJECTIVES:
        labels = (("slo", objective.name),)
        made.append(Rule("rayrealm:slo_budget:ratio", f"vector({objective.budget})", labels))
        made += [Rule(f"rayrealm:slo_errors:ratio_rate{w}", ratio(objective, w), labels) for w in WINDOWS]
    return made


SHARED = (
    Rule("rayrealm:sockets:sum", "sum(websocket_active_connections)"),
    Rule("rayrealm:sockets:fill_ratio", "sum(websocket_active_connections) / sum(rayrealm_gateway_capacity)"),
    Rule("rayrealm:players:sum", "sum(game_zone_population)"),
    Rule("rayrealm:users:sum", "sum(game_active_users)"),
    Rule("rayrealm:zones_away:count", "sum(1 - rayrealm_zone_owned)"),
    Rule("rayrealm:messages_received:rate1m", "sum(rate(websocket_messages_received_total[1m]))"),
    Rule("rayrealm:messages_sent:rate1m", "sum(rate(websocket_messages_sent_total[1m]))"),
    Rule("rayrealm:message_latency_seconds:p99", quantile(0.99, "websocket_message_latency_seconds")),
    Rule("rayrealm:tick_seconds:p95", quantile(0.95, "rayrealm_zone_tick_seconds", "zone_id")),
    Rule("rayrealm:dependency_seconds:p99", quantile(0.99, "rayrealm_dependency_seconds", "dependency")),
    Rule(
        "host:node_cpu:ratio_rate5m",
        'max by (host) (rate(rayrealm_node_cpu_seconds_total{mode="busy"}[5m]) / on (process, instance, host, kind, job) '
        "rayrealm_node_cpus)",
    ),
    Rule(
        "host:node_memory:ratio",
        "1 - min by (host) (rayrealm_node_memory_available_bytes / rayrealm_node_memory_bytes)",
    ),
    Rule(
        "host:node_disk:ratio",
        "1 - min by (host, path) (rayrealm_node_disk_free_bytes / rayrealm_node_disk_bytes)",
    ),
)
