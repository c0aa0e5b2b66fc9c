"""The benchmark of a zone's tick: a small one, and what it says."""

from __future__ import annotations

from typing import Any

import pytest

from cluster.bench import cli, tick


def test_a_small_zone_is_measured_by_part() -> None:
    result = tick.run_tick(60, 5, 0.5)
    assert {"intake", "interest", "encode", "outputs"} <= result["parts_ms"].keys()
    median = sum(part["median"] for part in result["parts_ms"].values())
    assert 0 < median < 1.5 * result["tick_ms"]["median"]
    assert 60 * 0.2 * 20 < result["updates_per_tick"] < 60 * 0.8 * 20
    assert 8 < result["bytes_per_update"] < 14
    assert result["gateway_us_per_view"] > 0


def a_result(median: float = 2.0, size: float = 9.5) -> dict[str, Any]:
    return {"tick_ms": {"median": median, "p95": 3.0}, "bytes_per_update": size}


@pytest.mark.parametrize(
    ("result", "code", "why"),
    [
        (a_result(), 0, ""),
        (a_result(median=10.1), 1, "fell short: the median tick took 10.1 ms, more than 10\n"),
        (a_result(size=14.1), 1, "fell short: 14.1 bytes for an update, more than 14\n"),
    ],
)
def test_what_it_falls_short_of(
    result: dict[str, Any], code: int, why: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cli, "run_tick", lambda *args: result)
    assert cli.bench_tick(1_000, 200, 0.5, as_json=True) == code
    assert capsys.readouterr().err == why
