"""What `rayrealm export prometheus` prints: the scrape configuration, recording rules and alert rules, as YAML."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import urlsplit

from cluster.errors import InvalidInput
from cluster.export.alerts_outside import GROUPS
from cluster.export.rules import SHARED, Rule, service_levels
from cluster.settings import Settings

EVERY_S = 15
ANY_HOST = ("0.0.0.0", "::", "*")  # noqa: S104 - not to be bound here
CONFIGURATION, RECORDING, ALERTING = "prometheus.yml", "rules/recording.yml", "rules/alerts.yml"
HEAD = "# Made by `rayrealm export prometheus`. Change it there, or what it is made from.\n"


def address_of(settings: Settings) -> str:
    """Where the settings say that the realm is, as from this machine."""
    host = "127.0.0.1" if settings.host in ANY_HOST else settings.host
    host = f"[{host}]" if ":" in host else host
    return f"{'https' if settings.edge.tls.on else 'http'}://{host}:{settings.port}"


def files(address: str, every_s: int = EVERY_S, realm: str = "realm") -> dict[str, str]:
    """By name; the configuration names the others. Raises InvalidInput for an address that is no URL."""
    return {
        CONFIGURATION: configuration(address, every_s, realm),
        RECORDING: recording(),
        ALERTING: alerting(),
    }


def configuration(address: str, every_s: int, realm: str) -> str:
    """prometheus.yml. One question tells every process of the realm; each is then scraped at the realm's own address.

    A process that is scraped directly gets no label that says so: the targets bring `process`, `kind` and `host`.
    """
    url = urlsplit(address)
    if url.scheme not in ("http", "https") or not url.hostname or url.path not in ("", "/"):
        raise InvalidInput([("address", f"{address!r} is not like http://realm.example:8000")])
    return f"""{HEAD}global:
  scrape_interval: {every_s}s
  scrape_timeout: {min(10, every_s)}s
  evaluation_interval: {every_s}s
  external_labels:
    realm: {_quoted(realm)}

rule_files:
  - {RECORDING}
  - {ALERTING}

scrape_configs:
  # The address from which Prometheus asks must be in edge.metrics_from. With more than about 20 processes a second it should
  # be in firewall.exempt, too: a scrape of each process is a request.
  - job_name: rayrealm
    scheme: {url.scheme}
    honor_labels: false
    sample_limit: 20000
    label_limit: 20
    http_sd_configs:
      - url: {_quoted(f"{url.scheme}://{url.netloc}/metrics/targets")}
        refresh_interval: {every_s}s
"""


def recording() -> str:
    """Recording rules."""
    return HEAD + "groups:\n" + _group("rayrealm-shared", SHARED) + _group("rayrealm-levels", service_levels())


def alerting() -> str:
    """Alert rules."""
    text = HEAD + "groups:\n"
    for group, alerts in GROUPS:
        text += f"  - name: rayrealm-{group}\n    rules:\n"
        for alert in alerts:
            text += (
                f"      - alert: {alert.name}\n"
                f"        expr: {_quoted(alert.expr)}\n"
                f"        for: {alert.held}\n"
                f"        labels:\n"
                f"          severity: {alert.severity}\n"
                f"        annotations:\n"
                f"          summary: {_quoted(alert.summary)}\n"
                f"          description: {_quoted(alert.description)}\n"
                f"          runbook_url: {_quoted(alert.runbook)}\n"
            )
    return text


def _group(name: str, rules: Iterable[Rule]) -> str:
    text = f"  - name: {name}\n    rules:\n"
    for rule in rules:
        text += f"      - record: {rule.record}\n        expr: {_quoted(rule.expr)}\n"
        if rule.labels:
            text += "        labels:\n" + "".join(f"          {label}: {_quoted(to)}\n" for label, to in rule.labels)
    return text


def _quoted(text: str) -> str:
    """YAML's single quotes: nothing inside means anything but a quote (YAML 1.2, section 7.3.2)."""
    return "'" + text.replace("'", "''") + "'"
