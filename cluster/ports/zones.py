"""The port to what a zone keeps beyond its process (row 1.9): its entities, and where they were at the last checkpoint."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class StoredZone:
    """`entities`: JSON by entity id; `places`: PLACE rows of actors/zone/rows.py taken at `places_at` (Unix seconds)."""

    entities: dict[str, bytes]
    places: bytes
    places_at: float


class ZoneStore(Protocol):
    """Every write carries the zone's epoch and raises Fenced if a newer incarnation exists."""

    async def load(self, zone_id: str) -> StoredZone: ...

    async def put_entity(self, zone_id: str, epoch: int, entity_id: str, data: bytes) -> None: ...

    async def drop_entity(self, zone_id: str, epoch: int, entity_id: str) -> None: ...

    async def save_places(self, zone_id: str, epoch: int, places: bytes, now: float) -> None: ...
