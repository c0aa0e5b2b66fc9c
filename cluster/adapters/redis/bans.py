"""Bans in Redis: `{ns}:ban:user:{user_id}`, its value the reason, its time to live the ban's. `session_place.lua` reads it."""

from __future__ import annotations

from redis.asyncio import Redis

from cluster.adapters.redis.connection import guard
from cluster.adapters.redis.sessions import milliseconds
from cluster.ports.bans import Ban


class RedisBans:
    """Implements `cluster.ports.bans.Bans`."""

    def __init__(self, client: Redis, namespace: str) -> None:
        self._client = client
        self._ns = namespace

    @guard()
    async def ban(self, user_id: str, for_s: float | None, reason: str) -> None:
        await self._client.set(self._key(user_id), reason, px=None if for_s is None else milliseconds(for_s))

    @guard()
    async def lift(self, user_id: str) -> bool:
        return bool(await self._client.delete(self._key(user_id)))

    @guard()
    async def banned(self, user_id: str) -> Ban | None:
        async with self._client.pipeline(transaction=True) as pipe:
            pipe.get(self._key(user_id))
            pipe.pttl(self._key(user_id))
            reason, left_ms = await pipe.execute()
        if reason is None:
            return None
        return Ban(reason.decode(), left_ms / 1000 if left_ms >= 0 else None)

    def _key(self, user_id: str) -> str:
        return f"{self._ns}:ban:user:{user_id}"
