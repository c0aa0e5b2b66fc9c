"""Players who cross borders while it is being broken: nobody is lost or doubled, and everybody sees who is there."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from cluster.chaos.cast import Cast
from cluster.chaos.inside import Inside
from cluster.chaos.operator import Operator
from cluster.ports.calls import zone_actor
from cluster.world_settings import Bounds, ZoneSpec
from tests.chaos.local_drill import drill_with
from tests.integration.backstage import Backstage
from tests.local_realm import LocalRealm, local_realm

SIDE = 20.0
BOTS = 4
DEADLINE_S = 20.0
LONGEST_GAP_S = 0.5


@pytest.fixture
def standby() -> bool:
    return False


@pytest.fixture
async def realm(
    valkey_url: str, nats_url: str, nats_token: str, namespace: str, standby: bool
) -> AsyncIterator[LocalRealm]:
    """Two small zones side by side: whoever walks crosses every few seconds."""
    zones = [
        ZoneSpec(id=name, name=name, bounds=Bounds(min_x=x, min_z=0, max_x=x + SIDE, max_z=SIDE))
        for name, x in (("zon_west", 0.0), ("zon_east", SIDE))
    ]
    world = {
        "zones": zones,
        "spawn_zone": "zon_west",
        "interest": {"radius": 15.0},
        "policy": {"enabled": False, "split_min_side": 5.0},
        "standby": standby,
    }
    async with local_realm(valkey_url, nats_url, nats_token, namespace, world=world) as running:
        yield running


async def crossed(cast: Cast, inside: Inside) -> tuple[str, str]:
    """Wait for somebody who is about to be handed over: from where, and where to."""
    async with asyncio.timeout(DEADLINE_S):
        while not (found := cast.crossing(inside.world.map)):  # noqa: ASYNC110 - nothing announces it
            await asyncio.sleep(0.005)
    return found[0].here, found[0].there


async def followed(stage: Backstage, inside: Inside) -> None:
    """Wait until each zone has a standby that knows where everybody is."""

    def true() -> bool:
        there = [stage.realm.actors[name] for name in inside.posts() if name in stage.realm.actors]
        roles = [actor._roles for actor in there if hasattr(actor, "_roles")]  # others only begin to start
        followers = [role._follower for role in roles if role.role == "following"]
        return len(roles) == 4 and sum(follower.replica.synced for follower in followers) == 2

    async with asyncio.timeout(DEADLINE_S):
        while not true():  # noqa: ASYNC110 - nothing announces it
            await asyncio.sleep(0.02)


async def test_without_faults(realm: LocalRealm, tmp_path: Path) -> None:
    async def walk(stage: Backstage, inside: Inside, cast: Cast) -> None:
        for _ in range(3):
            before = {bot.name: bot.client.zone for bot in cast.bots}
            async with asyncio.timeout(DEADLINE_S):
                while all(bot.client.zone == before[bot.name] for bot in cast.bots):  # noqa: ASYNC110 - see above
                    await asyncio.sleep(0.02)
            await cast.look(DEADLINE_S)

    verdict = await drill_with(realm, tmp_path, walk, BOTS, (SIDE - 3.0, SIDE / 2))
    assert verdict.violations == ()
    assert (verdict.crossings["count"] or 0) >= 3
    assert verdict.looked_for > verdict.looked_across >= 1
    assert verdict.operations["state"]["acknowledged"] > BOTS


@pytest.mark.parametrize("side", [0, 1])
async def test_a_zone_is_killed_as_one_crosses(realm: LocalRealm, tmp_path: Path, side: int) -> None:
    async def kill(stage: Backstage, inside: Inside, cast: Cast) -> None:
        for _ in range(2):
            zone = (await crossed(cast, inside))[side]
            await stage.restart(zone_actor(zone))
            await asyncio.sleep(1.0)

    verdict = await drill_with(realm, tmp_path, kill, BOTS, (SIDE - 3.0, SIDE / 2))
    assert verdict.violations == ()
    assert (verdict.crossings["count"] or 0) >= 1


@pytest.mark.parametrize("standby", [True])
async def test_a_standby_takes_over_as_one_crosses(realm: LocalRealm, tmp_path: Path) -> None:
    gaps: list[float] = []

    async def kill(stage: Backstage, inside: Inside, cast: Cast) -> None:
        for _ in range(2):
            await followed(stage, inside)
            zone = (await crossed(cast, inside))[0]
            owner, epoch = (await inside.owners())[zone], (await inside.epochs())[zone]
            since = cast.crew.clock()
            await stage.kill(owner)
            async with asyncio.timeout(DEADLINE_S):
                while (await inside.epochs())[zone] <= epoch:  # noqa: ASYNC110 - see above
                    await asyncio.sleep(0.02)
            await asyncio.sleep(0.5)
            gaps.extend(bot.gaps.longest(since, cast.crew.clock()) for bot in cast.bots)
            await stage.start(owner)

    verdict = await drill_with(realm, tmp_path, kill, BOTS, (SIDE - 3.0, SIDE / 2))
    assert verdict.violations == ()
    assert 0.2 < max(gaps) < LONGEST_GAP_S


async def test_split_merge_and_restart(realm: LocalRealm, tmp_path: Path) -> None:
    gaps: list[float] = []

    async def command(stage: Backstage, inside: Inside, cast: Cast) -> None:
        operator = Operator(inside.supervisor, inside.world)
        await asyncio.sleep(1.0)
        since = cast.crew.clock()
        split = await operator.split(0.0, cast.zones())
        await operator.move(0.9, cast.zones())
        merged = await operator.merge(0.0)
        assert "cut" in split.what
        assert len(merged.zones) == 2
        assert len(list(inside.world.map)) == 2
        await asyncio.sleep(1.0)
        gaps.extend(bot.gaps.longest(since, cast.crew.clock()) for bot in cast.bots)

    verdict = await drill_with(realm, tmp_path, command, BOTS, (SIDE - 3.0, SIDE / 2))
    assert verdict.violations == ()
    assert max(gaps) < LONGEST_GAP_S
