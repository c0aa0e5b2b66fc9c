"""Operators in Redis: hash `{ns}:operators`, name -> JSON; `{ns}:operator-session:{sha256}`, hashes that expire; and sorted sets
`{ns}:operator-sessions:{name}`, the SHA-256 of each by when it began. What these have too many is harmless.
"""

from __future__ import annotations

import math
from typing import Any

from redis.asyncio import Redis

from cluster.adapters.redis.connection import Script, guard
from cluster.errors import Conflict
from cluster.operator_records import decode, decode_session, encode, encode_session
from cluster.ports.operators import (
    MOST_OPERATORS,
    MOST_SESSIONS,
    HeldSession,
    OperatorRecord,
    OperatorSession,
)

_SAVE = Script(__file__, "operator_save.lua")
_SESSION = Script(__file__, "operator_session.lua")


class RedisOperators:
    """Implements `cluster.ports.operators.OperatorStore`."""

    def __init__(self, client: Redis, namespace: str) -> None:
        self._client = client
        self._ns = namespace
        self._key = f"{namespace}:operators"

    @guard()
    async def get(self, name: str) -> OperatorRecord | None:
        data = await self._client.hget(self._key, name)
        return None if data is None else decode(_bytes(data))

    @guard()
    async def all(self) -> list[OperatorRecord]:
        found = await self._client.hgetall(self._key)
        return sorted((decode(_bytes(data)) for data in found.values()), key=lambda record: record.name)

    @guard()
    async def save(self, record: OperatorRecord, replacing: OperatorRecord | None) -> bool:
        before = b"" if replacing is None else encode(replacing)
        outcome = await _SAVE(self._client, [self._key], [record.name, before, encode(record), MOST_OPERATORS])
        if outcome == b"too_many":
            raise Conflict("too_many_operators")
        return bool(outcome == b"ok")

    @guard()
    async def remove(self, record: OperatorRecord) -> bool:
        outcome = await _SAVE(self._client, [self._key], [record.name, encode(record), b"", MOST_OPERATORS])
        return bool(outcome == b"ok")

    @guard()
    async def begin(self, session_hash: str, session: OperatorSession, idle_s: float, longest_s: float) -> None:
        args: list[str | bytes | int] = [
            "begin",
            encode_session(session),
            math.ceil(idle_s * 1000),
            math.ceil(longest_s * 1000),
            session_hash,
            MOST_SESSIONS,
        ]
        keys = [self._session(session_hash), self._key, self._sessions(session.operator)]
        for old in await _SESSION(self._client, keys, args) or ():
            await self._end(_bytes(old).decode(), session.operator)

    @guard()
    async def session(self, session_hash: str, use: bool) -> tuple[OperatorSession, OperatorRecord] | None:
        keys = [self._session(session_hash), self._key]
        found: Any = await _SESSION(self._client, keys, ["use" if use else "look"])
        if not found:
            return None
        session, record = decode_session(found[0]), decode(found[1])
        return (session, record) if session.generation == record.generation else None

    @guard()
    async def sessions(self, name: str) -> list[HeldSession]:
        data = await self._client.hget(self._key, name)
        generation = "" if data is None else decode(_bytes(data)).generation
        found = []
        for member in await self._client.zrevrange(self._sessions(name), 0, -1):
            assert isinstance(member, bytes)  # noqa: S101 - scores were not asked for
            session_hash = member.decode()
            kept, used_ms = await self._client.hmget(self._session(session_hash), ["session", "used"])
            session = None if kept is None else decode_session(_bytes(kept))
            if session is None or session.generation != generation:
                await self._client.zrem(self._sessions(name), session_hash)
            else:
                found.append(HeldSession(session_hash, session, int(used_ms or 0) / 1000.0))
        return found

    @guard()
    async def end(self, session_hash: str, name: str) -> None:
        await self._end(session_hash, name)

    async def _end(self, session_hash: str, name: str) -> None:
        await self._client.delete(self._session(session_hash))
        await self._client.zrem(self._sessions(name), session_hash)

    def _session(self, session_hash: str) -> str:
        return f"{self._ns}:operator-session:{session_hash}"

    def _sessions(self, name: str) -> str:
        return f"{self._ns}:operator-sessions:{name}"


def _bytes(reply: bytes | str) -> bytes:
    return reply if isinstance(reply, bytes) else reply.encode()
