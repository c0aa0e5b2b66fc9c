"""Which status may follow on which, and why (row 3.2)."""

from __future__ import annotations

from typing import get_args

import pytest

from actors.presence.statuses import RANK, TRANSITIONS, Cause, Status, allowed, at_start, check, effective
from cluster.errors import InvalidState

STATUSES: tuple[str, ...] = get_args(Status)
CAUSES: tuple[Cause, ...] = get_args(Cause)
CHOICES = ("online", "away", "busy", "invisible")


def test_the_whole_table() -> None:
    """Written out once more, the other way round: (cause, old) -> new."""
    wanted = {("begun", "offline"): {"online", "busy", "invisible"}, ("rested", "online"): {"away"}}
    wanted |= {("returned", "away"): {"online"}}
    wanted |= {("chosen", old): set(CHOICES) for old in CHOICES}
    wanted |= {("ended", old): {"offline"} for old in CHOICES}
    for cause in CAUSES:
        for old in STATUSES:
            assert {new for new in STATUSES if allowed(old, new, cause)} == wanted.get((cause, old), set()), (
                cause,
                old,
            )
    assert set(TRANSITIONS) == set(RANK) == set(STATUSES)


def test_what_is_not_allowed_is_refused_with_what_holds() -> None:
    check("busy", "online", "chosen")
    for old, new, cause in [
        ("busy", "offline", "chosen"),
        ("offline", "online", "chosen"),
        ("nonsense", "online", "chosen"),
    ]:
        with pytest.raises(InvalidState) as refused:
            check(old, new, cause)  # type: ignore[arg-type]
        assert (refused.value.reason, refused.value.state) == ("status_not_allowed", old)


@pytest.mark.parametrize("chosen", CHOICES)
def test_resting_and_returning_are_transitions_of_the_table(chosen: str) -> None:
    rested = effective(chosen, True)
    assert effective(chosen, False) == chosen
    if rested != chosen:
        assert allowed(chosen, rested, "rested")
        assert allowed(rested, chosen, "returned")
    assert rested == ("away" if chosen == "online" else chosen)


@pytest.mark.parametrize(
    ("kept", "begins"),
    [("online", "online"), ("busy", "busy"), ("invisible", "invisible"), ("away", "online"), ("", "online")],
)
def test_whoever_comes_is_as_they_left_but_not_away(kept: str, begins: str) -> None:
    assert at_start(kept) == begins
