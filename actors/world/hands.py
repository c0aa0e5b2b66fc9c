"""The executor's hands on the real world: calls to zones, the two stores, and what makes actors."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from actors.world.record import WorldRecord
from cluster.ports.actors import ANYWHERE, Actors, Place
from cluster.ports.calls import Calls, zone_actor
from cluster.ports.zones import ZoneStore
from cluster.zone_calls import ZoneOwners

INFO_DEADLINE_S = 2.0
CALL_DEADLINE_S = 5.0
PROMOTE_DEADLINE_S = 8.0  # the zone itself tries for a shorter time

Save = Callable[[WorldRecord], Awaitable[None]]


class RealmHands:
    """Implements `actors.world.executor.Hands`."""

    def __init__(self, calls: Calls, owners: ZoneOwners, zones: ZoneStore, actors: Actors, save: Save) -> None:
        self._calls = calls
        self._owners = owners
        self._zones = zones
        self._actors = actors
        self._save = save

    async def save(self, record: WorldRecord) -> None:
        await self._save(record)

    async def start(self, zone_id: str, slot: int, node: str) -> None:
        await self._actors.make("zone", zone_actor(zone_id, slot), Place(node) if node else ANYWHERE)

    async def stop(self, zone_id: str, slot: int) -> None:
        await self._actors.kill(zone_actor(zone_id, slot))

    async def info(self, zone_id: str, slot: int) -> Mapping[str, Any]:
        said: Mapping[str, Any] = await self._calls.call(zone_actor(zone_id, slot), "info", deadline_s=INFO_DEADLINE_S)
        return said

    async def owner(self, zone_id: str) -> int:
        return (await self._zones.owner(zone_id)).slot

    async def promote(self, zone_id: str, slot: int) -> None:
        await self._calls.call(zone_actor(zone_id, slot), "promote", deadline_s=PROMOTE_DEADLINE_S)

    async def remap(self, zone_id: str, world_map: bytes) -> None:
        await self._owners.call(zone_id, "remap", world_map, deadline_s=CALL_DEADLINE_S, idempotent=True)

    async def retire(self, zone_id: str) -> bool:
        return bool(await self._owners.call(zone_id, "retire", deadline_s=CALL_DEADLINE_S, idempotent=True))
