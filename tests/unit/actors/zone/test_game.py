"""Games: hooks at their time, and that nothing that goes wrong in one gets out (row 7.6). What one may do: test_game_zone.py."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import orjson
import pytest
import structlog

from actors.games.api import Behaviour, Game
from actors.zone.game import load_game, with_types
from actors.zone.game_entity import GameEntity
from actors.zone.game_zone import GameZone
from cluster.errors import InvalidState, Ours, SettingsError
from cluster.world_settings import EntityTypeSettings, MovementSettings, WorldSettings
from tests.unit.actors.game_rig import TICK_S, WALL, Diary, Rig, diary


def told(rig: Rig) -> list[tuple[Any, ...]]:
    """What the game was told, without ticks; forgotten then."""
    log, diary(rig).log = diary(rig).log, []
    return [line for line in log if line[0] != "tick"]


class TestHooks:
    def test_a_player_comes_and_goes(self) -> None:
        rig = Rig(Diary).start()
        assert told(rig) == [("start", [])]
        rig.enter("ann", 40.0)
        assert told(rig) == [("enter", "ent_ann", "enter", True)]
        rig.enter("ann")  # the same session once more
        rig.zone.attach("ses_ann", "gtw_b", 2)
        rig.zone.detach("ses_ann", 3)
        assert told(rig) == []
        rig.zone.leave("ses_ann")
        assert told(rig) == [("leave", "ent_ann", "leave", 40.0, None)]

    def test_a_new_process_has_what_there_was(self) -> None:
        rig = Rig(Diary)
        rig.enter("ann")
        rig.start()
        assert told(rig) == [("start", ["ent_ann"]), ("enter", "ent_ann", "restore", True)]
        assert [e.id for e in rig.game.entities("player")] == ["ent_ann"]

    def test_every_tick(self) -> None:
        rig = Rig(Diary).start()
        rig.tick(3)
        assert [line for line in diary(rig).log if line[0] == "tick"] == [("tick", TICK_S)] * 3
        assert rig.game.tick == 3
        assert rig.game.dt == TICK_S
        assert rig.game.now == pytest.approx(WALL + 3 * TICK_S)

    def test_messages_before_ticks(self) -> None:
        rig = Rig(Diary).start()
        rig.enter("ann")
        diary(rig).do = lambda zone, entity, data: diary(rig).log.append(("message", data)) or {"at": zone.tick}
        told(rig)
        assert rig.do("ann", "x", a=1) == {"at": 0}
        assert diary(rig).log == [("message", {"a": 1}), ("tick", TICK_S)]

    @pytest.mark.parametrize("result", [None, [1, 2], "x", {"a": {"b": None}}, 1.5])
    def test_any_json_is_a_result(self, result: Any) -> None:
        rig = Rig(Diary).start()
        rig.enter("ann")
        diary(rig).do = lambda zone, entity, data: result
        assert rig.do("ann", "x") == result

    def test_a_game_without_hooks(self) -> None:
        rig = Rig(Game).start()
        rig.enter("ann")
        with pytest.raises(InvalidState, match="not understood"):
            rig.do("ann", "x")
        rig.zone.leave("ses_ann")
        rig.tick()
        assert rig.host is not None
        assert not rig.host.errors


class TestContainment:
    @pytest.mark.parametrize("hook", ["on_start", "on_enter", "on_leave", "on_tick"])
    def test_a_hook_that_raises(self, hook: str) -> None:
        def broken(*_: Any) -> None:
            raise KeyError("nobody thought of that")

        rig = Rig(type("Broken", (Game,), {hook: broken}))
        with structlog.testing.capture_logs() as logs:
            rig.start()
            rig.enter("ann")
            rig.tick(3)
            rig.zone.leave("ses_ann")
            rig.tick()
        assert rig.host is not None
        assert rig.host.errors == {hook: 4 if hook == "on_tick" else 1}
        assert [(line["event"], line["hook"]) for line in logs] == [("game_failed", hook)], "one line, however often"
        assert rig.zone.ticks == 4

    def test_lines_come_again_and_tell_how_many_there_were(self) -> None:
        class Broken(Game):
            def on_tick(self, zone: GameZone, dt: float) -> None:
                raise ValueError

        rig = Rig(Broken).start()
        with structlog.testing.capture_logs() as logs:
            rig.tick(5)
            rig.timer += 11.0
            rig.tick()
        assert [line["not_logged"] for line in logs] == [0, 4]

    @pytest.mark.parametrize("result", [{1, 2}, object(), {"x": object()}, {1: 2}, {"x": "y" * 70_000}])
    def test_a_message_that_fails_costs_its_caller(self, result: Any) -> None:
        rig = Rig(Diary).start()
        rig.enter("ann")
        diary(rig).do = lambda zone, entity, data: result
        with pytest.raises(Ours):
            rig.do("ann", "x")
        assert rig.host is not None
        assert rig.host.errors == {"on_message": 1}
        diary(rig).do = lambda zone, entity, data: {"fine": True}
        assert rig.do("ann", "x") == {"fine": True}

    def test_a_slow_hook_is_counted(self) -> None:
        rig = Rig(Diary).start()
        rig.enter("ann")

        def dawdle(zone: GameZone, entity: GameEntity, data: Any) -> dict[str, Any]:
            rig.timer += 0.013  # a tick is 0.05
            return {}

        diary(rig).do = dawdle
        with structlog.testing.capture_logs() as logs:
            rig.do("ann", "x")
        assert rig.host is not None
        assert rig.host.slow == {"on_message": 1}
        assert [(line["event"], line["milliseconds"]) for line in logs] == [("game_slow", 13.0)]

    def test_an_outage_is_no_error_of_the_games(self) -> None:
        class Writing(Game):
            def on_tick(self, zone: GameZone, dt: float) -> None:
                zone.spawn("item", 1, 1)

        rig = Rig(Writing).start()
        rig.away = True
        rig.tick(2)
        assert rig.host is not None
        assert (rig.host.errors, rig.host.unavailable) == ({}, 2)
        assert len(rig.zone.table) == 0

    def test_a_game_that_cannot_be_made(self) -> None:
        class Broken(Game):
            def __init__(self) -> None:
                raise RuntimeError("no map")

        with pytest.raises(SettingsError, match="no map"):
            Rig(Broken)


class Sheep(Behaviour):
    log: ClassVar[list[str]] = []

    def tick(self, zone: GameZone, entity: GameEntity, dt: float) -> None:
        self.log.append(entity.id)
        if entity.properties.get("mad"):
            raise ValueError("mad")


class Dog(Behaviour):
    log: ClassVar[list[str]] = []

    def tick(self, zone: GameZone, entity: GameEntity, dt: float) -> None:
        self.log.append(entity.id)


class Farm(Game):
    behaviours: ClassVar[Mapping[str, type[Behaviour]]] = {"sheep": Sheep, "ent_rex": Dog}


class TestBehaviours:
    @pytest.fixture
    def rig(self) -> Rig:
        Sheep.log.clear()
        Dog.log.clear()
        rig = Rig(Farm).start()
        for number, x in enumerate((10.0, 12.0, 90.0)):
            rig.game.spawn("sheep", x, 10.0, entity_id=f"ent_{number}")
        rig.game.spawn("sheep", 14.0, 10.0, entity_id="ent_rex")
        return rig

    def test_they_sleep_when_nobody_is_near(self, rig: Rig) -> None:
        rig.tick(5)
        assert Sheep.log == Dog.log == []

    def test_and_wake_up_for_a_player(self, rig: Rig) -> None:
        rig.enter("ann", 11.0, 10.0)
        rig.tick(2)
        assert Sheep.log == ["ent_0", "ent_1"], "ent_2 is far away"
        assert Dog.log == ["ent_rex"], "an entity's own behaviour goes before its type's"
        rig.zone.leave("ses_ann")
        rig.tick()
        Sheep.log.clear()
        rig.tick()
        assert Sheep.log == []

    def test_one_that_fails_does_not_stop_the_others(self, rig: Rig) -> None:
        rig.enter("ann", 11.0, 10.0)
        rig.tick()
        first = rig.game.entity("ent_0")
        assert first is not None
        rig.game.set(first, mad=True)
        rig.tick()
        assert Sheep.log == ["ent_0", "ent_1"]
        assert rig.host is not None
        assert rig.host.errors == {"behaviour sheep": 1}


class TestVisibility:
    def test_a_game_says_who_sees_what(self) -> None:
        class Secretive(Game):
            types: ClassVar[Mapping[str, EntityTypeSettings]] = {
                "player": EntityTypeSettings(visibility={"bag": "owner"})
            }

        rig = Rig(Secretive).start()
        ann = rig.enter("ann")
        rig.enter("bob", 52.0)
        rig.game.set(ann, bag={"gold": 1}, hat="red")
        rig.tick(2)
        mine, seen = (rig.ask(name, "state.sync.request", {})["entities"] for name in ("ann", "bob"))
        assert mine[0]["properties"] == {"bag": {"gold": 1}, "hat": "red"}
        assert [e["properties"] for e in seen if e["name"] == "ann"] == [{"hat": "red"}]

    def test_the_operator_goes_before(self) -> None:
        class Typed(Game):
            types: ClassVar[Mapping[str, EntityTypeSettings]] = {
                "player": EntityTypeSettings(max_speed=99.0, visibility={"bag": "owner", "hat": "near"}),
                "cat": EntityTypeSettings(max_speed=3.0, max_acceleration=5.0),
            }

        movement = MovementSettings(max_speed=11.0)
        world = WorldSettings(
            types={"cat": EntityTypeSettings(max_speed=4.0), "player": EntityTypeSettings(visibility={"hat": "all"})},
            movement=movement,
        )
        mixed = with_types(world, Typed)
        assert mixed.limits("cat") == EntityTypeSettings(max_speed=4.0, max_acceleration=5.0)
        assert mixed.limits("player").visibility == {"bag": "owner", "hat": "all"}
        assert mixed.limits("player").max_speed == 8.0
        assert with_types(WorldSettings(movement=movement), Typed).limits("player").max_speed == 11.0
        assert with_types(world, None) == world


class TestLoading:
    def test_none(self) -> None:
        assert load_game("") is None

    def test_the_example(self) -> None:
        game = load_game("actors.games.homestead:Homestead")
        assert game is not None
        assert game.__name__ == "Homestead"

    @pytest.mark.parametrize(
        "name", ["no.such.module:Game", "actors.games.homestead:Nothing", "cluster.errors:NotFound", "math:pi"]
    )
    def test_what_is_no_game(self, name: str) -> None:
        with pytest.raises(SettingsError) as refused:
            load_game(name)
        [(setting, reason)] = refused.value.problems
        assert setting == "world.game"
        assert name in reason


def test_metrics() -> None:
    from cluster.telemetry.zone_metrics import ZoneMetrics

    metrics = ZoneMetrics("zon_test")
    rig = Rig(Diary).start()
    assert rig.host is not None
    before = Rig(Diary)
    assert before.host is not None
    for each in (before, rig):  # of the incarnation that works here now
        assert each.host is not None
        metrics.watch_game(each.host)
        metrics.watch_calls(each.desk)
    rig.enter("ann")
    diary(rig).do = lambda zone, entity, data: orjson
    with pytest.raises(Ours):
        rig.do("ann", "x")
    found = {
        sample.name: (sample.labels, sample.value)
        for family in metrics.registry.collect()
        for sample in family.samples
        if sample.name.startswith(("rayrealm_game", "rayrealm_zone_calls"))
    }
    assert found == {
        "rayrealm_game_errors_total": ({"zone_id": "zon_test", "hook": "on_message"}, 1.0),
        "rayrealm_zone_calls_total": ({"zone_id": "zon_test", "method": "game.message"}, 1.0),
    }
