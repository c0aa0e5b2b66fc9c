"""Who is told which properties, and that each is encoded once."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from actors.zone.entities import Entity, EntityTable
from actors.zone.states import WIDTH, Audience, States
from cluster.world_settings import EntityTypeSettings
from realm_proto import realtime_pb2

TYPES = {
    "player": EntityTypeSettings(visibility={"purse": "owner", "name_tag": "near", "hat": "all"}),
    "npc": EntityTypeSettings(visibility={"plan": "owner"}),
    "rock": EntityTypeSettings(),
}
PROPERTIES = {"purse": 10, "name_tag": "Ann", "hat": "red", "other": [1]}


def stage(kind: str = "player") -> tuple[States, Entity]:
    table = EntityTable(8)
    number = table.next_number()
    number = table.next_number()  # 1: 0 hides mistakes
    entity = Entity(number, 1, "ent_a", kind, "Ann", "ses_a", "usr_a", "chr_a", "gtw_a", 1, 3, dict(PROPERTIES))
    table.add(entity, 0.0, 0.0, 0.0, 0.0, 0, 0.0, 0.0)
    return States(table, TYPES), entity


def said(data: bytes) -> tuple[realtime_pb2.EntityState, dict[str, Any]]:
    state = realtime_pb2.EntityState.FromString(data)
    return state, orjson.loads(state.properties_json or "{}")


def whole(states: States, entity: Entity, audience: Audience) -> dict[str, Any]:
    return said(states.whole(entity.number * WIDTH + audience))[1]


def change(states: States, entity: Entity, audience: Audience) -> dict[str, Any]:
    return said(states.change(entity.number * WIDTH + audience))[1]


@pytest.mark.parametrize(
    ("kind", "audience", "hidden"),
    [
        ("player", Audience.OWNER, set()),
        ("player", Audience.NEAR, {"purse"}),
        ("player", Audience.ALL, {"purse", "name_tag"}),
        ("npc", Audience.NEAR, set()),
        ("rock", Audience.ALL, set()),
        ("a type nobody declared", Audience.ALL, set()),
    ],
)
def test_each_audience_sees_its_own(kind: str, audience: Audience, hidden: set[str]) -> None:
    states, entity = stage(kind)
    expected = {name: value for name, value in PROPERTIES.items() if name not in hidden}
    assert whole(states, entity, audience) == states.visible(entity, audience) == expected
    states.changed(entity.number, PROPERTIES)
    assert change(states, entity, audience) == expected


def test_a_whole_state_says_who_it_is() -> None:
    states, entity = stage()
    state, _ = said(states.whole(entity.number * WIDTH))
    assert (state.number, state.entity_id, state.entity_type, state.name) == (1, "ent_a", "player", "Ann")
    assert (state.version, state.link_dead, state.change) == (3, False, False)


def test_a_change_says_only_what_changed() -> None:
    states, entity = stage()
    entity.properties["hat"] = "blue"
    del entity.properties["other"]
    entity.version = 4
    entity.gateway_id = ""
    states.changed(entity.number, ["hat"])
    states.changed(entity.number, ["other"])
    state, properties = said(states.change(entity.number * WIDTH))
    assert properties == {"hat": "blue", "other": None}
    assert (state.number, state.version, state.link_dead, state.change) == (1, 4, True, True)
    assert (state.entity_id, state.entity_type, state.name) == ("", "", "")


def test_a_change_that_the_audience_may_not_see_has_no_properties() -> None:
    states, entity = stage()
    states.changed(entity.number, ["purse"])
    state, properties = said(states.change(entity.number * WIDTH + Audience.NEAR))
    assert (properties, state.change, state.version) == ({}, True, 3)


def test_all_of_it_again_is_more_than_a_change() -> None:
    states, entity = stage()
    states.changed(entity.number, ["hat"])
    states.changed(entity.number, None)
    states.changed(entity.number, ["purse"])
    assert states.pending == {entity.number: None}


def test_encoded_once_until_it_changes() -> None:
    states, entity = stage()
    key = entity.number * WIDTH
    made = states.whole(key)
    assert states.whole(key) is made
    entity.properties["hat"] = "blue"
    states.changed(entity.number, ["hat"])
    assert said(states.whole(key))[1]["hat"] == "blue"
    assert states.change(key) is states.change(key)


def test_a_flush_forgets_the_changes() -> None:
    states, entity = stage()
    states.changed(entity.number, ["hat"])
    assert change(states, entity, Audience.ALL) == {"hat": "red"}
    states.flush()
    assert not states.pending
    states.changed(entity.number, ["other"])
    assert change(states, entity, Audience.ALL) == {"other": [1]}


def test_a_number_that_is_free_again_has_no_past() -> None:
    states, entity = stage()
    key = entity.number * WIDTH
    states.whole(key)
    states.changed(entity.number, None)
    states.forget(entity.number)
    entity.name = "Bob"
    assert not states.pending
    assert said(states.whole(key))[0].name == "Bob"


@pytest.mark.parametrize(
    ("kind", "apart", "banded"), [("player", True, True), ("npc", True, False), ("rock", False, False)]
)
def test_what_a_type_tells_apart(kind: str, apart: bool, banded: bool) -> None:
    states, entity = stage(kind)
    states.learn([entity.number])
    assert (bool(states.told_apart[1]), bool(states.banded[1])) == (apart, banded)
    entity.entity_type = "a type nobody declared"
    states.learn([entity.number])
    assert (bool(states.told_apart[1]), bool(states.banded[1])) == (False, False)
