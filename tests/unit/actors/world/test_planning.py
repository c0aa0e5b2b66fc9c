"""Plans: what they say, where they cut, and what is refused."""

from __future__ import annotations

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.world import planning
from actors.world.plans import Plan
from actors.world.record import Finished, Progress, WorldRecord
from actors.world.seen import fit, named
from cluster.errors import Conflict, InvalidInput, NotFound
from cluster.ports.actors import Node
from cluster.world_settings import ZoneSpec
from cluster.worldmap import MapZone, WorldMap, retired
from tests.unit.actors.world.lands import EAST, HEAD, NODES, WEST, A, B, C, crowd, ground, row, seen, zone

WORLD = row(A, B, C)
NOBODY = np.zeros((0, 2), np.float32)


def split(world: WorldMap = WORLD, zone_id: str = A, positions: np.ndarray = NOBODY, **more: object) -> Plan:
    given = {"plan_id": "pln_1", "new_id": "zon_new", "min_side": 40.0, **more}
    return planning.split(world, zone_id, positions, **given)  # type: ignore[arg-type]


def merge(world: WorldMap = WORLD, a: str = A, b: str = B, **more: object) -> Plan:
    given = {"plan_id": "pln_1", "spawn_zone": A, "populations": {A: 3, B: 4}, "capacity": 10, **more}
    return planning.merge(world, a, b, **given)  # type: ignore[arg-type]


def move(world: WorldMap = WORLD, zone_id: str = A, node: str = WEST, **more: object) -> Plan:
    given = {"plan_id": "pln_1", "nodes": NODES, "seen": seen(A), **more}
    return planning.move(world, zone_id, node, **given)  # type: ignore[arg-type]


class TestSplit:
    def test_the_map_afterwards(self) -> None:
        plan = split(positions=np.array([[10, 50], [20, 50], [30, 50], [90, 50]], np.float32))
        after = plan.after
        assert after.version == 8
        # 3 below 40 m and one beyond, and no part is narrower than 40 m: no cut along x is better than 3 to 1.
        assert "3 entities stay, 1 go" in plan.what
        assert after.find(A) == zone(A, 0, 0, 50, 100)
        assert after.find("zon_new") == MapZone("zon_new", "A", ground(50, 0, 100, 100), A)

    def test_the_busier_part_keeps_the_name(self) -> None:
        plan = split(positions=np.array([[10, 50], [70, 50], [80, 50]], np.float32))
        assert plan.after.find("zon_new").bounds.max_x < 100  # type: ignore[union-attr]
        assert plan.after.find(A).bounds.max_x == 100  # type: ignore[union-attr]

    def test_nobody_there_is_cut_in_the_middle_of_the_longer_side(self) -> None:
        world = WorldMap(1, (zone(A, 0, 0, 100, 200),))
        assert planning.best_cut(world.zones[0].bounds, NOBODY, 40.0) == ("z", 100.0, 0, 0)

    def test_the_axis_that_halves_better(self) -> None:
        along_z = np.array([[50, z] for z in range(5, 100, 10)], np.float32)
        assert planning.best_cut(ground(0, 0, 100, 100), along_z, 20.0) == ("z", 50.0, 5, 5)
        assert planning.best_cut(ground(0, 0, 100, 100), along_z[:, ::-1], 20.0) == ("x", 50.0, 5, 5)

    def test_a_crowd_on_one_spot(self) -> None:
        spot = np.full((50, 2), 33.0, np.float32)
        _, at, below, above = planning.best_cut(ground(0, 0, 100, 100), spot, 20.0)
        assert (20 <= at <= 80, below + above) == (True, 50)

    @pytest.mark.parametrize(("bounds", "axis"), [(ground(0, 0, 79, 80), "z"), (ground(0, 0, 80, 79), "x")])
    def test_only_a_side_that_is_long_enough(self, bounds: object, axis: str) -> None:
        assert planning.best_cut(bounds, crowd(1, 9, 0, 79), 40.0)[:2] == (axis, 40.0)  # type: ignore[arg-type]

    @given(st.integers(0, 2**32 - 1), st.integers(0, 60), st.floats(1, 90))
    def test_parts_are_wide_enough_and_nobody_halves_it_better(self, seed: int, count: int, within: float) -> None:
        positions = crowd(seed, count, 50 - within / 2, 50 + within / 2)
        bounds = ground(0, 0, 100, 100)
        axis, at, below, above = planning.best_cut(bounds, positions, 20.0)
        assert 20 <= at <= 80
        low, high = planning.cut(bounds, axis, at)
        world = WorldMap(1, (MapZone(A, "", low, A), MapZone(B, "", high, B)))
        owners = [found.id for x, z in positions.tolist() if (found := world.at(x, z)) is not None]
        assert (owners.count(A), owners.count(B)) == (below, above)
        values = {"x": positions[:, 0], "z": positions[:, 1]}
        for other in "xz":
            for cut in np.linspace(20, 80, 121):
                left = int((values[other] < cut).sum())
                assert max(below, above) <= max(left, count - left)

    @pytest.mark.parametrize(
        ("more", "error", "reason"),
        [
            ({"zone_id": "zon_x"}, NotFound, "no_such_zone"),
            ({"min_side": 50.1}, Conflict, "zone_too_small"),
            ({"new_id": B}, Conflict, "zone_exists"),
            ({"positions": np.array([[np.nan, 1.0]], np.float32)}, InvalidInput, "invalid_input"),
            ({"positions": np.zeros((3, 3), np.float32)}, InvalidInput, "invalid_input"),
            ({"world": WORLD.changed(retired(WORLD.zones[0], B))}, Conflict, "zone_goes_into_another"),
            ({"running": move()}, Conflict, "another_plan_runs"),
        ],
    )
    def test_refused(self, more: dict[str, object], error: type[Exception], reason: str) -> None:
        with pytest.raises(error) as refused:
            split(**more)  # type: ignore[arg-type]
        assert refused.value.reason == reason  # type: ignore[attr-defined]


class TestMerge:
    def test_the_maps_on_the_way(self) -> None:
        joined, after = merge().maps
        assert joined.find(A) == zone(A, 0, 0, 200, 100)
        assert joined.find(B) == retired(zone(B, 100, 0, 200, 100), A)
        assert [z.id for z in after] == [A, C]
        assert (joined.version, after.version) == (8, 9)

    def test_part_and_whole_in_either_order(self) -> None:
        parts = split(positions=crowd(1, 10, 0, 100)).after
        for a, b in ((A, "zon_new"), ("zon_new", A)):
            plan = merge(parts, a, b)
            assert plan.after.find(A) == WORLD.find(A)
            assert plan.zones == (A, "zon_new")

    def test_the_spawn_zone_stays_and_then_a_declared_one(self) -> None:
        assert merge(a=B, b=A).zones == (A, B)
        assert merge(a=B, b=C, populations={}).zones == (B, C)
        assert merge(a=C, b=B, populations={}).zones == (C, B)
        part = WorldMap(1, (zone("zon_b_4", 100, 0, 200, 100, declared=B), zone(C, 200, 0, 300, 100)))
        assert merge(part, "zon_b_4", C).zones == (C, "zon_b_4")

    @pytest.mark.parametrize(
        ("a", "b"),
        [
            (ground(0, 0, 100, 100), ground(200, 0, 300, 100)),
            (ground(0, 0, 100, 100), ground(100, 0, 200, 99)),
            (ground(0, 0, 100, 100), ground(100, 100, 200, 200)),
            (ground(0, 0, 100, 100), ground(100, 1, 200, 101)),
        ],
    )
    def test_no_rectangle(self, a: object, b: object) -> None:
        world = WorldMap(1, tuple(MapZone(name, name, g, name) for name, g in ((A, a), (B, b))))  # type: ignore[arg-type]
        with pytest.raises(Conflict, match="no common edge"):
            merge(world)

    @pytest.mark.parametrize(
        ("more", "error", "reason"),
        [
            ({"b": A}, InvalidInput, "invalid_input"),
            ({"b": "zon_x"}, NotFound, "no_such_zone"),
            ({"b": C}, Conflict, "no_common_edge"),
            ({"populations": {A: 6, B: 5}}, Conflict, "too_many_for_one_zone"),
            ({"world": WORLD.changed(retired(WORLD.zones[1], A))}, Conflict, "zone_goes_into_another"),
            ({"running": move()}, Conflict, "another_plan_runs"),
        ],
    )
    def test_refused(self, more: dict[str, object], error: type[Exception], reason: str) -> None:
        with pytest.raises(error) as refused:
            merge(**more)  # type: ignore[arg-type]
        assert refused.value.reason == reason  # type: ignore[attr-defined]


class TestMove:
    def test_to_the_other_slot(self) -> None:
        plan = move(seen=seen(A, slot=1))
        assert plan.after.find(A).node == WEST  # type: ignore[union-attr]
        assert [(step.name, step.slot) for step in plan.steps] == [
            ("dismiss", 0),
            ("start", 0),
            ("await_following", 0),
            ("commit", 0),
            ("promote", 0),
            ("verify", 0),
            ("dismiss", 1),
        ]

    @pytest.mark.parametrize(
        ("more", "error", "reason"),
        [
            ({"zone_id": "zon_x"}, NotFound, "no_such_zone"),
            ({"node": "gone"}, NotFound, "no_such_node"),
            ({"node": EAST}, Conflict, "already_there"),
            ({"seen": None}, Conflict, "zone_does_not_answer"),
            ({"nodes": (Node(WEST, "west", draining=True),)}, Conflict, "node_drains"),
            ({"running": move()}, Conflict, "another_plan_runs"),
        ],
    )
    def test_refused(self, more: dict[str, object], error: type[Exception], reason: str) -> None:
        with pytest.raises(error) as refused:
            move(**more)  # type: ignore[arg-type]
        assert refused.value.reason == reason  # type: ignore[attr-defined]

    def test_a_restart_stays_on_its_node(self) -> None:
        plan = planning.restart(WORLD, A, plan_id="pln_1", seen=seen(A))
        assert {step.node for step in plan.steps if step.name == "start"} == {EAST}
        assert plan.after == WORLD.changed()
        with pytest.raises(Conflict, match="does not answer"):
            planning.restart(WORLD, A, plan_id="pln_1", seen=None)


class TestNames:
    def test_after_the_declared_zone_and_never_the_same(self) -> None:
        first = planning.new_zone_id(WORLD, A)
        assert first == "zon_a_8"
        world = split(new_id=first).after
        assert planning.new_zone_id(world, first) == "zon_a_9"
        assert planning.new_zone_id(WORLD, A, {"zon_a_8"}.__contains__) == "zon_a_9"

    def test_a_long_name_is_cut(self) -> None:
        long = "zon_" + "x" * 40
        made = planning.new_zone_id(WorldMap(12_345, (zone(long, 0, 0, 1, 1),)), long)
        assert ZoneSpec(id=made, name="x", bounds=ground(0, 0, 1, 1)).id == made
        assert made.endswith("_12346")


class TestNodes:
    def test_by_whatever_people_call_them(self) -> None:
        assert [named(NODES, name).id for name in (WEST, "west", "10.0.0.3", "wwww")] == [WEST] * 4

    def test_not_there_or_not_clear(self) -> None:
        with pytest.raises(NotFound, match=r"there are: head \(00000000\), east"):
            named(NODES, "north")
        with pytest.raises(NotFound):
            named(NODES, "www")
        twins = (Node("1234abcd", "one"), Node("1234ef01", "one"))
        for name in ("one", "1234"):
            with pytest.raises(Conflict):
                named(twins, name)

    def test_where_zones_should_be(self) -> None:
        assert [node.id for node in fit(NODES)] == [EAST, WEST]
        assert [node.id for node in fit(NODES[:1])] == [HEAD]
        assert [node.id for node in fit((NODES[0], Node(EAST, "east", draining=True)))] == [HEAD]


PLANS = {"split": split(positions=crowd(1, 9, 0, 100)), "merge": merge(), "move": move()}


class TestValues:
    @pytest.mark.parametrize("kind", PLANS)
    def test_there_and_back(self, kind: str) -> None:
        plan = PLANS[kind]
        assert Plan.from_dict(orjson.loads(orjson.dumps(plan.as_dict()))) == plan
        for done in range(len(plan.steps) + 1):
            record = WorldRecord(
                WORLD, Progress(plan, done, "why"), frozenset({EAST}), Finished("pln_0", "x", "rolled back", "y", 1.5)
            )
            assert WorldRecord.load(*record.dump()) == record

    def test_a_record_of_nothing(self) -> None:
        assert WorldRecord.load(*WorldRecord(WORLD).dump()) == WorldRecord(WORLD)
        assert WorldRecord.load(WORLD.dump(), b"") == WorldRecord(WORLD)

    @pytest.mark.parametrize(
        "change",
        [
            {"kind": "burn"},
            {"steps": [{"name": "burn", "zone": A}]},
            {"steps": [{"name": "commit", "slot": 7}]},
            {"steps": [{"nome": "tell"}]},
            {"maps": []},
            {"maps": [{}]},
            {"zones": None},
        ],
    )
    def test_what_is_no_plan(self, change: dict[str, object]) -> None:
        said = {**move().as_dict(), **change}
        with pytest.raises(ValueError, match=r"no (plan|map)"):
            Plan.from_dict(said)
        with pytest.raises(ValueError, match=r"no (plan|map)"):
            WorldRecord.load(WORLD.dump(), orjson.dumps({"plan": said, "done": 0, "undoing": ""}))

    def test_until_when_it_can_be_rolled_back(self) -> None:
        plan = move()
        assert [plan.committed(done) for done in range(8)] == [False] * 4 + [True] * 4
        assert not merge().committed(0)

    def test_people_can_read_it(self) -> None:
        assert move(why="somebody wanted it").describe() == "\n".join(
            [
                "move pln_1: move zon_a to west (wwwwwwww)",
                "  because somebody wanted it",
                "  from map 7 to map 8",
                "  1. end actor 1 of zon_a, which does not own it",
                f"  2. start actor 1 of zon_a on {WEST}",
                f"  3. wait until actor 1 of zon_a follows the owner on {WEST}",
                "  4. the map of version 8 holds",
                "  5. actor 1 of zon_a takes over",
                "  6. wait until actor 1 of zon_a owns it",
                "  7. end actor 0 of zon_a, which does not own it",
            ]
        )
