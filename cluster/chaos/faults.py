"""Does to the realm what the schedule says, and takes it back."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass

from cluster.bench.realm_under_test import Member
from cluster.chaos.backends import OwnServers, Servers
from cluster.chaos.history import History
from cluster.chaos.inside import Inside, victim
from cluster.chaos.schedule import Fault
from cluster.chaos.takeover import impostor
from cluster.errors import Ours

SLOW_S = 0.5
FENCE_S = 6.0
"""So long may an owner take to notice that it was replaced, once it runs again."""
DRAINED_S = 5.0
RESTART_S = 30.0


@dataclass(frozen=True, slots=True)
class Struck:
    """`since`: when the clock of the recovery starts: at a kill, or when what was away is back. `by`: what tells that it is over.

    "views": gaps in the bots' views; "request": one through the killed actor; "service": all that a bot does.
    """

    victim: str
    since: float
    by: str


class Hands:
    """`environment`: what the realm's processes have on top of this one's, for those that are made to be like them."""

    def __init__(
        self, inside: Inside, servers: Servers, history: History, gateways: int, environment: Mapping[str, str]
    ) -> None:
        self._inside = inside
        self._servers = servers
        self._history = history
        self._gateways = gateways
        self._environment = environment

    async def strike(self, fault: Fault, zones: set[str]) -> Struck:
        """To its end, however long it lasts. `zones`: those with players in them. Raises Ours."""
        server, _, what = fault.kind.partition("_")
        match what:
            case "restart":
                return await self._restart(server, fault.lasts_s)
            case "pause":
                return await self._pause(server, fault.lasts_s)
            case "slow":
                return await self._slow(server, fault.lasts_s)
            case "cut":
                cut = self._own().cut(server)
                return Struck(f"{cut} connections of {server}", time.monotonic(), "service")
        listed = await self._inside.members()
        if fault.kind == "freeze":
            return await self._freeze(victim("zone", listed, fault.pick, zones), fault.lasts_s)
        if fault.kind == "drain":
            return await self._drain(victim("gateway", listed, fault.pick, self._inside.busy()), fault.lasts_s)
        prefer = self._inside.busy() if fault.kind == "gateway" else zones
        return self._kill(victim(fault.kind, listed, fault.pick, prefer))

    async def whole(self, before: list[Member], kind: str) -> bool:
        """Whether there are as many of a kind as before, and all gateways are heard."""
        count = sum(member.kind == kind for member in before)

        def true(listed: list[Member]) -> bool:
            gateways = {member.name for member in listed if member.kind == "gateway"}
            heard = gateways & self._inside.sockets.keys() - self._inside.draining
            return sum(member.kind == kind for member in listed) >= count and len(heard) >= self._gateways

        return await self._inside.until(true, RESTART_S)

    # --- processes of the realm --------------------------------------------------------------------------------

    def _kill(self, member: Member) -> Struck:
        since = time.monotonic()
        os.kill(member.pid, signal.SIGKILL)
        by = "views" if member.kind in ("zone", "gateway") else "request"
        return Struck(f"{member.name} (pid {member.pid})", since, by)

    async def _freeze(self, zone: Member, lasts_s: float) -> Struck:
        """It stands still, another one takes over, it goes on: then it must stop by itself, and later the other one, too."""
        zone_id = zone.name.rpartition("/")[2]
        async with impostor(zone_id, self._environment) as other:
            since = time.monotonic()
            os.kill(zone.pid, signal.SIGSTOP)
            try:
                epoch = await other.take_over()
                await asyncio.sleep(max(0.0, since + lasts_s - time.monotonic()))
            finally:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(zone.pid, signal.SIGCONT)

            def gone(listed: list[Member]) -> bool:
                return all(member.pid != zone.pid for member in listed)

            ended = await self._inside.until(gone, FENCE_S)
            self._history.add("fenced", zone=zone_id, who="the frozen owner", ended=ended)
            if ended and await self._newer(zone_id, epoch):
                self._history.add("fenced", zone=zone_id, who="the second owner", ended=await other.fenced(FENCE_S))
        return Struck(f"{zone.name} (pid {zone.pid})", since, "views")

    async def _newer(self, zone_id: str, epoch: int) -> bool:
        """Whether a newer epoch than that was taken in time."""
        until = time.monotonic() + RESTART_S
        while await self._inside.epoch(zone_id) <= epoch:
            if time.monotonic() > until:
                return False
            await asyncio.sleep(0.1)
        return True

    async def _drain(self, gateway: Member, deadline_s: float) -> Struck:
        """As a deployment does it: it is asked to give up its sockets, and ends."""
        since = time.monotonic()
        self._inside.drain(gateway.name, deadline_s)
        until = since + deadline_s + DRAINED_S
        while not (gateway.name in self._inside.draining and not self._inside.sockets.get(gateway.name)):
            if time.monotonic() > until:
                raise Ours(f"{gateway.name} has {self._inside.sockets.get(gateway.name)} sockets after its drain")
            await asyncio.sleep(0.05)
        os.kill(gateway.pid, signal.SIGKILL)
        return Struck(f"{gateway.name} (pid {gateway.pid})", since, "views")

    # --- its servers -------------------------------------------------------------------------------------------

    async def _restart(self, server: str, down_s: float) -> Struck:
        await self._servers.kill(server)
        await asyncio.sleep(down_s)
        await self._servers.back(server)
        return Struck(server, time.monotonic(), "service")

    async def _pause(self, server: str, lasts_s: float) -> Struck:
        self._servers.pause(server)
        try:
            await asyncio.sleep(lasts_s)
        finally:
            self._servers.resume(server)
        return Struck(server, time.monotonic(), "service")

    async def _slow(self, server: str, lasts_s: float) -> Struck:
        own = self._own()
        own.slow(server, SLOW_S)
        try:
            await asyncio.sleep(lasts_s)
        finally:
            own.slow(server, 0.0)
        return Struck(server, time.monotonic(), "service")

    def _own(self) -> OwnServers:
        if not isinstance(self._servers, OwnServers):
            raise Ours("that can be done to servers of our own only")
        return self._servers
