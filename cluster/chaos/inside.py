"""A look into the realm under test, past what is done to it: its processes, its map, who owns what, and what is on its bus."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import Callable
from functools import partial
from types import TracebackType
from typing import Any, Self

import numpy as np
from pydantic import SecretStr

from cluster.adapters.nats_bus import NatsBus
from cluster.adapters.redis.connection import connect, guard, texts
from cluster.adapters.redis.world import RedisWorldStore
from cluster.adapters.redis.zones import RedisZoneStore
from cluster.bench.realm_under_test import Member
from cluster.chaos.history import History
from cluster.errors import Ours, RealmError, Unavailable
from cluster.mapwatch import MapWatch
from cluster.ports.calls import zone_actor
from cluster.ports.zones import Owner
from cluster.processes_here import merged, tree
from cluster.settings import NatsSettings, RedisSettings
from cluster.subjects import Subjects
from cluster.world_control import ask
from cluster.worldmap import WorldMap
from realm_proto import internal_pb2

LOOK_PAUSE_S = 0.1
WRITES_PAUSE_S = 0.02
ASK_S = 20.0  # as the operator's commands: a plan for a zone asks the zone first


class Inside:
    """Use it as `async with`. What comes over the bus is written to the history.

    `launcher`: the pid of `rayrealm up`. `sockets`: gateway id -> how many, as its last heartbeat said; `draining`: who said so.
    `world`: the newest map.
    """

    def __init__(
        self, redis_url: str, nats_url: str, nats_token: str, namespace: str, launcher: int, history: History
    ) -> None:
        self.sockets: dict[str, int] = {}
        self.draining: set[str] = set()
        self.world = MapWatch(WorldMap(0, ()))
        self.subjects = Subjects(namespace)
        self._redis = connect(RedisSettings(url=SecretStr(redis_url)), "chaos")
        self._zones = RedisZoneStore(self._redis, namespace)
        self._nats = NatsSettings(url=SecretStr(nats_url), token=SecretStr(nats_token))
        self._namespace = namespace
        self._launcher = launcher
        self._history = history
        self._tapped: set[str] = set()
        self._tapping: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self.bus = await NatsBus.connect(self._nats, "chaos")
        await self.bus.subscribe(self.subjects.gateway_alive(), self._alive)
        await self.bus.subscribe(self.subjects.world_map(), self.world.take)
        world_map, _ = await RedisWorldStore(self._redis, self._namespace).load()
        self.world.take(world_map)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in self._tapping:
            task.cancel()
        await self.bus.close()
        await self._redis.aclose()

    # --- processes ---------------------------------------------------------------------------------------------

    async def members(self) -> list[Member]:
        """Those that are alive on this machine, Redis and NATS of the launcher's own among them. Raises Unavailable."""
        async with guard():
            registered = texts(await self._redis.hgetall(f"{self._namespace}:processes"))
        seen = await asyncio.to_thread(tree, self._launcher)
        listed = merged(registered, seen, socket.gethostname(), self._launcher)
        return [Member(process.kind, process.name, process.pid) for process in listed if process.alive]

    async def until(self, true: Callable[[list[Member]], bool], deadline_s: float) -> bool:
        """Whether it became true of the members in time."""
        end = time.monotonic() + deadline_s
        while time.monotonic() < end:
            try:
                if true(await self.members()):
                    return True
            except RealmError:  # Redis is away: it is being tested
                pass
            await asyncio.sleep(LOOK_PAUSE_S)
        return False

    def busy(self) -> set[str]:
        """Gateways with sockets that are not leaving."""
        return {name for name, sockets in self.sockets.items() if sockets and name not in self.draining}

    # --- the world ---------------------------------------------------------------------------------------------

    async def epochs(self) -> dict[str, int]:
        """zone -> the newest incarnation. Raises Unavailable."""
        return {zone_id: owner.epoch for zone_id, owner in (await self._owners()).items()}

    async def owners(self) -> dict[str, str]:
        """zone -> the name of the actor that owns it. Raises Unavailable."""
        return {zone_id: zone_actor(zone_id, owner.slot) for zone_id, owner in (await self._owners()).items()}

    async def _owners(self) -> dict[str, Owner]:
        ids = [zone.id for zone in self.world.map]
        return dict(zip(ids, await asyncio.gather(*(self._zones.owner(zone_id) for zone_id in ids)), strict=True))

    def posts(self) -> set[str]:
        """The names of the actors of those zones that should have two."""
        pairs = [zone.id for zone in self.world.map if zone.standby and not zone.into]
        return {zone_actor(zone_id, slot) for zone_id in pairs for slot in (0, 1)}

    async def holders(self) -> dict[str, list[str]]:
        """entity -> the zones that have it, as the store says: among their own, or as an arrival. Raises Unavailable."""
        held: dict[str, list[str]] = {}
        for zone in self.world.map:
            stored = await self._zones.load(zone.id)
            for entity_id in (*stored.entities, *stored.arrivals):
                held.setdefault(entity_id, []).append(zone.id)
        return held

    async def watch_writes(self, zone_id: str) -> None:
        """For ever: into the history, the newest incarnation of a zone and whose its last writes are, as often as that changes."""
        before: dict[str, Any] = {}
        while True:
            with contextlib.suppress(Unavailable):  # what is written then is seen later
                now = await self._writes(zone_id)
                if now != before:
                    self._history.add("written", zone=zone_id, **now)
                    before = now
            await asyncio.sleep(WRITES_PAUSE_S)

    @guard()
    async def _writes(self, zone_id: str) -> dict[str, Any]:
        async with self._redis.pipeline(transaction=True) as pipe:
            pipe.get(f"{self._namespace}:epoch:zone:{zone_id}")
            pipe.hgetall(f"{self._namespace}:zone:{zone_id}:written")
            epoch, written = await pipe.execute()
        return {"newest": int(epoch or 0), "by": texts(written)}

    async def supervisor(self, method: str, **params: Any) -> Any:
        """As the operator's commands ask it (cluster/world_control.py). Raises what it raised, Unavailable."""
        return await ask(self.bus, self.subjects.world_control(), method, params, ASK_S)

    # --- the bus -----------------------------------------------------------------------------------------------

    def drain(self, gateway_id: str, deadline_s: float) -> None:
        """Ask a gateway to give up its sockets."""
        message = internal_pb2.GatewayControl(drain=internal_pb2.GatewayDrain(deadline_s=deadline_s))
        self.bus.publish(self.subjects.gateway_control(gateway_id), message.SerializeToString())

    def _alive(self, data: bytes) -> None:
        alive = internal_pb2.GatewayAlive.FromString(data)
        self.sockets[alive.gateway_id] = alive.sockets
        (self.draining.add if alive.draining else self.draining.discard)(alive.gateway_id)
        if alive.gateway_id not in self._tapped:
            self._tapped.add(alive.gateway_id)
            task = asyncio.create_task(self._tap(alive.gateway_id))
            self._tapping.add(task)
            task.add_done_callback(self._tapping.discard)

    async def _tap(self, gateway_id: str) -> None:
        await self.bus.subscribe(self.subjects.gateway_output(gateway_id), partial(self._output, gateway_id))

    def _output(self, gateway_id: str, data: bytes) -> None:
        out = internal_pb2.ZoneOutput.FromString(data)
        viewers = np.frombuffer(out.viewers, "<u2").tolist()
        told = {"zone": out.zone_id, "epoch": out.epoch, "gateway": gateway_id, "tick": out.tick, "viewers": viewers}
        self._history.add("output", **told)


def victim(kind: str, listed: list[Member], pick: float, prefer: set[str]) -> Member:
    """One of a kind, chosen by `pick` in [0, 1); of those with names, or ends of names, in `prefer`, if any. Raises Ours."""
    candidates = sorted((member for member in listed if member.kind == kind), key=lambda member: member.name)
    if not candidates:
        raise Ours(f"the realm has no process of kind {kind}: {sorted({member.kind for member in listed})}")
    wanted = [member for member in candidates if prefer & {member.name, member.name.rpartition("/")[2]}]
    chosen = wanted or candidates
    return chosen[int(pick * len(chosen)) % len(chosen)]
