"""promtool (Debian's prometheus package) on deploy/prometheus: every alert fires, and is silent, as its test says."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from cluster.export import prometheus

FOLDER = Path(__file__).parents[2] / "deploy" / "prometheus"
TESTS = "tests/alerts.yml"
PROMTOOL = shutil.which("promtool") or "promtool"


def promtool(*args: str, folder: Path = FOLDER) -> subprocess.CompletedProcess[str]:
    return subprocess.run([PROMTOOL, *args], cwd=folder, capture_output=True, text=True, timeout=120, check=False)


def test_promtool_finds_nothing_wrong() -> None:
    checked = promtool("check", "config", "prometheus.yml")
    assert checked.returncode == 0, checked.stdout + checked.stderr
    tested = promtool("test", "rules", TESTS)
    assert tested.returncode == 0, tested.stdout + tested.stderr


def test_an_alert_that_does_not_fire_is_found(tmp_path: Path) -> None:
    """Or else the test above could not fail."""
    shutil.copytree(FOLDER, tmp_path / "p")
    rules = tmp_path / "p" / prometheus.ALERTING
    rules.write_text(rules.read_text().replace("'rayrealm_zone_owned == 0'", "'rayrealm_zone_owned == 7'"))
    tested = promtool("test", "rules", TESTS, folder=tmp_path / "p")
    assert tested.returncode != 0
    assert "RayrealmZoneAway fires" in tested.stdout + tested.stderr


def test_what_the_command_writes_for_another_realm(tmp_path: Path) -> None:
    for name, text in prometheus.files("https://realm.example:8443", 5, "it's mine").items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    checked = promtool("check", "config", prometheus.CONFIGURATION, folder=tmp_path)
    assert checked.returncode == 0, checked.stdout + checked.stderr
