"""What the drill's witnesses hold against a realm."""

from __future__ import annotations

from rayrealm_client.client import RealmClient
from rayrealm_client.view import Reset, View
from tests.nodes.watching import Voices, Witness


def witness(*views: View) -> Witness:
    made = Witness(RealmClient("http://127.0.0.1:1"))
    for view in views:
        made.saw(view)
    return made


def reset(epoch: int, tick: int = 0) -> View:
    return View(tick, 0, reset=Reset("zon_meadow", epoch))


def test_a_zone_that_was_started_anew() -> None:
    assert witness(reset(3), View(1, 0), View(2, 0), reset(4), View(1, 0), View(1, 0)).faults == []


def test_an_older_incarnation_is_believed_again() -> None:
    assert witness(reset(4), View(9, 0), reset(3)).faults == ["a view of epoch 3 after one of 4"]


def test_a_view_of_an_older_incarnation_in_between() -> None:
    """It says nothing of its epoch; but its clock has run for longer."""
    assert witness(reset(3), View(900, 0), reset(4), View(1, 0), View(901, 0), View(2, 0)).faults == [
        "tick 2 after 901 in epoch 4"
    ]


def test_voices() -> None:
    voices = Voices()
    for now, epoch in enumerate([3, 3, 4, 3, 4, 3]):
        voices.hear(epoch, float(now))
    assert voices.newest == 4
    assert voices.late == 2
    assert voices.heard == {3: (0.0, 5.0), 4: (2.0, 4.0)}
