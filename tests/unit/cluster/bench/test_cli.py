"""What the commands print and return."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cluster.bench import cli


def crowd_result(**changes: Any) -> dict[str, Any]:
    zeros = dict.fromkeys(("wrong", "missing", "ghosts", "disconnected", "corrections", "foreign"), 0)
    figures = {"clients": 5, "delivered_pct": 100.0, "cpu_by_process": {"zone": 0.1}, "wrong_examples": ["x"]}
    return figures | zeros | changes


def test_a_good_run_is_one_json_object(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(cli, "run_crowd", lambda *args, **kwargs: crowd_result())
    assert cli.bench_crowd(5, 1.0, as_json=True) == 0
    out, err = capsys.readouterr()
    assert json.loads(out) == crowd_result()
    assert err == ""


def test_one_that_falls_short_says_why(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(cli, "run_crowd", lambda *args, **kwargs: crowd_result(wrong=2, foreign=1))
    assert cli.bench_crowd(5, 1.0) == 1
    out, err = capsys.readouterr()
    assert "  zone" in out
    assert err == "fell short: wrong: 2\nfell short: foreign: 1\n"
    assert cli.bench_crowd(5, 1.0, url="http://elsewhere") == 1
    assert "foreign" not in capsys.readouterr().err


@pytest.mark.parametrize(("held", "kib", "code"), [(10, 99.0, 0), (9, 99.0, 1), (10, 101.0, 1), (10, None, 0)])
def test_idle(held: int, kib: float | None, code: int, monkeypatch: pytest.MonkeyPatch) -> None:
    result = {"held": held, "pss_kib_per_connection": kib}
    monkeypatch.setattr(cli, "run_idle", lambda *args, **kwargs: result)
    assert cli.bench_idle(10, 1.0) == code


@pytest.mark.parametrize(("walking", "logins", "code"), [(True, 0, 0), (False, 0, 1), (True, 1, 1)])
def test_kills(walking: bool, logins: int, code: int, monkeypatch: pytest.MonkeyPatch) -> None:
    fault = {"kind": "zone", "all_walking": walking, "restarted": True, "new_logins": logins}
    monkeypatch.setattr(cli, "run_kills", lambda *args, **kwargs: {"faults": [fault]})
    assert cli.bench_kills(5) == code


@pytest.mark.parametrize(("problems", "code"), [([], 0), (["lost: 1"], 1)])
def test_chat_and_social(problems: list[str], code: int, monkeypatch: pytest.MonkeyPatch) -> None:
    for what in ("chat", "social"):
        monkeypatch.setattr(cli, f"run_{what}", lambda *args, **kwargs: {"lost": len(problems)})
        monkeypatch.setattr(cli, f"{what}_shortcomings", lambda result: problems)
    assert cli.bench_chat(5, 1.0, 1.0) == code
    assert cli.bench_social(5, 10.0, as_json=True) == code


def test_the_bots_password_is_made_once_and_nobody_elses(tmp_path: Path) -> None:
    path = tmp_path / "password"
    made = cli.stored_password(path)
    assert len(made.get_secret_value()) >= 24
    assert path.stat().st_mode & 0o777 == 0o600
    assert cli.stored_password(path) == made
