"""The entities of a zone as columns: row `n` of every column is entity number `n`.

Numbers are short names (0..capacity-1) that views use instead of ids. A freed number rests until the tick after,
so that every viewer has been told of the leave before the number means something else.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from actors.zone.acceleration import Motion
from actors.zone.arrivals import Standing
from cluster.errors import RateLimited

NO_GATEWAY = -1


@dataclass(slots=True)
class Entity:
    """What is not a column: ids and properties, which change seldom.

    `incarnation` grows with every entity the zone ever had; `attach_epoch` is the session's, and orders its gateways. `owner` is
    empty for an entity of this zone; a ghost's is the zone that it belongs to. `transfer` grows with every hand-over from zone to
    zone.
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
    owner: str = ""
    transfer: int = 0

    @property
    def link_dead(self) -> bool:
        """A player without a connection, for its grace period."""
        return bool(self.session_id) and not self.gateway_id


class EntityTable:
    """Columns for `capacity` entities. Positions are metres; `yaw` radians. `by_session` has this zone's own, `by_id` the ghosts
    too.

    `mine`: alive and no ghost. `frozen`: being handed over, moves no more. `kind`: which limits it has (movement.py).
    """

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.position = np.zeros((capacity, 3), np.float32)
        self.yaw = np.zeros(capacity, np.float32)
        self.sequence = np.zeros(capacity, np.uint32)
        self.alive = np.zeros(capacity, bool)
        self.mine = np.zeros(capacity, bool)
        self.frozen = np.zeros(capacity, bool)
        self.gateway = np.full(capacity, NO_GATEWAY, np.int32)
        self.budget = np.zeros(capacity)  # metres the entity may still go
        self.budget_at = np.zeros(capacity)  # seconds, on the zone's clock
        self.kind = np.zeros(capacity, np.int16)
        self.motion = Motion(capacity)
        self.by_number: dict[int, Entity] = {}
        self.by_session: dict[str, Entity] = {}
        self.by_id: dict[str, Entity] = {}
        self._free: deque[int] = deque(range(capacity))  # with those that were reserved since
        self._reserved: set[int] = set()
        self._is_free = np.ones(capacity, bool)
        self._resting: list[int] = []
        self._kinds: Mapping[str, int] = {}

    def __len__(self) -> int:
        """With ghosts: each takes a number."""
        return len(self.by_number)

    @property
    def room(self) -> int:
        return len(self._free) - len(self._reserved)

    def next_number(self) -> int:
        """A free number. Raises RateLimited when the zone is full."""
        while self._free:
            number = self._free.popleft()
            if number not in self._reserved:
                self._is_free[number] = False
                return number
            self._reserved.remove(number)
        raise RateLimited("zone_full", retry_after_s=5.0)

    def reserve(self, number: int) -> None:
        """Take a given number, as a restored zone must. Raises ValueError if it is not free."""
        if not self._is_free[number]:
            raise ValueError(f"{number} is not free")
        if number in self._reserved:  # it was, then it was freed: it is in the queue twice
            self._free.remove(number)
        # It stays in the queue until its turn comes: to look for it would make the restart of a full zone take seconds.
        self._reserved.add(number)
        self._is_free[number] = False

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
        self.by_id[entity.entity_id] = entity
        self.position[number] = (x, y, z)
        self.yaw[number] = yaw
        self.sequence[number] = sequence
        self.budget[number] = budget
        self.budget_at[number] = now
        self.gateway[number] = NO_GATEWAY
        self.alive[number] = True
        self.own(number)

    def own(self, number: int) -> None:
        """As the entity's `owner` says: this zone's own, or a ghost."""
        entity = self.by_number[number]
        self.mine[number] = not entity.owner
        self.frozen[number] = False
        self.kind[number] = self._kinds.get(entity.entity_type, 0)
        self.motion.forget(number)
        if entity.owner:
            self.gateway[number] = NO_GATEWAY
            if self.by_session.get(entity.session_id) is entity:
                del self.by_session[entity.session_id]
        elif entity.session_id:
            self.by_session[entity.session_id] = entity

    def replace(self, entity: Entity) -> None:
        """Another value for an entity that is here, under the same number."""
        self.by_number[entity.number] = entity
        self.by_id[entity.entity_id] = entity
        self.own(entity.number)

    def standing(self, number: int) -> Standing:
        x, y, z = (float(v) for v in self.position[number])
        entity_id = self.by_number[number].entity_id
        return Standing(entity_id, number, x, y, z, float(self.yaw[number]), int(self.sequence[number]))

    def remove(self, number: int) -> Entity:
        entity = self.by_number.pop(number)
        if self.by_session.get(entity.session_id) is entity:
            del self.by_session[entity.session_id]
        del self.by_id[entity.entity_id]
        self.alive[number] = self.mine[number] = self.frozen[number] = False
        self.gateway[number] = NO_GATEWAY
        self._resting.append(number)
        return entity

    def learn_kinds(self, kinds: Mapping[str, int]) -> None:
        """The kind of each type of entity that has limits of its own; 0 for all others."""
        self._kinds = kinds
        for number, entity in self.by_number.items():
            self.kind[number] = kinds.get(entity.entity_type, 0)

    def end_tick(self) -> None:
        """Numbers freed before this tick may be used again."""
        self._free.extend(self._resting)
        self._is_free[self._resting] = True
        self._resting.clear()
