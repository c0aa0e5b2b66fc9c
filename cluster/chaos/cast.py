"""All players of a run, and what they are together."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterator, Sequence
from dataclasses import dataclass

from cluster.bench.crew import Crew
from cluster.chaos.bots import TIMEOUT_S, ChaosBot
from cluster.chaos.gaps import ViewGaps
from cluster.chaos.history import History
from cluster.chaos.sight import Standing
from cluster.errors import Ours, RealmError
from cluster.worldmap import WorldMap
from rayrealm_client.accounts import pool

AT_ONCE = 4
HEADS_PAUSE_S = 0.3
BEAT_S = 0.02
CLOSE_M = 1.0
"""So far into another zone's ground, and the hand-over is a matter of moments."""


@dataclass(frozen=True, slots=True)
class Crossing:
    """A player who stands in the ground of `there`, and is still `here`'s."""

    name: str
    here: str
    there: str


class Cast:
    """Use it as `async with cast(...)`. `forgotten_m`: so far beyond what a player sees it sees nobody any more.

    `beats`: of this process itself. When it stands still, all its players do: such a gap may be the machine's.
    """

    def __init__(self, bots: list[ChaosBot], crew: Crew, forgotten_m: float) -> None:
        self.bots = bots
        self.crew = crew
        self.beats = ViewGaps()
        self._forgotten_m = forgotten_m

    async def come(self) -> None:
        """All of them, and each watches another. Raises RealmError."""
        at_once = asyncio.Semaphore(AT_ONCE)

        async def one(bot: ChaosBot) -> None:
            async with at_once:
                await bot.come()

        async with asyncio.TaskGroup() as group:
            for bot in self.bots:
                group.create_task(one(bot))
        await self.watch()

    @property
    def pairs(self) -> Iterator[tuple[ChaosBot, ChaosBot]]:
        """Each with the next one."""
        return zip(self.bots, self.bots[1:] + self.bots[:1], strict=True)

    async def rest(self, deadline_s: float) -> int:
        """How many do not come to rest. Raises what a lane raised."""
        done = await asyncio.gather(*(bot.rest(deadline_s) for bot in self.bots))
        return done.count(False)

    async def read_back(self, deadline_s: float) -> int:
        """How many could not read back what they wrote."""
        done = await asyncio.gather(*(bot.read_back(deadline_s, other) for bot, other in self.pairs))
        return done.count(False)

    async def watch(self) -> None:
        """Each the next one. Raises RealmError."""
        for bot, other in self.pairs:
            ready = other.client.session_ready
            if ready is not None:
                await bot.watch(ready.user_id)

    def write(self) -> None:
        for bot in self.bots:
            bot.write()

    async def beat(self) -> None:
        """For ever."""
        while True:
            self.beats.saw(self.crew.clock())
            await asyncio.sleep(BEAT_S)

    # --- where they are ----------------------------------------------------------------------------------------

    def in_zones(self, zones: Collection[str]) -> frozenset[str]:
        """The names of those who are there."""
        return frozenset(bot.name for bot in self.bots if bot.client.zone in zones)

    def zones(self) -> set[str]:
        """Those with somebody in them."""
        return {bot.client.zone for bot in self.bots if bot.client.zone}

    def crossing(self, world: WorldMap) -> list[Crossing]:
        """Who is about to be handed over, this moment."""
        found = []
        for at in self._standing():
            there, here = world.at(at.x, at.z), world.find(at.zone)
            if there is None or here is None or there.id == here.id:
                continue
            b = here.bounds
            if max(b.min_x - at.x, at.x - b.max_x, b.min_z - at.z, at.z - b.max_z) >= CLOSE_M:
                found.append(Crossing(at.name, here.id, there.id))
        return found

    async def look(self, deadline_s: float) -> None:
        """Whether everybody sees what is there, into the history."""

        def others(bot: ChaosBot) -> Callable[[], list[Standing]]:
            return lambda: [at for at in self._standing() if at.name != bot.name]

        await asyncio.gather(*(bot.look(deadline_s, others(bot), self._forgotten_m) for bot in self.bots))

    def stand(self) -> None:
        for bot in self.bots:
            bot.stand()

    async def count(
        self, holders: Callable[[], Awaitable[dict[str, list[str]]]], history: History, deadline_s: float
    ) -> None:
        """Into the history: which zones have each player, and which one it is shown. It may settle until the deadline.

        `holders()`: zones by entity, as the store has it.
        """
        until = time.monotonic() + deadline_s
        while True:
            held: dict[str, list[str]] | None = None
            with contextlib.suppress(RealmError):  # the store is away
                held = await holders()
            there = self._standing()
            if held is not None and all(held.get(at.entity_id) == [at.zone] for at in there):
                break
            if time.monotonic() > until:
                break
            await asyncio.sleep(HEADS_PAUSE_S)
        for at in there:
            zones = [] if held is None else held.get(at.entity_id, [])
            history.add("held", bot=at.name, zones=zones, zone=at.zone)

    def _standing(self) -> list[Standing]:
        return [at for bot in self.bots if (at := bot.standing) is not None]

    def check(self) -> None:
        """Raises Ours when a bot has broken down: that is no finding about the realm, or it is the last one."""
        for bot in self.bots:
            if bot.trouble is not None:
                raise Ours(f"{bot.name} broke down: {bot.trouble!r}") from bot.trouble


@contextlib.asynccontextmanager
async def cast(
    url: str, count: int, seed: int, history: History, zones: Callable[[], Sequence[str]], forgotten_m: float
) -> AsyncIterator[Cast]:
    """`count` bots that are not there yet; at the end they go. `zones()`: those that there are."""
    crew = Crew()
    run = secrets.token_hex(3)  # a foreign realm may know the bots of another run
    async with pool(url, TIMEOUT_S) as http:
        bots = [
            ChaosBot(url, number, seed, history, crew.add(f"chaos-{run}-{number:02d}"), http, zones)
            for number in range(count)
        ]
        made = Cast(bots, crew, forgotten_m)
        beating = asyncio.create_task(made.beat())
        try:
            yield made
        finally:
            beating.cancel()
            await asyncio.gather(*(bot.go() for bot in bots), return_exceptions=True)
