"""Stand-ins until the real shells are wired."""

from __future__ import annotations

import asyncio
import random
import time
from typing import Any

from actors.zone.owner import Tools, ZoneOwner
from actors.zone.zone import Zone
from cluster.adapters.runtime import until_available
from cluster.ports.calls import zone_and_slot
from cluster.telemetry.metrics import ZoneMetrics
from cluster.worldmap import WorldMap


class InterimZone:
    def __init__(self, realm, name, open_with, on_fenced):
        self.realm, self.name, self.open, self.on_fenced = realm, name, open_with, on_fenced
        self.zone_id, self.slot = zone_and_slot(name)
        self.owner = None
        self.started = asyncio.create_task(self._start())

    async def _start(self):
        settings = self.realm.settings
        metrics = ZoneMetrics(self.zone_id)
        rt = await self.open(self.realm, "zone", self.name, metrics.registry)
        epoch = await until_available(lambda: rt.redis.zones.take(self.zone_id, self.slot))
        world_map = WorldMap.declared(settings.world)
        zone = Zone(world_map.find(self.zone_id), settings.world, epoch)
        tools = Tools(settings, rt.bus, rt.subjects, rt.redis.zones, rt.redis.sessions, rt.redis.characters, metrics,
                      time.monotonic, time.time, random.Random(), self.on_fenced)
        while True:
            owner = ZoneOwner(zone, self.slot, tools)
            try:
                await owner.begin(world_map)
                break
            except Exception:
                await owner.stop()
                await asyncio.sleep(0.2)
                zone = Zone(world_map.find(self.zone_id), settings.world, epoch)
        self.owner = owner

    async def _ready(self):
        await asyncio.shield(self.started)
        return self.owner

    async def enter(self, *a): return await (await self._ready()).enter(*a)
    async def attach(self, *a): return await (await self._ready()).attach(*a)
    async def detach(self, *a): return await (await self._ready()).detach(*a)
    async def leave(self, *a): return await (await self._ready()).leave(*a)
    async def snapshot(self, *a): return await (await self._ready()).snapshot(*a)
    async def info(self):
        o = await self._ready()
        return {"zone": self.zone_id, "role": "owner", "slot": self.slot, "epoch": o.zone.epoch, "population": o.zone.own}


class InterimSupervisor:
    def __init__(self, realm, open_with):
        self.realm, self.open = realm, open_with
        self.task = asyncio.create_task(self._start())

    async def _start(self):
        from cluster.telemetry.metrics import SupervisorMetrics
        rt = await self.open(self.realm, "supervisor", "supervisor", SupervisorMetrics().registry)
        m = WorldMap.declared(self.realm.settings.world)
        while True:
            rt.bus.publish(rt.subjects.world_map(), m.dump())
            await asyncio.sleep(2.0)
