"""deploy/prometheus is what the export command makes, and every alert is tested and explained.

tests/contract/test_promtool.py runs the tests.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from cluster.cli.main import app
from cluster.errors import InvalidInput
from cluster.export import prometheus
from cluster.export.alerts import PREFIX, Alert
from cluster.export.alerts_outside import ALERTS
from cluster.settings import Settings
from tests.unit.deploy.alert_cases import CASES
from tests.unit.deploy.alert_tests import made

ROOT = Path(__file__).parents[3]
FOLDER = ROOT / "deploy" / "prometheus"
PAGE = ROOT / "docs" / "how-to" / "alerts.md"
TESTS = "tests/alerts.yml"


def test_what_is_there_is_what_the_command_makes() -> None:
    made_now = {**prometheus.files(prometheus.address_of(Settings())), TESTS: made()}
    there = {path.relative_to(FOLDER).as_posix(): path.read_text() for path in FOLDER.rglob("*") if path.is_file()}
    assert there == made_now, "run: rayrealm export prometheus --out deploy/prometheus"


def test_every_alert_has_a_test_that_fires_it_and_one_where_it_is_silent() -> None:
    assert [alert.name.removeprefix(PREFIX) for alert in ALERTS if alert.name.removeprefix(PREFIX) not in CASES] == []
    assert len(CASES) == len(ALERTS) == len({alert.name for alert in ALERTS})
    expected: dict[str, list[int]] = {}
    for test in yaml.safe_load((FOLDER / TESTS).read_text())["tests"]:
        for check in test["alert_rule_test"]:
            expected.setdefault(check["alertname"], []).append(len(check["exp_alerts"]))
            assert test["input_series"], "an alert that is silent because there is nothing proves nothing"
    assert expected == {alert.name: [1, 0] for alert in ALERTS}


def test_every_alert_is_explained() -> None:
    """What it means, what to look at, what to do; under its name, where its link leads."""
    parts = dict(re.findall(r"^### (\w+)\n(.*?)(?=^##|\Z)", PAGE.read_text(), re.MULTILINE | re.DOTALL))
    assert list(parts) == [alert.name for alert in ALERTS]
    for name, text in parts.items():
        for heading in ("**Means.**", "**Look at.**", "**Do.**"):
            assert text.count(heading) == 1, (name, heading)
    for alert in ALERTS:
        page, _, anchor = alert.runbook.partition("#")
        assert (ROOT / page).is_file()
        assert anchor == alert.name.lower()  # as GitHub makes it of the heading


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert.name)
def test_what_an_alert_says(alert: Alert) -> None:
    assert alert.name.startswith(PREFIX)
    assert alert.severity in ("critical", "warning")
    assert len(alert.summary) > 10
    assert len(alert.description) > 10
    assert not alert.summary.endswith(".")
    assert alert.description.endswith((".", "?"))


class TestAddress:
    @pytest.mark.parametrize(
        ("settings", "address"),
        [
            ({}, "http://127.0.0.1:8000"),
            ({"host": "0.0.0.0", "port": 9000}, "http://127.0.0.1:9000"),  # noqa: S104 - bound by nobody
            ({"host": "::1"}, "http://[::1]:8000"),
            ({"host": "realm.example", "edge": {"tls": {"local": True}}}, "https://realm.example:8000"),
        ],
    )
    def test_of_the_settings(self, settings: dict[str, object], address: str) -> None:
        assert prometheus.address_of(Settings(**settings)) == address

    @pytest.mark.parametrize("address", ["realm.example:8000", "ftp://realm", "http://realm/play", "http://"])
    def test_that_is_none(self, address: str) -> None:
        with pytest.raises(InvalidInput):
            prometheus.configuration(address, 15, "realm")

    def test_is_in_the_configuration(self) -> None:
        text = prometheus.configuration("https://realm.example:8443", 5, "it's mine")
        made_of = yaml.safe_load(text)
        (job,) = made_of["scrape_configs"]
        assert (job["scheme"], job["http_sd_configs"][0]["url"]) == (
            "https",
            "https://realm.example:8443/metrics/targets",
        )
        assert made_of["global"]["external_labels"] == {"realm": "it's mine"}
        assert made_of["global"]["scrape_timeout"] == "5s"


class TestCommand:
    def test_prints_the_configuration(self) -> None:
        printed = CliRunner().invoke(app, ["export", "prometheus", "--address", "http://realm.example:8000"])
        assert printed.exit_code == 0
        assert yaml.safe_load(printed.output)["scrape_configs"][0]["job_name"] == "rayrealm"

    def test_writes_all_files(self, tmp_path: Path) -> None:
        written = CliRunner().invoke(app, ["export", "prometheus", "--out", str(tmp_path / "new")])
        assert written.exit_code == 0
        assert written.output.split() == [
            str(tmp_path / "new" / name)
            for name in (prometheus.CONFIGURATION, prometheus.RECORDING, prometheus.ALERTING)
        ]
