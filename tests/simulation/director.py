"""What goes wrong, and when: drawn from one seed, until a calm, and again after it."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable

from tests.simulation.machines import Actor
from tests.simulation.realm import SimRealm
from tests.simulation.virtual_time import Process, VirtualLoop

BACK_S = 60.0
"""Whatever is not back by then is not waited for: the checker has its own bounds."""
LOOK_S = 0.1
AT_ONCE = 2

KINDS = {
    "kill_owner": 6,
    "kill_follower": 1,
    "kill_supervisor": 2,
    "kill_sessions": 1,
    "kill_gateway": 1,
    "pause_owner": 3,
    "disown": 2,
    "lose_node": 1,
    "store_refuses": 1,
    "store_hangs": 1,
    "bus": 1,
}


class Director:
    """`every_s`: between two faults, on average. `counts`: how many of each kind were done."""

    def __init__(self, realm: SimRealm, rng: random.Random, every_s: float) -> None:
        self.counts: Counter[str] = Counter()
        self._realm = realm
        self._rng = rng
        self._every_s = every_s
        self._running: set[asyncio.Task[None]] = set()
        self._do: dict[str, Callable[[str], Awaitable[str]]] = {
            "kill_owner": self._kill_owner,
            "kill_follower": self._kill_follower,
            "kill_supervisor": self._kill_other,
            "kill_sessions": self._kill_other,
            "kill_gateway": self._kill_gateway,
            "pause_owner": self._pause_owner,
            "disown": self._disown,
            "lose_node": self._lose_node,
            "store_refuses": self._store,
            "store_hangs": self._store,
            "bus": self._bus,
        }

    async def trouble(self, until: float) -> None:
        """Faults until then; returns when all of it is over."""
        loop, rng = asyncio.get_running_loop(), self._rng
        while True:
            await asyncio.sleep(rng.expovariate(1 / self._every_s))
            if loop.time() >= until:
                break
            if len(self._running) < AT_ONCE:
                kind = rng.choices(list(KINDS), list(KINDS.values()))[0]
                task = asyncio.create_task(self._one(kind))
                self._running.add(task)
                task.add_done_callback(self._running.discard)
        if self._running:
            await asyncio.wait(self._running)

    async def _one(self, kind: str) -> None:
        recorder = self._realm.recorder
        number = recorder.fault(kind, "")
        try:
            if await self._do[kind](kind):
                self.counts[kind] += 1
        finally:
            recorder.back(number)

    # --- zones -------------------------------------------------------------------------------------------------

    def _zones(self, role: str) -> list[Actor]:
        return [actor for actor in self._realm.zone_actors() if self._realm.role(actor) == role]

    async def _kill_owner(self, _kind: str) -> str:
        owners = self._zones("owner")
        return await self._kill(self._rng.choice(owners)) if owners else ""

    async def _kill_follower(self, _kind: str) -> str:
        followers = self._zones("following")
        return await self._kill(self._rng.choice(followers)) if followers else ""

    async def _kill(self, actor: Actor) -> str:
        self._realm.machines.kill(actor.name)
        await self._owned(actor.name)
        return actor.name

    async def _kill_other(self, kind: str) -> str:
        name = {"kill_supervisor": "supervisor", "kill_sessions": "sessions/0"}[kind]
        self._realm.machines.kill(name)
        await asyncio.sleep(4.0)
        return name

    async def _kill_gateway(self, _kind: str) -> str:
        realm = self._realm
        gate = self._rng.choice(realm.gates)
        realm.kill_gate(gate)
        await asyncio.sleep(self._rng.uniform(0.5, 2.0))
        await realm.open_gate()
        await asyncio.sleep(3.0)
        return gate.process.name

    async def _pause_owner(self, _kind: str) -> str:
        """SIGSTOP, and SIGCONT a while later: with a standby somebody else owns it by then."""
        owners, loop = self._zones("owner"), asyncio.get_running_loop()
        if not owners or not isinstance(loop, VirtualLoop):
            return ""
        actor = self._rng.choice(owners)
        process = actor.process
        assert process is not None
        loop.stop_process(process)
        await asyncio.sleep(self._rng.uniform(0.3, 9.0))
        self._resume(process)
        await self._owned(actor.name)
        return actor.name

    async def _disown(self, _kind: str) -> str:
        """Its node is cut off and given up; it comes back, and does not know."""
        owners = self._zones("owner")
        if not owners:
            return ""
        name = self._rng.choice(owners).name
        process = self._realm.machines.disown(name)
        await asyncio.sleep(self._rng.uniform(1.0, 9.0))
        if process is not None:
            self._resume(process)
        await self._owned(name)
        return name

    async def _lose_node(self, _kind: str) -> str:
        """All that runs on it is cut off and started elsewhere; then it is back, with processes that nobody waits for."""
        machines, rng = self._realm.machines, self._rng
        if len(machines.nodes) < 3:
            return ""
        node = rng.choice(machines.nodes)
        machines.nodes.remove(node)
        names = [name for name, actor in machines.actors.items() if actor.node == node]
        processes = [machines.disown(name) for name in names]
        await asyncio.sleep(rng.uniform(2.0, 9.0))
        machines.nodes.append(node)
        for process in processes:
            if process is not None:
                self._resume(process)
        for name in names:
            if name.startswith("zone/"):
                await self._owned(name)
        return node

    def _resume(self, process: Process) -> None:
        loop = asyncio.get_running_loop()
        if isinstance(loop, VirtualLoop) and process.alive:
            loop.resume(process)

    async def _owned(self, name: str) -> None:
        """Until the zone has an owner again, of the newest epoch."""
        zone_id = name.split("/")[1]
        until = asyncio.get_running_loop().time() + BACK_S
        await asyncio.sleep(LOOK_S)
        while asyncio.get_running_loop().time() < until:
            newest = await self._realm.server.epochs.current("zone", zone_id)
            if any(zone.id == zone_id and zone.epoch == newest for _, zone in self._realm.owners()):
                return
            if not any(actor.name.split("/")[1] == zone_id for actor in self._realm.zone_actors(alive=False)):
                return
            await asyncio.sleep(LOOK_S)

    # --- what everyone shares ----------------------------------------------------------------------------------

    async def _store(self, kind: str) -> str:
        server = self._realm.server
        if server.away:
            return ""
        server.go("refuse" if kind == "store_refuses" else "hang")
        await asyncio.sleep(self._rng.uniform(0.2, 6.0))
        server.come_back()
        return "store"

    async def _bus(self, _kind: str) -> str:
        network = self._realm.network
        if network.away:
            return ""
        network.away = True
        await asyncio.sleep(self._rng.uniform(0.1, 2.5))
        network.away = False
        return "bus"
