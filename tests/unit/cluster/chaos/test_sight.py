"""What a player does not see as it is; what is only on its way does not count."""

from __future__ import annotations

from cluster.chaos.sight import Sight, differences, sight
from rayrealm_client.view import Entity


def test_the_own_entity_is_left_out() -> None:
    told = {"entities": [{"entity_id": "me", "version": 3}, {"entity_id": "a", "version": 2}]}
    assert sight({7: Entity(7, "a", "player", "A", version=2)}, told) == Sight({"a": 2}, {"a": 2})


def test_all_as_it_is() -> None:
    same = Sight({"a": 1, "b": 4}, {"a": 1, "b": 4})
    assert differences(same, same) == []


def test_who_is_there_and_not_seen() -> None:
    blind = Sight({}, {"a": 1})
    assert differences(blind, blind) == ["does not see a"]
    assert differences(blind, Sight({"a": 1}, {"a": 1})) == []
    assert differences(Sight({}, {}), blind) == []


def test_who_is_seen_and_not_there() -> None:
    ghost = Sight({"a": 1}, {})
    assert differences(ghost, ghost) == ["still sees a"]
    assert differences(ghost, Sight({}, {})) == []


def test_a_change_that_did_not_come() -> None:
    assert differences(Sight({"a": 1}, {"a": 2}), Sight({"a": 1}, {"a": 3})) == ["sees version 1 of a, which is at 2"]
    assert differences(Sight({"a": 1}, {"a": 2}), Sight({"a": 2}, {"a": 3})) == []


def test_one_that_left_and_came_back_begins_anew() -> None:
    """Versions begin at 1 in every zone."""
    assert differences(Sight({"a": 9}, {"a": 9}), Sight({"a": 1}, {"a": 1})) == []
