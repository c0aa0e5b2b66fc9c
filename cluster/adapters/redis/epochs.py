"""Fencing epochs as counters: `{namespace}:epoch:{kind}:{name}`."""

from __future__ import annotations

from redis.asyncio import Redis

from cluster.adapters.redis.connection import guard


class RedisEpochStore:
    """Implements `cluster.ports.epochs.EpochStore`."""

    def __init__(self, client: Redis, namespace: str) -> None:
        self._client = client
        self._namespace = namespace

    @guard()
    async def take(self, kind: str, name: str) -> int:
        return int(await self._client.incr(f"{self._namespace}:epoch:{kind}:{name}"))

    @guard()
    async def current(self, kind: str, name: str) -> int:
        return int(await self._client.get(f"{self._namespace}:epoch:{kind}:{name}") or 0)
