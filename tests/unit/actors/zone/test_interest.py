"""Interest against a model that looks at every pair."""

from __future__ import annotations

import math

import numpy as np
import pytest

from actors.zone.interest import NOTHING, SHIFT, Change, look

RADIUS, HYSTERESIS = 10.0, 2.0


def pairs(edges: np.ndarray) -> set[tuple[int, int]]:
    assert edges.dtype == np.int64
    assert (np.diff(edges) > 0).all(), "sorted, none twice"
    return {(int(edge) >> SHIFT, int(edge) & 0xFFFF) for edge in edges}


def brute(
    position: np.ndarray, alive: np.ndarray, sees: np.ndarray, before: set[tuple[int, int]]
) -> set[tuple[int, int]]:
    held = set()
    for viewer in np.flatnonzero(alive & sees).tolist():
        for seen in np.flatnonzero(alive).tolist():
            if viewer != seen:
                x, z = (position[viewer] - position[seen])[[0, 2]].tolist()
                reach = RADIUS + HYSTERESIS if (viewer, seen) in before else RADIUS
                if x * x + z * z <= reach * reach:
                    held.add((viewer, seen))
    return held


def check(change: Change, before: set[tuple[int, int]], after: set[tuple[int, int]]) -> None:
    assert pairs(change.edges) == after
    assert len(change.entered) == len(change.edges)
    assert pairs(change.edges[change.entered]) == after - before
    assert pairs(change.ended) == before - after


def check_details(change: Change, before: np.ndarray, position: np.ndarray) -> None:
    """What is said beside the edges themselves."""
    kept = ~change.entered
    assert len(change.was) == len(change.gap) == len(change.edges)
    assert (before[change.was[kept]] == change.edges[kept]).all()
    assert (change.was[change.entered] == 0).all()
    apart = position[change.edges >> SHIFT] - position[change.edges & 0xFFFF]
    assert np.allclose(change.gap, (apart[:, (0, 2)].astype(np.float64) ** 2).sum(1))


@pytest.mark.parametrize("seed", range(8))
def test_against_every_pair_over_many_ticks(seed: int) -> None:
    """Positions on a grid of halves, so that a pair is often exactly on a border; everything comes and goes."""
    rng = np.random.default_rng(seed)
    size = int(rng.integers(2, 40))
    position = rng.integers(0, 80, (size, 3)).astype(np.float32) / 2
    alive, sees = rng.random(size) < 0.8, rng.random(size) < 0.7
    edges, known = NOTHING, set[tuple[int, int]]()
    for _ in range(60):
        position += rng.integers(-3, 4, (size, 3)).astype(np.float32) / 2
        flip = rng.random(size)
        alive ^= flip < 0.03
        sees ^= (flip > 0.03) & (flip < 0.06)
        change = look(position, alive, sees & alive, edges, RADIUS, HYSTERESIS)
        now = brute(position, alive, sees, known)
        check(change, known, now)
        check_details(change, edges, position)
        edges, known = change.edges, now


def at(*places: tuple[float, float]) -> np.ndarray:
    return np.array([(x, 0.0, z) for x, z in places], np.float32)


def everybody(count: int) -> np.ndarray:
    return np.ones(count, bool)


@pytest.mark.parametrize(
    ("gap", "seen_new", "seen_known"),
    [(10.0, True, True), (10.5, False, True), (12.0, False, True), (12.5, False, False)],
)
def test_hysteresis(gap: float, seen_new: bool, seen_known: bool) -> None:
    position = at((0, 0), (gap, 0))
    met = look(at((0, 0), (1, 0)), everybody(2), everybody(2), NOTHING, RADIUS, HYSTERESIS).edges
    new = look(position, everybody(2), everybody(2), NOTHING, RADIUS, HYSTERESIS)
    known = look(position, everybody(2), everybody(2), met, RADIUS, HYSTERESIS)
    assert pairs(new.edges) == ({(0, 1), (1, 0)} if seen_new else set())
    assert pairs(known.edges) == ({(0, 1), (1, 0)} if seen_known else set())
    assert not known.entered.any()
    assert pairs(known.ended) == (set() if seen_known else {(0, 1), (1, 0)})


def test_hysteresis_is_each_viewer_s_own() -> None:
    """One that began to look later does not see what the other still sees."""
    position = at((0, 0), (11, 0))
    before = np.array([0 << SHIFT | 1], np.int64)
    assert pairs(look(position, everybody(2), everybody(2), before, RADIUS, HYSTERESIS).edges) == {(0, 1)}


def test_without_hysteresis() -> None:
    position = at((0, 0), (10, 0), (20.5, 0))
    change = look(position, everybody(3), everybody(3), NOTHING, RADIUS, 0.0)
    assert pairs(change.edges) == {(0, 1), (1, 0)}


def test_who_does_not_look_is_seen_all_the_same() -> None:
    change = look(at((0, 0), (1, 0)), everybody(2), np.array([True, False]), NOTHING, RADIUS, HYSTERESIS)
    assert pairs(change.edges) == {(0, 1)}


def test_height_does_not_count() -> None:
    position = np.array([(0, 0, 0), (0, 500, 0)], np.float32)
    assert pairs(look(position, everybody(2), everybody(2), NOTHING, RADIUS, HYSTERESIS).edges) == {(0, 1), (1, 0)}


def test_many_on_one_spot_see_each_other() -> None:
    count = 100
    change = look(at(*[(5.0, 5.0)] * count), everybody(count), everybody(count), NOTHING, RADIUS, HYSTERESIS)
    assert len(change.edges) == count * (count - 1)


def test_the_largest_numbers_there_are() -> None:
    size = 65_536
    position, alive = np.zeros((size, 3), np.float32), np.zeros(size, bool)
    alive[[0, 65_534, 65_535]] = True
    change = look(position, alive, alive, NOTHING, RADIUS, HYSTERESIS)
    assert pairs(change.edges) == {(a, b) for a in (0, 65_534, 65_535) for b in (0, 65_534, 65_535) if a != b}


@pytest.mark.parametrize("living", [0, 1])
def test_nobody_to_see(living: int) -> None:
    before = np.array([0 << SHIFT | 1, 1 << SHIFT | 0], np.int64)
    alive = np.arange(3) < living
    change = look(np.zeros((3, 3), np.float32), alive, alive, before, RADIUS, HYSTERESIS)
    check(change, {(0, 1), (1, 0)}, set())


def test_nobody_looks() -> None:
    before = np.array([0 << SHIFT | 1], np.int64)
    change = look(at((0, 0), (1, 0)), everybody(2), np.zeros(2, bool), before, RADIUS, HYSTERESIS)
    check(change, {(0, 1)}, set())


def test_far_apart_is_seen_by_nobody() -> None:
    change = look(at((0, 0), (90, 90)), everybody(2), everybody(2), NOTHING, RADIUS, HYSTERESIS)
    check(change, set(), set())


def test_distance_is_not_rounded_to_float32() -> None:
    """Far from the origin a float32 subtraction would lose the metres that decide."""
    position = at((1_000_000.0, 0), (1_000_010.0, 0))
    gap = float(position[1, 0]) - float(position[0, 0])
    assert math.isclose(gap, 10.0)
    assert pairs(look(position, everybody(2), everybody(2), NOTHING, RADIUS, 0.0).edges) == {(0, 1), (1, 0)}
