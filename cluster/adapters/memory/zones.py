"""What zones keep, in this process."""

from __future__ import annotations

from collections import defaultdict

from cluster.errors import Fenced
from cluster.ports.epochs import EpochStore
from cluster.ports.zones import StoredZone


class MemoryZoneStore:
    """Implements `cluster.ports.zones.ZoneStore`."""

    def __init__(self, epochs: EpochStore) -> None:
        self._epochs = epochs
        self._entities: defaultdict[str, dict[str, bytes]] = defaultdict(dict)
        self._places: dict[str, tuple[bytes, float]] = {}

    async def load(self, zone_id: str) -> StoredZone:
        places, at = self._places.get(zone_id, (b"", 0.0))
        return StoredZone(dict(self._entities[zone_id]), places, at)

    async def put_entity(self, zone_id: str, epoch: int, entity_id: str, data: bytes) -> None:
        await self._check(zone_id, epoch)
        self._entities[zone_id][entity_id] = data

    async def drop_entity(self, zone_id: str, epoch: int, entity_id: str) -> None:
        await self._check(zone_id, epoch)
        self._entities[zone_id].pop(entity_id, None)

    async def save_places(self, zone_id: str, epoch: int, places: bytes, now: float) -> None:
        await self._check(zone_id, epoch)
        self._places[zone_id] = (places, now)

    async def _check(self, zone_id: str, epoch: int) -> None:
        if await self._epochs.current("zone", zone_id) != epoch:
            raise Fenced(f"a newer incarnation of {zone_id} exists")
