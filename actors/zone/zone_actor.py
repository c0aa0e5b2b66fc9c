"""One of a zone's two actors as a Ray actor: connections and a clock around `roles.Roles`."""

from __future__ import annotations

import asyncio
import random
import time
from typing import Any

import ray

from actors.zone import asked, beat, reports
from actors.zone.arrivals import Arrival, Standing
from actors.zone.owner import Tools
from actors.zone.roles import Roles
from cluster.adapters.ray_actors import node_id
from cluster.adapters.redis.characters import RedisCharacters
from cluster.adapters.redis.sessions import RedisSessionStore
from cluster.adapters.redis.topics import RedisTopicLog
from cluster.adapters.redis.world import RedisWorldStore
from cluster.adapters.redis.zones import RedisZoneStore
from cluster.adapters.runtime import OpenRuntime, Runtime, open_runtime, stop_fenced
from cluster.ports.calls import zone_actor, zone_and_slot
from cluster.publishing import Publisher
from cluster.realm import Realm
from cluster.telemetry.tracing import Traced
from cluster.telemetry.zone_metrics import ZoneMetrics
from cluster.world_control import responder


class ZoneRunner(Traced):
    """Everything public here is the control lane; moves, views and zone calls go over the bus.

    `name` is the actor's, with or without `zone/` before it. What needs the zone's owner raises NotOwner if that
    is the other actor.
    """

    def __init__(self, realm: Realm, name: str, open_with: OpenRuntime = open_runtime) -> None:
        self._realm = realm
        self._open = open_with
        self._zone_id, self._slot = zone_and_slot(name)
        self._node = node_id()
        self._metrics = ZoneMetrics(self._zone_id)
        self._driver: asyncio.Task[None] | None = None
        # Ray runs __init__ on the actor's own event loop, and again after every restart.
        self._started = asyncio.create_task(self._start())

    async def _start(self) -> Roles:
        settings = self._realm.settings
        name = zone_actor(self._zone_id, self._slot)
        self._runtime: Runtime = await self._open(self._realm, "zone", name, self._metrics.registry)
        runtime = self._runtime
        client, namespace = runtime.redis, settings.namespace
        tools = Tools(
            settings=settings,
            bus=runtime.bus,
            subjects=runtime.subjects,
            store=RedisZoneStore(client, namespace),
            sessions=RedisSessionStore(client, namespace),
            characters=RedisCharacters(client, namespace),
            metrics=self._metrics,
            clock=time.monotonic,
            wall_clock=time.time,
            rng=random.Random(),  # noqa: S311 - jitter
            on_fenced=lambda: stop_fenced(name),
            events=runtime.events(),
            publish=Publisher(
                RedisTopicLog(client, namespace), runtime.bus, runtime.subjects, settings.session.topic_log
            ).publish,
        )
        runtime.freeze(collect=True)
        world = RedisWorldStore(client, namespace)
        self._roles = Roles(self._zone_id, self._slot, tools, world, runtime.calls, at_work=runtime.freeze)
        await runtime.bus.respond(runtime.subjects.actor_control(name), responder(asked.methods(self._roles)))
        runtime.beating.add(lambda: beat.values(self._roles))
        self._driver = asyncio.create_task(self._roles.run())
        return self._roles

    async def _ready(self) -> Roles:
        return await asyncio.shield(self._started)

    @property
    def _loops(self) -> list[asyncio.Task[None]]:
        """What ends with the process."""
        return [self._driver] if self._driver is not None else []

    # --- players -----------------------------------------------------------------------------------------------

    async def enter(self, who: Arrival) -> Standing:
        """Durable when it returns, as are the next three. Raises RateLimited (full), Conflict, Elsewhere, Unavailable."""
        async with (await self._ready()).serving() as owner:
            return await owner.enter(who)

    async def attach(self, session_id: str, gateway_id: str, attach_epoch: int, instead_of: int = 0) -> Standing:
        async with (await self._ready()).serving() as owner:
            return await owner.attach(session_id, gateway_id, attach_epoch, instead_of)

    async def detach(self, session_id: str, attach_epoch: int, instead_of: int = 0) -> bool:
        async with (await self._ready()).serving() as owner:
            return await owner.detach(session_id, attach_epoch, instead_of)

    async def leave(self, session_id: str) -> Standing | None:
        async with (await self._ready()).serving() as owner:
            return await owner.leave(session_id)

    # --- the world ---------------------------------------------------------------------------------------------

    async def info(self) -> dict[str, Any]:
        """Health check. Every actor answers, whatever its role: `starting`, `owner` or `following`."""
        return {**(await self._ready()).info(), "node": self._node}

    async def positions(self) -> bytes:
        """See reports.positions."""
        async with (await self._ready()).serving() as owner:
            return reports.positions(owner.zone)

    async def remap(self, world_map: bytes) -> None:
        """See Roles.remap."""
        await (await self._ready()).remap(world_map)

    async def promote(self) -> None:
        """Own the zone when this returns. Raises Unavailable."""
        await (await self._ready()).promote()

    async def yield_to(self, slot: int, within_s: float) -> tuple[bytes, float, int]:
        """From the zone's other actor: see Roles.yield_to."""
        return await (await self._ready()).yield_to(slot, within_s)

    async def retire(self) -> bool:
        """See Roles.retire."""
        return await (await self._ready()).retire()


ZoneActor = ray.remote(ZoneRunner)
