"""The two actors of a zone in virtual time, over memory adapters: each with its own wire to the bus and to the store."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from actors.zone.arrivals import Arrival
from actors.zone.owner import Tools, ZoneOwner
from actors.zone.roles import Roles, make_owner
from actors.zone.rows import pack_move_in
from cluster.adapters.memory.bus import MemoryBus, MemorySubscription
from cluster.adapters.memory.calls import MemoryCalls
from cluster.adapters.memory.characters import MemoryCharacters
from cluster.adapters.memory.epochs import MemoryEpochStore
from cluster.adapters.memory.sessions import MemorySessionStore
from cluster.adapters.memory.world import MemoryWorldStore
from cluster.adapters.memory.zones import MemoryZoneStore
from cluster.errors import Unavailable
from cluster.ports.bus import Handler
from cluster.ports.calls import zone_actor
from cluster.ports.sessions import SessionRecord
from cluster.settings import Settings
from cluster.subjects import Subjects
from cluster.telemetry.zone_metrics import ZoneMetrics
from cluster.world_settings import Bounds, WorldSettings, ZoneSpec
from cluster.worldmap import MapZone
from realm_proto import internal_pb2
from tests.simulation import virtual_time

ZONE = "zon_test"
SUBJECTS = Subjects("test")
GATEWAY = "gtw_1"
LATENCY_S = 0.001


class Wire:
    """A process's connection to the bus. `cut`: it is lost, and the process knows; `deaf`: nothing comes and goes, and it does not
    know.
    """

    def __init__(self, bus: MemoryBus) -> None:
        self.cut = False
        self.deaf = False
        self.published = 0
        self._bus = bus
        self._subscriptions: list[MemorySubscription] = []

    @property
    def connected(self) -> bool:
        return not self.cut

    def publish(self, subject: str, data: bytes, headers: Mapping[str, str] | None = None) -> None:
        if not (self.cut or self.deaf):
            self.published += 1
            self._bus.publish(subject, data)

    async def subscribe(self, subject: str, handler: Handler) -> MemorySubscription:
        subscription = await self._bus.subscribe(subject, lambda data: None if self.cut or self.deaf else handler(data))
        self._subscriptions.append(subscription)
        return subscription

    async def end(self) -> None:
        self.cut = True
        for subscription in self._subscriptions:
            await subscription.unsubscribe()


class Store:
    """A process's way to the store: it takes time, `away` refuses, and a `take` may lose its answer."""

    def __init__(self, store: MemoryZoneStore) -> None:
        self.away = False
        self.lose_takes = 0
        self.fail_loads = 0
        self.slow_s: dict[str, float] = {}
        self._store = store

    def __getattr__(self, name: str) -> Callable[..., Coroutine[Any, Any, Any]]:
        method = getattr(self._store, name)

        async def call(*args: Any, **named: Any) -> Any:
            await asyncio.sleep(self.slow_s.get(name, LATENCY_S))
            if self.away:
                raise Unavailable("redis")
            if name == "load" and self.fail_loads:
                self.fail_loads -= 1
                raise Unavailable("redis")
            answer = await method(*args, **named)
            if name == "take" and self.lose_takes:
                self.lose_takes -= 1
                raise Unavailable("redis")
            await asyncio.sleep(LATENCY_S)
            return answer

        return call


class Actor:
    """One process of the zone."""

    def __init__(self, rig: Rig, slot: int, make: Callable[[MapZone, int, int, Tools], ZoneOwner]) -> None:
        self.name = zone_actor(ZONE, slot)
        self.wire = Wire(rig.bus)
        self.store = Store(rig.store)
        self.fenced = 0
        self._rig = rig
        tools = Tools(
            settings=rig.settings,
            bus=self.wire,  # type: ignore[arg-type]
            subjects=SUBJECTS,
            store=self.store,
            sessions=rig.sessions,
            characters=rig.characters,
            metrics=ZoneMetrics(ZONE),
            clock=time.monotonic,
            wall_clock=time.time,
            rng=random.Random(f"{rig.seed}/{self.name}/{len(rig.made)}"),
            on_fenced=self._stop_fenced,
        )
        self.roles = Roles(ZONE, slot, tools, rig.world, rig.calls, make=make)
        rig.made.append(self)
        rig.actors[self.name] = self.roles
        self.driver = asyncio.create_task(self.roles.run())

    def _stop_fenced(self) -> None:
        """As the process would: it ends, and nothing of it is heard or written any more."""
        self.fenced += 1
        self.wire.cut = self.store.away = True
        self._rig.tasks.append(asyncio.create_task(self.kill()))

    @property
    def role(self) -> str:
        return self.roles.role

    @property
    def owner(self) -> ZoneOwner:
        assert self.roles.owner is not None
        return self.roles.owner

    async def kill(self) -> None:
        """kill -9: from now on it says, hears and writes nothing."""
        self.wire.cut = self.store.away = True
        if self._rig.actors.get(self.name) is self.roles:
            del self._rig.actors[self.name]
        self.driver.cancel()
        await asyncio.gather(self.driver, return_exceptions=True)
        await self.wire.end()


class Rig:
    """A zone of 100 m x 100 m, and what its incarnations say on the bus: `outputs` are (seconds, epoch)."""

    def __init__(self, standby: bool = True, seed: int = 0, **world: Any) -> None:
        spec = ZoneSpec(id=ZONE, name="Test", bounds=Bounds(min_x=0, min_z=0, max_x=100, max_z=100), standby=standby)
        settings = WorldSettings(zones=(spec,), spawn_zone=ZONE, zone_capacity=32, **world)
        self.seed = seed
        self.settings = Settings(realm="test", world=settings)
        self.epochs = MemoryEpochStore()
        self.bus = MemoryBus()
        self.store = MemoryZoneStore(self.epochs)
        self.world = MemoryWorldStore(self.epochs)
        self.sessions = MemorySessionStore(self.epochs)
        self.characters = MemoryCharacters(lambda session_id: session_id in self.sessions._records)
        self.actors: dict[str, Any] = {}
        self.calls = MemoryCalls(self.actors, seed)
        self.made: list[Actor] = []
        self.tasks: list[asyncio.Task[None]] = []
        self.outputs: list[tuple[float, int]] = []

    async def listen(self) -> None:
        """Be the gateway."""
        await self.bus.subscribe(SUBJECTS.gateway_output(GATEWAY), self._output)

    def _output(self, data: bytes) -> None:
        said = internal_pb2.ZoneOutput.FromString(data)
        if not self.outputs or said.epoch >= self.outputs[-1][1]:  # as a gateway believes it
            self.outputs.append((time.monotonic(), said.epoch))

    def start(self, slot: int, make: Callable[[MapZone, int, int, Tools], ZoneOwner] = make_owner) -> Actor:
        return Actor(self, slot, make)

    async def pair(self) -> tuple[Actor, Actor]:
        """An owner with a follower that knows everything."""
        first = self.start(0)
        await self.until(lambda: first.role == "owner")
        second = self.start(1)
        await self.until(lambda: second.role == "following" and self.synced(second))
        return first, second

    @staticmethod
    def synced(actor: Actor) -> bool:
        follower = actor.roles._follower
        return follower is not None and follower.replica.synced

    async def enter(self, actor: Actor, name: str, x: float) -> int:
        """A player comes in; returns its number."""
        self.sessions._records[f"ses_{name}"] = SessionRecord(
            f"ses_{name}", f"usr_{name}", "sessions/0", "in_world", zone_id=ZONE
        )
        who = Arrival(f"ent_{name}", name, f"ses_{name}", f"usr_{name}", f"chr_{name}", GATEWAY, 1, x, 0.0, 50.0, 0.0)
        async with actor.roles.serving() as owner:
            return (await owner.enter(who)).number

    def move(self, number: int, sequence: int, x: float) -> None:
        rows = pack_move_in(number, sequence, x, 0.0, 50.0, 0.0)
        self.bus.publish(
            SUBJECTS.zone_input(ZONE), internal_pb2.ZoneInput(gateway_id=GATEWAY, rows=rows).SerializeToString()
        )

    async def walked(self, actor: Actor, name: str, number: int, x: float) -> None:
        """The player stands there now, and the follower knows."""
        self.move(number, int(x * 10), x)
        await self.until(lambda: abs(self.x(actor, name) - x) < 1e-3)
        await asyncio.sleep(0.06)  # the tick that moved it has been told

    @staticmethod
    def x(actor: Actor, name: str) -> float:
        zone = actor.owner.zone
        return float(zone.table.position[zone.table.by_id[f"ent_{name}"].number][0])

    async def until(self, condition: Callable[[], bool], deadline_s: float = 10.0) -> float:
        """Returns how long it took, in virtual seconds."""
        began = time.monotonic()
        async with asyncio.timeout(deadline_s):
            while not condition():  # noqa: ASYNC110 - virtual time
                await asyncio.sleep(0.001)
        return time.monotonic() - began

    def owners(self) -> list[Actor]:
        return [actor for actor in self.made if actor.roles.owner is not None]

    async def end(self) -> None:
        for actor in self.made:
            await actor.kill()
        await asyncio.gather(*self.tasks)
        await self.bus.close()


def play(scenario: Callable[[Rig], Coroutine[Any, Any, None]], seed: int = 0, **world: Any) -> None:
    """A scenario from beginning to end, in milliseconds."""

    async def all_of_it() -> None:
        rig = Rig(seed=seed, **world)
        await rig.listen()
        try:
            await scenario(rig)
        finally:
            await rig.end()

    virtual_time.run(all_of_it, seed)
