"""Refresh tokens in Redis: hashes `{ns}:refresh:{sha256}` and `{ns}:refresh-family:{id}`, and `{ns}:refresh-ended:{user}` (a
time), all of which expire."""

from __future__ import annotations

import math

from redis.asyncio import Redis

from cluster.adapters.redis.connection import Script, guard
from cluster.errors import Unauthorized
from cluster.ports.accounts import REPEAT_S, Rotated, TokenReused

_ROTATE = Script(__file__, "refresh_rotate.lua")
_REVOKE = Script(__file__, "refresh_revoke.lua")
_LOGIN = Script(__file__, "refresh_login.lua")
_END = Script(__file__, "refresh_end.lua")


class RedisRefreshTokens:
    """RefreshStore."""

    def __init__(self, client: Redis, namespace: str) -> None:
        self._client = client
        self._namespace = namespace

    @guard()
    async def start(self, family_id: str, user_id: str, token_hash: str, now: float, ttl_s: float) -> None:
        family, token, ttl_ms = self._family(family_id), self._token(token_hash), math.ceil(ttl_s * 1000)
        async with self._client.pipeline(transaction=True) as pipe:
            pipe.hset(family, mapping={"user_id": user_id, "current": token_hash, "started_at": repr(now)})
            pipe.pexpire(family, ttl_ms)
            pipe.hset(token, mapping={"family": family_id, "expires_at": repr(now + ttl_s)})
            pipe.pexpire(token, ttl_ms)
            await pipe.execute()

    @guard()
    async def rotate(self, token_hash: str, successor_hash: str, now: float, ttl_s: float) -> Rotated:
        outcome, user_id, family_id, started_at = await _ROTATE(
            self._client,
            [self._token(token_hash), self._token(successor_hash)],
            [
                token_hash,
                successor_hash,
                repr(now),
                repr(now + ttl_s),
                math.ceil(ttl_s * 1000),
                self._family(""),
                REPEAT_S,
                self._ended(""),
            ],
        )
        if outcome == b"reused":
            raise TokenReused(user_id.decode(), family_id.decode())
        if outcome != b"ok":
            raise Unauthorized("token_revoked" if outcome == b"token_revoked" else "token_invalid")
        return Rotated(user_id.decode(), family_id.decode(), float(started_at))

    @guard()
    async def revoke(self, token_hash: str) -> None:
        await _REVOKE(self._client, [self._token(token_hash)], [self._family("")])

    @guard()
    async def login_of(self, token_hash: str) -> Rotated | None:
        found = await _LOGIN(self._client, [self._token(token_hash)], [self._family("")])
        if found is None:
            return None
        user_id, family_id, started_at = found
        return Rotated(user_id.decode(), family_id.decode(), float(started_at))

    @guard()
    async def end_user(self, user_id: str, before: float, keep_s: float) -> None:
        await _END(self._client, [self._ended(user_id)], [repr(before), math.ceil(keep_s * 1000)])

    def _token(self, token_hash: str) -> str:
        return f"{self._namespace}:refresh:{token_hash}"

    def _family(self, family_id: str) -> str:
        return f"{self._namespace}:refresh-family:{family_id}"

    def _ended(self, user_id: str) -> str:
        return f"{self._namespace}:refresh-ended:{user_id}"
