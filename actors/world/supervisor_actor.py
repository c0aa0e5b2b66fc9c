"""The world supervisor as a Ray actor: makes sure that every zone, session actor and presence index exists, and directs the world.

Small and restartable. Ray restarts actors by itself; the supervisor starts those that are missing and notices those that do not
answer. All it knows is in the settings and in Redis, and the realm plays on while it is away.
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
from actors.watch.watch_actor import WatchActor
from actors.world import telling
from actors.world.crew import Crew
from actors.world.director import Director
from actors.world.ledger import Ledger
from actors.world.seen import fit
from actors.world.tools import Tools
from actors.zone.zone_actor import ZoneActor
from cluster import server_topics
from cluster.adapters.ray_actors import RayActors, heads, options, whereabouts
from cluster.adapters.redis.connection import guard
from cluster.adapters.redis.sessions import RedisSessionStore
from cluster.adapters.redis.topics import RedisTopicLog
from cluster.adapters.redis.world import RedisWorldStore
from cluster.adapters.redis.zones import RedisZoneStore
from cluster.adapters.runtime import OpenRuntime, every, open_runtime, stop_fenced, until_available
from cluster.errors import Fenced, Unavailable
from cluster.ports.actors import ANYWHERE, ActorKind, Actors
from cluster.ports.calls import SUPERVISOR, presence_actor, sessions_actor, watch_actor
from cluster.publishing import Publisher
from cluster.realm import Realm
from cluster.telemetry.metrics import SupervisorMetrics
from cluster.telemetry.tracing import Traced
from cluster.world_control import Method, responder

CHECK_S = 2.0
ANNOUNCE_S = 2.0
READY_DEADLINE_S = 60.0
GROW_AT_ONCE = 16  # each is a process; who finds no place asks again
LIST_DEADLINE_S = 1.0
LIST_AGE_S = 1.0  # however many clients ask, zones are asked once in that time

log = structlog.get_logger(__name__)


def ray_actors(realm: Realm) -> Actors:
    return RayActors(
        realm, {"zone": ZoneActor, "sessions": SessionsActor, "presence": PresenceActor, "watch": WatchActor}
    )


class SupervisorRunner(Traced):
    """Everything public here is the control lane; the operator's commands come over the bus (cluster/world_control.py)."""

    def __init__(
        self,
        realm: Realm,
        actors: Callable[[Realm], Actors] = ray_actors,
        open_with: OpenRuntime = open_runtime,
    ) -> None:
        self._realm = realm
        self._actors = actors(realm)
        self._open = open_with
        self._metrics = SupervisorMetrics()
        self._others: set[str] = set()
        self._growing = asyncio.Lock()
        self._asking = 0
        self._rounds = 0
        self._listing = asyncio.Lock()
        self._listed: list[dict[str, Any]] = []
        self._listed_at = float("-inf")
        self._tasks: list[asyncio.Task[None]] = []
        self._started = asyncio.create_task(self._start())

    async def _start(self) -> None:
        try:
            await self._begin()
        except Fenced:
            stop_fenced("supervisor")
        except Exception:
            log.exception("supervisor_did_not_start")
            raise

    async def _begin(self) -> None:
        self._runtime = runtime = await self._open(self._realm, "supervisor", SUPERVISOR, self._metrics.registry)
        epoch = await until_available(lambda: runtime.epochs.take("supervisor", SUPERVISOR))
        settings = self._realm.settings
        self._store = RedisSessionStore(runtime.redis, settings.namespace)
        topics = RedisTopicLog(runtime.redis, settings.namespace)
        self._publisher = Publisher(topics, runtime.bus, runtime.subjects, settings.session.topic_log)
        tools = Tools(
            settings=settings.world,
            calls=runtime.calls,
            zones=RedisZoneStore(runtime.redis, settings.namespace),
            world=RedisWorldStore(runtime.redis, settings.namespace),
            actors=self._actors,
            bus=runtime.bus,
            subjects=runtime.subjects,
            on_fenced=stop_fenced,
            on_check=self._metrics.checked,
            templates=settings.console.templates,
        )
        self._ledger = Ledger(tools, epoch)
        self._crew = Crew(tools, self._ledger, lambda: self._others)
        await until_available(self._ledger.open)  # zones read the map as they start
        self._director = Director(tools, self._ledger, self._crew)
        ledger, crew = self._ledger, self._crew
        self._metrics.watch(
            lambda: {zone.id: zone.id in crew.seen for zone in ledger.record.map},
            lambda: {"fit": len(fit(crew.nodes)), "draining": sum(node.draining for node in crew.nodes)},
            self._director.ended,
            lambda: ledger.record.progress is not None,
        )
        await until_available(self._crew.check)
        # Never fewer than last time, whatever the settings say now: sessions are placed on every actor that ever registered.
        session_actors = max(settings.session.actors, await until_available(self._session_actors_so_far))
        await until_available(lambda: self._remember_session_actors(session_actors))
        for number in range(session_actors):
            await self._ensure("sessions", sessions_actor(number))
        await self._ensure("presence", presence_actor())
        if settings.abuse.enabled:
            await self._ensure("watch", watch_actor())
        self._director.carry_on()
        commands: dict[str, Method] = {
            "world": self.world,
            "zones": self.zones,
            "nodes": self.nodes,
            "state": self.state,
            "plan": self.plan,
            "preview": self.preview,
            "execute": self.execute,
            "begin": self.begin,
            "cancel": self.cancel,
            "ended": self.ended,
            "drain": self.drain,
            "publish": self.publish,
        }
        await until_available(lambda: runtime.bus.respond(runtime.subjects.world_control(), responder(commands)))
        self._tasks.append(asyncio.create_task(self._watch()))
        runtime.beating.add(
            lambda: {"map_version": ledger.record.map.version, "busy": ledger.record.progress is not None}
        )
        log.info("supervisor_started", epoch=epoch, zones=len(self._ledger.record.map.zones), others=len(self._others))

    async def _ensure(self, kind: ActorKind, name: str) -> None:
        await until_available(lambda: self._actors.make(kind, name, ANYWHERE))
        self._others.add(name)

    def _counter(self) -> str:
        return f"{self._realm.settings.namespace}:session-actor-count"

    @guard()
    async def _session_actors_so_far(self) -> int:
        return int(await self._runtime.redis.get(self._counter()) or 0)

    @guard()
    async def _remember_session_actors(self, number: int) -> None:
        await self._runtime.redis.set(self._counter(), number)

    async def _watch(self) -> None:
        """For ever: tell the map, ask every actor how it is, and let the policy decide once every zone had time to start."""
        self._tasks.append(asyncio.create_task(every(ANNOUNCE_S, self._announce, "announce")))
        self._tasks.append(asyncio.create_task(every(CHECK_S, self._crew.check, "health")))
        try:
            await self._all_ready()
        except Unavailable as error:
            log.warning("actor_does_not_start", error=str(error))
        await every(self._realm.settings.world.policy.every_s, self._director.consider, "policy")

    async def _announce(self) -> None:
        self._ledger.announce()

    @property
    def _loops(self) -> list[asyncio.Task[None]]:
        """What ends with the process."""
        return [*self._tasks, *self._director.running]

    # --- the control lane --------------------------------------------------------------------------------------

    async def ready(self) -> None:
        """Until every actor answers and every zone has an owner. Raises Unavailable after a minute."""
        await asyncio.shield(self._started)
        await self._all_ready()

    async def _all_ready(self) -> None:
        await asyncio.gather(self._ready_all(self._others), self._crew.ready(READY_DEADLINE_S))

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
        there = sum(name.startswith("sessions/") for name in self._others)
        more = min(max(0, math.ceil(missing / per_actor)), GROW_AT_ONCE)
        names = [sessions_actor(number) for number in range(there, there + more)]
        for name in names:
            await self._ensure("sessions", name)
        if names:
            await self._remember_session_actors(there + more)
            await self._ready_all(names)
            log.info("session_actors_added", actors=names)

    async def zones(self) -> list[dict[str, Any]]:
        """See telling.zones. At most a second old."""
        await asyncio.shield(self._started)
        async with self._listing:
            now = time.monotonic()
            if now - self._listed_at > LIST_AGE_S:
                self._listed = await telling.zones(self._ledger.record, self._crew, LIST_DEADLINE_S)
                self._listed_at = now
            return self._listed

    async def world(self) -> dict[str, Any]:
        """See telling.world. Nobody is asked for it: it costs the same however many look."""
        await asyncio.shield(self._started)
        return telling.world(self._ledger.record, self._crew, self._director.verdict.reasons)

    async def nodes(self) -> list[dict[str, Any]]:
        """See telling.nodes. Raises Unavailable."""
        await asyncio.shield(self._started)
        return await telling.nodes(self._crew)

    async def state(self) -> dict[str, Any]:
        """See telling.state."""
        await asyncio.shield(self._started)
        return telling.state(self._ledger.record, self._director.verdict.reasons)

    async def plan(self, kind: str, args: list[str]) -> str:
        """A plan in words; nothing is done. Raises Conflict, NotFound, InvalidInput, Unavailable."""
        await asyncio.shield(self._started)
        return (await self._director.plan(kind, args)).describe()

    async def preview(self, kind: str, args: list[str]) -> dict[str, Any]:
        """As `plan`, in parts: see telling.preview."""
        await asyncio.shield(self._started)
        return telling.preview(await self._director.plan(kind, args))

    async def execute(self, kind: str, args: list[str], plan_id: str) -> str:
        """`begin`, in words."""
        return str((await self.begin(kind, args, plan_id))["text"])

    async def begin(self, kind: str, args: list[str], plan_id: str) -> dict[str, Any]:
        """Plan it and begin to carry it out; see telling.preview. Said again with the same id, nothing more happens."""
        await asyncio.shield(self._started)
        record = self._ledger.record
        if record.progress is not None and record.progress.plan.id == plan_id:
            return telling.preview(record.progress.plan)
        if (ended := record.how_ended(plan_id)) is not None:
            return {"what": ended.what, "zones": list(ended.zones), "steps": [], "text": ended.what}
        plan = await self._director.plan(kind, args, plan_id=plan_id)
        await self._director.execute(plan)
        return telling.preview(plan)

    async def cancel(self, plan_id: str) -> str:
        """See Director.cancel. Raises InvalidState, NotFound."""
        await asyncio.shield(self._started)
        return self._director.cancel(plan_id)

    async def ended(self, plan_id: str) -> dict[str, Any] | None:
        """How that plan ended, as `last` of `state`; None if it has not, or is not known any more."""
        await asyncio.shield(self._started)
        return telling.finished(self._ledger.record.how_ended(plan_id))

    async def drain(self, node: str, undo: bool = False) -> dict[str, Any]:
        """Raises NotFound, Conflict, Unavailable."""
        await asyncio.shield(self._started)
        found = await self._director.drain(node, undo)
        return {"node": found.id, "host": found.host}

    async def publish(self, topic: str, data: Any, key: str) -> bool:
        """To a server topic, once for a key. Raises InvalidInput, Unavailable."""
        await asyncio.shield(self._started)
        await self._publisher.publish(topic, server_topics.METHOD, server_topics.message(topic, data), key)
        return True


WorldSupervisor = ray.remote(SupervisorRunner)


def start(realm: Realm) -> None:
    """Start the world and wait until it answers. Called by cluster/launch.py, by import string."""
    made = {**options(realm.settings.namespace, SUPERVISOR), **whereabouts(ANYWHERE, heads())}
    supervisor = WorldSupervisor.options(**made).remote(realm.without_private_keys())
    ready: Any = supervisor.ready
    ray.get(ready.remote(), timeout=READY_DEADLINE_S + 10)
