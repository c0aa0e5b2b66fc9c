"""Stand-in until the real supervisor is wired."""

from __future__ import annotations

import asyncio

from actors.presence.presence_actor import PresenceRunner
from actors.session.sessions_actor import SessionsRunner
from actors.zone.zone_actor import ZoneRunner
from cluster.adapters.runtime import until_available
from cluster.telemetry.metrics import SupervisorMetrics
from cluster.worldmap import WorldMap


class InterimSupervisor:
    def __init__(self, sim):
        self.sim, self.realm = sim, sim.realm
        self.task = asyncio.create_task(self._start())

    def _ensure(self, name, cls):
        sim = self.sim
        sim.machines.start(name, "", lambda _p: cls(sim.realm, name, sim.open))

    async def _start(self):
        rt = await self.sim.open(self.realm, "supervisor", "supervisor", SupervisorMetrics().registry)
        epoch = await until_available(lambda: rt.epochs.take("supervisor", "supervisor"))
        data, _plan = await until_available(rt.redis.world.load)
        if not data:
            data = WorldMap.declared(self.realm.settings.world).dump()
            await until_available(lambda: rt.redis.world.save(epoch, data, b""))
        m = WorldMap.load(data)
        while True:
            for zone in m:
                self._ensure(f"zone/{zone.id}", ZoneRunner)
                if zone.standby:
                    self._ensure(f"zone/{zone.id}/1", ZoneRunner)
            self._ensure("sessions/0", SessionsRunner)
            self._ensure("presence/0", PresenceRunner)
            rt.bus.publish(rt.subjects.world_map(), m.dump())
            await asyncio.sleep(2.0)

    async def more_sessions(self):
        from cluster.errors import Unavailable
        raise Unavailable("sessions")
