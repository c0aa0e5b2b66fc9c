"""Which actors zones get, and where."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from actors.world.staffing import REPLACE_AFTER_S, Change, Staff
from cluster.ports.actors import ANYWHERE, Node, Place
from cluster.ports.calls import zone_actor
from cluster.worldmap import WorldMap, retired
from tests.unit.actors.world.lands import EAST, HEAD, NODES, WEST, A, B, row, zone

TWO = row(A, B)
OWNERS = {A: 0, B: 0}
NORTH = Node("n" * 56, "north")
STANDBY = WorldMap(1, (zone(A, 0, 0, 100, 100, standby=True),))


def info(zone_id: str, node: str = "", slot: int = 0, role: str = "owner") -> dict[str, Any]:
    return {"zone": zone_id, "slot": slot, "role": role, "node": node, "epoch": 1}


def infos(*said: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {zone_actor(one["zone"], one["slot"]): one for one in said}


def test_owners_are_made_and_second_actors_swept_once() -> None:
    staff = Staff()
    assert staff.changes(0.0, TWO, OWNERS, {}, []) == [
        Change("zone/zon_a", ANYWHERE),
        Change("zone/zon_a/1", None),
        Change("zone/zon_b", ANYWHERE),
        Change("zone/zon_b/1", None),
    ]
    there = infos(info(A), info(B))
    assert staff.changes(1.0, TWO, OWNERS, there, []) == []
    assert staff.made == {"zone/zon_a", "zone/zon_b"}


def test_whose_owner_the_store_does_not_tell_is_left_alone() -> None:
    assert Staff().changes(0.0, TWO, {}, {}, []) == []


def test_they_are_spread_over_the_nodes() -> None:
    changes = Staff().changes(0.0, row(A, B, "zon_c", "zon_d"), dict.fromkeys((A, B, "zon_c", "zon_d"), 0), {}, NODES)
    assert [change.place for change in changes if change.place] == [Place(node) for node in (EAST, WEST, EAST, WEST)]


def test_what_is_there_counts() -> None:
    staff = Staff({"zone/zon_a"})
    changes = staff.changes(0.0, TWO, OWNERS, infos(info(A, EAST)), NODES)
    assert Change("zone/zon_b", Place(WEST)) in changes


def test_where_the_map_wants_it_if_the_node_is_there() -> None:
    world = TWO.changed(replace(TWO.zones[0], node=WEST), replace(TWO.zones[1], node="gone"))
    places = {c.name: c.place for c in Staff().changes(0.0, world, OWNERS, {}, NODES) if c.place}
    assert places == {"zone/zon_a": Place(WEST), "zone/zon_b": Place(EAST)}


def test_the_actor_that_owns_is_the_one_that_is_made() -> None:
    changes = Staff().changes(0.0, row(A), {A: 1}, {}, [])
    assert changes == [Change("zone/zon_a/1", ANYWHERE), Change("zone/zon_a", None)]


def test_a_plan_keeps_its_zones_but_their_owners_are_made() -> None:
    staff = Staff({"zone/zon_a", "zone/zon_a/1"})
    assert staff.changes(0.0, TWO, OWNERS, {}, [], hands_off=(A, B)) == [Change("zone/zon_b", ANYWHERE)]
    staff.forget([A])
    assert Change("zone/zon_a/1", None) in staff.changes(0.0, TWO, OWNERS, {}, [])


def test_who_does_not_answer_three_times_is_made_again() -> None:
    staff = Staff()
    staff.changes(0.0, TWO, OWNERS, {}, [])
    there = infos(info(B))
    made = [[c.name for c in staff.changes(float(n), TWO, OWNERS, there, [])] for n in range(1, 8)]
    assert made == [[], [], ["zone/zon_a"], [], [], ["zone/zon_a"], []]


def test_what_failed_is_done_again() -> None:
    staff = Staff()
    first = staff.changes(0.0, row(A), {A: 0}, {}, [])
    for change in first:
        staff.failed(change)
    assert staff.changes(1.0, row(A), {A: 0}, {}, []) == first


class TestStandby:
    def made(self, *nodes: Node, world: WorldMap = STANDBY) -> Staff:
        staff = Staff()
        staff.changes(0.0, world, {A: 0}, {}, nodes)
        return staff

    def test_once_its_owner_says_where_it_is_and_elsewhere(self) -> None:
        staff = self.made(*NODES)
        assert staff.changes(1.0, STANDBY, {A: 0}, infos(info(A, EAST, role="starting")), NODES) == []
        assert staff.changes(2.0, STANDBY, {A: 0}, infos(info(A, EAST)), NODES) == [
            Change("zone/zon_a/1", Place(avoid=(HEAD, EAST)))
        ]

    def test_beside_its_owner_if_there_is_no_other_node(self) -> None:
        for nodes in ([], [NODES[1]]):
            staff = self.made(*nodes)
            assert staff.changes(1.0, STANDBY, {A: 0}, infos(info(A, EAST)), nodes) == [
                Change("zone/zon_a/1", ANYWHERE)
            ]

    def test_not_for_a_zone_that_goes_into_another(self) -> None:
        world = WorldMap(1, (retired(STANDBY.zones[0], B),))
        staff = Staff()
        assert staff.changes(0.0, world, {A: 0}, infos(info(A, EAST)), NODES)[1:] == [Change("zone/zon_a/1", None)]

    def test_after_a_takeover_the_other_one_is_the_standby(self) -> None:
        staff = Staff({"zone/zon_a", "zone/zon_a/1"})
        there = infos(info(A, EAST, 0, "following"), info(A, WEST, 1))
        assert staff.changes(0.0, STANDBY, {A: 1}, there, NODES) == []

    def test_it_is_moved_when_both_came_to_one_node_but_not_all_the_time(self) -> None:
        staff = Staff({"zone/zon_a", "zone/zon_a/1"})
        both = infos(info(A, EAST, 0), info(A, EAST, 1, "following"))
        moved = [Change("zone/zon_a/1", None), Change("zone/zon_a/1", Place(avoid=(HEAD, EAST)))]
        assert staff.changes(0.0, STANDBY, {A: 0}, both, NODES) == moved
        assert staff.changes(1.0, STANDBY, {A: 0}, both, NODES) == []
        assert staff.changes(REPLACE_AFTER_S, STANDBY, {A: 0}, both, NODES) == moved

    def test_it_leaves_a_node_that_drains(self) -> None:
        staff = Staff({"zone/zon_a", "zone/zon_a/1"})
        nodes = [NODES[1], replace(NODES[2], draining=True)]
        there = infos(info(A, EAST, 0), info(A, WEST, 1, "following"))
        assert staff.changes(0.0, STANDBY, {A: 0}, there, nodes) == []  # nowhere to go
        assert staff.changes(0.0, STANDBY, {A: 0}, there, [*nodes, NORTH])[1] == Change(
            "zone/zon_a/1", Place(avoid=(EAST, WEST))
        )
