"""What scripts/audit makes of pip-audit's answers; the service itself is asked in CI alone."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def audit() -> ModuleType:
    spec = importlib.util.spec_from_file_location("audit", ROOT / "scripts" / "audit.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["audit"] = module  # dataclasses look there
    spec.loader.exec_module(module)
    return module


def report(*packages: dict[str, Any]) -> str:
    return json.dumps({"dependencies": packages, "fixes": []})


GOOD: dict[str, Any] = {"name": "redis", "version": "8.1.0", "vulns": []}
BAD: dict[str, Any] = {
    "name": "jinja2",
    "version": "3.1.4",
    "vulns": [
        {"id": "GHSA-q2x7-8rv6-6q7h", "fix_versions": ["3.1.5"], "aliases": []},
        {"id": "X-1", "fix_versions": []},
    ],
}
SKIPPED: dict[str, Any] = {"name": "rayrealm", "skip_reason": "not on the index"}


def test_clean(audit: ModuleType) -> None:
    verdict = audit.judge(report(GOOD, GOOD, SKIPPED), "WARNING: something")
    assert verdict.code == 0
    assert verdict.lines == ("no known vulnerabilities in 2 packages", "rayrealm was not audited: not on the index")


def test_a_known_vulnerability_fails(audit: ModuleType) -> None:
    verdict = audit.judge(report(GOOD, BAD), "requests.exceptions.ConnectionError: and then the network went away")
    assert verdict.code == 1
    assert verdict.lines[1:] == (
        "jinja2 3.1.4: GHSA-q2x7-8rv6-6q7h, fixed in 3.1.5",
        "jinja2 3.1.4: X-1, fixed in no version",
    )


@pytest.mark.parametrize(
    "errors",
    [
        "Traceback:\nrequests.exceptions.ConnectionError: HTTPSConnectionPool(host='api.osv.dev', port=443): Max retries",
        "ERROR:pip_audit._cli:Could not connect\nERROR:pip_audit._cli:Tip: your network may be blocking this service.",
        "pip_audit._service.interface.ServiceError",
        "requests.exceptions.ProxyError: no way out",
    ],
)
def test_a_service_that_cannot_be_reached(audit: ModuleType, errors: str) -> None:
    verdict = audit.judge("", errors)
    assert verdict.code == 3
    assert "cannot be reached" in verdict.lines[0]


@pytest.mark.parametrize(
    "errors", ["", "ERROR: requirement file is broken", "ModuleNotFoundError: No module named 'pip_audit'"]
)
def test_any_other_failure_is_one(audit: ModuleType, errors: str) -> None:
    assert audit.judge("", errors).code == 2


def test_nothing_audited_is_no_success(audit: ModuleType) -> None:
    assert audit.judge(report(SKIPPED), "").code == 2


@pytest.mark.parametrize(("code", "where_it_can"), [(0, 0), (1, 1), (2, 2), (3, 0)])
def test_where_it_can_forgives_the_network_alone(
    audit: ModuleType, monkeypatch: pytest.MonkeyPatch, code: int, where_it_can: int
) -> None:
    monkeypatch.setattr(audit, "audit", lambda: audit.Verdict(code, ("said",)))
    assert audit.main([]) == code
    assert audit.main(["--where-it-can"]) == where_it_can


def test_it_asks_about_every_line_of_the_lock_and_has_a_deadline(
    audit: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: dict[str, Any] = {}

    def run(argv: list[str], **how: Any) -> subprocess.CompletedProcess[str]:
        asked.update(how, argv=argv)
        raise subprocess.TimeoutExpired(argv, how["timeout"])

    monkeypatch.setattr(subprocess, "run", run)
    assert audit.audit().code == 3
    assert str(ROOT / "requirements-dev.lock") in asked["argv"]
    assert asked["timeout"] <= 50


def test_ci_runs_it_within_its_hard_stop() -> None:
    last = (ROOT / ".ci" / "run").read_text().strip().splitlines()[-1]
    assert last.startswith("exec timeout --kill-after=60 1800 ")
    assert "scripts/test" in last
    assert "scripts/audit --where-it-can" in last
