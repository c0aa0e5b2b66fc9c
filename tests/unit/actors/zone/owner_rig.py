"""Zones at work in one process and in virtual time, over memory adapters: owners, each with its own wire to the bus and its own
way to the store, and players behind one gateway's zone link.
"""

from __future__ import annotations

import asyncio
import functools
import itertools
import random
import time
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from actors.zone.arrivals import Arrival, Standing
from actors.zone.owner import Tools, ZoneOwner
from actors.zone.rows import pack_move_in
from actors.zone.zone import Zone
from cluster.adapters.memory.bus import MemoryBus, MemorySubscription
from cluster.adapters.memory.characters import MemoryCharacters
from cluster.adapters.memory.epochs import MemoryEpochStore
from cluster.adapters.memory.sessions import MemorySessionStore
from cluster.ports.bus import Handler
from cluster.ports.sessions import SessionRecord
from cluster.settings import Settings
from cluster.subjects import Subjects
from cluster.telemetry.zone_metrics import ZoneMetrics
from cluster.world_settings import Bounds, WorldSettings, ZoneSpec
from cluster.worldmap import WorldMap
from rayrealm_client import views
from rayrealm_client.scene import Scene
from realm_proto import internal_pb2, realtime_pb2
from serve_apps.gateway.views import View
from serve_apps.gateway.zone_link import ZoneLink
from tests.simulation import virtual_time
from tests.unit.actors.zone.far_store import FarStores, Way

SUBJECTS = Subjects("test")
GATEWAY = "gtw_1"
DEADLINE_S = 10.0
TICK_S = 0.05
STEP_M = 0.3  # at 6 m/s, in a tick

Ground = tuple[str, float, float, float, float]


def world(*grounds: Ground, **overrides: Any) -> WorldSettings:
    """A world of (zone id, min x, min z, max x, max z)."""
    zones = tuple(
        ZoneSpec(id=name, name=name, bounds=Bounds(min_x=a, min_z=b, max_x=c, max_z=d)) for name, a, b, c, d in grounds
    )
    return WorldSettings(zones=zones, spawn_zone=zones[0].id, tick_hz=1 / TICK_S, **overrides)


class Wire:
    """A process's connection to the bus. `cut`: nothing comes and goes. `lossy`, `late`: how often what it says to other zones is
    lost, or comes up to 0.3 s later and so out of order, 0 to 1.
    """

    def __init__(self, bus: MemoryBus, rng: random.Random) -> None:
        self.cut = False
        self.lossy = 0.0
        self.late = 0.0
        self._bus = bus
        self._rng = rng
        self._subscriptions: list[MemorySubscription] = []

    @property
    def connected(self) -> bool:
        return not self.cut

    def publish(self, subject: str, data: bytes, headers: Mapping[str, str] | None = None) -> None:
        if self.cut:
            return
        if subject.endswith(".border"):
            if self._rng.random() < self.lossy:
                return
            if self._rng.random() < self.late:
                asyncio.get_running_loop().call_later(self._rng.uniform(0.0, 0.3), self._bus.publish, subject, data)
                return
        self._bus.publish(subject, data)

    async def subscribe(self, subject: str, handler: Handler) -> MemorySubscription:
        subscription = await self._bus.subscribe(subject, lambda data: None if self.cut else handler(data))
        self._subscriptions.append(subscription)
        return subscription

    async def end(self) -> None:
        self.cut = True
        for subscription in self._subscriptions:
            await subscription.unsubscribe()


class _Connection:
    entity: int | None = None


class Player:
    """A session with a socket, and what it sees: the client's own scene, fed by the gateway's own link."""

    def __init__(self, rig: Rig, name: str) -> None:
        self.session_id, self.name, self.entity_id = f"ses_{name}", name, f"ent_{name}"
        self.attach_epoch, self.transfer, self.sighted = 1, 0, False
        self.connection = _Connection()
        self.last_move = b""
        self.world: dict[str, Any] | None = None
        self.scene = Scene()
        self.views = 0
        self.zones: list[str] = []  # in the order of their resets
        self.left: list[str] = []  # names that went out of its view
        self.strange: list[str] = []
        self._rig = rig
        self.sequence = 0
        self.x = self.z = 0.0

    @property
    def zone_id(self) -> str:
        return self.world["zone"] if self.world else ""

    @property
    def number(self) -> int | None:
        return self.connection.entity

    @property
    def arrival(self) -> Arrival:
        return Arrival(
            self.entity_id,
            self.name,
            self.session_id,
            f"usr_{self.name}",
            f"chr_{self.name}",
            GATEWAY,
            self.attach_epoch,
            self.x,
            0.0,
            self.z,
            0.0,
        )

    async def enter(self, zone_id: str, x: float, z: float = 50.0) -> Standing:
        self.x, self.z = x, z
        record = SessionRecord(self.session_id, f"usr_{self.name}", "sessions/0", "in_world", zone_id=zone_id)
        self._rig.sessions._records[self.session_id] = record
        standing = await self._rig.owners[zone_id].enter(self.arrival)
        self.world = {"zone": zone_id, "number": standing.number}
        self._rig.link.show(self, zone_id, standing.number)  # type: ignore[arg-type]
        return standing

    def walk(self, dx: float, dz: float = 0.0) -> None:
        """One move, as the gateway passes it on."""
        if self.number is None:
            return
        self.sequence += 1
        self.x, self.z = self.x + dx, self.z + dz
        self.last_move = pack_move_in(self.number, self.sequence, self.x, 0.0, self.z, 0.0)
        self._rig.link.move(self.zone_id, self.last_move)
        self._rig.link.flush()

    async def walk_to(self, x: float) -> bool:
        """A step for each tick, until it should be there twice. Returns whether it is."""
        for _ in range(2 * int(abs(self.x - x) / STEP_M) + 20):
            if abs(self.x - x) <= STEP_M:
                return True
            self.walk(STEP_M if x > self.x else -STEP_M)
            await self._rig.run(TICK_S)
        return False

    def see(self, view: View) -> None:
        self.views += 1
        if view.reset is not None:
            self.zones.append(view.reset.zone_id)
        shown = views.from_proto(realtime_pb2.WebSocketMessage.FromString(view.to_proto()).view)
        if shown.correction is not None:
            self.x, self.z = shown.correction.position[0], shown.correction.position[2]
        try:
            changes = self.scene.apply(shown)
        except Exception as error:
            self.strange.append(repr(error))
            return
        self.left += (entity.entity_id.removeprefix("ent_") for entity in changes.left)
        ids = [entity.entity_id for entity in self.scene.entities.values()]
        if len(ids) != len(set(ids)) or self.entity_id in ids:
            self.strange.append(f"twice: {sorted(ids)}")

    @property
    def sees(self) -> set[str]:
        return {entity.entity_id.removeprefix("ent_") for entity in self.scene.entities.values()}

    def x_of(self, name: str) -> float | None:
        """Where it sees the other one."""
        found = next((e for e in self.scene.entities.values() if e.entity_id == f"ent_{name}"), None)
        return found.cm[0] / 100 if found is not None and found.cm is not None else None


class Rig:
    """`owners` by zone. Kill one with `kill`, start its next incarnation with `start`. `wires` and `ways` are the present ones."""

    def __init__(self, world_settings: WorldSettings, seed: int = 0) -> None:
        self.settings = Settings(realm="test", world=world_settings)
        self.rng = random.Random(seed)
        self.epochs = MemoryEpochStore()
        self.bus = MemoryBus()
        self.far = FarStores(self.epochs)
        self.store = self.far.inner
        self.sessions = MemorySessionStore(self.epochs)
        self.characters = MemoryCharacters(lambda session_id: session_id in self.sessions._records)
        self.map = WorldMap.declared(world_settings)
        self.owners: dict[str, ZoneOwner] = {}
        self.wires: dict[str, Wire] = {}
        self.ways: dict[str, Way] = {}
        self.players: dict[str, Player] = {}
        self.fenced: list[str] = []
        self.moved: list[tuple[str, str]] = []  # (session, zone), as session actors hear it
        self.told: dict[int, internal_pb2.ZoneAnswer] = {}  # answers to `call`
        self._ids = itertools.count(1)
        self._watching: list[asyncio.Task[None]] = []
        self.link = ZoneLink(
            GATEWAY,
            self.bus,
            SUBJECTS,
            lambda client, view: client.see(view),  # type: ignore[attr-defined]
            time.monotonic,
            lambda session_id: self.players.get(session_id),  # type: ignore[arg-type, return-value]
            self._crossed,
        )

    def _crossed(self, client: Any, zone_id: str, number: int) -> None:
        client.world = {"zone": zone_id, "number": number}

    async def listen(self) -> None:
        """Be the gateway, and the session actors."""
        await self.bus.subscribe(SUBJECTS.gateway_output(GATEWAY), self.link.receive)
        await self.bus.subscribe(SUBJECTS.gateway_control(GATEWAY), self._control)
        await self.bus.subscribe(SUBJECTS.sessions_moved(), self._moved)

    def _control(self, data: bytes) -> None:
        for answer in internal_pb2.GatewayControl.FromString(data).answers.answers:
            self.told[answer.id] = answer

    def _moved(self, data: bytes) -> None:
        said = internal_pb2.SessionsMoved.FromString(data)
        self.moved += ((session_id, said.zone_id) for session_id in said.session_ids)

    # --- zones -------------------------------------------------------------------------------------------------

    def make(self, zone_id: str, epoch: int) -> ZoneOwner:
        """An owner that has not begun yet."""
        wire = self.wires[zone_id] = Wire(self.bus, random.Random(self.rng.random()))
        way = self.ways[zone_id] = self.far.way(random.Random(self.rng.random()))
        tools = Tools(
            settings=self.settings,
            bus=wire,  # type: ignore[arg-type]
            subjects=SUBJECTS,
            store=way,
            sessions=self.sessions,
            characters=self.characters,
            metrics=ZoneMetrics(zone_id),
            clock=time.monotonic,
            wall_clock=time.time,
            rng=random.Random(self.rng.random()),
            on_fenced=lambda: self.fenced.append(zone_id),
        )
        found = self.map.find(zone_id)
        assert found is not None
        return ZoneOwner(Zone(found, self.settings.world, epoch), 0, tools)

    async def start(self, *zone_ids: str) -> None:
        for zone_id in zone_ids or tuple(zone.id for zone in self.map):
            owner = self.make(zone_id, await self.store.take(zone_id, 0))
            await owner.begin(self.map)
            self.owners[zone_id] = owner

    async def remap(self, new: WorldMap) -> None:
        self.map = new
        self.bus.publish(SUBJECTS.world_map(), new.dump())
        await self.until(lambda: all(owner.zone.borders.map.version == new.version for owner in self.owners.values()))

    async def kill(self, zone_id: str) -> None:
        """kill -9: from now on it says, hears and writes nothing; what is on its way arrives."""
        owner = self.owners.pop(zone_id)
        self.wires[zone_id].cut = True
        self.ways[zone_id].weather = "refusing"
        await owner.stop()
        await self.wires[zone_id].end()

    def watch(self, work: Coroutine[Any, Any, None]) -> None:
        """Run it until the end of the test."""
        self._watching.append(asyncio.create_task(work))

    async def stop(self) -> None:
        for task in self._watching:
            task.cancel()
        await asyncio.gather(*self._watching, return_exceptions=True)
        for zone_id in list(self.owners):
            await self.kill(zone_id)
        await self.bus.close()

    # --- players -----------------------------------------------------------------------------------------------

    def player(self, name: str) -> Player:
        made = Player(self, name)
        self.players[made.session_id] = made
        return made

    def call(self, player: Player, method: str, params_json: bytes = b"", zone_id: str = "") -> int:
        """A zone call, as the gateway sends it. The answer comes to `told` under this number."""
        number = next(self._ids)
        call = internal_pb2.ZoneCall(
            id=number,
            session_id=player.session_id,
            attach_epoch=player.attach_epoch,
            method=method,
            params_json=params_json,
        )
        self.link.call(zone_id or player.zone_id, call)
        self.link.flush()
        return number

    # --- time --------------------------------------------------------------------------------------------------

    async def soon(self, condition: Callable[[], Coroutine[Any, Any, bool]]) -> None:
        """Wait for what must be asked for, within half a millisecond of its coming true; fails after the deadline."""
        async with asyncio.timeout(DEADLINE_S):
            while not await condition():  # noqa: ASYNC110 - virtual time
                await asyncio.sleep(0.0005)

    async def run(self, seconds: float) -> None:
        """Time passes."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 1e-9:
            await asyncio.sleep(min(left, 0.02))
            self.link.flush()

    async def until(self, condition: Callable[[], bool], deadline_s: float = DEADLINE_S) -> None:
        """Wait for it; fails after the deadline."""
        async with asyncio.timeout(deadline_s):
            while not condition():
                await self.run(0.005)

    # --- what is true ------------------------------------------------------------------------------------------

    def holders(self, name: str) -> list[str]:
        """Which zones have the entity as their own, and may do something with it: not who is just handing it over."""
        tables = {zone_id: owner.zone.table for zone_id, owner in self.owners.items()}
        return [
            zone_id
            for zone_id, table in tables.items()
            if (entity := table.by_id.get(f"ent_{name}")) is not None
            and not entity.owner
            and not table.frozen[entity.number]
        ]

    def x(self, zone_id: str, name: str) -> float:
        zone = self.owners[zone_id].zone
        return float(zone.table.position[zone.table.by_id[f"ent_{name}"].number][0])

    async def kept(self, name: str) -> list[str]:
        """Where the store has it: zones, those among whose arrivals it is with a `>` before."""
        found = []
        for zone in self.map:
            stored = await self.store.load(zone.id)
            found += [zone.id] * (f"ent_{name}" in stored.entities) + [">" + zone.id] * (
                f"ent_{name}" in stored.arrivals
            )
        return found


def playing(*grounds: Ground, seed: int = 0, **overrides: Any) -> Callable[..., Callable[..., None]]:
    """A test of a Rig whose zones run, in virtual time. Its first argument is the rig (after self)."""

    def decorate(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
        @functools.wraps(test)
        def running(*args: Any, **params: Any) -> None:
            async def all_of_it() -> None:
                rig = Rig(world(*grounds, **overrides), seed)
                await rig.listen()
                await rig.start()
                try:
                    await test(*args, rig, **params)
                finally:
                    await rig.stop()

            virtual_time.run(all_of_it, seed)

        del running.__wrapped__  # pytest would take `rig` for a fixture
        return running

    return decorate
