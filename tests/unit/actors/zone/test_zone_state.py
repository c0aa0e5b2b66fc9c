"""Snapshots and changes of properties (row 3.4); what clients may change is judged by the desk (test_calls.py)."""

from __future__ import annotations

import orjson
import pytest

from actors.zone.zone import Zone
from cluster.errors import Conflict, InvalidState
from tests.unit.actors.zone_model import SPEC, arrival, change, make_zone, tick


@pytest.fixture
def zone() -> Zone:
    """ann (0) and bob (1) see each other; cid (2) is far from both."""
    zone = make_zone()
    zone.enter(arrival("ann", 50, 50, "gtw_a", yaw=0.5), 0.0)
    zone.enter(arrival("bob", 52, 50, "gtw_b"), 0.0)
    zone.enter(arrival("cid", 90, 90, "gtw_b"), 0.0)
    zone.tick(0.0)
    return zone


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
    def test_versions_grow_and_viewers_are_told_what_changed(self, zone: Zone) -> None:
        assert change(zone, "ann", hat="red", level=3) == 2
        views = tick(zone, 0.1)
        assert views["gtw_b"].keys() == {1}, "cid is too far away"
        [state] = views["gtw_b"][1].states
        assert (state.number, state.version, state.change) == (0, 2, True)
        assert orjson.loads(state.properties_json) == {"hat": "red", "level": 3}
        assert views["gtw_b"][1].numbers == []
        [own] = views["gtw_a"][0].states
        assert own == state, "whose it is hears of it too"

    def test_it_is_merged_and_none_removes(self, zone: Zone) -> None:
        change(zone, "ann", hat="red", level=3)
        tick(zone, 0.1)
        assert change(zone, "ann", hat=None, cape="blue", nothing=None) == 3
        assert zone.of_session("ses_ann").properties == {"level": 3, "cape": "blue"}
        [state] = tick(zone, 0.2)["gtw_b"][1].states
        assert orjson.loads(state.properties_json) == {"hat": None, "cape": "blue", "nothing": None}

    def test_changes_of_one_tick_are_told_once(self, zone: Zone) -> None:
        change(zone, "ann", hat="red")
        change(zone, "ann", hat="green")
        [state] = tick(zone, 0.1)["gtw_b"][1].states
        assert (state.version, orjson.loads(state.properties_json)) == (3, {"hat": "green"})

    def test_who_comes_later_gets_all_of_the_newest(self, zone: Zone) -> None:
        change(zone, "ann", hat="red")
        zone.tick(0.1)
        change(zone, "ann", level=3)
        dan = zone.enter(arrival("dan", 51, 50), 0.1).number
        states = {s.name: s for s in tick(zone, 0.2)["gtw_a"][dan].states}
        assert states["ann"].version == 3
        assert orjson.loads(states["ann"].properties_json) == {"hat": "red", "level": 3}
        assert not states["ann"].change
        assert states["bob"].properties_json == ""

    def test_one_who_left_before_the_tick_reaches_nobody(self, zone: Zone) -> None:
        change(zone, "ann", hat="red")
        zone.leave("ses_ann")
        views = tick(zone, 0.1)
        assert views["gtw_b"][1].leaves == [0]
        assert views["gtw_b"][1].states == []

    def test_whoever_stores_is_told_at_once(self, zone: Zone) -> None:
        noted: list[str] = []
        zone.on_change = noted.append
        before = zone.writes
        change(zone, "ann", hat="red")
        assert (noted, zone.writes) == (["ent_ann"], before + 1)
        record = zone.record("ent_ann")
        assert record is not None
        assert (record.entity.properties, record.entity.version, record.zone) == ({"hat": "red"}, 2, SPEC.id)


class TestEntities:
    """Those that no session speaks for."""

    def test_one_comes_is_seen_and_goes(self, zone: Zone) -> None:
        noted: list[tuple[str, ...]] = []
        zone.on_change = lambda entity_id: noted.append(("put", entity_id))
        zone.on_gone = lambda entity_id, session_id: noted.append(("drop", entity_id, session_id))
        tree = zone.spawn("ent_tree", "npc", "Tree", (51.0, 0.0, 50.0, 0.0), {"wood": 3})
        view = tick(zone, 0.1)["gtw_a"][0]
        assert [(s.entity_id, s.entity_type, s.properties_json) for s in view.states] == [
            ("ent_tree", "npc", '{"wood":3}')
        ]
        assert not view.states[0].link_dead
        zone.despawn(tree)
        assert tick(zone, 0.2)["gtw_a"][0].leaves == [tree.number]
        assert noted == [("put", "ent_tree"), ("drop", "ent_tree", "")]
        assert zone.record("ent_tree") is None

    def test_of_one_id_there_is_one(self, zone: Zone) -> None:
        with pytest.raises(Conflict):
            zone.spawn("ent_ann", "npc", "Ann?", (0.0, 0.0, 0.0, 0.0), {})
        assert zone.own == 3
