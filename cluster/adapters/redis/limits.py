"""Limits in Redis: `{ns}:limit:{key}`, when the bucket will be full again; it expires then. Times are of the server's clock."""

from __future__ import annotations

from redis.asyncio import Redis

from cluster.adapters.redis.connection import Script, guard

TAKE = Script(__file__, "limit_take.lua")


class RedisLimiter:
    """Implements `cluster.ports.limits.Limiter`."""

    def __init__(self, client: Redis, namespace: str) -> None:
        self._client = client
        self._ns = namespace

    @guard()
    async def take(self, key: str, per_s: float, burst: int) -> float:
        wait_us = await TAKE(self._client, [f"{self._ns}:limit:{key}"], [max(1, round(1e6 / per_s)), burst])
        return float(wait_us) / 1e6
