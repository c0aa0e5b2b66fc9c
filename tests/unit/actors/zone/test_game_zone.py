"""What a game may do with its zone, and what it may not (rows 7.6 and 7.11)."""

from __future__ import annotations

import math
from typing import Any

import pytest

from cluster.errors import Conflict, InvalidInput, NotFound, RateLimited, Unavailable
from cluster.world_settings import Obstacle
from cluster.worldmap import MapZone, WorldMap
from tests.unit.actors.game_rig import GROUND, Diary, Rig, diary
from tests.unit.actors.zone_model import move


class TestEntities:
    @pytest.fixture
    def rig(self) -> Rig:
        return Rig(Diary).start()

    def test_spawned_durably(self, rig: Rig) -> None:
        diary(rig).log.clear()
        tree = rig.game.spawn("item", 10, 20, y=1, yaw=0.5, name="Tree", properties={"left": 3}, entity_id="ent_t")
        assert (tree.id, tree.type, tree.name, tree.is_player) == ("ent_t", "item", "Tree", False)
        assert (tree.x, tree.y, tree.z, tree.yaw) == (10.0, 1.0, 20.0, 0.5)
        assert (dict(tree.properties), tree.version, tree.exists) == ({"left": 3}, 1, True)
        assert rig.stored == ["ent_t"]
        assert rig.game.entity("ent_t") == tree
        assert diary(rig).log == [], "a game knows what it does"
        with pytest.raises(Conflict):
            rig.game.spawn("item", 0, 0, entity_id="ent_t")

    def test_ids_of_its_own_are_nobody_elses(self) -> None:
        ids = [Rig(Diary, epoch=epoch).start().game.spawn("item", 1, 1).id for epoch in (1, 2)]
        again = Rig(Diary, epoch=1).start()
        assert len({*ids, again.game.spawn("item", 1, 1).id, again.game.spawn("item", 1, 1).id}) == 3
        assert all(len(each) <= 64 for each in ids)

    @pytest.mark.parametrize(
        "wrong",
        [
            {"type": "player"},
            {"type": ""},
            {"type": "x" * 33},
            {"x": math.nan},
            {"z": math.inf},
            {"x": "east"},
            {"name": "x" * 41},
            {"entity_id": ""},
            {"entity_id": "x" * 65},
            {"properties": {"deep": [[[[[[[[[1]]]]]]]]]}},
            {"properties": {"nan": math.nan}},
            {"properties": {"thing": object()}},
        ],
    )
    def test_what_cannot_be_spawned(self, rig: Rig, wrong: dict[str, Any]) -> None:
        with pytest.raises(InvalidInput):
            rig.game.spawn(**({"type": "item", "x": 1, "z": 1} | wrong))
        assert (len(rig.zone.table), rig.stored) == (0, [])

    def test_a_full_zone(self) -> None:
        rig = Rig(Diary, capacity=2).start()
        for _ in range(2):
            rig.game.spawn("item", 1, 1)
        with pytest.raises(RateLimited):
            rig.game.spawn("item", 1, 1)

    def test_despawned(self, rig: Rig) -> None:
        tree = rig.game.spawn("item", 10, 20)
        rig.game.despawn(tree)
        assert (rig.dropped, tree.exists, rig.game.entity(tree.id)) == ([tree.id], False, None)
        assert list(rig.game.entities()) == []
        for late in (lambda: rig.game.despawn(tree), lambda: rig.game.set(tree, left=1), lambda: tree.x):
            with pytest.raises(NotFound):
                late()

    def test_players_are_not_the_games(self, rig: Rig) -> None:
        ann = rig.enter("ann")
        with pytest.raises(InvalidInput):
            rig.game.despawn(ann)
        with pytest.raises(InvalidInput):
            rig.game.place(ann, 1, 1, 0)
        assert ann.is_player

    def test_set_is_versioned_and_durable(self, rig: Rig) -> None:
        ann = rig.enter("ann")
        rig.stored.clear()
        assert rig.game.set(ann, gold=5, hat="red") == 2
        assert rig.game.set(ann, hat=None) == 3
        assert (dict(ann.properties), ann.version, rig.stored) == ({"gold": 5}, 3, ["ent_ann"] * 2)

    def test_a_value_that_contains_itself(self, rig: Rig) -> None:
        ann = rig.enter("ann")
        loop: list[Any] = []
        loop.append(loop)
        wide: Any = [1]
        for _ in range(7):
            wide = [wide] * 1_000
        for value in (loop, {"self": loop}, wide, "\ud800", {1: 2}):
            with pytest.raises(InvalidInput):
                rig.game.set(ann, value=value)
        assert dict(ann.properties) == {}

    def test_properties_are_read_only(self, rig: Rig) -> None:
        ann = rig.enter("ann")
        with pytest.raises(TypeError):
            ann.properties["gold"] = 1  # type: ignore[index]
        with pytest.raises(AttributeError):
            ann.x = 1.0  # type: ignore[misc]

    def test_while_the_store_is_away(self, rig: Rig) -> None:
        ann, tree = rig.enter("ann"), rig.game.spawn("npc", 5, 5)
        rig.away = True
        assert not rig.game.writable
        for change in (
            lambda: rig.game.set(ann, gold=1),
            lambda: rig.game.spawn("item", 1, 1),
            lambda: rig.game.despawn(tree),
        ):
            with pytest.raises(Unavailable):
                change()
        assert (dict(ann.properties), len(rig.zone.table), rig.dropped) == ({}, 2, [])
        assert rig.game.place(tree, 6, 5, 0), "moves go on"

    def test_who_is_crossing_is_not_here(self, rig: Rig) -> None:
        tree = rig.game.spawn("item", 10, 20, entity_id="ent_t")
        rig.zone.table.frozen[rig.zone.table.by_id["ent_t"].number] = True
        assert rig.game.entity("ent_t") is None
        assert list(rig.game.entities("item")) == []
        assert rig.game.near(10, 20, 5) == []
        assert not tree.exists
        with pytest.raises(NotFound):
            rig.game.set(tree, left=1)

    def test_nearest_first(self, rig: Rig) -> None:
        for number, x in enumerate((10.0, 14.0, 11.0, 30.0)):
            rig.game.spawn("item", x, 10.0, entity_id=f"ent_{number}")
        rig.enter("ann", 12.0, 10.0)
        assert [e.id for e in rig.game.near(10, 10, 5)] == ["ent_0", "ent_2", "ent_ann", "ent_1"]
        assert [e.id for e in rig.game.near(10, 10, 5, "item")] == ["ent_0", "ent_2", "ent_1"]
        assert [e.distance(rig.game.near(10, 10, 1)[0]) for e in rig.game.near(10, 10, 2, "player")] == [2.0]

    def test_placed_where_one_can_go(self) -> None:
        rig = Rig(Diary, obstacles=(Obstacle(rect=(20, 0, 22, 100)),)).start()
        cat = rig.game.spawn("npc", 10, 10)
        assert rig.game.place(cat, 12, 11, 1.0)
        assert (cat.x, cat.z, round(cat.yaw, 3)) == (12.0, 11.0, 1.0)
        assert not rig.game.place(cat, 30, 11, 0), "a wall"
        assert not rig.game.place(cat, -5, 11, 0), "no ground"
        assert (cat.x, cat.z) == (12.0, 11.0)
        with pytest.raises(InvalidInput):
            rig.game.place(cat, math.nan, 0, 0)

    def test_the_dice_are_the_same_at_every_run(self) -> None:
        assert Rig(Diary).start().game.rng.random() == Rig(Diary).start().game.rng.random()

    def test_the_ground(self) -> None:
        rig = Rig(Diary)
        assert (rig.game.id, rig.game.declared, rig.game.whole, rig.game.bounds) == (
            "zon_test",
            "zon_test",
            True,
            GROUND,
        )
        half = GROUND.model_copy(update={"max_x": 50.0})
        rig.zone.remap(WorldMap(2, (MapZone("zon_test", "Test", half, "zon_test"),)))
        assert (rig.game.whole, rig.game.bounds) == (False, half)
        gone = Rig(Diary, world_map=WorldMap(2, (MapZone("zon_test", "Test", GROUND, "zon_test", into="zon_other"),)))
        assert not gone.game.whole, "its ground is another's, and so is what stood on it"
        part = Rig(Diary, world_map=WorldMap(2, (MapZone("zon_test", "Test", GROUND, "zon_other"),)))
        assert part.game.declared == "zon_other"


class TestShots:
    """A target runs along x; a shooter sees it where it was 4 ticks ago."""

    @pytest.fixture
    def rig(self) -> Rig:
        rig = Rig(Diary).start()
        rig.enter("ann", 50.0, 40.0)
        rig.enter("bob", 40.0, 50.0, gateway="gtw_b")
        number = rig.entity("bob").number
        for step in range(1, 31):
            rig.zone.take_input("gtw_b", move(number, step, 40.0 + 0.35 * step, 50.0))
            rig.tick()
        return rig

    def yaw(self, tick: int) -> float:
        """Where the shooter has to aim at what it sees."""
        return math.atan2(40.0 + 0.35 * tick - 50.0, 10.0)

    def test_judged_where_it_was_seen(self, rig: Rig) -> None:
        ann, seen = rig.game.entity("ent_ann"), rig.game.tick - 4
        assert ann is not None
        met = rig.game.hit(ann, self.yaw(seen), 30, 0.5, seen)
        assert met is not None
        assert met.id == "ent_bob"
        assert rig.game.hit(ann, self.yaw(seen), 30, 0.5, seen, compensate=False) is None
        assert rig.game.hit(ann, self.yaw(rig.game.tick), 30, 0.5) == met

    def test_not_further_back_than_is_allowed(self, rig: Rig) -> None:
        ann = rig.game.entity("ent_ann")
        assert ann is not None
        long_ago = rig.game.tick - 20
        assert rig.game.hit(ann, self.yaw(long_ago), 30, 0.5, long_ago) is None

    def test_of_a_type(self, rig: Rig) -> None:
        ann, now = rig.game.entity("ent_ann"), rig.game.tick
        assert ann is not None
        rig.game.spawn(
            "item", 50.0 + 5 * math.sin(self.yaw(now)), 40.0 + 5 * math.cos(self.yaw(now)), entity_id="ent_t"
        )
        rig.tick()
        now = rig.game.tick - 1
        nearest = rig.game.hit(ann, self.yaw(now), 30, 0.5)
        player = rig.game.hit(ann, self.yaw(now), 30, 0.5, type="player")
        assert (nearest and nearest.id, player and player.id) == ("ent_t", "ent_bob")


class TestEvents:
    @pytest.fixture
    def rig(self) -> Rig:
        rig = Rig(Diary).start()
        rig.enter("ann", 50.0)
        rig.enter("bob", 52.0)
        rig.enter("cid", 54.0, gateway="gtw_b")
        rig.enter("far", 90.0)
        return rig

    def test_to_one(self, rig: Rig) -> None:
        ann = rig.game.entity("ent_ann")
        assert ann is not None
        rig.tick()
        rig.game.tell(ann, "hello", {"n": 1})
        assert rig.events() == [("gtw_a", ["ses_ann"], {"type": "hello", "data": {"n": 1}, "tick": 1})]
        assert rig.events() == []

    def test_to_all_near_once_for_each_gateway(self, rig: Rig) -> None:
        rig.game.spawn("item", 50, 50)
        rig.game.tell_near(50, 50, 10, "bang")
        said = {"type": "bang", "data": None, "tick": 0}
        assert rig.events() == [("gtw_a", ["ses_ann", "ses_bob"], said), ("gtw_b", ["ses_cid"], said)]

    def test_their_order_is_kept(self, rig: Rig) -> None:
        ann = rig.game.entity("ent_ann")
        assert ann is not None
        for kind in ("a", "b", "a"):
            rig.game.tell(ann, kind)
        assert [params["type"] for _, _, params in rig.events()] == ["a", "b", "a"]

    def test_who_cannot_hear(self, rig: Rig) -> None:
        ann, tree = rig.game.entity("ent_ann"), rig.game.spawn("item", 1, 1)
        assert ann is not None
        rig.zone.detach("ses_ann", 2)
        rig.game.tell(ann, "hello")
        rig.game.tell(tree, "hello")
        assert rig.events() == []

    @pytest.mark.parametrize("data", [object(), math.nan, "x" * 5_000, [[[[[[[[[1]]]]]]]]]])
    def test_what_cannot_be_said(self, rig: Rig, data: Any) -> None:
        ann = rig.game.entity("ent_ann")
        assert ann is not None
        with pytest.raises(InvalidInput):
            rig.game.tell(ann, "hello", data)

    def test_they_are_bounded(self, rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("actors.zone.game.MAX_EVENTS", 3)
        ann = rig.game.entity("ent_ann")
        assert ann is not None
        for number in range(5):
            rig.game.tell(ann, "n", number)
        assert rig.host is not None
        assert (len(rig.events()), rig.host.lost_events) == (3, 2)
        rig.game.tell(ann, "n", 5)
        assert len(rig.events()) == 1
