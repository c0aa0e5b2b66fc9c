"""Refresh tokens in Redis: hashes `{ns}:refresh:{sha256}` and `{ns}:refresh-family:{id}`, which expire."""

from __future__ import annotations

import math

from redis.asyncio import Redis

from cluster.adapters.redis.connection import Script, guard
from cluster.errors import Unauthorized
from cluster.ports.accounts import TokenReused

_ROTATE = Script(__file__, "refresh_rotate.lua")
_REVOKE = Script(__file__, "refresh_revoke.lua")


class RedisRefreshTokens:
    """RefreshStore."""

    def __init__(self, client: Redis, namespace: str) -> None:
        self._client = client
        self._namespace = namespace

    @guard()
    async def start(self, family_id: str, user_id: str, token_hash: str, now: float, ttl_s: float) -> None:
        family, token, ttl_ms = self._family(family_id), self._token(token_hash), math.ceil(ttl_s * 1000)
        async with self._client.pipeline(transaction=True) as pipe:
            pipe.hset(family, mapping={"user_id": user_id, "current": token_hash})
            pipe.pexpire(family, ttl_ms)
            pipe.hset(token, mapping={"family": family_id, "expires_at": repr(now + ttl_s)})
            pipe.pexpire(token, ttl_ms)
            await pipe.execute()

    @guard()
    async def rotate(self, token_hash: str, successor_hash: str, now: float, ttl_s: float) -> str:
        outcome, user_id = await _ROTATE(
            self._client,
            [self._token(token_hash), self._token(successor_hash)],
            [
                token_hash,
                successor_hash,
                repr(now),
                repr(now + ttl_s),
                math.ceil(ttl_s * 1000),
                self._family(""),
            ],
        )
        if outcome == b"reused":
            raise TokenReused(user_id.decode())
        if outcome != b"ok":
            raise Unauthorized("token_invalid")
        return str(user_id.decode())

    @guard()
    async def revoke(self, token_hash: str) -> None:
        await _REVOKE(self._client, [self._token(token_hash)], [self._family("")])

    def _token(self, token_hash: str) -> str:
        return f"{self._namespace}:refresh:{token_hash}"

    def _family(self, family_id: str) -> str:
        return f"{self._namespace}:refresh-family:{family_id}"
