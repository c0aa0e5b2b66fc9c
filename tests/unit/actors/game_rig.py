"""A zone with a game and a desk, in one process and without a clock: what tests of games share."""

from __future__ import annotations

from typing import Any

import orjson

from actors.games.api import Game
from actors.zone.calls import CallDesk
from actors.zone.entities import Entity
from actors.zone.game import GameHost, no_game, with_types
from actors.zone.game_entity import GameEntity
from actors.zone.game_world import ZoneWorld
from actors.zone.game_zone import GameZone
from actors.zone.zone import Happening, Zone
from cluster.refusals import from_refusal
from cluster.world_settings import Bounds, InterestSettings, Obstacle, WorldSettings, ZoneSpec
from cluster.worldmap import WorldMap
from realm_proto import internal_pb2
from tests.unit.actors.zone_model import arrival

WALL = 1_800_000_000.0
GROUND = Bounds(min_x=0, min_z=0, max_x=100, max_z=100)
TICK_S = 0.05


class Rig:
    """`away`: the store does not answer; `timer` measures hooks; `stored` and `dropped`: what the writer was told."""

    def __init__(
        self,
        game: type[Game] | None = None,
        ground: Bounds = GROUND,
        capacity: int = 200,
        epoch: int = 1,
        obstacles: tuple[Obstacle, ...] = (),
        world_map: WorldMap | None = None,
    ) -> None:
        spec = ZoneSpec(id="zon_test", name="Test", bounds=ground)
        settings = WorldSettings(
            zones=(spec,),
            spawn_zone=spec.id,
            zone_capacity=capacity,
            interest=InterestSettings(radius=20.0),
            obstacles=obstacles,
        )
        self.now, self.wall, self.away, self.timer = 0.0, WALL, False, 0.0
        self.stored: list[str] = []
        self.dropped: list[str] = []
        self.zone = Zone(spec, with_types(settings, game), epoch)
        self.zone.remap(world_map or WorldMap.declared(settings))
        self.zone.on_change = self.stored.append
        self.zone.on_gone = lambda entity_id, _session_id: self.dropped.append(entity_id)
        self.zone.on_happening = self._happened
        self.world = ZoneWorld(self.zone, lambda: self.away, lambda: self.wall)
        self.host = GameHost(game, self.world, settings.tick_hz, lambda: self.timer) if game is not None else None
        message, guarded = (self.host.message, self.host.guarded) if self.host is not None else (no_game, frozenset())
        self.desk = CallDesk(self.world, message, guarded, timer=lambda: self.timer)
        self._calls = 0

    def _happened(self, happening: Happening) -> None:
        if self.host is None:
            return
        if happening.came:
            self.host.came(happening.entity, happening.why)
        else:
            self.host.left(happening.entity, happening.at, happening.why)

    @property
    def game(self) -> GameZone:
        assert self.host is not None
        return self.host.zone

    def start(self) -> Rig:
        assert self.host is not None
        self.host.start()
        return self

    def enter(self, name: str, x: float = 50.0, z: float = 50.0, **more: Any) -> GameEntity:
        """`name` makes every id, as in zone_model."""
        self.zone.enter(arrival(name, x, z, **more), self.now)
        return GameEntity(self.zone.table, self.entity(name))

    def entity(self, name: str) -> Entity:
        return self.zone.table.by_session[f"ses_{name}"]

    def tick(self, count: int = 1) -> list[Any]:
        """Ticks as the owner of a zone makes them. Returns the answers: (gateway, id, result or error)."""
        answers = []
        for _ in range(count):
            self.now += TICK_S
            self.wall += TICK_S
            done = self.desk.run(self.now)
            if self.host is not None:
                self.host.tick()
            self.zone.tick(self.now)
            self.desk.sent(done)
            answers += [(each.gateway_id, each.id, said(each.answer)) for each in done]
        return answers

    def call(self, name: str, method: str, params: Any, gateway: str = "gtw_a", **more: Any) -> int:
        """A ZoneCall on its way to the desk. Returns its number."""
        self._calls += 1
        call = {"id": self._calls, "session_id": f"ses_{name}", "attach_epoch": 1, "method": method, **more}
        self.desk.take(gateway, [internal_pb2.ZoneCall(params_json=orjson.dumps(params), **call)], self.now)
        return int(call["id"])

    def ask(self, name: str, method: str, params: Any, **more: Any) -> Any:
        """A call and its answer, one tick later. Raises what was refused."""
        number = self.call(name, method, params, **more)
        [answer] = [what for _, call_id, what in self.tick() if call_id == number]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def do(self, name: str, kind: str, **data: Any) -> Any:
        """A game.message; what the game answers."""
        return self.ask(name, "game.message", {"type": kind, "data": data})["result"]

    def events(self) -> list[tuple[str, list[str], dict[str, Any]]]:
        """(gateway, sessions, params) of the game.events since the last time."""
        assert self.host is not None
        told = []
        for gateway_id, data in self.host.notices():
            notice = internal_pb2.GatewayControl.FromString(data).notice
            assert notice.method == "game.event"
            told.append((gateway_id, list(notice.session_ids), orjson.loads(notice.params_json)))
        return told


def said(answer: internal_pb2.ZoneAnswer) -> Any:
    """The result, the error, or `elsewhere ZONE`."""
    match answer.WhichOneof("what"):
        case "result_json":
            return orjson.loads(answer.result_json)
        case "refusal":
            return from_refusal(answer.refusal)
        case "elsewhere":
            return f"elsewhere {answer.elsewhere}"
    return answer


class Diary(Game):
    """Writes down what it is told; `do` is what a message does."""

    def __init__(self) -> None:
        self.log: list[tuple[Any, ...]] = []
        self.do: Any = lambda zone, entity, data: {}

    def on_start(self, zone: GameZone) -> None:
        self.log.append(("start", sorted(e.id for e in zone.entities())))

    def on_enter(self, zone: GameZone, entity: GameEntity, reason: str) -> None:
        self.log.append(("enter", entity.id, reason, zone.entity(entity.id) == entity))

    def on_leave(self, zone: GameZone, entity: GameEntity, reason: str) -> None:
        self.log.append(("leave", entity.id, reason, round(entity.x, 3), zone.entity(entity.id)))

    def on_tick(self, zone: GameZone, dt: float) -> None:
        self.log.append(("tick", dt))

    def on_message(self, zone: GameZone, entity: GameEntity, kind: str, data: Any, seen_tick: float) -> Any:
        return self.do(zone, entity, data)


def diary(rig: Rig) -> Diary:
    assert rig.host is not None
    assert isinstance(rig.host._game, Diary)
    return rig.host._game
