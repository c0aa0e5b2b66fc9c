"""What a game sees of its zone (row 7.6): entities as light handles, and a few things to do with them.

A game reaches nothing else. Everything here is to be called inside a hook; handles may be kept, and say so when the entity is gone.
"""

from __future__ import annotations

import hashlib
import math
import random
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol

import numpy as np

from actors.zone.entities import Entity, EntityTable
from actors.zone.game_entity import GameEntity, Index
from actors.zone.properties import check_change, check_value, check_whole, size_of
from cluster.errors import InvalidInput, NotFound, Unavailable
from cluster.world_settings import Bounds

MAX_ID = 64
MAX_NAME = 40
MAX_TYPE = 32
MAX_EVENT_BYTES = 4_096
MAX_COORDINATE = 1e9
PLAYER = "player"


class World(Protocol):
    """What a game's zone, and the desk that takes calls (calls.py), need of the zone.

    `declared`: the operator's zone that this one came from. `whole`: it is that zone, with all its ground. `wall`: Unix seconds.
    `away`: the store does not answer, and durable changes must not be made. `writes`: how many were made so far.
    """

    @property
    def id(self) -> str: ...
    @property
    def epoch(self) -> int: ...
    @property
    def bounds(self) -> Bounds: ...
    @property
    def declared(self) -> str: ...
    @property
    def whole(self) -> bool: ...
    @property
    def ticks(self) -> int: ...
    @property
    def wall(self) -> float: ...
    @property
    def away(self) -> bool: ...
    @property
    def writes(self) -> int: ...
    @property
    def table(self) -> EntityTable: ...

    def of_session(self, session_id: str) -> Entity:
        """Raises Elsewhere if it was or is being handed over, InvalidState if the zone knows nothing of it."""

    def snapshot(self, session_id: str) -> dict[str, Any]: ...

    def describe(self, number: int, viewer: int) -> dict[str, Any]:
        """The entity as `viewer` may see it."""

    def change(self, entity: Entity, properties: Mapping[str, Any]) -> int:
        """Durable. None removes a property. Returns the new version."""

    def spawn(
        self,
        entity_id: str,
        entity_type: str,
        name: str,
        at: tuple[float, float, float, float],
        properties: Mapping[str, Any],
    ) -> Entity:
        """Durable; `at` is x, y, z, yaw. Raises Conflict if there is one of that id, RateLimited if the zone is full."""

    def despawn(self, entity: Entity) -> None:
        """Durable; an own entity without a session."""

    def walk(self, number: int, x: float, z: float, yaw: float) -> bool:
        """Put an own entity there unless an obstacle is in its way, or no ground. Returns whether it is there."""

    def watched(self) -> np.ndarray:
        """A mask by number: somebody sees it."""

    def ray(self, number: int, yaw: float, reach: float, radius: float, seen_tick: float) -> list[int]:
        """Whom a ray from the entity meets, nearest first, where they stood at `seen_tick` (0: now; see row 7.11)."""


class GameZone:
    """The zone, as its game has it. What belongs to a neighbouring zone is not here, though players may see it.

    Durable changes (`spawn`, `despawn`, `set`) are made at once, are kept with the tick's commit, and raise Unavailable while the
    store is away (see `writable`), changing nothing.
    """

    def __init__(
        self,
        world: World,
        dt: float,
        tell: Callable[[Entity, str, Any], None],
        index: Index,
        announce: Callable[[str, Any], object],
    ) -> None:
        self.rng = random.Random(f"{world.id}/{world.epoch}")  # noqa: S311 - dice, not secrets
        self.dt = dt
        self._world = world
        self._tell = tell
        self._announce = announce
        self._index = index
        self._made = 0

    # --- what is ------------------------------------------------------------------------------------------------

    @property
    def id(self) -> str:
        return self._world.id

    @property
    def declared(self) -> str:
        """The operator's zone that this one is, or was split off."""
        return self._world.declared

    @property
    def whole(self) -> bool:
        """It is a zone of the operator's, and has all the ground that the operator gave it."""
        return self._world.whole

    @property
    def bounds(self) -> Bounds:
        """Its ground at present, metres."""
        return self._world.bounds

    @property
    def tick(self) -> int:
        return self._world.ticks

    @property
    def now(self) -> float:
        """Unix seconds: may be kept in properties, and compared in another process."""
        return self._world.wall

    @property
    def writable(self) -> bool:
        """Durable changes can be made."""
        return not self._world.away

    def entities(self, type: str | None = None) -> Iterator[GameEntity]:  # noqa: A002 - the game's word
        """All, or those of a type."""
        for entity_id in self._index.ids(type):
            found = self.entity(entity_id)
            if found is not None:
                yield found

    def entity(self, entity_id: str) -> GameEntity | None:
        known = self._world.table.by_id.get(entity_id)
        return self._handle(known.number) if known is not None and self._here(known.number) else None

    def near(self, x: float, z: float, radius: float, type: str | None = None) -> list[GameEntity]:  # noqa: A002
        """Within `radius` metres on the ground, nearest first."""
        table = self._world.table
        gap = table.position[:, 0].astype(np.float64) - x, table.position[:, 2].astype(np.float64) - z
        far = gap[0] * gap[0] + gap[1] * gap[1]
        numbers = np.flatnonzero((far <= radius * radius) & table.mine & ~table.frozen)
        numbers = numbers[np.argsort(far[numbers], kind="stable")]
        found = (self._handle(number) for number in numbers.tolist())
        return [entity for entity in found if type is None or entity.type == type]

    def hit(
        self,
        shooter: GameEntity,
        yaw: float,
        reach: float,
        radius: float,
        seen_tick: float = 0,
        compensate: bool = True,
        type: str | None = None,  # noqa: A002
    ) -> GameEntity | None:
        """The nearest entity (of the type) that a shot meets: a ray of `reach` metres; entities are circles of `radius` metres.

        With `compensate`, others stand where the shooter saw them at `seen_tick`, at most `world.rewind_s` ago. 0: where they are.
        """
        met = self._world.ray(self._own(shooter).number, yaw, reach, radius, seen_tick if compensate else 0)
        for number in met:
            if self._here(number) and (type is None or self._world.table.by_number[number].entity_type == type):
                return self._handle(number)
        return None

    # --- what changes -------------------------------------------------------------------------------------------

    def publish(self, topic: str, data: Any) -> None:
        """Tell everybody who listens to the server topic (`system.subscribe`), in all zones: `data`, JSON as Python has it, at most
        8 KiB of it.

        It goes out after the tick, in order and once; what waits is lost if the zone's process dies. Raises InvalidInput.
        """
        self._announce(topic, data)

    def spawn(
        self,
        type: str,  # noqa: A002
        x: float,
        z: float,
        y: float = 0.0,
        yaw: float = 0.0,
        name: str = "",
        properties: Mapping[str, Any] | None = None,
        entity_id: str | None = None,
    ) -> GameEntity:
        """A new entity. Give it an `entity_id` of your own (all zones of a world share them) if you look for it after a restart.

        Raises Conflict if there is one of that id here, RateLimited if the zone is full, InvalidInput, Unavailable.
        """
        properties = dict(properties or {})
        at = _coordinates(x, y, z, yaw)
        _text("type", type, 1, MAX_TYPE)
        _text("name", name, 0, MAX_NAME)
        if type == PLAYER:
            raise InvalidInput([("type", "players enter by themselves")])
        if properties:
            check_whole({}, check_change(properties))
        entity_id = self._fresh_id() if entity_id is None else entity_id
        _text("entity_id", entity_id, 1, MAX_ID)
        self._must_write()
        made = self._world.spawn(entity_id, type, name, at, properties)
        self._index.add(made)
        return self._handle(made.number)

    def despawn(self, entity: GameEntity) -> None:
        """Gone for good. Players cannot be despawned. Raises NotFound, InvalidInput, Unavailable."""
        known = self._own(entity)
        if known.session_id:
            raise InvalidInput([("entity", "players leave by themselves")])
        self._must_write()
        self._index.remove(known)
        self._world.despawn(known)

    def place(self, entity: GameEntity, x: float, z: float, yaw: float) -> bool:
        """Move an entity that is no player. False, and it stays, if an obstacle is in the way or there is no ground.

        Not durable by itself: places are kept every `world.checkpoint_s`.
        """
        known = self._own(entity)
        if known.session_id:
            raise InvalidInput([("entity", "players walk by themselves")])
        x, _, z, yaw = _coordinates(x, 0.0, z, yaw)
        return self._world.walk(known.number, x, z, yaw)

    def set(self, entity: GameEntity, **properties: Any) -> int:
        """Change properties; None removes one. Those who may see them are told with the next tick. Returns the new version.

        Raises NotFound (it is gone, or crossing), InvalidInput (too many, too large, too deep, no JSON), Unavailable.
        """
        known = self._own(entity)
        check_whole(known.properties, check_change(properties))
        self._must_write()
        return self._world.change(known, properties)

    # --- what is said -------------------------------------------------------------------------------------------

    def tell(self, entity: GameEntity, type: str, data: Any = None) -> None:  # noqa: A002
        """A `game.event` to a player, at most once: one without a connection misses it. Ignored for who is no player."""
        known = self._world.table.by_id.get(entity.id)
        _text("type", type, 1, MAX_TYPE)
        _event(data)
        if known is not None and known.gateway_id:
            self._tell(known, type, data)

    def tell_near(self, x: float, z: float, radius: float, type: str, data: Any = None) -> None:  # noqa: A002
        """... to all players within `radius` metres."""
        for entity in self.near(x, z, radius):
            if entity.is_player:
                self.tell(entity, type, data)

    # --- inside -------------------------------------------------------------------------------------------------

    def _handle(self, number: int) -> GameEntity:
        table = self._world.table
        return GameEntity(table, table.by_number[number])

    def _here(self, number: int) -> bool:
        table = self._world.table
        return bool(table.mine[number]) and not table.frozen[number]

    def _own(self, entity: GameEntity) -> Entity:
        known = self._world.table.by_id.get(entity.id)
        if known is None or not self._here(known.number):
            raise NotFound("entity_gone")
        return known

    def _must_write(self) -> None:
        if self._world.away:
            raise Unavailable("redis")

    def _fresh_id(self) -> str:
        """No other zone, and no other incarnation, makes the same."""
        self._made += 1
        text = f"{self._world.id}/{self._world.epoch}/{self._made}"
        return f"ent_{hashlib.blake2b(text.encode(), digest_size=12).hexdigest()}"


def _text(field: str, value: object, least: int, most: int) -> None:
    if not isinstance(value, str) or not least <= len(value) <= most:
        raise InvalidInput([(field, f"{least} to {most} characters")])


def _coordinates(x: float, y: float, z: float, yaw: float) -> tuple[float, float, float, float]:
    try:
        at = float(x), float(y), float(z), float(yaw)
    except (TypeError, ValueError, OverflowError):
        at = math.nan, 0.0, 0.0, 0.0
    if not all(abs(value) <= MAX_COORDINATE for value in at):  # NaN is not
        raise InvalidInput([("place", "metres and radians are finite numbers")])
    return at


def _event(data: Any) -> None:
    check_value(data, "data")
    if size_of(data, "data") > MAX_EVENT_BYTES:
        raise InvalidInput([("data", f"more than {MAX_EVENT_BYTES} bytes")])
