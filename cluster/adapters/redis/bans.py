"""Bans in Redis: `{ns}:ban:user:{user_id}`, its value the reason, its time to live the ban's. `session_place.lua` reads it.

`{ns}:bans` is the list of them: users by when their ban ends, in milliseconds of the server's clock. What it says of a ban that is
gone is corrected as it is read.
"""

from __future__ import annotations

from redis.asyncio import Redis

from cluster.adapters.redis.connection import Script, guard
from cluster.adapters.redis.sessions import milliseconds
from cluster.ports.bans import Ban, Held

SET = Script(__file__, "ban_set.lua")
HELD = Script(__file__, "ban_held.lua")
LIFT = Script(__file__, "ban_lift.lua")


class RedisBans:
    """Implements `cluster.ports.bans.Bans`."""

    def __init__(self, client: Redis, namespace: str) -> None:
        self._client = client
        self._ns = namespace

    @guard()
    async def ban(self, user_id: str, for_s: float | None, reason: str, *, extend_only: bool = False) -> None:
        for_ms = "" if for_s is None else milliseconds(for_s)
        await SET(self._client, self._keys(user_id), [reason, for_ms, user_id, int(extend_only)])

    @guard()
    async def lift(self, user_id: str, reason: str = "") -> bool:
        return bool(await LIFT(self._client, self._keys(user_id), [reason, user_id]))

    @guard()
    async def banned(self, user_id: str) -> Ban | None:
        async with self._client.pipeline(transaction=True) as pipe:
            pipe.get(self._key(user_id))
            pipe.pttl(self._key(user_id))
            reason, left_ms = await pipe.execute()
        if reason is None:
            return None
        return Ban(reason.decode(), left_ms / 1000 if left_ms >= 0 else None)

    @guard()
    async def held(self, offset: int, limit: int) -> Held:
        total, flat = await HELD(self._client, [f"{self._ns}:bans"], [f"{self._ns}:ban:user:", offset, limit])
        return Held(
            int(total),
            tuple(
                (
                    flat[i].decode(),
                    Ban(flat[i + 1].decode(), int(flat[i + 2]) / 1000 if int(flat[i + 2]) >= 0 else None),
                )
                for i in range(0, len(flat), 3)
            ),
        )

    def _keys(self, user_id: str) -> list[str]:
        return [self._key(user_id), f"{self._ns}:bans"]

    def _key(self, user_id: str) -> str:
        return f"{self._ns}:ban:user:{user_id}"
