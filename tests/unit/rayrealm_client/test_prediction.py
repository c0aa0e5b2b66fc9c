"""The own character ahead of the zone, and put right."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rayrealm_client.prediction import MOST_PENDING, Prediction
from rayrealm_client.view import Correction, Position


def walked(steps: int) -> Prediction:
    """From (10, 0, 10), a metre along x with each step."""
    made = Prediction()
    made.rebase(Position(10.0, 0.0, 10.0), 0.0, 5)
    for step in range(1, steps + 1):
        assert made.move(10.0 + step, 0.0, 10.0, 0.25) == 5 + step
    return made


def test_moves_wait_until_they_are_judged() -> None:
    own = walked(4)
    assert (own.pending, own.sequence, own.acked) == (4, 9, 5)
    own.acknowledge(7)
    assert (own.pending, own.acked) == (2, 7)
    own.acknowledge(6)
    assert (own.pending, own.acked) == (2, 7)
    assert own.position == Position(14.0, 0.0, 10.0)


def test_what_the_zone_has_not_judged_is_walked_again_from_its_place() -> None:
    own = walked(4)
    own.correct(Correction(7, Position(10.5, 1.0, 11.0), "too_fast", 3.0))
    assert (own.pending, own.acked) == (2, 7)
    assert own.position == Position(12.5, 1.0, 11.0)  # two of the four metres are still on their way
    assert own.yaw == 0.25


def test_a_second_correction_begins_where_the_first_one_ended() -> None:
    own = walked(4)
    own.correct(Correction(7, Position(10.5, 0.0, 11.0), "too_fast", 3.0))
    own.correct(Correction(7, Position(10.5, 0.0, 11.0), "too_fast", 3.0))
    assert own.position == Position(12.5, 0.0, 11.0)
    own.correct(Correction(8, Position(10.5, 0.0, 11.0), "too_fast", 3.0))
    assert own.position == Position(11.5, 0.0, 11.0)


def test_with_nothing_on_its_way_the_place_is_the_zones() -> None:
    own = walked(2)
    own.correct(Correction(7, Position(1.0, 2.0, 3.0), "blocked", 1.5))
    assert (own.position, own.yaw, own.pending) == (Position(1.0, 2.0, 3.0), 1.5, 0)
    own.correct(Correction(7, Position(4.0, 2.0, 3.0), "blocked", 1.0))
    assert (own.position, own.yaw) == (Position(4.0, 2.0, 3.0), 1.0)


def test_a_correction_of_moves_that_another_socket_sent() -> None:
    own = walked(1)
    own.correct(Correction(700, Position(1.0, 0.0, 1.0), "too_fast", 0.0))
    assert own.move(2.0, 0.0, 1.0, 0.0) == 701


@pytest.mark.parametrize("nowhere", [math.nan, math.inf])
def test_a_move_that_led_nowhere_spoils_nothing(nowhere: float) -> None:
    own = walked(1)
    own.move(nowhere, 0.0, 10.0, 0.0)
    own.correct(Correction(own.sequence, Position(11.0, 0.0, 10.0), "not_finite", 0.0))
    assert own.position == Position(11.0, 0.0, 10.0)
    own.move(12.0, 0.0, 10.0, 0.0)
    own.correct(Correction(own.sequence - 1, Position(11.0, 0.0, 10.5), "too_fast", 0.0))
    assert own.position == Position(12.0, 0.0, 10.5)


def test_an_entry_begins_anew_and_numbers_go_on() -> None:
    own = walked(3)
    own.rebase(Position(0.0, 0.0, 0.0), 1.0, 2)
    assert (own.position, own.yaw, own.pending, own.sequence) == (Position(0.0, 0.0, 0.0), 1.0, 0, 8)


def test_what_waits_is_bounded() -> None:
    own = walked(MOST_PENDING + 10)
    assert own.pending == MOST_PENDING


@given(st.lists(st.integers(-100, 100), max_size=30), st.integers(0, 35), st.integers(-100, 100))
def test_from_the_zones_place_all_later_steps_are_walked(steps: list[int], judged: int, place: int) -> None:
    own, at = Prediction(), 0
    for step in steps:
        at += step
        own.move(at, 0.0, 0.0, 0.0)
    own.correct(Correction(judged, Position(place, 0.0, 0.0), "too_fast", 0.0))
    assert own.position.x == place + sum(steps[judged:])
    assert own.pending == len(steps[judged:])
