"""Log levels in Redis: `{ns}:log-levels`, a hash of JSON by process, or `*`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict

import orjson
from redis.asyncio import Redis

from cluster.adapters.redis.connection import guard
from cluster.ports.log_levels import EVERYBODY, KEPT_S, LogLevel, newest


class RedisLogLevels:
    """Implements `cluster.ports.log_levels.LogLevels`."""

    def __init__(self, client: Redis, namespace: str) -> None:
        self._client = client
        self._key = f"{namespace}:log-levels"

    @guard()
    async def set(self, processes: Iterable[str], level: LogLevel) -> None:
        said = orjson.dumps(asdict(level))
        names = list(processes)
        async with self._client.pipeline(transaction=True) as pipe:
            if EVERYBODY in names:
                pipe.delete(self._key)
            pipe.hset(self._key, mapping=dict.fromkeys(names, said))
            pipe.expire(self._key, int(KEPT_S))
            await pipe.execute()

    @guard()
    async def of(self, process: str, now: float) -> LogLevel | None:
        found: list[bytes | None] = await self._client.hmget(self._key, [EVERYBODY, process])  # type: ignore[assignment]
        return newest((LogLevel(**orjson.loads(said)) for said in found if said is not None), now)
