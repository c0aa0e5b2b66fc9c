"""Does to the realm what the schedule says, and takes it back."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass

from cluster.bench.realm_under_test import Member
from cluster.chaos.backends import OwnServers, Servers
from cluster.chaos.cast import Cast
from cluster.chaos.history import History
from cluster.chaos.inside import Inside, victim
from cluster.chaos.operator import Operator
from cluster.chaos.schedule import Fault
from cluster.chaos.takeover import Impostor, impostor
from cluster.errors import Ours, Unavailable
from cluster.ports.calls import zone_and_slot

SLOW_S = 0.5
FENCE_S = 6.0
"""So long may an owner take to notice that it was replaced, once it runs again."""
DRAINED_S = 5.0
RESTART_S = 30.0
TAKEN_S = 10.0
"""A standby that has not taken over by then will not."""
CROSSING_S = 5.0
CROSSING_PAUSE_S = 0.005
WHOLE_LOOK_S = 5.0
ZONE_KINDS = ("zone", "standby", "freeze")


@dataclass(frozen=True, slots=True)
class Struck:
    """`since`: when the clock of the recovery starts: at a kill, or when what was away is back. `by`: what tells that it is over.

    "views": gaps in the bots' views; "request": one through the killed actor; "service": all that a bot does. `concerned`: bots
    whose longest time without a view counts, however short it was; of the others only a gap does.
    """

    victim: str
    since: float
    by: str
    concerned: frozenset[str] = frozenset()


class Hands:
    """`environment`: what the realm's processes have on top of this one's, for those that are made to be like them.

    `standby`: its zones have standbys.
    """

    def __init__(
        self,
        inside: Inside,
        servers: Servers,
        history: History,
        gateways: int,
        environment: Mapping[str, str],
        standby: bool = False,
    ) -> None:
        self._inside = inside
        self._servers = servers
        self._history = history
        self._gateways = gateways
        self._environment = environment
        self._standby = standby
        self._operator = Operator(inside.supervisor, inside.world)

    async def strike(self, fault: Fault, players: Cast) -> Struck:
        """To its end, however long it lasts. Raises Ours."""
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
        match fault.kind:
            case "split" | "merge" | "move":
                return await self._command(fault, players)
            case "zone" | "standby" | "freeze":
                return await self._zone(fault, players)
        listed = await self._inside.members()
        if fault.kind == "drain":
            return await self._drain(victim("gateway", listed, fault.pick, self._inside.busy()), fault.lasts_s)
        prefer = self._inside.busy() if fault.kind == "gateway" else set()
        return self._kill(victim(fault.kind, listed, fault.pick, prefer))

    async def whole(self, before: list[Member], kind: str) -> bool:
        """Whether there are as many of a kind as before, every zone of the map has its actors, and all gateways are heard."""
        count = sum(member.kind == kind for member in before) if kind not in ZONE_KINDS else 0
        until = time.monotonic() + RESTART_S
        while True:
            try:
                owners = set((await self._inside.owners()).values())
            except Unavailable:
                owners = {"the store is away"}
            posts = owners | self._inside.posts()

            def true(listed: list[Member], posts: set[str] = posts) -> bool:
                gateways = {member.name for member in listed if member.kind == "gateway"}
                heard = gateways & self._inside.sockets.keys() - self._inside.draining
                enough = sum(member.kind == kind for member in listed) >= count
                return enough and len(heard) >= self._gateways and posts <= {member.name for member in listed}

            if await self._inside.until(true, WHOLE_LOOK_S):
                return True
            if time.monotonic() > until:
                return False

    # --- zones -------------------------------------------------------------------------------------------------

    async def _command(self, fault: Fault, players: Cast) -> Struck:
        """As the operator would; done when the plan has come to its end."""
        operator, since = self._operator, time.monotonic()
        where = {zone: players.in_zones({zone}) for zone in players.zones()}
        match fault.kind:
            case "split":
                done = await operator.split(fault.pick, players.zones())
            case "merge":
                done = await operator.merge(fault.pick)
            case _:
                done = await operator.move(fault.pick, players.zones())
        concerned = frozenset(name for zone in done.zones for name in where.get(zone, ()))
        return Struck(f"{done.what} ({done.took_s:.2f} s)", since, "views", concerned)

    async def _zone(self, fault: Fault, players: Cast) -> Struck:
        """The owner of a zone, as a player crosses its border if one does soon."""
        if fault.kind == "freeze" and not self._standby:
            async with impostor(self._environment) as other:
                struck, member = await self._in_the_way(fault, players, signal.SIGSTOP)
                async with self._writes_watched(member):
                    await self._freeze(member, struck.since + fault.lasts_s, other)
        elif fault.kind == "freeze":
            before = await self._inside.epochs()
            struck, member = await self._in_the_way(fault, players, signal.SIGSTOP)
            async with self._writes_watched(member):
                await self._freeze_with_standby(member, struck.since + fault.lasts_s, before)
        else:
            struck, _ = await self._in_the_way(fault, players, signal.SIGKILL)
        return struck

    @contextlib.asynccontextmanager
    async def _writes_watched(self, zone: Member) -> AsyncIterator[None]:
        watching = asyncio.create_task(self._inside.watch_writes(zone_and_slot(zone.name)[0]))
        try:
            yield
        finally:
            watching.cancel()
            await asyncio.wait({watching})

    async def _in_the_way(self, fault: Fault, players: Cast, number: signal.Signals) -> tuple[Struck, Member]:
        """The signal to the owner of a zone that somebody is about to come to, or to leave."""
        listed, owners = await self._inside.members(), await self._inside.owners()
        crossing, zones = await self._crossing(fault.pick, players)
        at_work = [member for member in listed if member.kind != "zone" or member.name in owners.values()]
        member = victim("zone", at_work, fault.pick, {owners[zone] for zone in zones if zone in owners})
        since = time.monotonic()
        os.kill(member.pid, number)
        zone_id, _ = zone_and_slot(member.name)
        return Struck(
            f"{member.name} (pid {member.pid}){crossing}", since, "views", players.in_zones({zone_id})
        ), member

    async def _crossing(self, pick: float, players: Cast) -> tuple[str, set[str]]:
        """Wait for a player that is about to be handed over. Returns it in words, and one of its zones; else those with players."""
        until = time.monotonic() + CROSSING_S
        while time.monotonic() < until:
            for player in players.crossing(self._inside.world.map):
                zone = player.here if pick < 0.5 else player.there
                return f", as {player.name} went from {player.here} to {player.there}", {zone}
            await asyncio.sleep(CROSSING_PAUSE_S)
        return "", players.zones()

    async def _freeze(self, zone: Member, until: float, other: Impostor) -> None:
        """It stands still, another one takes over, it goes on: then it must stop by itself, and later the other one, too."""
        zone_id, _ = zone_and_slot(zone.name)
        try:
            epoch = await other.take_over(zone.name)
            await asyncio.sleep(max(0.0, until - time.monotonic()))
        finally:
            _go_on(zone.pid)
        if await self._ended(zone_id, zone.pid) and await self._newer(zone_id, epoch, RESTART_S):
            self._history.add("fenced", zone=zone_id, who="the second owner", ended=await other.fenced(FENCE_S))

    async def _freeze_with_standby(self, zone: Member, until: float, epochs: Mapping[str, int]) -> None:
        """The same, and the other one is the zone's standby, which stays. Raises Ours if it does not take over."""
        zone_id, _ = zone_and_slot(zone.name)
        try:
            if not await self._newer(zone_id, epochs.get(zone_id, 0), TAKEN_S):
                raise Ours(f"the standby of {zone_id} did not take over in {TAKEN_S:g} s")
            await asyncio.sleep(max(0.0, until - time.monotonic()))
        finally:
            _go_on(zone.pid)
        await self._ended(zone_id, zone.pid)

    async def _ended(self, zone_id: str, pid: int) -> bool:
        """Whether the frozen owner stopped by itself; into the history."""

        def gone(listed: list[Member]) -> bool:
            return all(member.pid != pid for member in listed)

        ended = await self._inside.until(gone, FENCE_S)
        self._history.add("fenced", zone=zone_id, who="the frozen owner", ended=ended)
        return ended

    async def _newer(self, zone_id: str, epoch: int, deadline_s: float) -> bool:
        """Whether a newer epoch than that was taken in time."""
        until = time.monotonic() + deadline_s
        while (await self._inside.epochs()).get(zone_id, 0) <= epoch:
            if time.monotonic() > until:
                return False
            await asyncio.sleep(0.1)
        return True

    # --- other processes of the realm --------------------------------------------------------------------------

    def _kill(self, member: Member) -> Struck:
        since = time.monotonic()
        os.kill(member.pid, signal.SIGKILL)
        by = "views" if member.kind == "gateway" else "request"
        return Struck(f"{member.name} (pid {member.pid})", since, by)

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


def _go_on(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGCONT)
