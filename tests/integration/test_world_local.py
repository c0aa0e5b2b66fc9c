"""The world is split, merged and started again under players, and its supervisor is killed meanwhile (row 7.3). No Ray."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
import structlog

from cluster.errors import Conflict, NotFound
from cluster.ports.calls import SUPERVISOR, zone_actor
from cluster.world_control import ask
from rayrealm_client.view import View
from tests.integration.backstage import MEADOW, Backstage, Viewer
from tests.local_realm import LocalRealm, local_realm

GROUND = {"min_x": 0, "min_z": 0, "max_x": 200, "max_z": 200}
WORLD: dict[str, Any] = {
    "zones": [{"id": MEADOW, "name": "Meadow", "bounds": GROUND}],
    "spawn_zone": MEADOW,
    "policy": {"enabled": False},
}
CROWD = 8
STEP_S = 0.05
ENDS_S = 30.0
GAP_S = 0.5  # nobody is longer without views
TICK_S = 0.01

log = structlog.get_logger(__name__)


class Ours:
    """A clock that stands while the machine does not let this process run, in which the realm is as well: what takes long on it was
    waited for, or computed. Seconds.
    """

    def __init__(self) -> None:
        self.now = 0.0
        self.ticking = asyncio.create_task(self._tick())

    async def _tick(self) -> None:
        wall, cpu = time.monotonic(), time.process_time()
        while True:
            await asyncio.sleep(TICK_S)
            before, wall = wall, time.monotonic()
            computed, cpu = time.process_time() - cpu, time.process_time()
            self.now += min(wall - before, 2 * TICK_S + computed)


class Walker(Viewer):
    """Walks to and fro, and knows when it was shown something."""

    clock: Ours

    def __init__(self, *args: Any) -> None:
        self.shown_at: list[float] = []
        self.walking: asyncio.Task[None] | None = None
        super().__init__(*args)

    def _take(self, item: Any) -> None:
        super()._take(item)
        if isinstance(item, View):
            self.shown_at.append(self.clock.now)

    def walk(self, x: float) -> None:
        self.walking = asyncio.create_task(self._walk(x))

    async def _walk(self, x: float) -> None:
        for step in itertools.count():
            await self.move(x + 0.3 * abs(step % 40 - 20), 100)
            await asyncio.sleep(STEP_S)

    async def stand(self) -> None:
        if self.walking is not None:
            self.walking.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self.walking

    def gap_s(self, since: float) -> float:
        times = [at for at in self.shown_at if at >= since - 1.0]
        return max(after - before for before, after in itertools.pairwise(times))


class Stage(Backstage):
    def __init__(self, realm: LocalRealm) -> None:
        super().__init__(realm)
        self.walkers: list[Walker] = []
        self.clock = Walker.clock = Ours()

    async def crowd(self) -> None:
        for n in range(CROWD):
            walker = await Walker.join(self.realm, f"usr_{n}")
            await walker.enter(await self.realm.character(f"usr_{n}", at=(90.0 + 3 * n, 100.0)))
            walker.walk(90.0 + 3 * n)
            self.walkers.append(walker)
        await self.all_see_all()

    async def all_see_all(self) -> None:
        for walker in self.walkers:
            await walker.until(lambda walker=walker: len(walker.entities) == CROWD - 1)  # type: ignore[misc]

    async def ask(self, method: str, **params: Any) -> Any:
        bus = self.runner(SUPERVISOR)._runtime.bus
        return await ask(bus, self.runner(SUPERVISOR)._runtime.subjects.world_control(), method, params, 10.0)

    async def ended(self, plan_id: str) -> dict[str, Any]:
        async with asyncio.timeout(ENDS_S):
            while True:
                last = (await self.ask("state"))["last"]
                if last is not None and last["id"] == plan_id:
                    return dict(last)
                await asyncio.sleep(0.05)

    async def do(self, kind: str, *args: str) -> None:
        """Under the crowd: everybody sees everybody all the time, and nobody waits long for a view."""
        since, plan_id = self.clock.now, f"pln_{kind}"
        log.info(await self.ask("execute", kind=kind, args=list(args), plan_id=plan_id))
        assert (await self.ended(plan_id))["outcome"] == "done"
        await asyncio.sleep(0.5)
        await self.watched_well(kind, since)

    async def watched_well(self, what: str, since: float) -> None:
        await self.all_see_all()
        gaps = [walker.gap_s(since) for walker in self.walkers]
        log.info("measured", what=what, took_s=round(self.clock.now - since, 2), gap_ms=round(max(gaps) * 1_000))
        assert max(gaps) < GAP_S
        assert [walker.corrections for walker in self.walkers if walker.corrections] == []
        for walker in self.walkers:
            walker.corrections.clear()

    async def zones(self) -> dict[str, dict[str, Any]]:
        await asyncio.sleep(1.1)  # the list is a second old at most
        return {zone["zone"]: zone for zone in await self.ask("zones")}

    async def leave(self) -> None:
        for walker in self.walkers:
            await walker.stand()
            await walker.leave()
        self.clock.ticking.cancel()


@pytest.fixture
async def stage(valkey_url: str, nats_url: str, nats_token: str, namespace: str) -> AsyncIterator[Stage]:
    async with local_realm(valkey_url, nats_url, nats_token, namespace, world=WORLD) as realm:
        made = Stage(realm)
        await made.crowd()
        await asyncio.sleep(1.0)  # a second without a gap is on record
        yield made
        await made.leave()


async def test_split_merged_and_started_again_under_a_crowd(stage: Stage) -> None:
    await stage.do("split", MEADOW)
    zones = await stage.zones()
    new = next(zone for zone in zones if zone != MEADOW)
    assert all(zone["population"] > 0 for zone in zones.values())
    assert sum(zone["population"] for zone in zones.values()) == CROWD
    await stage.do("restart", new)
    assert (await stage.zones())[new]["slot"] == 1
    await stage.do("merge", MEADOW, new)
    zones = await stage.zones()
    assert zones.keys() == {MEADOW}
    assert (zones[MEADOW]["population"], zones[MEADOW]["bounds"]) == (CROWD, GROUND)
    assert {name for name in stage.realm.actors if name.startswith("zone/")} == {zone_actor(MEADOW)}


@pytest.mark.parametrize("kind", ["split", "restart"])
@pytest.mark.parametrize("done", [0, 1, 2, 3])
async def test_the_supervisor_is_killed_and_the_next_one_goes_on(stage: Stage, kind: str, done: int) -> None:
    since = stage.clock.now
    await stage.ask("execute", kind=kind, args=[MEADOW], plan_id="pln_1")
    async with asyncio.timeout(ENDS_S):
        while (now := (await stage.ask("state"))["plan"]) is not None and now["done"] < done:  # noqa: ASYNC110
            await asyncio.sleep(0.0)
    await stage.kill(SUPERVISOR)
    await stage.realm.supervise()
    assert (await stage.ended("pln_1"))["outcome"] == "done"
    zones = await stage.zones()
    assert sum(zone["population"] for zone in zones.values()) == CROWD
    assert len(zones) == (2 if kind == "split" else 1)
    await stage.watched_well(kind, since)


async def test_what_is_refused_changes_nothing(stage: Stage) -> None:
    before = await stage.ask("state")
    for kind, args, error in (
        ("split", ["zon_x"], NotFound),
        ("merge", [MEADOW, "zon_x"], NotFound),
        ("move", [MEADOW, "nowhere"], NotFound),
    ):
        with pytest.raises(error):
            await stage.ask("execute", kind=kind, args=args, plan_id="pln_1")
    await stage.ask("execute", kind="split", args=[MEADOW], plan_id="pln_2")
    again = await stage.ask("execute", kind="split", args=[MEADOW], plan_id="pln_2")  # its answer was lost, say
    assert "zon_meadow_2" in again
    with pytest.raises(Conflict):
        await stage.ask("execute", kind="restart", args=[MEADOW], plan_id="pln_3")
    assert (await stage.ended("pln_2"))["outcome"] == "done"
    assert before["map_version"] == 1
    assert (await stage.ask("state"))["map_version"] == 2
