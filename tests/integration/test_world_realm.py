"""The world of a whole realm is changed by command under players, while its supervisor and its zones are killed (row 7.3)."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import structlog

from actors.world.plans import Plan
from actors.world.record import Progress
from cluster.ports.calls import SUPERVISOR, zone_actor
from tests.integration.world_rig import (
    Archive,
    Crowd,
    archive_of,
    begun,
    crowd,
    everyone_once,
    listed_right,
    until,
)
from tests.real_realm import RealRealm

pytestmark = pytest.mark.realm

MEADOW = "zon_meadow"
ABREAST = [(90.0 + 3 * n, 100.0) for n in range(8)]  # the border comes to be in their midst
RETURNS_S = 30.0
MOST_KINDS = 6  # of steps; those of a millisecond are over before a kill arrives

log = structlog.get_logger(__name__)


class Stage:
    """The realm under players. `hit`: the steps in which its supervisor was killed."""

    def __init__(self, realm: RealRealm, archive: Archive, players: Crowd) -> None:
        self.realm = realm
        self.archive = archive
        self.players = players
        self.hit: list[str] = []

    async def carry_out(self, *arguments: str, kills: tuple[int, ...] = ()) -> Plan:
        """By the command, to its end, and see that all is well. Its supervisor dies as soon as so many steps are done."""
        since = time.monotonic()
        async with begun(self.realm, "zones", *arguments):
            plan = (await self.progress()).plan
            for done in kills:
                await self._kill_supervisor(plan, done)
        await self.well(plan)
        self.players.report(" ".join(arguments), since)
        return plan

    async def progress(self) -> Progress:
        """Of the plan that has just begun."""
        found: list[Progress] = []

        async def is_there() -> bool:
            found.extend(filter(None, [(await self.archive.record()).progress]))
            return bool(found)

        await until(is_there, "a plan begins", pause_s=0.0)
        return found[0]

    async def _kill_supervisor(self, plan: Plan, done: int) -> None:
        """The step that it is in then may be a later one, if that one was done before the kill arrived."""
        pid = await self.archive.pid(SUPERVISOR)
        await self.reached(plan, done)
        os.kill(pid, signal.SIGKILL)
        progress = (await self.archive.record()).progress
        self.hit.append(progress.plan.steps[progress.done].name if progress else "")

        async def back() -> bool:
            return await self.archive.pid(SUPERVISOR) not in (0, pid)

        await until(back, "the supervisor is started again", RETURNS_S)

    async def reached(self, plan: Plan, done: int) -> None:
        """Until that many steps are done, or the plan is."""

        async def is_so() -> bool:
            progress = (await self.archive.record()).progress
            return progress is None or progress.done >= done

        await until(is_so, f"{done} steps of {plan.what}", pause_s=0.0)

    async def well(self, plan: Plan) -> None:
        """The plan is done, the map is what it says, and players see each other and are nowhere twice."""
        record = await self.archive.record()
        assert record.progress is None
        assert record.last is not None
        assert (record.last.plan, record.last.outcome) == (plan.id, "done")
        assert record.map == plan.after
        await self.players.goes_on()
        await everyone_once(self.archive, self.players)
        await listed_right(self.realm, self.archive)


@asynccontextmanager
async def staged(realm: RealRealm, kills_zones: bool = False) -> AsyncIterator[Stage]:
    """The realm is as before at the end."""
    async with archive_of(realm) as archive, crowd(realm, archive, ABREAST, kills_zones) as players:
        before = grounds(await archive.record())
        yield Stage(realm, archive, players)
        assert grounds(await archive.record()) == before


def grounds(record: Any) -> dict[str, dict[str, float]]:
    return {zone.id: zone.bounds.model_dump() for zone in record.map}


async def test_the_supervisor_is_killed_in_the_middle_of_each_kind_of_plan(realm: RealRealm) -> None:
    async with staged(realm) as stage:
        split = await stage.carry_out("split", MEADOW, kills=(1, 3))
        await stage.carry_out("restart", split.zones[1], kills=(2, 4))
        await stage.carry_out("merge", *split.zones, kills=(1, 4))
        log.info("measured", killed_in=stage.hit)
        assert all(stage.hit)


@pytest.mark.slow
async def test_the_supervisor_is_killed_in_every_step(realm: RealRealm) -> None:
    async with staged(realm) as stage:
        split = await stage.carry_out("split", MEADOW, kills=tuple(range(5)))
        await stage.carry_out("restart", split.zones[1], kills=tuple(range(7)))
        await stage.carry_out("merge", *split.zones, kills=tuple(range(7)))
        log.info("measured", killed_in=stage.hit)
        assert len(set(filter(None, stage.hit))) >= MOST_KINDS


@pytest.mark.slow
@pytest.mark.parametrize("which", ["old", "new"])
async def test_a_zone_is_killed_in_the_middle_of_a_split(realm: RealRealm, which: str) -> None:
    async with staged(realm, kills_zones=True) as stage:
        since = time.monotonic()
        async with begun(realm, "zones", "split", MEADOW):
            plan = (await stage.progress()).plan
            victim = zone_actor(plan.zones[0] if which == "old" else plan.zones[1])
            await stage.reached(plan, 3)
            pid = await stage.archive.pid(victim)
            os.kill(pid, signal.SIGKILL)
            assert (await stage.archive.record()).progress is not None
        await stage.well(plan)
        assert await stage.archive.pid(victim) not in (0, pid)
        stage.players.report(f"{which} zone killed", since)
        async with begun(realm, "zones", "merge", *plan.zones):
            pass
