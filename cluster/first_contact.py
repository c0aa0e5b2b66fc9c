"""Before anything depends on them: do Redis and NATS answer, and forget which processes an earlier run had."""

from __future__ import annotations

from urllib.parse import urlsplit

from cluster.adapters.nats_bus import NatsBus
from cluster.adapters.redis.connection import connect, guard
from cluster.errors import StartRefused, Unavailable
from cluster.settings import Settings


async def first_contact(settings: Settings) -> None:
    """Raises StartRefused, without the passwords."""
    client = connect(settings.redis, "launcher")
    try:
        async with guard(settings.redis.timeout_s * 2):
            await client.delete(f"{settings.namespace}:processes")
    except Unavailable as error:
        raise StartRefused(_silent("Redis", settings.redis.url.get_secret_value(), "--redis", error)) from error
    finally:
        await client.aclose()
    try:
        bus = await NatsBus.connect(settings.nats, "launcher")
    except Unavailable as error:
        raise StartRefused(_silent("NATS", settings.nats.url.get_secret_value(), "--nats", error)) from error
    await bus.close()


def _silent(what: str, url: str, option: str, error: Unavailable) -> str:
    servers = ", ".join(f"{part.hostname}:{part.port}" for part in map(urlsplit, url.split(",")))
    return f"{what} at {servers} does not answer ({error.__cause__ or error}): start it, or correct {option}"
