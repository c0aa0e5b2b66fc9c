"""The supervisor's parts over adapters in memory, and zones that are actors but only play at being zones."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import numpy as np

from actors.world.crew import Crew
from actors.world.director import Director
from actors.world.ledger import Ledger
from actors.world.tools import Tools
from cluster.adapters.memory.bus import MemoryBus
from cluster.adapters.memory.calls import MemoryCalls
from cluster.adapters.memory.epochs import MemoryEpochStore
from cluster.adapters.memory.world import MemoryWorldStore
from cluster.adapters.memory.zones import MemoryZoneStore
from cluster.errors import NotOwner, Unavailable
from cluster.operator_settings import ZoneTemplate
from cluster.ports.actors import ANYWHERE, ActorKind, Node, Place
from cluster.ports.calls import SUPERVISOR, zone_and_slot
from cluster.subjects import Subjects
from cluster.world_settings import PolicySettings, WorldSettings, ZoneSpec
from cluster.worldmap import WorldMap
from tests.unit.actors.world.lands import NODES, A, B, crowd, ground

SUBJECTS = Subjects("rayrealm-test")


class FakeZone:
    """One actor. Its entities are those of the stage that the zone owns."""

    def __init__(self, stage: Stage, zone_id: str, slot: int, node: str) -> None:
        self.stage, self.zone_id, self.slot, self.node = stage, zone_id, slot, node
        self.map_version = 0
        self.work = 0.0

    async def _owns(self) -> bool:
        owner = await self.stage.zones.owner(self.zone_id)
        if owner.epoch == 0:
            await self.stage.zones.take(self.zone_id, self.slot)
            return True
        return owner.slot == self.slot

    async def info(self) -> dict[str, Any]:
        owns = await self._owns()
        mine = self.stage.entities.get(self.zone_id, [])
        return {
            "zone": self.zone_id,
            "slot": self.slot,
            "role": "owner" if owns else "following",
            "node": self.node,
            "epoch": (await self.stage.zones.owner(self.zone_id)).epoch,
            "population": len(mine),
            "ghosts": 0,
            "ticks": 1,
            "tick_ms_p95": self.work,
            "overruns": 0,
            "strays": 0,
            "room": 100,
            "map_version": self.map_version,
        }

    async def positions(self) -> bytes:
        await self._owned()
        return np.array(self.stage.entities[self.zone_id], np.float32).reshape(-1, 2).tobytes()

    async def remap(self, world_map: bytes) -> None:
        await self._owned()
        world = WorldMap.load(world_map)
        self.map_version = world.version
        entities = self.stage.entities
        for place in list(entities.get(self.zone_id, [])):
            there = world.at(*place)
            assert there is not None
            if there.id != self.zone_id:
                entities[self.zone_id].remove(place)
                entities.setdefault(there.id, []).append(place)

    async def promote(self) -> None:
        await self.stage.zones.take(self.zone_id, self.slot)

    async def retire(self) -> bool:
        await self._owned()
        return not self.stage.entities.get(self.zone_id)

    async def _owned(self) -> None:
        if not await self._owns():
            raise NotOwner(1 - self.slot)


class FakeActors:
    """Implements `cluster.ports.actors.Actors`; `made` and `killed` in order. `away`: it raises Unavailable."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.there: list[Node] = []
        self.made: list[tuple[str, Place]] = []
        self.killed: list[str] = []
        self.away = False

    async def make(self, kind: ActorKind, name: str, place: Place = ANYWHERE) -> None:
        self._reach(name)
        if name in self.stage.actors:
            return
        self.made.append((name, place))
        good = [node.id for node in self.there if node.id not in place.avoid and not node.head]
        able = [*good, *(node.id for node in self.there), ""]
        node = place.node if place.node and place.node in able else able[0]
        self.stage.actors[name] = FakeZone(self.stage, *zone_and_slot(name), node)

    async def kill(self, name: str) -> None:
        self._reach(name)
        self.killed.append(name)
        self.stage.actors.pop(name, None)

    async def nodes(self) -> list[Node]:
        self._reach("Ray")
        return list(self.there)

    def _reach(self, what: str) -> None:
        if self.away:
            raise Unavailable(what)


class Stage:
    """`restart` is what kill -9 and a new incarnation make of the supervisor."""

    def __init__(self, settings: WorldSettings, nodes: tuple[Node, ...] = ()) -> None:
        self.settings = settings
        self.now = 1_000.0
        self.epochs = MemoryEpochStore()
        self.zones = MemoryZoneStore(self.epochs)
        self.world = MemoryWorldStore(self.epochs)
        self.bus = MemoryBus()
        self.actors: dict[str, Any] = {}
        self.calls = MemoryCalls(self.actors, seed=1)
        self.hosts = FakeActors(self)
        self.hosts.there = list(nodes)
        self.entities: dict[str, list[tuple[float, float]]] = {zone.id: [] for zone in settings.zones}
        self.checks: list[tuple[str, bool]] = []
        self.fenced: list[str] = []

    async def start(self) -> None:
        """A supervisor's parts, as its shell puts them together."""
        epoch = await self.epochs.take("supervisor", SUPERVISOR)
        tools = Tools(
            templates={"annex": ZoneTemplate(name="Annex", width=100.0, depth=100.0)},
            settings=self.settings,
            calls=self.calls,
            zones=self.zones,
            world=self.world,
            actors=self.hosts,
            bus=self.bus,
            subjects=SUBJECTS,
            on_fenced=self.fenced.append,
            on_check=lambda name, well: self.checks.append((name, well)),
            clock=lambda: self.now,
            wall_clock=lambda: 1_700_000_000.0 + self.now,
        )
        self.ledger = Ledger(tools, epoch)
        self.crew = Crew(tools, self.ledger, lambda: ())
        await self.ledger.open()
        self.director = Director(tools, self.ledger, self.crew)
        await self.crew.check()
        self.director.carry_on()

    def stop(self) -> None:
        for task in self.director.running:
            task.cancel()

    async def restart(self) -> None:
        self.stop()
        await self.start()

    async def do(self, kind: str, *args: str, plan_id: str = "") -> str:
        """Plan it and carry it out; its outcome."""
        await self.director.execute(await self.director.plan(kind, args, plan_id=plan_id))
        return await self.ended()

    async def ended(self) -> str:
        await self.until(lambda: self.ledger.record.progress is None)
        await asyncio.gather(*self.director.running)
        assert self.ledger.record.last is not None
        return self.ledger.record.last.outcome

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(10.0):
            while not condition():
                await asyncio.sleep(0.005)
                self.now += 0.005

    def names(self) -> list[str]:
        return sorted(self.actors)


def settings(*names: str, standby: bool = False, **policy: object) -> WorldSettings:
    zones = tuple(
        ZoneSpec(id=name, name=name[4:].title(), bounds=ground(n * 100, 0, n * 100 + 100, 100))
        for n, name in enumerate(names)
    )
    return WorldSettings(zones=zones, spawn_zone=names[0], standby=standby, policy=PolicySettings(**policy))  # type: ignore[arg-type]


async def opened(*names: str, nodes: bool = False, **more: object) -> Stage:
    stage = Stage(settings(*(names or (A, B)), **more), NODES if nodes else ())  # type: ignore[arg-type]
    for x, z in crowd(3, 40, 0, 100).tolist():
        stage.entities[A].append((x, z))
    await stage.start()
    await stage.crew.check()
    return stage
