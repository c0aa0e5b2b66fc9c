"""Snapshots and versioned changes (row 3.4, first form)."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from actors.zone.zone import MAX_PROPERTIES_BYTES, Zone
from cluster.errors import Conflict, InvalidInput, InvalidState, NotFound
from tests.unit.actors.zone_model import SPEC, arrival, make_zone, views_of


@pytest.fixture
def zone() -> Zone:
    """ann (0) and bob (1) see each other; cid (2) is far from both."""
    zone = make_zone()
    zone.enter(arrival("ann", 50, 50, "gtw_a", yaw=0.5), 0.0)
    zone.enter(arrival("bob", 52, 50, "gtw_b"), 0.0)
    zone.enter(arrival("cid", 90, 90, "gtw_b"), 0.0)
    zone.tick(0.0)
    return zone


def change(zone: Zone, name: str, version: int, **properties: Any) -> int:
    return zone.commit_change(*zone.plan_change(f"ses_{name}", f"ent_{name}", version, properties))


class TestSnapshot:
    def test_what_the_viewer_sees_itself_first(self, zone: Zone) -> None:
        snapshot = zone.snapshot("ses_bob")
        assert (snapshot["tick"], snapshot["zone"]) == (1, SPEC.id)
        assert [e["name"] for e in snapshot["entities"]] == ["bob", "ann"]
        assert snapshot["entities"][1] == {
            "number": 0,
            "entity_id": "ent_ann",
            "entity_type": "player",
            "name": "ann",
            "version": 1,
            "properties": {},
            "link_dead": False,
            "position": {"x": 50.0, "y": 0.0, "z": 50.0},
            "yaw": 0.5,
            "sequence": 0,
        }
        assert orjson.loads(orjson.dumps(snapshot)) == snapshot

    def test_without_those_who_have_just_left(self, zone: Zone) -> None:
        zone.leave("ses_ann")
        assert [e["name"] for e in zone.snapshot("ses_bob")["entities"]] == ["bob"]

    def test_of_one_who_is_not_here(self, zone: Zone) -> None:
        with pytest.raises(InvalidState):
            zone.snapshot("ses_nobody")


class TestChange:
    def test_versions_grow_and_viewers_are_told(self, zone: Zone) -> None:
        assert change(zone, "ann", 1, hat="red", level=3) == 2
        views = views_of(zone.tick(0.1))
        assert views.keys() == {"gtw_b"}
        assert views["gtw_b"].keys() == {1}, "cid is too far away, and ann knows"
        [state] = views["gtw_b"][1].states
        assert (state.number, state.version, orjson.loads(state.properties_json)) == (0, 2, {"hat": "red", "level": 3})
        assert views["gtw_b"][1].moves == []

    def test_it_is_merged_and_null_removes(self, zone: Zone) -> None:
        change(zone, "ann", 1, hat="red", level=3)
        assert change(zone, "ann", 2, hat=None, cape="blue", nothing=None) == 3
        assert zone.of_session("ses_ann").properties == {"level": 3, "cape": "blue"}

    def test_changes_of_one_tick_are_told_once(self, zone: Zone) -> None:
        change(zone, "ann", 1, hat="red")
        change(zone, "ann", 2, hat="green")
        [state] = views_of(zone.tick(0.1))["gtw_b"][1].states
        assert (state.version, orjson.loads(state.properties_json)) == (3, {"hat": "green"})

    def test_who_comes_later_gets_the_newest(self, zone: Zone) -> None:
        change(zone, "ann", 1, hat="red")
        zone.tick(0.1)
        dan = zone.enter(arrival("dan", 51, 50), 0.1).number
        states = {s.name: s for s in views_of(zone.tick(0.2))["gtw_a"][dan].states}
        assert (states["ann"].version, states["ann"].properties_json) == (2, '{"hat":"red"}')
        assert states["bob"].properties_json == ""

    @pytest.mark.parametrize("version", [0, 2, 3])
    def test_a_change_of_another_version_is_refused_with_the_current_state(self, zone: Zone, version: int) -> None:
        with pytest.raises(Conflict) as refused:
            zone.plan_change("ses_ann", "ent_ann", version, {"hat": "red"})
        assert refused.value.reason == "stale_version"
        assert refused.value.current == zone.snapshot("ses_ann")["entities"][0]

    @pytest.mark.parametrize(
        ("session", "entity"), [("ses_ann", "ent_bob"), ("ses_ann", "ent_x"), ("ses_x", "ent_ann")]
    )
    def test_only_of_one_s_own_entity(self, zone: Zone, session: str, entity: str) -> None:
        with pytest.raises(NotFound):
            zone.plan_change(session, entity, 1, {"hat": "red"})

    def test_a_plan_changes_nothing(self, zone: Zone) -> None:
        entity, merged = zone.plan_change("ses_ann", "ent_ann", 1, {"hat": "red"})
        assert merged == {"hat": "red"}
        assert (entity.version, entity.properties) == (1, {})
        assert zone.tick(0.1) == []

    def test_properties_are_bounded_in_all(self, zone: Zone) -> None:
        room = MAX_PROPERTIES_BYTES - len('{"a":""}')
        change(zone, "ann", 1, a="x" * room)
        with pytest.raises(InvalidInput):
            zone.plan_change("ses_ann", "ent_ann", 2, {"b": 1})
        zone.plan_change("ses_ann", "ent_ann", 2, {"a": "y" * room})
        with pytest.raises(InvalidInput):
            zone.plan_change("ses_ann", "ent_ann", 2, {"a": "é" * (room // 2 + 1)})

    def test_what_json_cannot_hold_is_the_caller_s_fault(self, zone: Zone) -> None:
        deep: Any = 1
        for _ in range(300):
            deep = [deep]
        for value in (deep, 2**70):
            with pytest.raises(InvalidInput):
                zone.plan_change("ses_ann", "ent_ann", 1, {"a": value})

    def test_a_change_committed_after_the_entity_left_reaches_nobody(self, zone: Zone) -> None:
        entity, merged = zone.plan_change("ses_ann", "ent_ann", 1, {"hat": "red"})
        zone.leave("ses_ann")
        zone.commit_change(entity, merged)
        views = views_of(zone.tick(0.1))
        assert views["gtw_b"][1].leaves == [0]
        assert views["gtw_b"][1].states == []
