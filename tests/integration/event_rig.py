"""A NATS of a test's own, a publisher as a process of the realm has it, and other programs' view of the streams."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import nats
from nats.js import JetStreamContext
from nats.js.api import StreamInfo
from pydantic import SecretStr

from cluster.adapters.nats_bus import NatsBus
from cluster.adapters.nats_events import NatsEvents
from cluster.event_buffer import Limits
from cluster.settings import EventSettings, NatsSettings
from tests.servers import Nats

DEADLINE_S = 20.0


def nats_settings(server: Nats) -> NatsSettings:
    return NatsSettings(url=SecretStr(server.url), token=SecretStr(server.token))


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(DEADLINE_S):
        while not condition():  # noqa: ASYNC110 - nothing announces it
            await asyncio.sleep(0.005)


@asynccontextmanager
async def publisher(
    server: Nats, ready: bool = True, limits: Limits | None = None, **settings: object
) -> AsyncIterator[NatsEvents]:
    """What a process that publishes has."""
    bus = await NatsBus.connect(nats_settings(server), "test")
    events = NatsEvents(bus, EventSettings.model_validate(settings), limits)
    try:
        if ready:
            await until(lambda: events.counts.streams_ready)
        yield events
    finally:
        await events.close()
        await bus.close()


@asynccontextmanager
async def outside(server: Nats) -> AsyncIterator[JetStreamContext]:
    """JetStream as somebody else's program sees it."""
    client = await nats.connect(server.url, token=server.token)
    try:
        yield client.jetstream()
    finally:
        await client.close()


async def found(server: Nats, stream: str) -> StreamInfo:
    async with outside(server) as jetstream:
        return await jetstream.stream_info(stream)


async def bodies(server: Nats, stream: str) -> list[dict[str, object]]:
    """All that is in a stream, oldest first; nothing is taken out."""
    async with outside(server) as jetstream:
        state = (await jetstream.stream_info(stream)).state
        numbers = range(state.first_seq, state.last_seq + 1)
        return [json.loads((await jetstream.get_msg(stream, number)).data or b"") for number in numbers]


def presence(events: NatsEvents, user: str, version: int, status: str = "online", zone: str = "zon_meadow") -> None:
    body = {"user_id": user, "status": status, "zone": zone, "version": version}
    events.publish("presence", user, body, f"{user}-{version}")
