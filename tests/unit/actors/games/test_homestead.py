"""Homestead, the example game: gather, build, talk; and the land stays as it was planted (row 7.6)."""

from __future__ import annotations

import math
from typing import Any

import pytest

from actors.games.homestead import BUILD_ROOM_M, MOST_BUILT, REACH_M, REGROWS_S, Homestead
from actors.games.homestead_plan import COSTS, plan_of
from actors.zone.game_entity import GameEntity
from actors.zone.records import Record, dump, load
from cluster.errors import InvalidInput, InvalidState, RateLimited, Unavailable
from cluster.world_settings import Bounds
from cluster.worldmap import MapZone, WorldMap
from tests.unit.actors.game_rig import Rig

LAND = Bounds(min_x=0, min_z=0, max_x=200, max_z=200)


def homestead(**more: Any) -> Rig:
    return Rig(Homestead, LAND, **more)


@pytest.fixture
def rig() -> Rig:
    return homestead().start()


def a_node(rig: Rig, kind: str = "tree") -> GameEntity:
    return next(each for each in rig.game.entities("item") if each.properties["kind"] == kind)


def beside(rig: Rig, entity: GameEntity, name: str = "ann") -> GameEntity:
    """A player a metre from the entity."""
    return rig.enter(name, entity.x + 1.0, entity.z)


def gather(rig: Rig, node: GameEntity, name: str = "ann") -> Any:
    rig.wall += 1.0
    return rig.do(name, "gather", target=node.id)


def refused(rig: Rig, name: str, kind: str, **data: Any) -> str:
    with pytest.raises(InvalidState) as error:
        rig.do(name, kind, **data)
    return error.value.reason


def endow(rig: Rig, player: GameEntity, **bag: int) -> None:
    rig.game.set(player, bag=bag)


def stored(rig: Rig) -> list[Record]:
    """What the store has of the zone, as after kill -9."""
    records = [rig.zone.record(entity.entity_id) for entity in rig.zone.table.by_number.values()]
    return [load(dump(record)) for record in records if record is not None]


class TestLand:
    def test_trees_stones_and_a_baker(self, rig: Rig) -> None:
        items = list(rig.game.entities("item"))
        kinds = [each.properties["kind"] for each in items]
        assert 25 < len(items) < 80
        assert kinds.count("tree") > kinds.count("stone") > 5
        assert all(LAND.min_x <= each.x <= LAND.max_x and LAND.min_z <= each.z <= LAND.max_z for each in items)
        [baker] = rig.game.entities("npc")
        assert baker.properties["kind"] == "baker"
        assert len(set(rig.stored)) == len(items) + 1

    def test_every_part_of_a_split_has_something(self) -> None:
        """What on_start relies on: no part that the policy may make (40 m) is bare."""
        nodes = plan_of("zon_test", LAND).nodes
        for start in range(0, 160, 4):
            for axis in ("x", "z"):
                assert any(start + 2 < getattr(node, axis) < start + 38 for node in nodes), (axis, start)

    def test_the_same_at_every_start(self) -> None:
        assert plan_of("zon_test", LAND) == plan_of("zon_test", LAND)
        assert {n.id for n in plan_of("zon_a", LAND).nodes}.isdisjoint(n.id for n in plan_of("zon_b", LAND).nodes)

    @pytest.mark.parametrize("side", [1.0, 20.0, 700.0, 100_000.0])
    def test_any_ground(self, side: float) -> None:
        ground = Bounds(min_x=-side, min_z=0, max_x=side, max_z=side)
        plan = plan_of("zon_test", ground)
        assert 1 <= len(plan.nodes) <= 400
        assert len({node.id for node in plan.nodes}) == len(plan.nodes)
        for x, z in [*((node.x, node.z) for node in plan.nodes), (plan.home_x, plan.home_z)]:
            assert ground.min_x < x < ground.max_x
            assert ground.min_z < z < ground.max_z

    def test_a_new_process_plants_nothing(self, rig: Rig) -> None:
        again = homestead(epoch=2)
        assert again.zone.restore(stored(rig), b"", 0.0, 0.0) == []
        again.start()
        again.tick()
        assert len(again.zone.table) == len(rig.zone.table)
        assert {each.id for each in again.game.entities()} == {each.id for each in rig.game.entities()}

    def test_nor_does_a_part_of_the_zone(self, rig: Rig) -> None:
        half = LAND.model_copy(update={"max_x": 100.0})
        other = LAND.model_copy(update={"min_x": 100.0})
        split = WorldMap(
            2, (MapZone("zon_test", "Test", half, "zon_test"), MapZone("zon_test_b", "Test", other, "zon_test"))
        )
        for world_map in (split, split.changed(MapZone("zon_test", "Test", other, "zon_test"))):
            again = homestead(epoch=2, world_map=world_map).start()
            again.tick()
            assert len(again.zone.table) == 0

    def test_nor_one_that_was_merged_and_has_not_everything_back(self, rig: Rig) -> None:
        west = [record for record in stored(rig) if record.standing.x < 98.0]
        again = homestead(epoch=2)
        again.zone.restore(west, b"", 0.0, 0.0)
        again.start()
        again.tick()
        assert len(again.zone.table) == len(west)

    def test_the_store_is_away_at_first(self) -> None:
        rig = homestead()
        rig.away = True
        rig.start()
        rig.tick(3)
        assert len(rig.zone.table) == 0
        rig.away = False
        rig.tick()
        assert len(rig.zone.table) > 25
        assert rig.host is not None
        assert not rig.host.errors


class TestGather:
    def test_into_the_bag_until_nothing_is_left(self, rig: Rig) -> None:
        tree = a_node(rig)
        ann = beside(rig, tree)
        for number in range(1, 5):
            assert gather(rig, tree)["bag"] == {"wood": number}
            assert (ann.properties["bag"], tree.properties["left"]) == ({"wood": number}, 4 - number)
        rig.wall += 1.0
        assert refused(rig, "ann", "gather", target=tree.id) == "nothing_left"
        assert ann.properties["bag"] == {"wood": 4}

    def test_it_is_durable(self, rig: Rig) -> None:
        tree = a_node(rig)
        beside(rig, tree)
        rig.stored.clear()
        rig.call("ann", "game.message", {"type": "gather", "data": {"target": tree.id}})
        [done] = rig.desk.run(rig.now)
        assert done.durable
        assert set(rig.stored) == {"ent_ann", tree.id}

    def test_it_grows_again(self, rig: Rig) -> None:
        stone = a_node(rig, "stone")
        beside(rig, stone)
        for _ in range(3):
            gather(rig, stone)
        rig.wall += REGROWS_S[0] - 2.0
        rig.tick()
        assert stone.properties["left"] == 0
        rig.wall += REGROWS_S[1]
        rig.tick()
        assert (stone.properties["left"], "grows_at" in stone.properties) == (3, False)
        assert gather(rig, stone)["bag"] == {"stone": 4}

    def test_it_grows_again_in_another_process(self, rig: Rig) -> None:
        tree = a_node(rig)
        beside(rig, tree)
        for _ in range(4):
            gather(rig, tree)
        again = homestead(epoch=2)
        again.zone.restore(stored(rig), b"", 0.0, 0.0)
        again.wall = rig.wall
        again.start()
        again.tick()
        node = again.game.entity(tree.id)
        assert node is not None
        assert node.properties["left"] == 0
        again.wall += REGROWS_S[1]
        again.tick()
        assert node.properties["left"] == 4

    def test_only_what_is_near(self, rig: Rig) -> None:
        tree = a_node(rig)
        rig.enter("ann", tree.x + REACH_M + 0.1, tree.z)
        assert refused(rig, "ann", "gather", target=tree.id) == "too_far"
        assert refused(rig, "ann", "gather", target="ent_nothing") == "not_here"
        [baker] = rig.game.entities("npc")
        assert refused(rig, "ann", "gather", target=baker.id) == "not_here"
        assert refused(rig, "ann", "gather", target="ent_ann") == "not_here"

    def test_not_too_fast(self, rig: Rig) -> None:
        tree = a_node(rig)
        beside(rig, tree)
        gather(rig, tree)
        with pytest.raises(RateLimited):
            rig.do("ann", "gather", target=tree.id)

    def test_a_bag_has_an_end(self, rig: Rig) -> None:
        tree = a_node(rig)
        endow(rig, beside(rig, tree), wood=99)
        assert refused(rig, "ann", "gather", target=tree.id) == "bag_full"
        assert tree.properties["left"] == 4

    def test_a_bag_is_nobody_elses_business(self, rig: Rig) -> None:
        tree = a_node(rig)
        beside(rig, tree)
        beside(rig, tree, "bob")
        gather(rig, tree)
        rig.tick(2)
        seen = rig.ask("bob", "state.sync.request", {})["entities"]
        assert [each["properties"] for each in seen if each["name"] == "ann"] == [{}]
        delta = {"entity_id": "ent_ann", "version": 2, "properties": {"bag": {"wood": 99}}}
        with pytest.raises(InvalidInput):
            rig.ask("ann", "state.sync.delta", delta)

    def test_the_store_is_away(self, rig: Rig) -> None:
        tree = a_node(rig)
        ann = beside(rig, tree)
        rig.away = True
        with pytest.raises(Unavailable):
            gather(rig, tree)
        assert (dict(ann.properties), tree.properties["left"]) == ({}, 4)
        rig.tick(3)
        rig.away = False
        assert gather(rig, tree)["bag"] == {"wood": 1}

    @pytest.mark.parametrize("data", [None, [], 7, "tree", {}, {"target": 7}, {"target": None}])
    def test_what_makes_no_sense(self, rig: Rig, data: Any) -> None:
        rig.enter("ann")
        with pytest.raises(InvalidInput):
            rig.ask("ann", "game.message", {"type": "gather", "data": data})
        assert refused(rig, "ann", "fly") == "not_understood"
        assert rig.host is not None
        assert not rig.host.errors


class TestBuild:
    def free_spot(self, rig: Rig) -> GameEntity:
        """A player who faces a place without anything."""
        for x in range(10, 190, 3):
            if not rig.game.near(x, 102.0, BUILD_ROOM_M + 1.0, "item"):
                return rig.enter("ann", float(x), 100.0)
        raise AssertionError("no room anywhere")

    def test_what_it_costs(self, rig: Rig) -> None:
        ann = self.free_spot(rig)
        endow(rig, ann, wood=10, stone=5)
        result = rig.do("ann", "build", what="hut")
        assert result["bag"] == ann.properties["bag"] == {"wood": 2}
        hut = rig.game.entity(result["built"])
        assert hut is not None
        assert (hut.name, hut.properties) == ("ann's hut", {"kind": "hut", "owner": "ent_ann", "by": "ann"})
        assert (hut.x, round(hut.z, 3)) == (ann.x, 102.0), "in front of the player"
        assert hut.id in rig.stored

    def test_those_near_hear_of_it(self, rig: Rig) -> None:
        ann = self.free_spot(rig)
        rig.enter("bob", ann.x + 10, ann.z)
        rig.enter("far", ann.x, 195.0)
        endow(rig, ann, wood=3, stone=2)
        rig.do("ann", "build", what="campfire")
        [(_, sessions, params)] = rig.events()
        assert sorted(sessions) == ["ses_ann", "ses_bob"]
        assert (params["type"], params["data"]["by"]) == ("built", "ann")

    def test_too_little(self, rig: Rig) -> None:
        ann = self.free_spot(rig)
        endow(rig, ann, wood=3, stone=1)
        before = len(rig.zone.table)
        assert refused(rig, "ann", "build", what="campfire") == "too_little"
        assert (ann.properties["bag"], len(rig.zone.table)) == ({"wood": 3, "stone": 1}, before)

    def test_no_room(self, rig: Rig) -> None:
        ann = self.free_spot(rig)
        endow(rig, ann, wood=30, stone=30)
        rig.do("ann", "build", what="campfire")
        assert refused(rig, "ann", "build", what="campfire") == "no_room"
        edge = rig.enter("bob", 100.0, 199.5)
        endow(rig, edge, wood=30, stone=30)
        assert refused(rig, "bob", "build", what="campfire") == "no_room"

    def test_not_without_end(self, rig: Rig) -> None:
        ann = self.free_spot(rig)
        for number in range(MOST_BUILT):
            rig.game.spawn("item", 150 + number % 5, 5 + number, properties={"kind": "hut", "owner": ann.id})
        endow(rig, ann, wood=30, stone=30)
        assert refused(rig, "ann", "build", what="campfire") == "too_many"

    @pytest.mark.parametrize("what", ["palace", "", None, 7, ["hut"]])
    def test_what_nobody_can_build(self, rig: Rig, what: Any) -> None:
        self.free_spot(rig)
        with pytest.raises(InvalidInput, match="campfire"):
            rig.do("ann", "build", what=what)

    def test_costs_are_things_that_one_can_gather(self) -> None:
        assert {each for cost in COSTS.values() for each in cost} == {"wood", "stone"}


class TestTalk:
    def baker(self, rig: Rig) -> GameEntity:
        [baker] = rig.game.entities("npc")
        return baker

    def test_bread_once(self, rig: Rig) -> None:
        baker = self.baker(rig)
        ann = beside(rig, baker)
        first = rig.do("ann", "talk", target=baker.id)
        assert (first["from"], first["gave"], first["bag"]) == (baker.name, "bread", {"bread": 1})
        lines = [rig.do("ann", "talk", target=baker.id) for _ in range(6)]
        assert all("gave" not in line for line in lines)
        assert len({line["text"] for line in lines}) == 5
        assert ann.properties["bag"] == {"bread": 1}

    def test_only_to_who_is_near(self, rig: Rig) -> None:
        baker = self.baker(rig)
        rig.enter("ann", baker.x + 4, baker.z)
        assert refused(rig, "ann", "talk", target=baker.id) == "too_far"
        assert refused(rig, "ann", "talk", target=a_node(rig).id) == "not_here"

    def test_he_strolls_while_somebody_looks(self, rig: Rig) -> None:
        baker = self.baker(rig)
        home = (baker.x, baker.z)
        rig.tick(400)
        assert (baker.x, baker.z) == home, "asleep"
        rig.enter("ann", baker.x + 15, baker.z)
        ways = []
        for _ in range(600):
            x, z = baker.x, baker.z
            rig.tick()
            ways.append(math.hypot(baker.x - x, baker.z - z))
            assert math.hypot(baker.x - home[0], baker.z - home[1]) < 12.0
        assert sum(ways) > 5.0
        assert max(ways) < 0.1

    def test_and_stops_for_who_comes_near(self, rig: Rig) -> None:
        baker = self.baker(rig)
        rig.enter("ann", baker.x + 2, baker.z)
        rig.tick()
        place = (baker.x, baker.z)
        rig.tick(300)
        assert (baker.x, baker.z) == place
        assert baker.yaw == pytest.approx(math.pi / 2, abs=0.2)


class TestPouch:
    def test_who_leaves_finds_it_again(self, rig: Rig) -> None:
        ann = rig.enter("ann")
        rig.game.set(ann, bag={"wood": 3}, met=["ent_x"])
        rig.stored.clear()
        rig.zone.leave("ses_ann")
        [pouch] = [each for each in rig.game.entities("item") if each.properties["kind"] == "pouch"]
        assert (pouch.name, pouch.x, pouch.properties["bag"]) == ("ann's pouch", 50.0, {"wood": 3})
        assert (rig.stored, rig.dropped) == ([pouch.id], ["ent_ann"]), "both in one commit"
        again = rig.enter("ann", 60.0)
        assert dict(again.properties) == {"bag": {"wood": 3}, "met": ["ent_x"]}
        assert not pouch.exists

    def test_who_has_nothing_leaves_nothing(self, rig: Rig) -> None:
        before = len(rig.zone.table)
        rig.enter("ann")
        rig.zone.leave("ses_ann")
        assert len(list(rig.game.entities())) == before

    def test_others_may_not_have_it(self, rig: Rig) -> None:
        endow(rig, rig.enter("ann"), wood=3)
        rig.zone.leave("ses_ann")
        [pouch] = [each for each in rig.game.entities("item") if each.properties["kind"] == "pouch"]
        bob = rig.enter("bob")
        assert refused(rig, "bob", "gather", target=pouch.id) == "not_yours"
        seen = rig.ask("bob", "state.sync.request", {})["entities"]
        assert all("bag" not in each["properties"] for each in seen)
        assert dict(bob.properties) == {}

    def test_one_from_another_time_is_picked_up_by_hand(self, rig: Rig) -> None:
        ann = rig.enter("ann")
        endow(rig, ann, wood=98)
        kept = {"kind": "pouch", "owner": "ent_ann", "bag": {"wood": 3, "bread": 1}}
        pouch = rig.game.spawn("item", 51, 50, properties=kept)
        assert rig.do("ann", "gather", target=pouch.id)["bag"] == {"wood": 99, "bread": 1}
        assert not pouch.exists
