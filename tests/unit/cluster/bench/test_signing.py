"""The benchmark of signed messages: a small one, and what it says."""

from __future__ import annotations

from typing import Any

import pytest

from cluster.bench import cli, signing


def test_all_sizes_are_measured_both_ways() -> None:
    result = signing.run_signing(100)
    sizes = result["us_by_size"]
    assert [sizes[name]["bytes"] for name in sizes] == [32, 256, 4_096, 65_536]
    for costs in sizes.values():
        assert {"sign_binary", "verify_binary", "sign_text", "verify_text"} < costs.keys()
        assert all(cost > 0 for cost in costs.values())
    assert sizes["largest"]["sign_binary"] > sizes["move"]["sign_binary"]
    assert result["us_of_a_move_in"].keys() == {"not_signed", "signed"}
    assert result["us_of_an_upgrade"] > sizes["move"]["sign_binary"]


@pytest.mark.parametrize(
    ("cost", "code", "why"), [(2.0, 0, ""), (20.5, 1, "fell short: 20.5 us for a small message, more than 20\n")]
)
def test_what_it_falls_short_of(
    cost: float, code: int, why: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    move: dict[str, Any] = {"bytes": 32, "sign_binary": 1.0, "verify_text": cost}
    monkeypatch.setattr(cli, "run_signing", lambda *args: {"us_by_size": {"move": move}})
    assert cli.bench_signing(100, as_json=True) == code
    assert capsys.readouterr().err == why
