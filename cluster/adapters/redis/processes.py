"""Which processes the realm has: `{ns}:processes`, a hash of JSON by name, for `rayrealm status` and the operator's tools."""

from __future__ import annotations

import os
import socket

import orjson
from redis.asyncio import Redis

from cluster.adapters.redis.connection import guard


@guard()
async def register(client: Redis, namespace: str, kind: str, name: str, now: float, **more: str | int) -> None:
    """This process is `name`; it replaces what an earlier process of the name had said. `now`: Unix seconds."""
    entry = {
        "kind": kind,
        "name": name,
        "pid": os.getpid(),
        "node": socket.gethostname(),
        "started_at": now,
        **more,
    }
    await client.hset(f"{namespace}:processes", name, orjson.dumps(entry))


@guard()
async def unregister(client: Redis, namespace: str, name: str) -> None:
    await client.hdel(f"{namespace}:processes", name)
