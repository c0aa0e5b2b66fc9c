"""How often processes were fenced: `{ns}:fenced`, a hash of counts by kind of process (DESIGN, "Fencing").

Who is fenced ends at once, so that nobody scrapes it any more: it leaves a count behind, which the web process shows.
"""

from __future__ import annotations

import redis
import structlog
from redis.asyncio import Redis

from cluster.adapters.redis.connection import guard, text
from cluster.settings import RedisSettings

NOTE_S = 0.2

log = structlog.get_logger(__name__)


def note_fenced(settings: RedisSettings, namespace: str, kind: str) -> None:
    """Blocks, as nothing else may run in a process that was fenced. It ends whether or not there is somebody to tell."""
    client = redis.Redis.from_url(
        settings.url.get_secret_value(), socket_timeout=NOTE_S, socket_connect_timeout=NOTE_S, protocol=3
    )
    try:
        client.hincrby(_key(namespace), kind, 1)
    except redis.RedisError as error:
        log.warning("fencing_not_noted", error=str(error))
    finally:
        client.close()


@guard()
async def fenced(client: Redis, namespace: str) -> dict[str, int]:
    """Counts by kind. Raises Unavailable."""
    kept: dict[bytes, bytes] = await client.hgetall(_key(namespace))  # type: ignore[assignment] # the client decodes nothing
    return {text(kind): int(count) for kind, count in kept.items()}


def _key(namespace: str) -> str:
    return f"{namespace}:fenced"
