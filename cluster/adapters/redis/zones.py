"""What a zone keeps in Redis: `{ns}:zone:{id}:entities` and `...:order` (hashes by entity) and `...:places` (one value).

`order` holds the number of the write that made each entity what it is, so that a delayed one cannot undo a later one.
"""

from __future__ import annotations

import itertools
import struct

from redis.asyncio import Redis

from cluster.adapters.redis.connection import Script, guard
from cluster.errors import Fenced, Unavailable
from cluster.ports.zones import StoredZone

PUT = Script(__file__, "zone_put.lua")
DROP = Script(__file__, "zone_drop.lua")
PLACES = Script(__file__, "zone_places.lua")
TAKEN_AT = struct.Struct("<d")


class RedisZoneStore:
    """Implements `cluster.ports.zones.ZoneStore`."""

    def __init__(self, client: Redis, namespace: str) -> None:
        self._client = client
        self._ns = namespace
        self._numbers = itertools.count(1)  # orders the writes of one incarnation

    @guard()
    async def load(self, zone_id: str) -> StoredZone:
        # The client decodes nothing (connection.py), its stubs do not know.
        entities: dict[bytes, bytes] = await self._client.hgetall(f"{self._ns}:zone:{zone_id}:entities")  # type: ignore[assignment]
        places: bytes | None = await self._client.get(f"{self._ns}:zone:{zone_id}:places")  # type: ignore[assignment]
        at = TAKEN_AT.unpack_from(places)[0] if places else 0.0
        return StoredZone(
            {name.decode(): data for name, data in entities.items()}, (places or b"")[TAKEN_AT.size :], at
        )

    @guard()
    async def put_entity(self, zone_id: str, epoch: int, entity_id: str, data: bytes) -> None:
        args: list[str | bytes | int | float] = [epoch, next(self._numbers), entity_id, data]
        _check(await PUT(self._client, self._keys(zone_id, "entities", "order"), args), zone_id)

    @guard()
    async def drop_entity(self, zone_id: str, epoch: int, entity_id: str) -> None:
        _check(await DROP(self._client, self._keys(zone_id, "entities", "order"), [epoch, entity_id]), zone_id)

    @guard()
    async def save_places(self, zone_id: str, epoch: int, places: bytes, now: float) -> None:
        data = TAKEN_AT.pack(now) + places
        _check(await PLACES(self._client, self._keys(zone_id, "places"), [epoch, data]), zone_id)

    def _keys(self, zone_id: str, *names: str) -> list[str]:
        return [f"{self._ns}:epoch:zone:{zone_id}", *(f"{self._ns}:zone:{zone_id}:{name}" for name in names)]


def _check(answer: bytes, zone_id: str) -> None:
    if answer == b"fenced":
        raise Fenced(f"a newer incarnation of {zone_id} exists")
    if answer == b"late":
        raise Unavailable("redis")
