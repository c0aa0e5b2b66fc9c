"""What a shooter saw (row 7.11). Twenty ticks a second, 250 ms: five ticks back."""

from __future__ import annotations

import math

import numpy as np
import pytest

from actors.zone.history import JUMP_M, History, ray_order

CAPACITY = 8
Place = tuple[float, float]


class Recorder:
    """A history, and what is in it, tick by tick from tick 1."""

    def __init__(self, rewind_s: float = 0.25) -> None:
        self.history = History(CAPACITY, rewind_s, 20.0)
        self.position = np.zeros((CAPACITY, 3), np.float32)
        self.alive = np.zeros(CAPACITY, bool)
        self.tick = 0

    def put(self, number: int, x: float, z: float = 0.0, y: float = 0.0) -> None:
        self.position[number] = (x, y, z)
        self.alive[number] = True

    def record(self, ticks: int = 1) -> None:
        for _ in range(ticks):
            self.tick += 1
            self.history.record(self.tick, self.position, self.alive)

    def walk(self, number: int, ticks: int) -> None:
        """A metre a tick: after tick n it is at x = n."""
        for _ in range(ticks):
            self.put(number, self.tick + 1.0)
            self.record()

    def x(self, number: int, tick: float) -> float | None:
        """Where it was; None if it was not there."""
        past = self.history.at(tick)
        return float(past.position[number, 0]) if past.alive[number] else None


@pytest.fixture
def rec() -> Recorder:
    return Recorder()


class TestMoments:
    def test_ticks_and_between_them(self, rec: Recorder) -> None:
        rec.walk(0, 10)
        assert [rec.x(0, t) for t in (10, 9, 5, 8.5, 7.25)] == [10, 9, 5, 8.5, 7.25]

    def test_no_longer_ago_than_the_limit(self, rec: Recorder) -> None:
        rec.walk(0, 10)
        assert [rec.x(0, t) for t in (4.9, 1, -1e9)] == [5, 5, 5]

    def test_never_later_than_now(self, rec: Recorder) -> None:
        rec.walk(0, 10)
        assert [rec.x(0, t) for t in (10.5, 11, 1e300)] == [10, 10, 10]

    @pytest.mark.parametrize("tick", [math.nan, math.inf, -math.inf])
    def test_no_number_is_now(self, rec: Recorder, tick: float) -> None:
        rec.walk(0, 10)
        assert rec.x(0, tick) == 10

    def test_all_of_them_and_all_coordinates(self, rec: Recorder) -> None:
        rec.put(3, 1, 2, 3)
        rec.put(7, 4, 5, 6)
        rec.record()
        rec.put(3, 2, 4, 6)
        rec.record()
        past = rec.history.at(1.5)
        assert past.alive.tolist() == [False] * 3 + [True] + [False] * 3 + [True]
        assert past.position[[3, 7]].tolist() == [[1.5, 4.5, 3], [4, 6, 5]]

    def test_before_the_first_tick(self, rec: Recorder) -> None:
        assert not rec.history.at(0).alive.any()
        assert rec.history.hit_ray(0, (0, 0), 0.0, 100, 1, 0) is None

    def test_a_zone_that_has_not_ticked_for_long_enough(self, rec: Recorder) -> None:
        rec.walk(0, 2)
        assert rec.x(0, -3) == 1

    def test_without_rewinding_all_is_now(self) -> None:
        rec = Recorder(rewind_s=0.0)
        rec.walk(0, 4)
        assert [rec.x(0, t) for t in (3, 4)] == [4, 4]

    def test_what_is_given_is_copied(self, rec: Recorder) -> None:
        rec.walk(0, 3)
        rec.position[:] = 99
        past = rec.history.at(3)
        past.position[:] = 77
        assert rec.x(0, 3) == 3

    def test_ticks_that_were_left_out(self, rec: Recorder) -> None:
        rec.put(0, 10)
        rec.record()
        rec.tick = 3
        rec.put(0, 13)
        rec.record()
        assert [rec.x(0, t) for t in (1, 2, 3, 4)] == [10, 11, 12, 13]

    def test_longer_left_out_than_the_limit(self, rec: Recorder) -> None:
        rec.walk(0, 3)
        rec.tick = 40
        rec.put(0, 41)
        rec.record()
        assert rec.x(0, 41) == 41
        assert rec.x(0, 36) == pytest.approx(36)

    def test_a_tick_again(self, rec: Recorder) -> None:
        rec.walk(0, 2)
        with pytest.raises(ValueError, match="tick 2 after 2"):
            rec.history.record(2, rec.position, rec.alive)


class TestNoPast:
    def test_before_it_came(self, rec: Recorder) -> None:
        rec.record(5)
        rec.put(0, 50)
        rec.record(2)
        assert [rec.x(0, t) for t in (5, 5.9, 6, 6.5, 7)] == [None, None, 50, 50, 50]

    def test_after_it_went(self, rec: Recorder) -> None:
        rec.walk(0, 6)
        rec.alive[0] = False
        rec.record()
        assert [rec.x(0, t) for t in (5, 6, 7)] == [None, None, None]

    def test_a_number_used_again(self, rec: Recorder) -> None:
        """The tick never saw it free."""
        rec.walk(0, 6)
        rec.history.forget(0)
        assert rec.x(0, 6) is None
        rec.put(0, 7)
        rec.record()
        assert [rec.x(0, t) for t in (4, 6, 6.5, 7)] == [None, None, None, 7]

    def test_a_jump(self, rec: Recorder) -> None:
        rec.put(0, 10)
        rec.record(3)
        rec.put(0, 10 + JUMP_M + 1)
        rec.record(2)
        assert [rec.x(0, t) for t in (3, 3.5, 4, 5)] == [None, None, 111, 111]

    def test_a_leap_that_is_no_jump(self, rec: Recorder) -> None:
        rec.put(0, 10)
        rec.record()
        rec.put(0, 10 + JUMP_M)
        rec.record()
        assert rec.x(0, 1.5) == 60

    def test_a_jump_of_one_is_none_of_another(self, rec: Recorder) -> None:
        rec.put(0, 0)
        rec.put(1, 5)
        rec.record(2)
        rec.put(0, 1_000)
        rec.record()
        assert (rec.x(0, 2), rec.x(1, 2)) == (None, 5)


class TestRays:
    """The shooter is number 0 at the origin."""

    def shoot(
        self, rec: Recorder, yaw: float = 0.0, range_m: float = 50.0, radius: float = 0.5, **more: object
    ) -> object:
        return rec.history.hit_ray(0, (0, 0), yaw, range_m, radius, rec.tick, **more)  # type: ignore[arg-type]

    @pytest.mark.parametrize(
        ("yaw", "place"), [(0.0, (0, 10)), (math.pi / 2, (10, 0)), (math.pi, (0, -10)), (-math.pi / 4, (-7, 7))]
    )
    def test_yaw_grows_from_z_to_x(self, rec: Recorder, yaw: float, place: Place) -> None:
        rec.put(0, 0)
        rec.put(1, *place)
        rec.record()
        assert self.shoot(rec, yaw) == 1
        assert self.shoot(rec, yaw + math.pi) is None
        assert self.shoot(rec, yaw + 0.2) is None

    def test_the_first_is_hit(self, rec: Recorder) -> None:
        rec.put(0, 0)
        for number, z in ((1, 30), (2, 10), (3, 20)):
            rec.put(number, 0, z)
        rec.record()
        assert self.shoot(rec) == 2

    def test_all_that_are_met_in_order(self, rec: Recorder) -> None:
        for number, z in ((1, 30), (2, 10), (3, 20), (4, -20), (5, 60)):
            rec.put(number, 0, z)
        rec.record()
        past = rec.history.at(1)
        assert ray_order(past.position, past.alive, (0, 0), 0.0, 50.0, 0.5) == [2, 3, 1]
        assert ray_order(past.position, past.alive, (0, 0), 0.0, math.nan, 0.5) == []

    def test_first_is_whose_circle_begins_first(self, rec: Recorder) -> None:
        """Number 1 is nearer by its middle, but is only grazed."""
        rec.put(1, 0.99, 10.0)
        rec.put(2, 0.0, 10.5)
        rec.record()
        assert self.shoot(rec, radius=1.0) == 2

    @pytest.mark.parametrize(
        ("x", "z", "hit"),
        [(0.5, 10, 1), (0.51, 10, None), (0, 50.4, 1), (0, 50.6, None), (0, -0.4, 1), (0, -0.6, None), (0, 0, 1)],
    )
    def test_how_close_and_how_far(self, rec: Recorder, x: float, z: float, hit: int | None) -> None:
        rec.put(1, x, z, y=20.0)
        rec.record()
        assert self.shoot(rec) == hit

    def test_not_oneself_not_the_dead_and_not_who_cannot_be_hit(self, rec: Recorder) -> None:
        for number, z in ((0, 0), (1, 10), (2, 20), (3, 30)):
            rec.put(number, 0, z)
        rec.alive[1] = False
        rec.record()
        eligible = np.ones(CAPACITY, bool)
        assert self.shoot(rec, eligible=eligible) == 2
        eligible[2] = False
        assert self.shoot(rec, eligible=eligible) == 3
        assert eligible[0], "what is given is not changed"

    def test_two_that_are_equally_far(self, rec: Recorder) -> None:
        rec.put(5, 0, 10)
        rec.put(4, 0, 10)
        rec.record()
        assert self.shoot(rec) == 4

    @pytest.mark.parametrize("bad", [math.nan, math.inf])
    def test_what_is_no_number_hits_nobody(self, rec: Recorder, bad: float) -> None:
        rec.put(1, 0, 10)
        rec.record()
        hit = rec.history.hit_ray
        assert hit(0, (bad, 0), 0, 50, 1, 1) is hit(0, (0, 0), bad, 50, 1, 1) is hit(0, (0, 0), 0, bad, 1, 1) is None
        assert hit(0, (0, 0), 0, 50, bad, 1) is None


def test_where_the_shooter_saw_it() -> None:
    """A target that runs across at 1 m a tick, seen 5 ticks late: only the past is hit, and only as far as it goes back."""
    rec = Recorder()
    rec.walk(1, 20)
    hit = rec.history.hit_ray
    for late in range(6):
        aim = (20.0 - late, -10.0)
        assert hit(0, aim, 0.0, 50, 0.4, 20 - late) == 1
        assert hit(0, aim, 0.0, 50, 0.4, 20) == (1 if late == 0 else None)
    assert hit(0, (13.0, -10.0), 0.0, 50, 0.4, 13) is None


def test_who_stood_near() -> None:
    rec = Recorder()
    for number, x in ((1, 3.0), (2, 4.0), (5, 5.0), (6, 5.01)):
        rec.put(number, x, y=30.0)
    rec.record()
    rec.position[:, 0] += 10
    rec.record()
    assert rec.history.within((0, 0), 5.0, 1).tolist() == [1, 2, 5]
    assert rec.history.within((10, 0), 5.0, 2).tolist() == [1, 2, 5]
    assert rec.history.within((0, 0), 5.0, 2).tolist() == []
    assert rec.history.within((0, math.nan), 5.0, 2).tolist() == []


@pytest.mark.parametrize("seed", range(3))
def test_rays_against_small_steps(seed: int) -> None:
    """Walk along the ray by the centimetre: whoever's circle one comes into first is hit."""
    rng = np.random.default_rng(seed)
    for _ in range(50):
        rec = Recorder()
        for number in range(1, CAPACITY):
            rec.put(number, *rng.uniform(-10, 10, 2))
        rec.record()
        yaw, radius = rng.uniform(-7, 7), rng.uniform(0.3, 2)
        steps = np.arange(0, 12, 0.01)[:, None] * [math.sin(yaw), math.cos(yaw)]
        gap = steps[:, None] - rec.position[None, 1:, [0, 2]]
        inside = (gap**2).sum(2) <= radius**2
        expected = 1 + int(np.argmax(inside[np.argmax(inside.any(1))])) if inside.any() else None
        hit = rec.history.hit_ray(0, (0, 0), yaw, 11.99, radius, 1)
        if hit != expected:  # only by less than a step
            assert hit is not None
            entry = np.argmax(inside[:, hit - 1]) if inside[:, hit - 1].any() else None
            assert entry is None or abs(int(entry) - int(np.argmax(inside.any(1)))) <= 1
