"""What zones keep, in this process, with the same rules as the Lua scripts."""

from __future__ import annotations

import itertools
import sys
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

from cluster.errors import Fenced, NotFound, Unavailable
from cluster.ports.epochs import EpochStore
from cluster.ports.zones import Claimed, Owner, Parcel, StoredZone

OnTheWay = Callable[[], Awaitable[None]]
CLOSED = sys.maxsize  # a number that none is higher than


async def at_once() -> None:
    return None


@dataclass
class _Zone:
    """`arrivals`: (transfer, record). `transfers`: what brought an entity here. `claimed`: the write that claimed it."""

    entities: dict[str, bytes] = field(default_factory=dict)
    arrivals: dict[str, tuple[int, bytes]] = field(default_factory=dict)
    transfers: dict[str, int] = field(default_factory=dict)
    claimed: dict[str, tuple[int, int]] = field(default_factory=dict)
    places: tuple[bytes, float] = (b"", 0.0)
    slot: int = 0
    written: tuple[int, int] = (0, 0)  # (epoch, number)
    places_written: tuple[int, int] = (0, 0)


class MemoryZoneStore:
    """Implements `cluster.ports.zones.ZoneStore`.

    `on_the_way` is awaited by a write once it has its number, and again before it answers: a test may hold it up there, or lose it.
    """

    def __init__(self, epochs: EpochStore, on_the_way: OnTheWay = at_once) -> None:
        self._epochs = epochs
        self._on_the_way = on_the_way
        self._numbers = itertools.count(1)
        self._zones: defaultdict[str, _Zone] = defaultdict(_Zone)
        self._zone_of: dict[str, str] = {}

    async def owner(self, zone_id: str) -> Owner:
        return Owner(self._zones[zone_id].slot, await self._epochs.current("zone", zone_id))

    async def take(self, zone_id: str, slot: int, expected: int | None = None) -> int:
        await self._on_the_way()
        if expected is not None and await self._epochs.current("zone", zone_id) != expected:
            raise Fenced(f"a newer incarnation of {zone_id} exists")
        epoch = await self._epochs.take("zone", zone_id)
        self._zones[zone_id].slot = slot
        await self._on_the_way()
        return epoch

    async def load(self, zone_id: str) -> StoredZone:
        zone = self._zones[zone_id]
        arrivals = {entity_id: record for entity_id, (_, record) in zone.arrivals.items()}
        return StoredZone(dict(zone.entities), *zone.places, arrivals)

    async def commit(
        self, zone_id: str, epoch: int, puts: Mapping[str, tuple[str, bytes]], drops: Mapping[str, str]
    ) -> None:
        puts, drops = dict(puts), dict(drops)
        zone = await self._write(zone_id, epoch)
        for entity_id, session_id in drops.items():
            zone.entities.pop(entity_id, None)
            zone.transfers.pop(entity_id, None)
            if self._zone_of.get(session_id) == zone_id:
                del self._zone_of[session_id]
        for entity_id, (session_id, record) in puts.items():
            zone.entities[entity_id] = record
            if session_id:
                self._zone_of[session_id] = zone_id
        await self._on_the_way()

    async def hand_over(self, zone_id: str, epoch: int, to_zone: str, parcels: Sequence[Parcel]) -> None:
        zone = await self._write(zone_id, epoch)
        other = self._zones[to_zone]
        if other.written == (await self._epochs.current("zone", to_zone), CLOSED):
            raise NotFound("zone_discarded")
        for parcel in parcels:
            entity_id, transfer = parcel.entity_id, parcel.transfer
            if entity_id not in zone.entities or zone.transfers.get(entity_id, -1) >= transfer:
                continue
            del zone.entities[entity_id]
            zone.transfers.pop(entity_id, None)
            if entity_id not in other.arrivals or other.arrivals[entity_id][0] < transfer:
                other.arrivals[entity_id] = (transfer, parcel.record)
            if parcel.session_id:
                self._zone_of[parcel.session_id] = to_zone
        await self._on_the_way()

    async def claim(self, zone_id: str, epoch: int, after: int = 0) -> Claimed:
        zone = await self._write(zone_id, epoch)
        write = zone.written
        for entity_id, claim in list(zone.claimed.items()):
            if claim <= (epoch, after) or entity_id not in zone.entities:
                del zone.claimed[entity_id]
        for entity_id, (transfer, record) in zone.arrivals.items():
            if zone.transfers.get(entity_id, -1) < transfer:
                zone.entities[entity_id] = record
                zone.transfers[entity_id] = transfer
                zone.claimed[entity_id] = write
        zone.arrivals.clear()
        found = {entity_id: zone.entities[entity_id] for entity_id in zone.claimed}
        await self._on_the_way()
        return Claimed(write[1], found)

    async def save_places(self, zone_id: str, epoch: int, places: bytes, now: float) -> None:
        write = (epoch, next(self._numbers))
        await self._on_the_way()
        zone = await self._fenced(zone_id, epoch)
        if zone.places_written > write:
            raise Unavailable("memory")
        zone.places, zone.places_written = (places, now), write
        await self._on_the_way()

    async def zones_of(self, session_ids: Sequence[str]) -> dict[str, str]:
        return {session_id: self._zone_of[session_id] for session_id in session_ids if session_id in self._zone_of}

    async def discard(self, zone_id: str, epoch: int) -> bool:
        await self._on_the_way()
        zone = await self._fenced(zone_id, epoch)
        if zone.entities or zone.arrivals:
            return False
        self._zones[zone_id] = _Zone(written=(epoch, CLOSED), places_written=(epoch, CLOSED))
        await self._on_the_way()
        return True

    async def _write(self, zone_id: str, epoch: int) -> _Zone:
        """The zone, for a write of its entities that comes neither from an older incarnation nor late."""
        write = (epoch, next(self._numbers))
        await self._on_the_way()
        zone = await self._fenced(zone_id, epoch)
        if zone.written > write:
            raise Unavailable("memory")
        zone.written = write
        return zone

    async def _fenced(self, zone_id: str, epoch: int) -> _Zone:
        # Epoch 0 is nobody's.
        if not epoch or await self._epochs.current("zone", zone_id) != epoch:
            raise Fenced(f"a newer incarnation of {zone_id} exists")
        return self._zones[zone_id]
