"""A zone as its game and its desk have it (row 7.6), also when its ground changes."""

from __future__ import annotations

import math

import pytest

from actors.zone.game_world import ZoneWorld
from actors.zone.zone import Zone
from cluster.errors import InvalidState
from cluster.worldmap import MapZone, WorldMap, retired
from tests.unit.actors.zone.borders_rig import Land, ground
from tests.unit.actors.zone_model import SPEC, arrival, make_world, make_zone, move

WHOLE = MapZone(SPEC.id, "Test", SPEC.bounds, SPEC.id)


def world_of(zone: Zone, away: bool = False) -> ZoneWorld:
    return ZoneWorld(zone, lambda: away, lambda: 1_800_000_000.0)


def test_what_it_says_is_the_zone_s() -> None:
    zone = make_zone(epoch=7)
    world = world_of(zone, away=True)
    zone.tick(0.0)
    assert (world.id, world.epoch, world.ticks, world.bounds) == (SPEC.id, 7, 1, SPEC.bounds)
    assert (world.wall, world.away, world.table) == (1_800_000_000.0, True, zone.table)
    zone.enter(arrival("ann"), 0.0)
    assert world.of_session("ses_ann") is zone.of_session("ses_ann")
    assert world.snapshot("ses_ann") == zone.snapshot("ses_ann")
    with pytest.raises(InvalidState):
        world.of_session("ses_nobody")


def test_what_it_does_is_done_in_the_zone_and_stored() -> None:
    zone, stored, dropped = make_zone(), list[str](), list[str]()
    zone.on_change, zone.on_gone = stored.append, lambda entity_id, session_id: dropped.append(entity_id)
    world = world_of(zone)
    tree = world.spawn("ent_tree", "npc", "Tree", (10.0, 0.0, 10.0, 0.0), {"wood": 3})
    assert world.change(tree, {"wood": 2}) == 2
    assert world.describe(tree.number, tree.number)["properties"] == {"wood": 2}
    assert world.walk(tree.number, 11.0, 10.0, 1.0)
    assert not world.walk(tree.number, 110.0, 10.0, 1.0), "beyond the land"
    assert zone.standing(tree).x == 11.0
    assert world.writes == 2
    world.despawn(tree)
    assert (stored, dropped, world.writes) == (["ent_tree", "ent_tree"], ["ent_tree"], 3)


class TestGround:
    """Which zone of the operator's it is, and whether it has all of that one's ground: who plants trees once needs to know."""

    def test_before_the_map_is_known(self) -> None:
        world = world_of(make_zone())
        assert (world.declared, world.whole) == (SPEC.id, False)

    def test_as_declared(self) -> None:
        zone = make_zone()
        zone.remap(WorldMap.declared(make_world()))
        assert (world_of(zone).declared, world_of(zone).whole) == (SPEC.id, True)

    def test_a_part_of_it(self) -> None:
        zone = make_zone()
        left = ground(SPEC.id, 0, 0, 50, 100)
        zone.remap(WorldMap(2, (left,)))
        assert not world_of(zone).whole
        assert world_of(zone).bounds.max_x == 50
        zone.remap(WorldMap(3, (WHOLE,)))
        assert world_of(zone).whole

    def test_a_part_that_was_split_off(self) -> None:
        part = MapZone("zon_new", "Test", ground("zon_new", 50, 0, 100, 100).bounds, SPEC.id)
        zone = Zone(part, make_world(), 1)
        zone.remap(WorldMap(2, (part,)))
        assert (world_of(zone).declared, world_of(zone).whole) == (SPEC.id, False)

    def test_without_ground(self) -> None:
        zone = make_zone()
        zone.remap(WorldMap(2, (retired(WHOLE, "zon_other"), ground("zon_other", 100, 0, 200, 100))))
        assert not world_of(zone).whole


def test_whom_somebody_sees_also_across_the_border() -> None:
    land = Land()
    ann, bob = land.enter("west", "ann", 97.0), land.enter("east", "bob", 103.0)
    alone = land.enter("west", "cid", 20.0)
    land.step(2)
    world = world_of(land.zones["west"])
    ghost = land.entity("west", "bob")
    assert ghost is not None
    watched = world.watched()
    assert (watched[ghost.number], watched[ann.number], watched[alone.number]) == (True, False, False)
    assert world_of(land.zones["east"]).watched().any()
    assert bob.number >= 0


class TestRay:
    """Who is in the way, as the shooter saw it (row 7.11)."""

    @pytest.fixture
    def zone(self) -> Zone:
        """ann looks along +x; bob stands before her, cid behind him, dan beside."""
        zone = make_zone()
        for name, x, z in (("ann", 50, 50), ("bob", 55, 50), ("cid", 58, 50), ("dan", 50, 58)):
            zone.enter(arrival(name, x, z), 0.0)
        zone.tick(0.0)
        return zone

    def numbers(self, zone: Zone, *names: str) -> list[int]:
        return [zone.of_session(f"ses_{name}").number for name in names]

    def hit(self, zone: Zone, seen_tick: float = 0.0, reach: float = 20.0) -> list[int]:
        return world_of(zone).ray(zone.of_session("ses_ann").number, math.pi / 2, reach, 0.5, seen_tick)

    def test_nearest_first_and_never_oneself(self, zone: Zone) -> None:
        assert self.hit(zone) == self.numbers(zone, "bob", "cid")
        assert self.hit(zone, reach=6.0) == self.numbers(zone, "bob")

    def test_where_they_were_when_they_were_seen(self, zone: Zone) -> None:
        seen = zone.ticks
        zone.take_input("gtw_a", move(zone.of_session("ses_bob").number, 1, 55, 53))
        zone.tick(0.05)
        assert self.hit(zone) == self.numbers(zone, "cid")
        assert self.hit(zone, seen_tick=seen) == self.numbers(zone, "bob", "cid")

    def test_who_left_is_not_hit(self, zone: Zone) -> None:
        seen = zone.ticks
        zone.leave("ses_bob")
        zone.tick(0.05)
        assert self.hit(zone) == self.numbers(zone, "cid")
        assert self.hit(zone, seen_tick=seen) == self.numbers(zone, "cid")
