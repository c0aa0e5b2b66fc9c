"""Which processes the realm has: `{ns}:processes`, a hash of JSON by name, for `rayrealm status` and the operator's tools."""

from __future__ import annotations

import os
import socket

import orjson
from redis.asyncio import Redis

from cluster.adapters.redis.connection import guard, texts


@guard()
async def register(client: Redis, namespace: str, kind: str, name: str, now: float) -> None:
    """This process is `name`, and replaces what an earlier one of the name had said. `now`: Unix seconds.

    Entries of this node whose process is gone are removed: a killed gateway had no time to, and its name never comes again.
    """
    key, node = f"{namespace}:processes", socket.gethostname()
    known: dict[bytes, bytes] = await client.hgetall(key)  # type: ignore[assignment] # the client decodes nothing
    gone = [field for field, said in known.items() if _gone(orjson.loads(said), node)]
    if gone:
        await client.hdel(key, *gone)
    entry = {"kind": kind, "name": name, "pid": os.getpid(), "node": node, "started_at": now}
    await client.hset(key, name, orjson.dumps(entry))


@guard()
async def registered(client: Redis, namespace: str) -> dict[str, str]:
    """Name to JSON, as the processes wrote it."""
    return texts(await client.hgetall(f"{namespace}:processes"))


async def running_here(client: Redis, namespace: str) -> list[str]:
    """The names of those that are not known to have ended. Raises Unavailable."""
    node = socket.gethostname()
    return [name for name, said in (await registered(client, namespace)).items() if not _gone(orjson.loads(said), node)]


def _gone(entry: dict[str, object], node: str) -> bool:
    if entry.get("node") != node:
        return False
    try:
        os.kill(int(str(entry.get("pid"))), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False
