"""The entities of a zone as columns: row `n` of every column is entity number `n`.

Numbers are short names (0..capacity-1) that views use instead of ids. A freed number rests until the tick after,
so that every viewer has been told of the leave before the number means something else.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from cluster.errors import RateLimited

NO_GATEWAY = -1


@dataclass(slots=True)
class Entity:
    """What is not a column: ids and properties, which change seldom.

    `incarnation` grows with every entity the zone ever had; `attach_epoch` is the session's, and orders its gateways.
    """

    number: int
    incarnation: int
    entity_id: str
    entity_type: str
    name: str
    session_id: str
    user_id: str
    character_id: str
    gateway_id: str
    attach_epoch: int
    version: int = 1
    properties: dict[str, Any] = field(default_factory=dict)

    @property
    def link_dead(self) -> bool:
        """A player without a connection, for its grace period."""
        return bool(self.session_id) and not self.gateway_id

    def changed(self, properties: dict[str, Any]) -> Entity:
        """The entity with other properties, one version on."""
        return replace(self, version=self.version + 1, properties=properties)


class EntityTable:
    """Columns for `capacity` entities. Positions are metres, float32 as on the wire; `yaw` radians."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.position = np.zeros((capacity, 3), np.float32)
        self.yaw = np.zeros(capacity, np.float32)
        self.sequence = np.zeros(capacity, np.uint32)
        self.alive = np.zeros(capacity, bool)
        self.gateway = np.full(capacity, NO_GATEWAY, np.int32)
        self.budget = np.zeros(capacity)  # metres the entity may still go
        self.budget_at = np.zeros(capacity)  # seconds, on the zone's clock
        self.by_number: dict[int, Entity] = {}
        self.by_session: dict[str, Entity] = {}
        self.by_id: dict[str, Entity] = {}
        self._free: deque[int] = deque(range(capacity))
        self._resting: list[int] = []

    def __len__(self) -> int:
        return len(self.by_number)

    def next_number(self) -> int:
        """A free number. Raises RateLimited when the zone is full."""
        if not self._free:
            raise RateLimited("zone_full", retry_after_s=5.0)
        return self._free.popleft()

    def reserve(self, number: int) -> None:
        """Take a given number, as a restored zone must."""
        self._free.remove(number)

    def add(
        self,
        entity: Entity,
        x: float,
        y: float,
        z: float,
        yaw: float,
        sequence: int,
        budget: float,
        now: float,
    ) -> None:
        number = entity.number
        self.by_number[number] = entity
        self.by_session[entity.session_id] = entity
        self.by_id[entity.entity_id] = entity
        self.position[number] = (x, y, z)
        self.yaw[number] = yaw
        self.sequence[number] = sequence
        self.budget[number] = budget
        self.budget_at[number] = now
        self.gateway[number] = NO_GATEWAY
        self.alive[number] = True

    def remove(self, number: int) -> Entity:
        entity = self.by_number.pop(number)
        del self.by_session[entity.session_id]
        del self.by_id[entity.entity_id]
        self.alive[number] = False
        self.gateway[number] = NO_GATEWAY
        self._resting.append(number)
        return entity

    def end_tick(self) -> None:
        """Numbers freed before this tick may be used again."""
        self._free.extend(self._resting)
        self._resting.clear()
