"""Zones at work in one process, over memory adapters: owners, a bus, a store, and players behind one gateway's zone link."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from typing import Any

from actors.zone.arrivals import Arrival, Standing
from actors.zone.owner import Tools, ZoneOwner
from actors.zone.rows import pack_move_in
from actors.zone.zone import Zone
from cluster.adapters.memory.bus import MemoryBus
from cluster.adapters.memory.characters import MemoryCharacters
from cluster.adapters.memory.epochs import MemoryEpochStore
from cluster.adapters.memory.sessions import MemorySessionStore
from cluster.adapters.memory.zones import MemoryZoneStore
from cluster.ports.sessions import Fence, SessionRecord
from cluster.settings import Bounds, Settings, WorldSettings, ZoneSpec
from cluster.subjects import Subjects
from cluster.telemetry.metrics import ZoneMetrics
from cluster.worldmap import WorldMap
from rayrealm_client import views
from rayrealm_client.scene import Scene
from realm_proto import realtime_pb2
from serve_apps.gateway.views import View
from serve_apps.gateway.zone_link import ZoneLink

SUBJECTS = Subjects("test")
GATEWAY = "gtw_1"
DEADLINE_S = 5.0
TICK_HZ = 100.0


def world(*grounds: tuple[str, float, float, float, float], **overrides: Any) -> WorldSettings:
    """A world of (zone id, min x, min z, max x, max z)."""
    zones = tuple(
        ZoneSpec(id=name, name=name, bounds=Bounds(min_x=a, min_z=b, max_x=c, max_z=d)) for name, a, b, c, d in grounds
    )
    return WorldSettings(zones=zones, spawn_zone=zones[0].id, tick_hz=TICK_HZ, **overrides)


class _Connection:
    entity: int | None = None


class Player:
    """A session with a socket, and what it sees: the client's own scene, fed by the gateway's own link."""

    def __init__(self, rig: Rig, name: str) -> None:
        self.session_id, self.name, self.entity_id = f"ses_{name}", name, f"ent_{name}"
        self.attach_epoch, self.transfer, self.sighted = 1, 0, False
        self.connection = _Connection()
        self.world: dict[str, Any] | None = None
        self.scene = Scene()
        self.views = 0
        self.zones: list[str] = []  # in the order of their resets
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

    async def enter(self, zone_id: str, x: float, z: float) -> Standing:
        self.x, self.z = x, z
        fence = Fence("sessions/0", 0)
        record = SessionRecord(self.session_id, f"usr_{self.name}", fence.actor, "in_world", zone_id=zone_id)
        self._rig.sessions._records[self.session_id] = record
        who = Arrival(
            self.entity_id, self.name, self.session_id, record.user_id, f"chr_{self.name}", GATEWAY, 1, x, 0.0, z, 0.0
        )
        standing = await self._rig.owners[zone_id].enter(who)
        self.world = {"zone": zone_id, "number": standing.number}
        self._rig.link.show(self, zone_id, standing.number)  # type: ignore[arg-type]
        return standing

    def walk(self, dx: float, dz: float) -> None:
        """One move, as the gateway passes it on."""
        if self.number is None:
            return
        self.sequence += 1
        self.x, self.z = self.x + dx, self.z + dz
        self._rig.link.move(self.zone_id, pack_move_in(self.number, self.sequence, self.x, 0.0, self.z, 0.0))
        self._rig.link.flush()

    def see(self, view: View) -> None:
        self.views += 1
        if view.reset is not None:
            self.zones.append(view.reset.zone_id)
        shown = views.from_proto(realtime_pb2.WebSocketMessage.FromString(view.to_proto()).view)
        try:
            self.scene.apply(shown)
        except Exception as error:
            self.strange.append(repr(error))
        ids = [entity.entity_id for entity in self.scene.entities.values()]
        if len(ids) != len(set(ids)) or self.entity_id in ids:
            self.strange.append(f"twice: {sorted(ids)}")

    @property
    def sees(self) -> set[str]:
        return {entity.entity_id.removeprefix("ent_") for entity in self.scene.entities.values()}


class Rig:
    """`owners` by zone. Kill one with `kill`, start its next incarnation with `start`."""

    def __init__(self, world_settings: WorldSettings) -> None:
        self.settings = Settings(realm="test", world=world_settings)
        self.epochs = MemoryEpochStore()
        self.bus = MemoryBus()
        self.store = MemoryZoneStore(self.epochs)
        self.sessions = MemorySessionStore(self.epochs)
        self.characters = MemoryCharacters(lambda session_id: session_id in self.sessions._records)
        self.map = WorldMap.declared(world_settings)
        self.owners: dict[str, ZoneOwner] = {}
        self.players: dict[str, Player] = {}
        self.fenced: list[str] = []
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

    async def start(self, *zone_ids: str) -> None:
        if not self.owners:
            await self.bus.subscribe(SUBJECTS.gateway_output(GATEWAY), self.link.receive)
        for zone_id in zone_ids or [zone.id for zone in self.map]:
            epoch = await self.store.take(zone_id, 0)
            tools = Tools(
                settings=self.settings,
                bus=self.bus,
                subjects=SUBJECTS,
                store=self.store,
                sessions=self.sessions,
                characters=self.characters,
                metrics=ZoneMetrics(zone_id),
                clock=time.monotonic,
                wall_clock=time.time,
                rng=random.Random(zone_id),
                on_fenced=lambda zone_id=zone_id: self.fenced.append(zone_id),  # type: ignore[misc]
            )
            found = self.map.find(zone_id)
            assert found is not None
            owner = ZoneOwner(Zone(found, self.settings.world, epoch), 0, tools)
            self.owners[zone_id] = owner
            await owner.begin(self.map)

    async def remap(self, new: WorldMap) -> None:
        self.map = new
        self.bus.publish(SUBJECTS.world_map(), new.dump())
        await self.until(lambda: all(owner.zone.borders.map.version == new.version for owner in self.owners.values()))

    async def kill(self, zone_id: str) -> None:
        await self.owners.pop(zone_id).stop()

    async def stop(self) -> None:
        for zone_id in list(self.owners):
            await self.kill(zone_id)
        await self.bus.close()

    def player(self, name: str) -> Player:
        made = Player(self, name)
        self.players[made.session_id] = made
        return made

    async def until(self, condition: Callable[[], bool], deadline_s: float = DEADLINE_S) -> None:
        """Wait for it; fails after the deadline."""
        async with asyncio.timeout(deadline_s):
            while not condition():  # noqa: ASYNC110 - ticks are timers
                await asyncio.sleep(0.005)
                self.link.flush()

    def holders(self, name: str) -> list[str]:
        """Which zones have the entity as their own."""
        return [
            zone_id
            for zone_id, owner in self.owners.items()
            for entity in owner.zone.table.by_number.values()
            if entity.entity_id == f"ent_{name}" and not entity.owner
        ]
