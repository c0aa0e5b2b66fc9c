"""What every actor and gateway process opens as it starts, and closes as it ends."""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TypeVar

import structlog
from prometheus_client import CollectorRegistry
from redis.asyncio import Redis

from cluster import periodic
from cluster.adapters.nats_bus import NatsBus
from cluster.adapters.nats_events import NatsEvents
from cluster.adapters.ray_calls import RayCalls
from cluster.adapters.redis import processes
from cluster.adapters.redis.connection import connect
from cluster.adapters.redis.epochs import RedisEpochStore
from cluster.errors import Unavailable
from cluster.ports.calls import Calls
from cluster.ports.events import EventSink, NoEvents
from cluster.realm import Realm
from cluster.subjects import Subjects
from cluster.telemetry.event_metrics import watch_events
from cluster.telemetry.logs import configure
from cluster.telemetry.scrape import serve_metrics

FIRST_PAUSE_S, LAST_PAUSE_S = 0.1, 2.0
FENCED_EXIT_CODE = 3

log = structlog.get_logger(__name__)
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Runtime:
    """A process's connections. `name` is what `rayrealm status` and the metrics call it."""

    realm: Realm
    kind: str
    name: str
    subjects: Subjects
    redis: Redis
    bus: NatsBus
    calls: Calls
    epochs: RedisEpochStore
    registry: CollectorRegistry
    _events: list[NatsEvents] = field(default_factory=list)

    def events(self) -> EventSink:
        """Where this process tells other services what happens. Opened by whoever asks first: most processes tell nothing."""
        settings = self.realm.settings.events
        if not settings.enabled:
            return NoEvents()
        if not self._events:
            made = NatsEvents(self.bus, settings)
            watch_events(self.registry, made.counts, lambda: made.waiting)
            self._events.append(made)
        return self._events[0]

    async def close(self) -> None:
        for events in self._events:
            await events.close()
        await self.bus.close()
        await self.redis.aclose()


async def open_runtime(realm: Realm, kind: str, name: str, registry: CollectorRegistry) -> Runtime:
    """Connect, register the process and serve its metrics. Repeats with jittered backoff until the servers answer."""
    settings = realm.settings
    configure(settings.log_level)
    subjects = Subjects(settings.namespace)
    client = connect(settings.redis, name.replace("/", "-"))
    bus = await until_available(lambda: NatsBus.connect(settings.nats, name))
    await until_available(lambda: processes.register(client, settings.namespace, kind, name, time.time()))
    await serve_metrics(bus, subjects, registry, name)
    return Runtime(
        realm,
        kind,
        name,
        subjects,
        client,
        bus,
        RayCalls(settings.namespace),
        RedisEpochStore(client, settings.namespace),
        registry,
    )


OpenRuntime = Callable[[Realm, str, str, CollectorRegistry], Awaitable[Runtime]]


async def until_available(step: Callable[[], Awaitable[T]]) -> T:
    """Repeat a step of the start until what it needs is there. The supervisor's health check bounds the wait from outside."""
    pause = FIRST_PAUSE_S
    while True:
        try:
            return await step()
        except Unavailable as error:
            log.warning("start_waits", what=str(error))
        await asyncio.sleep(random.uniform(0.5, 1.0) * pause)  # noqa: S311 - jitter
        pause = min(pause * 2, LAST_PAUSE_S)


async def every(period_s: float, step: Callable[[], Awaitable[None]], what: str) -> None:
    """`periodic.every` in a process that ends when it is fenced."""
    await periodic.every(period_s, step, what, lambda fenced: stop_fenced(fenced))


def stop_fenced(what: str) -> None:
    """A newer incarnation owns what this process holds: stop at once, write nothing more (DESIGN, "Fencing")."""
    log.error("fenced", what=what)
    os._exit(FENCED_EXIT_CODE)
