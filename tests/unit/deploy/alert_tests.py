"""Makes deploy/prometheus/tests/alerts.yml, which promtool runs, from the cases."""

from __future__ import annotations

import re
from typing import Any

import yaml

from cluster.export.alerts import PREFIX, Alert
from cluster.export.alerts_outside import ALERTS
from tests.unit.deploy.alert_cases import CASES, Case, Series

HEAD = "# Made by tests/unit/deploy/test_prometheus.py from alert_cases.py. Run it: promtool test rules alerts.yml\n"
LABEL, VALUE = re.compile(r"\{\{ \$labels\.(\w+) \}\}"), re.compile(r"\{\{ \$value[^}]*\}\}")


def made() -> str:
    """Each alert is fired once, and is seen to be silent once."""
    tests = [test for alert in ALERTS for test in _tests(alert, CASES[alert.name.removeprefix(PREFIX)])]
    document = {
        "rule_files": ["../rules/recording.yml", "../rules/alerts.yml"],
        "evaluation_interval": "1m",
        "tests": tests,
    }
    return HEAD + yaml.safe_dump(document, sort_keys=False, width=160)


def _tests(alert: Alert, case: Case) -> list[dict[str, Any]]:
    labels = {"severity": alert.severity, **case.labels}
    annotations = {
        "summary": _said(alert.summary, case),
        "description": _said(alert.description, case),
        "runbook_url": alert.runbook,
    }
    expected = [{"exp_labels": labels, "exp_annotations": annotations}]
    return [
        _test(f"{alert.name} fires", case.fires, alert.name, case.at, expected),
        _test(f"{alert.name} is silent", case.quiet, alert.name, case.at, []),
    ]


def _test(name: str, series: Series, alert: str, at: str, expected: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "name": name,
        "interval": "15s",
        "input_series": [{"series": one, "values": values} for one, values in series.items()],
        "alert_rule_test": [{"eval_time": at, "alertname": alert, "exp_alerts": expected}],
    }


def _said(text: str, case: Case) -> str:
    return VALUE.sub(case.says, LABEL.sub(lambda found: case.labels[found[1]], text))
