"""docs/reference/metrics.md."""

from __future__ import annotations

from cluster.export.alerts_outside import GROUPS
from cluster.export.rules import OBJECTIVES, SHARED, WINDOWS
from cluster.telemetry.catalogue import Described, catalogue

HEAD = """# Metrics

Made by `scripts/generate-docs` from the code. Every process of a realm has them; `GET /metrics` shows all on one page, with a label
`process`, `GET /metrics?process=NAME` those of one process, and `GET /metrics/targets` tells Prometheus which there are. All three
are for addresses in `edge.metrics_from`. `rayrealm export prometheus` and `rayrealm export grafana` make the configuration, rules
and dashboards that are in [deploy/](../../deploy/); what an alert means is in [how-to/alerts.md](../how-to/alerts.md).

Labels name zones, actors, methods, reasons: never a player, a session or an address. A histogram `X` is `X_bucket`, `X_sum` and
`X_count`. Scraped by process, each series also has `process`, `kind` and `host`.
"""

WORLD = ("rayrealm_zone", "rayrealm_game_", "rayrealm_plan", "rayrealm_actor_", "rayrealm_nodes")
ACCOUNTS = ("rayrealm_http_", "rayrealm_login_", "rayrealm_register_", "rayrealm_password_", "rayrealm_edge_")
SERVERS = ("rayrealm_dependency_", "rayrealm_breaker", "rayrealm_bus_", "rayrealm_redis_", "rayrealm_event")


def render() -> str:
    found = catalogue()
    text = HEAD
    for title, prefixes in (
        ("Sockets and players", ("websocket_", "game_")),
        ("Gateways", ("rayrealm_gateway_",)),
        ("Zones and the world", WORLD),
        ("Sessions and the reliable lane", ("rayrealm_session", "rayrealm_reliable_")),
        ("Accounts and the edge", ACCOUNTS),
        ("The console", ("rayrealm_console_",)),
        ("Abuse", ("rayrealm_abuse_",)),
        ("What the realm stands on", SERVERS),
    ):
        part = [one for one in found if one.name.startswith(prefixes)]
        found = [one for one in found if one not in part]
        text += f"\n## {title}\n\n{_table(part)}"
    text += f"\n## Processes and machines\n\n{_table(found)}"
    return text + _rules()


def _table(part: list[Described]) -> str:
    rows = "| metric | kind | labels | meaning | of |\n|---|---|---|---|---|\n"
    for one in part:
        labels = ", ".join(f"`{label}`" for label in one.labels)
        rows += f"| `{one.name}` | {one.kind} | {labels} | {_cell(one.help)} | {', '.join(one.of)} |\n"
    return rows


def _rules() -> str:
    text = "\n## Service levels\n\nThe share of what goes wrong is `rayrealm:slo_errors:ratio_rate"
    text += "` or `rayrealm:slo_errors:ratio_rate".join(WINDOWS)
    text += "` by the label `slo`, what may go wrong `rayrealm:slo_budget:ratio`.\n\n"
    text += "| `slo` | promise | may go wrong |\n|---|---|--:|\n"
    text += "".join(f"| `{one.name}` | {one.text} | {one.budget:.2%} |\n" for one in OBJECTIVES)
    text += "\n## Other recording rules\n\n| rule | expression |\n|---|---|\n"
    text += "".join(f"| `{rule.record}` | `{_cell(rule.expr)}` |\n" for rule in SHARED)
    text += "\n## Alerts\n\n| alert | severity | after | says |\n|---|---|---|---|\n"
    for _, alerts in GROUPS:
        for alert in alerts:
            link = f"[{alert.name}](../how-to/alerts.md#{alert.name.lower()})"
            text += f"| {link} | {alert.severity} | {alert.held} | {_cell(alert.summary)} |\n"
    return text


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
