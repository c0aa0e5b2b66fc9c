"""The world supervisor: makes sure that every zone, session actor and presence index exists. Small and restartable.

Ray restarts actors by itself; the supervisor starts those that are missing and notices those that do not answer. All it knows is
in the settings and in Redis, and the realm plays on while it is away.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Iterable
from typing import Any

import ray
import structlog

from actors.presence.presence_actor import PresenceActor
from actors.session.sessions_actor import SessionsActor
from actors.zone.zone_actor import ZoneActor
from cluster.adapters.redis.connection import guard
from cluster.adapters.redis.sessions import RedisSessionStore
from cluster.adapters.runtime import OpenRuntime, every, open_runtime, until_available
from cluster.errors import Unavailable
from cluster.ports.calls import SUPERVISOR, presence_actor, sessions_actor, zone_actor
from cluster.realm import Realm
from cluster.settings import ZoneSpec
from cluster.telemetry.metrics import SupervisorMetrics

CHECK_S = 2.0
CHECK_DEADLINE_S = 5.0
READY_DEADLINE_S = 60.0
GROW_AT_ONCE = 16  # each is a process; who finds no place asks again
LIST_DEADLINE_S = 1.0
NODE, HEAD = "ray.io/node-id", "node:__internal_head__"  # Ray's own label of a node, and resource of its head
LIST_AGE_S = 1.0  # however many clients ask, zones are asked once in that time

log = structlog.get_logger(__name__)


def options(namespace: str, name: str) -> dict[str, Any]:
    """How every actor of the realm is made: found by name, outlives its maker, restarted without limit, counted by nobody's CPU."""
    return {
        "name": name,
        "namespace": namespace,
        "lifetime": "detached",
        "get_if_exists": True,
        "max_restarts": -1,
        "max_task_retries": 0,
        "num_cpus": 0,
        "max_concurrency": 1_000,
        "enable_task_events": False,
    }


def away_from_the_head() -> dict[str, Any]:
    """Options for another node than Ray's head, if there is one: when the head is busy, every node and actor has to wait for it.

    Not NodeLabelSchedulingStrategy: Ray 2.60 does not look at it for actors that ask for no resources.
    """
    heads = [node["NodeID"] for node in ray.nodes() if node["Alive"] and HEAD in node["Resources"]]  # type: ignore[no-untyped-call]
    if not heads:
        return {}
    return {"label_selector": {NODE: f"!{heads[0]}"}, "fallback_strategy": [{"label_selector": {}}]}


Make = Callable[[Any, str, Realm, str], None]


def make_actor(actor_class: Any, name: str, realm: Realm, argument: str) -> None:
    """Start a named actor unless it is there already."""
    made = options(realm.settings.namespace, name)
    actor_class.options(**made, **away_from_the_head()).remote(realm, argument)


class SupervisorRunner:
    def __init__(self, realm: Realm, make: Make = make_actor, open_with: OpenRuntime = open_runtime) -> None:
        self._realm = realm
        self._make = make
        self._open = open_with
        self._metrics = SupervisorMetrics()
        self._names: set[str] = set()
        self._growing = asyncio.Lock()
        self._asking = 0
        self._rounds = 0
        self._listing = asyncio.Lock()
        self._listed: list[dict[str, Any]] = []
        self._listed_at = float("-inf")
        self._started = asyncio.create_task(self._start())

    async def _start(self) -> None:
        self._runtime = await self._open(self._realm, "supervisor", SUPERVISOR, self._metrics.registry)
        epoch = await until_available(lambda: self._runtime.epochs.take("supervisor", SUPERVISOR))
        settings = self._realm.settings
        self._store = RedisSessionStore(self._runtime.redis, settings.namespace)
        for zone in settings.world.zones:
            self._ensure(ZoneActor, zone_actor(zone.id), zone.id)
        # Never fewer than last time, whatever the settings say now: sessions are placed on every actor that ever registered.
        session_actors = max(settings.session.actors, await until_available(self._session_actors_so_far))
        await until_available(lambda: self._remember_session_actors(session_actors))
        for number in range(session_actors):
            self._ensure(SessionsActor, sessions_actor(number), sessions_actor(number))
        self._ensure(PresenceActor, presence_actor(), presence_actor())
        self._loop = asyncio.create_task(self._watch())
        log.info("supervisor_started", epoch=epoch, actors=len(self._names))

    def _ensure(self, actor_class: Any, name: str, argument: str) -> None:
        self._make(actor_class, name, self._realm, argument)
        self._names.add(name)

    def _counter(self) -> str:
        return f"{self._realm.settings.namespace}:session-actor-count"

    @guard()
    async def _session_actors_so_far(self) -> int:
        return int(await self._runtime.redis.get(self._counter()) or 0)

    @guard()
    async def _remember_session_actors(self, number: int) -> None:
        await self._runtime.redis.set(self._counter(), number)

    async def _watch(self) -> None:
        """Health checks for ever, once every actor has had the time to start."""
        try:
            await self._ready_all(self._names)
        except Unavailable as error:
            log.warning("actor_does_not_start", error=str(error))
        await every(CHECK_S, self._check_all, "health")

    async def _check_all(self) -> None:
        """Ask every actor how it is. One that does not answer is counted; Ray restarts it once its process is gone."""
        names = sorted(self._names)
        checks = (self._runtime.calls.call(name, "info", deadline_s=CHECK_DEADLINE_S) for name in names)
        for name, answer in zip(names, await asyncio.gather(*checks, return_exceptions=True), strict=True):
            well = not isinstance(answer, BaseException)
            self._metrics.checked(name, well)
            if not well:
                log.warning("actor_does_not_answer", actor=name, error=str(answer))

    # --- the control lane --------------------------------------------------------------------------------------

    async def ready(self) -> None:
        """Until every actor answers. Raises Unavailable after a minute."""
        await asyncio.shield(self._started)
        await self._ready_all(self._names)

    async def _ready_all(self, names: Iterable[str]) -> None:
        calls = self._runtime.calls
        await asyncio.gather(*(calls.call(n, "info", deadline_s=READY_DEADLINE_S, idempotent=True) for n in names))

    async def more_sessions(self) -> None:
        """Every session actor is full: start more of them. Returns when there is room for all who ask at the same time."""
        await asyncio.shield(self._started)
        self._asking += 1
        before = self._rounds
        async with self._growing:
            if self._rounds != before:
                return  # it was counted in the round that it waited for
            asking, self._asking = self._asking, 0
            self._rounds += 1
            await self._grow(asking)

    async def _grow(self, places: int) -> None:
        per_actor = self._realm.settings.session.sessions_per_actor
        missing = places - await self._store.room(per_actor)
        there = sum(name.startswith("sessions/") for name in self._names)
        more = min(max(0, math.ceil(missing / per_actor)), GROW_AT_ONCE)
        names = [sessions_actor(number) for number in range(there, there + more)]
        for name in names:
            self._ensure(SessionsActor, name, name)
        if names:
            await self._remember_session_actors(there + more)
            await self._ready_all(names)
            log.info("session_actors_added", actors=names)

    async def zones(self) -> list[dict[str, Any]]:
        """The zones as declared, with population and epoch; population -1 while a zone is away. At most a second old."""
        await asyncio.shield(self._started)
        async with self._listing:
            now = time.monotonic()
            if now - self._listed_at > LIST_AGE_S:
                zones = self._realm.settings.world.zones
                self._listed = await asyncio.gather(*(self._describe(zone) for zone in zones))
                self._listed_at = now
            return self._listed

    async def _describe(self, zone: ZoneSpec) -> dict[str, Any]:
        try:
            info = await self._runtime.calls.call(zone_actor(zone.id), "info", deadline_s=LIST_DEADLINE_S)
        except Unavailable:
            info = {"population": -1, "epoch": 0}
        return {"zone": zone.id, "name": zone.name, "population": info["population"], "epoch": info["epoch"]}


WorldSupervisor = ray.remote(SupervisorRunner)


def start(realm: Realm) -> None:
    """Start the world and wait until it answers. Called by cluster/launch.py, by import string."""
    namespace = realm.settings.namespace
    made = options(namespace, SUPERVISOR)
    supervisor = WorldSupervisor.options(**made, **away_from_the_head()).remote(realm.without_private_keys())
    ready: Any = supervisor.ready
    ray.get(ready.remote(), timeout=READY_DEADLINE_S + 10)
