"""What the tests of outbox logs share."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from pydantic import SecretStr
from redis.asyncio import Redis

from cluster.adapters.memory.outbox import MemoryOutboxLog
from cluster.adapters.redis.connection import connect
from cluster.adapters.redis.outbox import RedisOutboxLog
from cluster.ports.outbox import OutboxLog
from cluster.ports.sessions import Fence
from cluster.settings import RedisSettings
from tests.contract.session_stores import NOW, A, Stores, memory_stores, redis_stores

KEEP = 120.0


@dataclass
class Rig:
    log: OutboxLog
    stores: Stores

    async def append(
        self,
        fence: Fence,
        data: bytes,
        seqs: dict[str, int] | None = None,
        cursors: dict[str, str] | None = None,
        now: float = NOW,
    ) -> None:
        await self.log.append(fence, data, seqs or {}, cursors or {}, now, KEEP)

    async def seq(self, session_id: str) -> int:
        record = await self.stores.sessions.get(session_id)
        assert record is not None
        return record.seq

    async def batches(self, actor: str = A, since: float = 0.0) -> list[bytes]:
        return [logged.data for logged in await self.log.load(actor, since)]


def memory_rig() -> Rig:
    stores, sessions = memory_stores()
    return Rig(MemoryOutboxLog(stores.epochs, sessions), stores)


def redis_rig(client: Redis, namespace: str) -> Rig:
    return Rig(RedisOutboxLog(client, namespace), redis_stores(client, namespace))


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[Redis]:
    client = connect(RedisSettings(url=SecretStr(url)), "contract")
    try:
        yield client
    finally:
        await client.aclose()
