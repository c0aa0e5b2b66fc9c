"""The crowd of the tick benchmark: as dense as asked for, and no faster than a zone allows."""

from __future__ import annotations

import numpy as np
import pytest

from actors.zone import measuring
from actors.zone.measuring import Outputs, Walkers, measure
from cluster.world_settings import WorldSettings


def test_each_has_about_as_many_others_in_view_as_asked_for() -> None:
    walkers = Walkers(1_000, 20.0, WorldSettings(), 1)
    places, _ = walkers.at(np.zeros(1_000))
    apart = np.linalg.norm(places[:, None] - places[None, :], axis=2)
    assert 15 < (apart <= 50.0).sum() / 1_000 - 1 < 25


def test_they_walk_at_their_speed() -> None:
    walkers = Walkers(10, 20.0, WorldSettings(), 1)
    (before, _), (after, _) = walkers.at(np.zeros(10)), walkers.at(np.full(10, 0.05))
    assert np.linalg.norm(after - before, axis=1) == pytest.approx(measuring.SPEED * 0.05, rel=1e-3)


def test_every_tick_is_measured_and_told() -> None:
    told: list[Outputs] = []
    spent = measure(50, 4, 20.0, 0.5, 1, told.append)
    assert {len(milliseconds) for milliseconds in spent.values()} == {4}
    assert len(told) == 5, "the first one, of joins, too"
    assert all(outputs for outputs in told)


def test_moves_that_are_refused_are_no_measurement(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measuring, "SPEED", 50.0)
    with pytest.raises(RuntimeError, match="too_fast"):
        measure(20, 4, 20.0, 1.0, 1, lambda outputs: None)
