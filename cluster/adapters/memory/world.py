"""The map of the world and the plan for it, in this process."""

from __future__ import annotations

import itertools

from cluster.adapters.memory.zones import OnTheWay, at_once
from cluster.errors import Fenced, Unavailable
from cluster.ports.calls import SUPERVISOR
from cluster.ports.epochs import EpochStore


class MemoryWorldStore:
    """Implements `cluster.ports.zones.WorldStore`. `on_the_way`: as of MemoryZoneStore."""

    def __init__(self, epochs: EpochStore, on_the_way: OnTheWay = at_once) -> None:
        self._epochs = epochs
        self._on_the_way = on_the_way
        self._numbers = itertools.count(1)
        self._world = (b"", b"")
        self._written = (0, 0)

    async def load(self) -> tuple[bytes, bytes]:
        return self._world

    async def save(self, epoch: int, world_map: bytes, plan: bytes) -> None:
        write = (epoch, next(self._numbers))
        await self._on_the_way()
        if epoch < 1 or await self._epochs.current("supervisor", SUPERVISOR) != epoch:
            raise Fenced("a newer supervisor exists")
        if self._written > write:
            raise Unavailable("memory")
        self._world, self._written = (world_map, plan), write
        await self._on_the_way()
