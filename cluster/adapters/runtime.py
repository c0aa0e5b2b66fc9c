"""What every actor and gateway process opens as it starts, and closes as it ends."""

from __future__ import annotations

import asyncio
import gc
import os
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

import structlog
from prometheus_client import CollectorRegistry
from redis.asyncio import Redis

from cluster import periodic
from cluster.adapters.nats_bus import NatsBus
from cluster.adapters.nats_events import NatsEvents
from cluster.adapters.observing import Observing
from cluster.adapters.ray_actors import node_id
from cluster.adapters.ray_calls import RayCalls
from cluster.adapters.redis import processes
from cluster.adapters.redis.connection import client_name, connect
from cluster.adapters.redis.epochs import RedisEpochStore
from cluster.adapters.redis.fenced import note_fenced
from cluster.adapters.redis.log_levels import RedisLogLevels
from cluster.beating import Beating
from cluster.errors import Unavailable
from cluster.ports.calls import Calls
from cluster.ports.events import EventSink, NoEvents
from cluster.process_control import ProcessControl
from cluster.realm import Realm
from cluster.subjects import Subjects
from cluster.telemetry.event_metrics import watch_events
from cluster.telemetry.logs import configure, hide
from cluster.telemetry.scrape import serve_metrics

FIRST_PAUSE_S, LAST_PAUSE_S = 0.1, 2.0
_noting: list[
    Callable[[], None]
] = []  # how this process leaves word that it was fenced; none before it has opened its runtime
FENCED_EXIT_CODE = 3
UNBROKEN = frozenset(
    {"supervisor", "zone"}
)  # they find out who is there, and hand over to each other: they go on asking

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
    beating: Beating
    control: ProcessControl
    observing: Observing | None = None
    own_process: bool = False  # nothing else lives in it
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

    def freeze(self, collect: bool = False) -> None:
        """What is loaded by now stays for good: the collector need not look at it again. `collect`: garbage goes before.

        Where others share the process nothing is done: their garbage would stay, too, and to collect a large heap stops the event
        loop for seconds.
        """
        if self.own_process:
            if collect:
                gc.collect()
            gc.freeze()

    async def close(self) -> None:
        self.beating.stop()
        for events in self._events:
            await events.close()
        if self.observing is not None:
            await self.observing.stop()
        await self.bus.close()
        await self.redis.aclose()


async def open_runtime(realm: Realm, kind: str, name: str, registry: CollectorRegistry) -> Runtime:
    """Connect, register the process and serve its metrics. Repeats with jittered backoff until the servers answer."""
    settings = realm.settings
    configure(settings.log_level)
    hide(*realm.secrets())
    subjects = Subjects(settings.namespace)
    client = connect(settings.redis, client_name(settings.namespace, name), settings.mesh.redis)
    bus = await until_available(lambda: NatsBus.connect(settings.nats, name, settings.mesh.nats))
    await until_available(lambda: processes.register(client, settings.namespace, kind, name, time.time()))
    await serve_metrics(bus, subjects, registry, name)
    _noting[:] = [partial(note_fenced, settings.redis, settings.namespace, kind)]
    beating = Beating(
        kind, name, node_id(), settings.telemetry.beat_s, lambda data: bus.publish(subjects.beats(), data)
    )
    control = ProcessControl(name, settings.console.chaos, beating.now)
    await until_available(lambda: bus.respond(subjects.process_control(), control.respond))
    beating.start()
    levels = RedisLogLevels(client, settings.namespace)
    observing = Observing(realm, kind, name, node_id(), bus, control, levels)
    return Runtime(
        realm,
        kind,
        name,
        subjects,
        client,
        bus,
        RayCalls(settings.namespace, breaker=None if kind in UNBROKEN else settings.mesh.actors),
        RedisEpochStore(client, settings.namespace),
        registry,
        beating,
        control,
        observing,
        own_process=True,
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
    for note in _noting:
        note()
    os._exit(FENCED_EXIT_CODE)
