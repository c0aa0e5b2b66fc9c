"""Entities as a game has them (row 7.6): light, read-only handles, and an index of them by type."""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from actors.zone.arrivals import Standing
from actors.zone.entities import Entity, EntityTable
from cluster.errors import NotFound


class GameEntity:
    """An entity, read-only. Two handles of one entity are equal. After it is gone, `exists` is false, and where it was is not known
    any more, but in `on_leave`.
    """

    __slots__ = ("_at", "_entity", "_table")

    def __init__(self, table: EntityTable, entity: Entity, at: Standing | None = None) -> None:
        self._table = table
        self._entity = entity
        self._at = at

    def _now(self) -> Entity:
        """Crossing a border and coming back makes another object of it."""
        known = self._table.by_id.get(self._entity.entity_id)
        if known is not None:
            self._entity = known
        return self._entity

    def _place(self) -> Standing:
        if self._at is not None:
            return self._at
        known = self._table.by_id.get(self._entity.entity_id)
        if known is None:
            raise NotFound("entity_gone")
        return self._table.standing(known.number)

    @property
    def exists(self) -> bool:
        """It is here, and this zone's: one that is just crossing to another is not."""
        known = self._table.by_id.get(self._entity.entity_id)
        return known is not None and bool(self._table.mine[known.number]) and not self._table.frozen[known.number]

    @property
    def id(self) -> str:
        return self._entity.entity_id

    @property
    def type(self) -> str:
        return self._entity.entity_type

    @property
    def name(self) -> str:
        return self._entity.name

    @property
    def version(self) -> int:
        return self._now().version

    @property
    def properties(self) -> Mapping[str, Any]:
        """As they are now. Values are not to be changed in place: `GameZone.set` tells the players and the store."""
        return MappingProxyType(self._now().properties)

    @property
    def is_player(self) -> bool:
        return bool(self._entity.session_id)

    @property
    def link_dead(self) -> bool:
        """A player who has lost the connection."""
        return self._now().link_dead

    @property
    def x(self) -> float:
        return self._place().x

    @property
    def y(self) -> float:
        return self._place().y

    @property
    def z(self) -> float:
        return self._place().z

    @property
    def yaw(self) -> float:
        return self._place().yaw

    def distance(self, other: GameEntity) -> float:
        """Metres on the ground."""
        mine, theirs = self._place(), other._place()
        return math.hypot(mine.x - theirs.x, mine.z - theirs.z)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, GameEntity) and other.id == self.id

    def __hash__(self) -> int:
        return hash(self.id)

    def __repr__(self) -> str:
        return f"<{self.type} {self.id} {self.name!r}>"


class Index:
    """The ids of the zone's own entities by type, in the order in which they came."""

    def __init__(self) -> None:
        self._types: dict[str, dict[str, None]] = {}

    def add(self, entity: Entity) -> None:
        self._types.setdefault(entity.entity_type, {})[entity.entity_id] = None

    def remove(self, entity: Entity) -> None:
        self._types.get(entity.entity_type, {}).pop(entity.entity_id, None)

    def ids(self, entity_type: str | None) -> list[str]:
        if entity_type is not None:
            return list(self._types.get(entity_type, ()))
        return [entity_id for each in self._types.values() for entity_id in each]
