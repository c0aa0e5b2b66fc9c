"""Which processes the realm has: `{ns}:processes`, a hash of JSON by name, for `rayrealm status` and the operator's tools."""

from __future__ import annotations

import os
import socket

import orjson
from redis.asyncio import Redis

from cluster.adapters.redis.connection import guard


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
