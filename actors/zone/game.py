"""Runs a game inside a zone: its hooks at their time, and nothing that goes wrong in them gets out (row 7.6)."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import orjson
import structlog

from actors.games.api import Behaviour, Game
from actors.zone.arrivals import Standing
from actors.zone.entities import Entity
from actors.zone.game_entity import GameEntity, Index
from actors.zone.game_zone import GameZone, World
from cluster import server_topics
from cluster.errors import InvalidState, Ours, SettingsError, Theirs, Unavailable
from cluster.game_class import load_class
from cluster.telemetry.counts import Tally
from cluster.world_settings import PLAYER, WorldSettings
from realm_proto import internal_pb2

SLOW_SHARE = 0.25  # of a tick
LOG_EVERY_S = 10.0
MAX_RESULT_BYTES = 64 * 1024
MAX_EVENTS = 10_000  # of a tick

log = structlog.get_logger(__name__)


def load_game(name: str) -> type[Game] | None:
    """The class that `world.game` names, None if it is empty. Raises SettingsError: there is none, or it is no game."""
    found = load_class(name)
    if found is not None and not issubclass(found, Game):
        raise SettingsError([("world.game", f"{name} is no actors.games.api.Game")])
    return found


def with_types(world: WorldSettings, game: type[Game] | None) -> WorldSettings:
    """The settings with the game's entity types; what the operator has set goes before.

    How fast players are is the operator's alone: session actors tell clients, and they have no game.
    """
    types = dict(world.types)
    for name, theirs in (game.types if game is not None else {}).items():
        ours = types.get(name)
        said = set() if ours is None else ours.model_fields_set
        limits = set() if name == PLAYER else theirs.model_fields_set - said - {"visibility"}
        changes: dict[str, object] = {field: getattr(theirs, field) for field in limits}
        changes["visibility"] = {**theirs.visibility, **(ours.visibility if ours is not None else {})}
        types[name] = world.limits(name).model_copy(update=changes)
    return world.model_copy(update={"types": types})


def make_game(settings: WorldSettings, world: World, announce: Callable[[str, Any], None]) -> GameHost | None:
    """The host of the game that the settings name. Raises SettingsError."""
    game = load_game(settings.game)
    return GameHost(game, world, settings.tick_hz, announce=announce) if game is not None else None


class GameHost:
    """`errors` and `slow` count by hook; `unavailable`: hooks that wanted to write while the store was away; `lost_events`: over
    the bound of a tick. `timer` measures hooks, in seconds. `announce(topic, data)` publishes to a server topic; without it, it is
    only looked whether that could be.
    """

    def __init__(
        self,
        game: type[Game],
        world: World,
        tick_hz: float,
        timer: Callable[[], float] = time.perf_counter,
        announce: Callable[[str, Any], object] = server_topics.message,
    ) -> None:
        self.errors = Tally()
        self.slow = Tally()
        self.unavailable = 0
        self.lost_events = 0
        self.guarded = game.guarded
        self._world = world
        self._timer = timer
        self._index = Index()
        self._dt = 1.0 / tick_hz
        self._slow_s = SLOW_SHARE / tick_hz
        self._events: dict[str, list[tuple[str, str, Any]]] = {}
        self._waiting = 0
        self._started = False
        self._logged: dict[str, tuple[float, int]] = {}  # hook -> when, and how often since without a line
        self.zone = GameZone(world, self._dt, self._tell, self._index, announce)
        try:
            self._game = game()
            self._behaviours: dict[str, Behaviour] = {name: each() for name, each in game.behaviours.items()}
        except Exception as error:
            raise SettingsError([("world.game", f"{game.__qualname__} cannot be made: {error}")]) from error

    # --- hooks --------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Before the first tick, when the zone's entities are restored. Nothing is told to the game before."""
        self._started = True
        table = self._world.table
        here = [entity for number, entity in sorted(table.by_number.items()) if table.mine[number]]
        for entity in here:
            self._index.add(entity)
        self._run("on_start", lambda: self._game.on_start(self.zone))
        for entity in here:
            self._enter(entity, "restore")

    def came(self, entity: Entity, why: str) -> None:
        """`why`: enter, crossing. To be called before the entry is committed: what the hook changes goes with it."""
        if self._started:
            self._index.add(entity)
            self._enter(entity, why)

    def left(self, entity: Entity, at: Standing, why: str) -> None:
        """`why`: leave, crossing; `at`: where it was. To be called before the leave is committed."""
        self._index.remove(entity)
        handle = GameEntity(self._world.table, entity, at)
        if self._started:
            self._run("on_leave", lambda: self._game.on_leave(self.zone, handle, why))

    def _enter(self, entity: Entity, why: str) -> None:
        handle = GameEntity(self._world.table, entity)
        self._run("on_enter", lambda: self._game.on_enter(self.zone, handle, why))

    def tick(self) -> None:
        """on_tick, then the behaviours of those that somebody sees."""
        self._run("on_tick", lambda: self._game.on_tick(self.zone, self._dt))
        watched = None
        by_id = self._world.table.by_id
        for name, behaviour in self._behaviours.items():
            ids = [name] if name in by_id else self._index.ids(name)
            if not ids:
                continue
            watched = self._world.watched() if watched is None else watched
            awake = [entity_id for entity_id in ids if entity_id in by_id and watched[by_id[entity_id].number]]
            if awake:
                self._behave(name, behaviour, awake)

    def _behave(self, name: str, behaviour: Behaviour, ids: list[str]) -> None:
        hook = f"behaviour {name}"
        began = self._timer()
        for entity_id in ids:
            entity = self.zone.entity(entity_id)
            if entity is None or (entity_id != name and entity_id in self._behaviours):
                continue  # it has a behaviour of its own
            try:
                behaviour.tick(self.zone, entity, self._dt)
            except Unavailable:
                self.unavailable += 1
            except Exception as error:
                self._failed(hook, error)
        self._measured(hook, self._timer() - began)

    def message(self, session_entity: Entity, kind: str, data: Any, seen_tick: float) -> orjson.Fragment:
        """The game's answer, JSON. Raises what the game raises of cluster.errors; Ours for any other failure."""
        entity = GameEntity(self._world.table, session_entity)
        began = self._timer()
        try:
            result = self._game.on_message(self.zone, entity, kind, data, seen_tick)
            return _as_json(result)
        except (Theirs, Unavailable):
            raise
        except Exception as error:
            self._failed("on_message", error)
            raise Ours("the game failed") from error
        finally:
            self._measured("on_message", self._timer() - began)

    def _run(self, hook: str, call: Callable[[], None]) -> None:
        began = self._timer()
        try:
            call()
        except Unavailable:
            self.unavailable += 1
        except Exception as error:
            self._failed(hook, error)
        self._measured(hook, self._timer() - began)

    def _measured(self, hook: str, seconds: float) -> None:
        if seconds > self._slow_s:
            self.slow.add(hook)
            self._log(f"slow {hook}", "game_slow", hook=hook, milliseconds=round(seconds * 1e3, 1))

    def _failed(self, hook: str, error: Exception) -> None:
        self.errors.add(hook)
        self._log(f"failed {hook}", "game_failed", hook=hook, exc_info=error)

    def _log(self, key: str, event: str, **what: Any) -> None:
        """A line now and then: a hook that fails may fail at each tick."""
        now = self._timer()
        at, silent = self._logged.get(key, (float("-inf"), 0))
        if now - at < LOG_EVERY_S:
            self._logged[key] = at, silent + 1
            return
        self._logged[key] = now, 0
        log.error(event, zone=self._world.id, tick=self._world.ticks, not_logged=silent, **what)

    # --- events to players --------------------------------------------------------------------------------------

    def _tell(self, entity: Entity, kind: str, data: Any) -> None:
        if self._waiting >= MAX_EVENTS:
            self.lost_events += 1
            return
        self._waiting += 1
        self._events.setdefault(entity.gateway_id, []).append((entity.session_id, kind, data))

    def notices(self) -> list[tuple[str, bytes]]:
        """(gateway id, GatewayControl) for the events since the last time; to be sent after the tick. One that goes to several is
        said once.
        """
        events, self._events, self._waiting = self._events, {}, 0
        made: list[tuple[str, bytes]] = []
        for gateway_id, told in events.items():
            notices: list[internal_pb2.GatewayNotice] = []
            for session_id, kind, data in told:
                params = orjson.dumps({"type": kind, "data": data, "tick": self._world.ticks})
                if not notices or notices[-1].params_json != params:
                    notices.append(internal_pb2.GatewayNotice(method="game.event", params_json=params))
                notices[-1].session_ids.append(session_id)
            made += ((gateway_id, internal_pb2.GatewayControl(notice=notice).SerializeToString()) for notice in notices)
        return made


def no_game(_entity: Entity, _kind: str, _data: Any, _seen_tick: float) -> Any:
    """What `message` is in a world without a game."""
    raise InvalidState("no_game", "in_world")


def _as_json(result: Any) -> orjson.Fragment:
    """Raises TypeError or ValueError: what an on_message returned is no JSON, or too large."""
    said = orjson.dumps(result)
    if len(said) > MAX_RESULT_BYTES:
        raise ValueError(f"on_message returned more than {MAX_RESULT_BYTES} bytes")
    return orjson.Fragment(said)
