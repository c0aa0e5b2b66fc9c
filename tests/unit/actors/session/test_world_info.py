"""Where a character comes in."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from actors.session.world_info import SPAWN_SPREAD, arrival, land_of, spawn_place, world_result
from actors.zone.arrivals import Standing
from cluster.ports.accounts import Character
from cluster.ports.sessions import SessionRecord
from cluster.world_settings import Bounds, WorldSettings
from cluster.worldmap import MapZone, WorldMap

WORLD = WorldSettings()
MAP = WorldMap.declared(WORLD)
ANN = Character("chr_ann", "usr_a", "Ann", "zon_forest", 12.5, 1.0, 333.0, 0.5, 0.0)


@pytest.mark.parametrize("wanted", ["", "zon_forest"])
def test_where_it_was_last(wanted: str) -> None:
    assert spawn_place(MAP, WORLD.spawn_zone, ANN, wanted, random.Random(1)) == ("zon_forest", 12.5, 1.0, 333.0, 0.5)


@pytest.mark.parametrize(
    ("home", "wanted", "zone"),
    [
        ("", "", "zon_meadow"),
        ("zon_forest", "zon_ridge", "zon_ridge"),
        ("", "zon_ridge", "zon_ridge"),
    ],
)
def test_else_near_the_centre(home: str, wanted: str, zone: str) -> None:
    bounds = next(spec.bounds for spec in WORLD.zones if spec.id == zone)
    rng = random.Random(1)
    places = {spawn_place(MAP, WORLD.spawn_zone, replace(ANN, zone=home), wanted, rng) for _ in range(50)}
    assert len(places) == 50, "not all on one spot"
    reach = SPAWN_SPREAD * 200 / 2
    for where, x, y, z, yaw in places:
        assert (where, y, yaw) == (zone, 0.0, 0.0)
        assert abs(x - (bounds.min_x + bounds.max_x) / 2) <= reach
        assert abs(z - (bounds.min_z + bounds.max_z) / 2) <= reach


def test_the_ground_counts_and_not_the_name_of_its_zone() -> None:
    """Since it was there, its zone was merged into another one, or split."""
    gone = replace(ANN, zone="zon_gone")
    assert spawn_place(MAP, WORLD.spawn_zone, gone, "", random.Random(1))[0] == "zon_forest"
    south = MapZone("zon_forest", "Forest", Bounds(min_x=0, min_z=200, max_x=200, max_z=300), "zon_forest")
    north = MapZone("zon_forest_2", "Forest", Bounds(min_x=0, min_z=300, max_x=200, max_z=400), "zon_forest")
    split = MAP.changed(south, north)
    for wanted in ("", "zon_forest", "zon_forest_2"):
        place = spawn_place(split, WORLD.spawn_zone, ANN, wanted, random.Random(1))
        assert place == ("zon_forest_2", 12.5, 1.0, 333.0, 0.5)


def test_outside_the_land_it_begins_anew() -> None:
    lost = replace(ANN, x=-5_000.0)
    assert spawn_place(MAP, WORLD.spawn_zone, lost, "", random.Random(1))[0] == WORLD.spawn_zone


def test_land_is_what_one_can_walk_to() -> None:
    island = MapZone("zon_isle", "Isle", Bounds(min_x=900, min_z=900, max_x=950, max_z=950), "zon_isle")
    world_map = MAP.changed(island)
    assert land_of(world_map, "zon_ridge") == Bounds(min_x=0, min_z=0, max_x=400, max_z=400)
    assert land_of(world_map, "zon_isle") == island.bounds


def test_the_result_of_world_enter_has_what_the_protocol_lists() -> None:
    standing = Standing("ent_ann", 7, 1.0, 2.0, 3.0, 0.5, 9)
    assert world_result(WORLD, MAP, "zon_forest", "chr_ann", "Ann", standing) == {
        "zone": "zon_forest",
        "bounds": {"min_x": 0, "min_z": 200, "max_x": 200, "max_z": 400},
        "land": {"min_x": 0, "min_z": 0, "max_x": 400, "max_z": 400},
        "entity_id": "ent_ann",
        "number": 7,
        "position": {"x": 1.0, "y": 2.0, "z": 3.0},
        "yaw": 0.5,
        "tick_hz": 20.0,
        "interest_radius": 50.0,
        "max_speed": 8.0,
        "character_id": "chr_ann",
        "name": "Ann",
        "sequence": 9,
    }


def test_an_entity_is_named_after_its_character() -> None:
    record = SessionRecord("ses_1", "usr_a", "sessions/0", "in_world", "gtw_a", 4, "chr_ann", "Ann", "zon_meadow")
    who = arrival(record, 1.0, 2.0, 3.0, 0.5)
    assert (who.entity_id, who.name, who.session_id, who.user_id) == ("ent_ann", "Ann", "ses_1", "usr_a")
    assert (who.character_id, who.gateway_id, who.attach_epoch) == ("chr_ann", "gtw_a", 4)
    assert (who.x, who.y, who.z, who.yaw) == (1.0, 2.0, 3.0, 0.5)
