"""The audit log in Redis: `{ns}:audit`, a stream of the newest entries, each one JSON field. Its ids are the entries'."""

from __future__ import annotations

from typing import Any

from redis.asyncio import Redis

from cluster import auditing
from cluster.adapters.redis.connection import guard
from cluster.ports.audit import AuditEntry

FIELD = "entry"


class RedisAuditLog:
    """Implements `cluster.ports.audit.AuditLog`. `keep` entries stay. One that is sent again over a broken connection may be there
    twice."""

    def __init__(self, client: Redis, namespace: str, keep: int) -> None:
        self._client = client
        self._key = f"{namespace}:audit"
        self._keep = keep

    @guard()
    async def add(self, entry: AuditEntry) -> str:
        said: dict[Any, Any] = {FIELD: auditing.encode(entry)}
        added: Any = await self._client.xadd(self._key, said, maxlen=self._keep, approximate=False)
        return str(added, "ascii")

    @guard()
    async def newest(self, count: int, before: str = "") -> list[AuditEntry]:
        if count <= 0:
            return []
        found: Any = await self._client.xrevrange(self._key, max=f"({before}" if before else "+", count=count)
        return [auditing.decode(fields[FIELD.encode()], str(entry_id, "ascii")) for entry_id, fields in found]
