"""The launcher's first and last words with the servers: do they answer, and everybody goes home."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from urllib.parse import urlsplit

from cluster import event_streams
from cluster.adapters.nats_bus import NatsBus
from cluster.adapters.nats_events import NoStreams, prepare
from cluster.adapters.redis import data_version
from cluster.adapters.redis.connection import connect, guard
from cluster.errors import StartRefused, Unavailable
from cluster.settings import Settings
from cluster.subjects import Subjects
from realm_proto import internal_pb2


async def first_contact(settings: Settings, tell: Callable[[str], None]) -> None:
    """Before anything depends on them. Forgets which processes an earlier run had. Raises StartRefused, without the passwords.

    `tell` gets a line for people about each thing that is not as it should be, and without which the realm can do.
    """
    client = connect(settings.redis, "launcher")
    try:
        async with guard(settings.redis.timeout_s * 2):
            await client.delete(f"{settings.namespace}:processes")
        await data_version.check(client, settings.namespace)
    except Unavailable as error:
        raise StartRefused(_silent("Redis", settings.redis.url.get_secret_value(), "--redis", error)) from error
    finally:
        await client.aclose()
    try:
        bus = await NatsBus.connect(settings.nats, "launcher")
    except Unavailable as error:
        raise StartRefused(_silent("NATS", settings.nats.url.get_secret_value(), "--nats", error)) from error
    try:
        for sentence in await _event_streams(bus, settings):
            tell(sentence)
    finally:
        await bus.close()


async def _event_streams(bus: NatsBus, settings: Settings) -> list[str]:
    """Have the streams made or updated (row 4.3); what is to be said about that. Their publishers look after them from then on."""
    if not settings.events.enabled:
        return []
    try:
        _, sentences = await prepare(bus, event_streams.specs(settings.events))
    except (NoStreams, Unavailable) as error:
        return [
            f"event streams: {error}; the realm goes on without them (events.enabled = false says that this is meant)"
        ]
    return [f"event stream {sentence}" for sentence in sentences]


async def last_words(settings: Settings) -> None:
    """All gateways close their sockets at once: there will be no other gateway that draining could send clients to.

    Best effort, for a second or so: a NATS that is away changes nothing.
    """
    with contextlib.suppress(Unavailable):
        bus = await NatsBus.connect(settings.nats, "launcher")
        drain = internal_pb2.GatewayControl(drain=internal_pb2.GatewayDrain(deadline_s=0.0))
        bus.publish(Subjects(settings.namespace).gateways_control(), drain.SerializeToString())
        await bus.close()


def _silent(what: str, url: str, option: str, error: Unavailable) -> str:
    servers = ", ".join(f"{part.hostname}:{part.port}" for part in map(urlsplit, url.split(",")))
    return f"{what} at {servers} does not answer ({error.__cause__ or error}): start it, or correct {option}"
