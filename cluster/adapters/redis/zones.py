"""What a zone keeps in Redis: `{ns}:zone:{id}:entities` (hash) and `{ns}:zone:{id}:places` (one value)."""

from __future__ import annotations

import struct

from redis.asyncio import Redis

from cluster.adapters.redis.connection import Script, guard
from cluster.errors import Fenced
from cluster.ports.zones import StoredZone

WRITE = Script(__file__, "zone_write.lua")
TAKEN_AT = struct.Struct("<d")


class RedisZoneStore:
    """Implements `cluster.ports.zones.ZoneStore`."""

    def __init__(self, client: Redis, namespace: str) -> None:
        self._client = client
        self._ns = namespace

    @guard()
    async def load(self, zone_id: str) -> StoredZone:
        # The client decodes nothing (connection.py), its stubs do not know.
        entities: dict[bytes, bytes] = await self._client.hgetall(f"{self._ns}:zone:{zone_id}:entities")  # type: ignore[assignment]
        places: bytes | None = await self._client.get(f"{self._ns}:zone:{zone_id}:places")  # type: ignore[assignment]
        at = TAKEN_AT.unpack_from(places)[0] if places else 0.0
        return StoredZone(
            {name.decode(): data for name, data in entities.items()}, (places or b"")[TAKEN_AT.size :], at
        )

    async def put_entity(self, zone_id: str, epoch: int, entity_id: str, data: bytes) -> None:
        await self._write(zone_id, epoch, "entities", "HSET", entity_id, data)

    async def drop_entity(self, zone_id: str, epoch: int, entity_id: str) -> None:
        await self._write(zone_id, epoch, "entities", "HDEL", entity_id)

    async def save_places(self, zone_id: str, epoch: int, places: bytes, now: float) -> None:
        await self._write(zone_id, epoch, "places", "SET", TAKEN_AT.pack(now) + places)

    @guard()
    async def _write(self, zone_id: str, epoch: int, what: str, command: str, *args: str | bytes) -> None:
        keys = [f"{self._ns}:epoch:zone:{zone_id}", f"{self._ns}:zone:{zone_id}:{what}"]
        if await WRITE(self._client, keys, [epoch, command, *args]) == b"fenced":
            raise Fenced(f"a newer incarnation of {zone_id} exists")
