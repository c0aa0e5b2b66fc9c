"""The map of the world and the plan for it in Redis (row 7.3): the hash `{ns}:world` (map, plan, and which write made them so)."""

from __future__ import annotations

import itertools

from redis.asyncio import Redis

from cluster.adapters.redis.connection import Script, guard
from cluster.errors import Fenced, Unavailable
from cluster.ports.calls import SUPERVISOR

SAVE = Script(__file__, "world_save.lua")


class RedisWorldStore:
    """Implements `cluster.ports.zones.WorldStore`. One object for each incarnation of the supervisor: it numbers its writes."""

    def __init__(self, client: Redis, namespace: str) -> None:
        self._client = client
        self._ns = namespace
        self._numbers = itertools.count(1)

    @guard()
    async def load(self) -> tuple[bytes, bytes]:
        found: list[bytes | None] = await self._client.hmget(f"{self._ns}:world", ["map", "plan"])  # type: ignore[assignment]
        return found[0] or b"", found[1] or b""

    @guard()
    async def save(self, epoch: int, world_map: bytes, plan: bytes) -> None:
        keys = [f"{self._ns}:epoch:supervisor:{SUPERVISOR}", f"{self._ns}:world"]
        answer = await SAVE(self._client, keys, [epoch, next(self._numbers), world_map, plan])
        if answer == b"fenced":
            raise Fenced("a newer supervisor exists")
        if answer == b"late":
            raise Unavailable("redis")
