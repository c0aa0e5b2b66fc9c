"""A zone as its game and its desk need it: `game_zone.World` over `zone.Zone`. Plain Python."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from actors.zone.entities import Entity, EntityTable
from actors.zone.history import ray_order
from actors.zone.zone import Zone
from cluster.world_settings import Bounds


class ZoneWorld:
    """`away`: the store does not answer. `wall_clock` is in Unix seconds."""

    def __init__(self, zone: Zone, away: Callable[[], bool], wall_clock: Callable[[], float]) -> None:
        self._zone = zone
        self._away = away
        self._wall_clock = wall_clock

    @property
    def id(self) -> str:
        return self._zone.id

    @property
    def epoch(self) -> int:
        return self._zone.epoch

    @property
    def bounds(self) -> Bounds:
        return self._zone.bounds

    @property
    def declared(self) -> str:
        me = self._zone.borders.me
        return me.declared if me is not None else self._zone.id

    @property
    def whole(self) -> bool:
        me = self._zone.borders.me
        declared = next((spec for spec in self._zone.world.zones if spec.id == self._zone.id), None)
        has_ground = me is not None and not me.into
        return has_ground and declared is not None and declared.bounds == self._zone.bounds

    @property
    def ticks(self) -> int:
        return self._zone.ticks

    @property
    def wall(self) -> float:
        return self._wall_clock()

    @property
    def away(self) -> bool:
        return self._away()

    @property
    def writes(self) -> int:
        return self._zone.writes

    @property
    def table(self) -> EntityTable:
        return self._zone.table

    def of_session(self, session_id: str) -> Entity:
        return self._zone.of_session(session_id)

    def snapshot(self, session_id: str) -> dict[str, Any]:
        return self._zone.snapshot(session_id)

    def describe(self, number: int, viewer: int) -> dict[str, Any]:
        return self._zone.describe(number, viewer)

    def change(self, entity: Entity, properties: Mapping[str, Any]) -> int:
        return self._zone.change(entity, properties)

    def spawn(
        self,
        entity_id: str,
        entity_type: str,
        name: str,
        at: tuple[float, float, float, float],
        properties: Mapping[str, Any],
    ) -> Entity:
        return self._zone.spawn(entity_id, entity_type, name, at, properties)

    def despawn(self, entity: Entity) -> None:
        self._zone.despawn(entity)

    def walk(self, number: int, x: float, z: float, yaw: float) -> bool:
        return self._zone.walk(number, x, z, yaw)

    def watched(self) -> np.ndarray:
        return self._zone.showing.watched()

    def ray(self, number: int, yaw: float, reach: float, radius: float, seen_tick: float) -> list[int]:
        zone = self._zone
        x, _, z = zone.table.position[number].tolist()
        past = zone.history.at(seen_tick if seen_tick else float(zone.ticks))
        targets = past.alive.copy()
        targets[number] = False
        return ray_order(past.position, targets, (x, z), yaw, reach, radius)
