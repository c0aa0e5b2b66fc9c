"""A few minutes of simulated play for some seeds, and every planted fault. An hour is played by `scripts/simulate --minutes 60`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.simulation.plants import PLANTS
from tests.simulation.simulate import Wish, simulate


@pytest.mark.parametrize("seed", [1, 2])
def test_the_checker_finds_nothing_wrong(seed: int, tmp_path: Path) -> None:
    result = simulate(Wish(seed, minutes=2.0, players=30, calm_every_s=120.0), tmp_path / "history")
    assert result["violations"] == []
    assert result["errors"] == []
    assert result["good"], result
    assert result["events"]["calm"] == 1
    assert sum(result["faults"].values()) >= 5
    assert sum(result["plans"].values()) >= 3


@pytest.mark.parametrize("plant", sorted(PLANTS))
def test_a_planted_fault_is_found(plant: str, tmp_path: Path) -> None:
    result = simulate(Wish(1, minutes=1.0, players=20, calm_every_s=60.0, plant=plant), tmp_path / "history")
    assert result["caught_by"], result
    assert not result["good"]


def test_a_seed_is_one_history(tmp_path: Path) -> None:
    histories = [tmp_path / "first", tmp_path / "second"]
    for history in histories:
        simulate(Wish(4, minutes=0.3, players=15, calm_every_s=18.0), history)
    assert histories[0].read_bytes() == histories[1].read_bytes()
