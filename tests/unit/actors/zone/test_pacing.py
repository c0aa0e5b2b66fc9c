"""Which edge gets a row in which tick, and of which kind."""

from __future__ import annotations

from typing import Any

import numpy as np

from actors.zone.interest import NOTHING, Change, look
from actors.zone.pacing import Pacing
from cluster.world_settings import InterestSettings

SIZE, PERIOD = 8, 0.05


class Stage:
    """Entities on a line; number 0 looks, the others are looked at. Seen within 100 m."""

    def __init__(self, *x: float, **interest: Any) -> None:
        self.position = np.zeros((SIZE, 3), np.float32)
        self.position[: len(x), 0] = x
        self.alive = np.arange(SIZE) < len(x)
        limits = {"radius": 100.0, "hysteresis": 10.0, "bytes_per_s": 0, **interest}
        self.interest = InterestSettings(**limits)
        self.pacing = Pacing(self.interest, PERIOD, SIZE)
        self.edges = NOTHING
        self.ticks = 0

    def look(self) -> Change:
        limits = self.interest
        sees = np.arange(SIZE) == 0
        return look(self.position, self.alive, sees, self.edges, limits.radius, limits.hysteresis)

    def tick(self, *moved: int, jumped: int = 0) -> tuple[list[int], list[int]]:
        """Of whom the viewer is told a step, and a place."""
        self.ticks += 1
        change = self.look()
        self.edges = change.edges
        news = np.isin(np.arange(SIZE), moved)
        steps = news & (np.arange(SIZE) != jumped)
        turn = self.pacing.turn(change, news, steps, self.ticks * PERIOD, self.ticks)
        assert not (turn.steps & turn.places).any()
        self.flipped = [] if turn.flipped is None else turn.seen[turn.flipped].tolist()
        return turn.seen[turn.steps].tolist(), turn.seen[turn.places].tolist()


def test_who_comes_into_view_has_a_place_and_then_steps() -> None:
    stage = Stage(0, 10, 20)
    assert stage.tick(1) == ([], [1, 2])
    assert stage.tick(1) == ([1], [])
    assert stage.tick(1, 2) == ([1, 2], [])
    assert stage.tick() == ([], [])


def test_a_jump_has_a_place() -> None:
    stage = Stage(0, 10)
    stage.tick()
    assert stage.tick(1, jumped=1) == ([], [1])
    assert stage.tick(1) == ([1], [])


def test_far_ones_have_a_place_every_few_ticks() -> None:
    stage = Stage(0, 10, 50, near_radius=20.0, far_every=4)
    assert stage.tick() == ([], [1, 2])
    stage.tick(1, 2)
    found = [stage.tick(1, 2) for _ in range(12)]
    assert all(steps == [1] for steps, _ in found), "it missed steps in between"
    told = [at for at, (_, places) in enumerate(found) if places]
    assert len(told) == 3
    assert np.diff(told).tolist() == [4, 4]


def test_the_last_row_of_a_far_one_comes_though_it_has_stopped() -> None:
    stage = Stage(0, 50, near_radius=20.0, far_every=4)
    stage.tick()
    stage.tick(1)
    assert stage.pacing.owing
    found = [stage.tick() for _ in range(4)]
    assert sum(places == [1] for _, places in found) == 1
    assert not stage.pacing.owing


def test_far_ones_take_turns() -> None:
    stage = Stage(0, 50, 51, 52, 53, near_radius=20.0, far_every=4)
    stage.tick()
    found = [stage.tick(1, 2, 3, 4) for _ in range(4)]
    assert sorted(steps + places for steps, places in found) == [[1], [2], [3], [4]]


def test_a_band_s_edge_has_hysteresis() -> None:
    stage = Stage(0, 19, 21, near_radius=20.0)
    stage.tick()
    assert stage.pacing.far.tolist() == [False, True]
    for x, far, flipped in ((25, False, []), (30.5, True, [1]), (25, True, []), (20, False, [1]), (29, False, [])):
        stage.position[1, 0] = x
        stage.tick()
        assert stage.pacing.far.tolist() == [far, True]
        assert stage.flipped == flipped


def test_one_that_comes_near_is_told_at_once() -> None:
    stage = Stage(0, 50, near_radius=20.0, far_every=100, starve_s=60.0)
    stage.tick()
    assert stage.tick(1) == ([], [])
    stage.position[1, 0] = 10
    assert stage.tick(1) == ([], [1])
    assert stage.tick(1) == ([1], [])


def test_a_near_radius_beyond_all_is_none() -> None:
    stage = Stage(0, 99, near_radius=110.0)
    stage.tick()
    stage.position[1, 0] = 109
    stage.tick()
    assert stage.pacing.far.tolist() == [False]
    assert stage.flipped == []


def test_over_the_budget_the_farthest_wait_and_then_get_a_place() -> None:
    stage = Stage(0, 10, 20, 30, bytes_per_s=160)  # 8 bytes a tick
    assert stage.tick() == ([], [1, 2, 3]), "what comes into view is told whatever it costs"
    steps, places = zip(*[stage.tick(1, 2, 3) for _ in range(400)], strict=True)
    count = {n: sum(n in told for told in steps + places) for n in (1, 2, 3)}
    assert count[1] > count[2] > count[3] > 400 * PERIOD / 2.0 - 1
    # Half of it would be 8 * 400 bytes without a place.
    spent = sum(8 * len(told) for told in steps) + sum(18 * len(told) for told in places)
    assert spent < 160 * (400 * PERIOD + 1) * 1.5


def test_nobody_starves() -> None:
    stage = Stage(0, 10, 20, 30, 40, 50, bytes_per_s=1, starve_s=0.5)
    stage.tick()
    waited = dict.fromkeys(range(1, 6), 0)
    for _ in range(100):
        steps, places = stage.tick(1, 2, 3, 4, 5)
        for n in waited:
            waited[n] = 0 if n in steps + places else waited[n] + 1
            assert waited[n] * PERIOD <= 0.5
    assert stage.pacing.owing


def test_what_was_put_off_is_told_when_all_stand_still() -> None:
    stage = Stage(0, 10, 20, 30, bytes_per_s=40)
    stage.tick()
    stage.tick(1, 2, 3)
    found = [stage.tick() for _ in range(50)]
    assert sorted(n for _, places in found for n in places) == [1, 2, 3]
    assert not stage.pacing.owing


def test_a_starve_shorter_than_a_tick_puts_nothing_off() -> None:
    stage = Stage(0, 50, 60, near_radius=20.0, bytes_per_s=1, starve_s=0.01)
    stage.tick()
    assert [stage.tick(1, 2) for _ in range(3)] == [([1, 2], [])] * 3


def test_edges_are_known_by_their_place_among_the_others() -> None:
    """One leaves and one comes while two are owed rows."""
    stage = Stage(0, 10, 50, 60, 200, near_radius=20.0, far_every=100, starve_s=60.0)
    stage.tick()
    stage.tick(2, 3)
    stage.alive[1] = False
    stage.position[4, 0] = 55
    stage.tick()
    stage.position[2, 0] = 15
    stage.position[3, 0] = 16
    assert stage.tick() == ([], [2, 3])
    assert stage.pacing.far.tolist() == [False, False, True]


def test_some_edges_are_forgotten() -> None:
    stage = Stage(0, 10, 50, near_radius=20.0, far_every=100, starve_s=60.0)
    stage.tick()
    stage.tick(2)
    kept = np.array([False, True])
    stage.pacing.keep(kept)
    stage.edges = stage.edges[kept]
    stage.position[2, 0] = 15
    assert stage.tick() == ([], [1, 2])


def test_nothing_changed_since_the_last_turn() -> None:
    stage = Stage(0, 10, 50, near_radius=20.0)
    stage.tick()
    change = stage.pacing.same(stage.edges)
    assert (change.edges == stage.edges).all()
    assert not change.entered.any()
    assert not len(change.ended)
    assert change.gap.tolist() == [100.0, 2500.0]
    news = np.zeros(SIZE, bool)
    turn = stage.pacing.turn(change, news, news, 9.0, 9)
    assert not (turn.steps | turn.places).any()
    assert stage.pacing.far.tolist() == [False, True]
