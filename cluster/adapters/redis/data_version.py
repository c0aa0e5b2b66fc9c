"""Which release's data is in Redis: `{ns}:data-version`, JSON (cluster/schema.py)."""

from __future__ import annotations

import orjson
from redis.asyncio import Redis

from cluster.adapters.redis.connection import guard
from cluster.errors import StartRefused
from cluster.schema import DATA, STAMP, TooNew


@guard()
async def check(client: Redis, namespace: str) -> None:
    """Refuse what a newer release wrote and this one cannot read; otherwise write down the newest that writes there.

    Raises StartRefused, Unavailable.
    """
    key = f"{namespace}:data-version"
    stored = await client.get(key)
    try:
        before = [] if stored is None else orjson.loads(stored)
        DATA.read({STAMP: before} if before else {})
    except TooNew as error:
        raise StartRefused(
            f"a newer release wrote {error}: start that release, or restore a backup that this one made"
        ) from error
    except ValueError as error:
        raise StartRefused(f"{key} in Redis is no version ({error}): is this Redis the realm's?") from error
    now = DATA.stamped({})[STAMP]
    if before < now:
        await client.set(key, orjson.dumps(now))
