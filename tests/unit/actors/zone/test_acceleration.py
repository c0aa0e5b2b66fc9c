"""How far one may get by now. Most of it is tested through movement.py; here is what its tolerance would hide."""

from __future__ import annotations

import numpy as np
import pytest

from actors.zone.acceleration import SLACK_M, Motion, reach

TOP, ACCELERATION, LATE_S = 20.0, 0.1, 1.0
ONE = np.array([0])


def column(value: float) -> np.ndarray:
    return np.array([value])


class Runner:
    """Entity 0 of a motion; `most` is its allowance, and only what is allowed is gone."""

    def __init__(self) -> None:
        self.motion = Motion(3)

    def most(self, now: float) -> float:
        return float(self.motion.allowance(ONE, column(TOP), column(ACCELERATION), LATE_S, now)[0])

    def go(self, metres: float, now: float) -> None:
        assert metres <= self.most(now), f"refused at {now:.2f} s"
        self.motion.went(ONE, column(metres), column(TOP), column(ACCELERATION), LATE_S, now)


@pytest.mark.parametrize(
    ("speed", "seconds", "metres"),
    [
        (0.0, 0.0, 0.0),
        (0.0, 2.0, 4.0),
        (0.0, 5.0, 25.0),
        (0.0, 8.0, 55.0),
        (4.0, 1.0, 5.0),
        (10.0, 3.0, 30.0),
        (10.0, np.inf, np.inf),
        (0.0, np.inf, np.inf),
    ],
)
def test_reach(speed: float, seconds: float, metres: float) -> None:
    """10 m/s at most, 2 m/s2: five seconds and 25 m until then."""
    assert reach(column(speed), column(10.0), column(2.0), column(seconds)).tolist() == [metres]


def test_at_full_speed_while_moves_come_late_and_then_early() -> None:
    """What was seen of the first two seconds looks like half the speed: the moves of the second one were not there yet."""
    runner = Runner()
    for step in range(1, 11):
        runner.go(2.0, step / 10)
    for step in range(11, 21):
        runner.go(2.0, step / 10 + 0.8)
    for _ in range(21, 29):
        runner.go(2.0, 2.8)
    for step in range(29, 80):
        runner.go(2.0, step / 10)


def test_a_silence_longer_than_packets_are_late_is_no_measure() -> None:
    """Running, then two seconds of nothing, then on: what was lost is lost, and the runner is no slower for it."""
    runner = Runner()
    for step in range(1, 11):
        runner.go(2.0, step / 10)
    for step in range(31, 81):
        runner.go(2.0, step / 10)


def test_others_are_not_touched() -> None:
    motion, now = Motion(3), 1.0
    motion.rest(np.arange(3), 0.0)
    two = np.array([2, 0])
    limits = (np.full(2, 10.0), np.full(2, 2.0), LATE_S, now)
    assert motion.allowance(two, *limits).tolist() == [4.0 + SLACK_M] * 2
    motion.went(two, np.array([3.0, 1.0]), *limits)
    assert motion.allowance(two, *limits).tolist() == [1.0 + SLACK_M, 3.0 + SLACK_M]
    assert motion.allowance(np.array([1]), np.array([10.0]), np.array([2.0]), LATE_S, now).tolist() == [4.0 + SLACK_M]


def test_who_is_forgotten_may_be_running() -> None:
    runner = Runner()
    runner.motion.rest(0, 0.0)
    assert runner.most(0.0) == pytest.approx(0.05 + SLACK_M)
    runner.motion.forget(0)
    assert runner.most(100.0) == np.inf
