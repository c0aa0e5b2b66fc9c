"""What a player does not see as it is; what is only on its way does not count."""

from __future__ import annotations

import pytest

from cluster.chaos.sight import Reach, Sight, Standing, differences, sight
from rayrealm_client.view import Entity

ME = Standing("me", "bot 0", 1, "zon_a", 10.0, 10.0)
SEES = Reach(30.0, 35.0)


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
    """Versions begin at 1 with every entry into the world."""
    assert differences(Sight({"a": 9}, {"a": 9}), Sight({"a": 1}, {"a": 1})) == []


def other(x: float, stay: int = 1, zone: str = "zon_b") -> Standing:
    return Standing("a", "bot 1", stay, zone, x, 10.0)


def look(at: Standing, seen_at: float | None = None, reach: Reach = SEES) -> Sight:
    """The zone agrees with the client, whatever is true."""
    entities, told = {}, [{"entity_id": "me", "version": 1}]
    if seen_at is not None:
        entities[3] = Entity(3, "a", "player", "A", version=1, cm=(round(seen_at * 100), 0, 1000))
        told.append({"entity_id": "a", "version": 1})
    return sight(entities, {"entities": told}, ME, [at], reach)


class TestByWhereTheyTrulyAre:
    """Two zones may agree with their viewers, and not with each other."""

    def test_near_and_over_the_border(self) -> None:
        there = look(other(30.0))
        assert differences(there, there) == ["does not see bot 1, who is at 30.00, 10.00 in zon_b"]
        assert differences(there, look(other(30.0), 30.0)) == []
        assert differences(there, look(other(38.0))) == []  # it walked off

    def test_far_and_seen(self) -> None:
        there = look(other(60.0), 60.0)
        assert differences(there, there) == ["still sees bot 1, who is at 60.00, 10.00 in zon_b"]
        assert differences(there, look(other(60.0))) == []

    @pytest.mark.parametrize("x", [37.0, 42.0, 48.0])
    def test_at_the_edge_either_is_right(self, x: float) -> None:
        for seen_at in (None, x):
            there = look(other(x), seen_at)
            assert differences(there, there) == []

    def test_who_left_and_came_back_was_not_there_all_the_time(self) -> None:
        assert differences(look(other(30.0)), look(other(30.0, stay=2))) == []

    def test_where_nobody_moves_places_are_exact(self) -> None:
        still = Reach(30.0, 35.0, still=True)
        good, off = look(other(30.0), 30.01, still), look(other(30.0), 30.5, still)
        assert differences(good, good) == []
        assert differences(off, off) == ["sees bot 1, who is at 30.00, 10.00 in zon_b at 30.5, 10"]
        assert differences(off, good) == []
        walking = look(other(30.0), 31.0)
        assert differences(walking, walking) == []
