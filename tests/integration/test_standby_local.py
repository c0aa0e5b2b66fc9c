"""A zone's second actor takes over from a dead owner, and from one that is asked for the zone (rows 7.3 and 7.4). No Ray."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import structlog

from cluster.errors import NotOwner
from cluster.ports.calls import SUPERVISOR, zone_actor
from rayrealm_client.view import View
from tests.integration.backstage import MEADOW, ZONE, Backstage, Viewer
from tests.local_realm import local_realm
from tests.servers import Nats

SECOND = zone_actor(MEADOW, 1)
GROUND = {"min_x": 0, "min_z": 0, "max_x": 200, "max_z": 200}
STEP_S = 0.05
CROWD = 8

log = structlog.get_logger(__name__)


def world(standby: bool) -> dict[str, Any]:
    return {"zones": [{"id": MEADOW, "name": "Meadow", "bounds": GROUND, "standby": standby}], "spawn_zone": MEADOW}


class Walker(Viewer):
    """A player that walks to and fro, and knows when it was shown something."""

    def __init__(self, *args: Any) -> None:
        self.shown_at: list[float] = []
        self.walking: asyncio.Task[None] | None = None
        super().__init__(*args)

    def _take(self, item: Any) -> None:
        super()._take(item)
        if isinstance(item, View):
            self.shown_at.append(time.monotonic())

    def walk(self, x: float) -> None:
        self.walking = asyncio.create_task(self._walk(x))

    async def _walk(self, x: float) -> None:
        for step in itertools.count():
            await self.move(x + 0.25 * abs(step % 16 - 8), 100)
            await asyncio.sleep(STEP_S)

    async def stand(self) -> None:
        if self.walking is not None:
            self.walking.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self.walking

    def gap_s(self, since: float) -> float:
        """The longest time without a view."""
        times = [at for at in self.shown_at if at >= since - 1.0]
        return max(after - before for before, after in itertools.pairwise(times))


class Stage(Backstage):
    """A realm of one zone, whose second actor follows."""

    def __init__(self, realm: Any) -> None:
        super().__init__(realm)
        self.walkers: list[Walker] = []

    async def follow(self, name: str = SECOND) -> None:
        """Until that actor knows all that the owner does."""
        if name not in self.realm.actors:
            await self.start(name)
        await self.until(lambda: self.role(name) == "following" and self.synced(name))

    def role(self, name: str) -> str:
        runner = self.realm.actors.get(name)
        return runner._roles.role if runner is not None and runner._started.done() else "starting"

    def synced(self, name: str) -> bool:
        follower = self.runner(name)._roles._follower
        return follower is not None and follower.replica.synced

    async def crowd(self) -> list[Walker]:
        for n in range(CROWD):
            walker = await Walker.join(self.realm, f"usr_{n}")
            await walker.enter(await self.realm.character(f"usr_{n}", at=(100.0 + n, 100.0)))
            walker.walk(100.0 + n)
            self.walkers.append(walker)
        await self.all_see_all()
        return self.walkers

    async def all_see_all(self, since: float = 0.0) -> None:
        """And each was shown something since."""
        for walker in self.walkers:
            await walker.until(
                lambda walker=walker: len(walker.entities) == CROWD - 1 and walker.shown_at[-1] > since  # type: ignore[misc]
            )

    async def at_ease(self) -> None:
        """Everyone stands, and is where everyone sees it."""
        for walker in self.walkers:
            await walker.stand()
        ends = {}
        for n, walker in enumerate(self.walkers):
            await walker.move(100.0 + n, 100)
            ends[walker.world["number"]] = 100.0 + n
        for walker in self.walkers:
            others = {number: x for number, x in ends.items() if number != walker.world["number"]}
            await walker.until(
                lambda walker=walker, others=others: all(  # type: ignore[misc]
                    abs(walker.entities[number].position.x - x) < 0.01 for number, x in others.items()
                )
            )
            assert walker.corrections == []

    def report(self, what: str, since: float) -> None:
        gaps = sorted(walker.gap_s(since) for walker in self.walkers)
        median_ms, most_ms = round(gaps[len(gaps) // 2] * 1000), round(gaps[-1] * 1000)
        log.info("measured", what=what, without_views_ms=median_ms, at_most_ms=most_ms)

    async def leave(self) -> None:
        for walker in self.walkers:
            await walker.stand()
            await walker.leave()


@contextlib.asynccontextmanager
async def staged(url: str, nats_url: str, nats_token: str, namespace: str, standby: bool) -> AsyncIterator[Stage]:
    async with local_realm(url, nats_url, nats_token, namespace, world=world(standby)) as realm:
        stage = Stage(realm)
        await stage.kill(SUPERVISOR)  # it would make and end actors, too
        await stage.follow()
        yield stage
        await stage.leave()


@pytest.fixture
async def watched(valkey_url: str, nats_url: str, nats_token: str, namespace: str) -> AsyncIterator[Stage]:
    """Its second actor is a standby."""
    async with staged(valkey_url, nats_url, nats_token, namespace, standby=True) as stage:
        yield stage


@pytest.fixture
async def plain(valkey_url: str, nats_url: str, nats_token: str, namespace: str) -> AsyncIterator[Stage]:
    """Its second actor waits to be promoted."""
    async with staged(valkey_url, nats_url, nats_token, namespace, standby=False) as stage:
        yield stage


class TestStandby:
    async def test_players_walk_on_when_the_owner_is_killed_and_again_when_the_next_one_is(
        self, watched: Stage
    ) -> None:
        walkers = await watched.crowd()
        entity = walkers[0].world["entity_id"]
        changed = await walkers[0].ask("state.sync.delta", entity_id=entity, version=1, properties={"hat": "red"})
        assert changed["version"] == 2
        for epoch, (owner, follower) in enumerate(((ZONE, SECOND), (SECOND, ZONE)), 2):
            await asyncio.sleep(0.5)  # so that a second without a gap is on record
            killed_at = time.monotonic()
            await watched.kill(owner)
            await watched.until(lambda follower=follower: watched.role(follower) == "owner")  # type: ignore[misc]
            await watched.all_see_all(time.monotonic())
            watched.report(f"owner {epoch - 1} killed", killed_at)
            assert [walker.epochs for walker in walkers] == [list(range(1, epoch + 1))] * CROWD
            await watched.follow(owner)
        snapshot = await walkers[0].ask("state.sync.request")
        assert snapshot["entities"][0]["properties"] == {"hat": "red"}
        await watched.at_ease()

    async def test_an_owner_that_comes_back_follows(self, watched: Stage) -> None:
        walkers = await watched.crowd()
        await watched.kill(ZONE)
        await watched.until(lambda: watched.role(SECOND) == "owner")
        await watched.follow(ZONE)
        with pytest.raises(NotOwner, match="1"):
            await watched.runner(ZONE).leave(walkers[0].session_id)
        late = await Viewer.join(watched.realm, "usr_late")
        await late.enter(await watched.realm.character("usr_late", at=(104.0, 101.0)))
        await late.until(lambda: len(late.entities) == CROWD)
        assert late.epochs == [2]
        await late.leave()

    async def test_without_nats_nobody_takes_over(self, valkey_url: str, namespace: str, tmp_path: Path) -> None:
        with Nats(tmp_path) as nats:
            async with staged(valkey_url, nats.url, nats.token, namespace, standby=True) as stage:
                await stage.crowd()
                for step in (nats.pause, nats.unpause, nats.kill, nats.start):
                    await asyncio.to_thread(step)
                    await asyncio.sleep(2.0)
                await stage.all_see_all(time.monotonic())
                assert (stage.role(ZONE), stage.role(SECOND)) == ("owner", "following")
                assert [walker.epochs[-1] for walker in stage.walkers] == [1] * CROWD
                await stage.kill(ZONE)
                await stage.until(lambda: stage.role(SECOND) == "owner")
                await stage.all_see_all(time.monotonic())


class TestPromotion:
    async def test_players_walk_through_it(self, plain: Stage) -> None:
        walkers = await plain.crowd()
        for epoch, name in ((2, SECOND), (3, ZONE), (4, SECOND)):
            await asyncio.sleep(0.5)
            asked_at = time.monotonic()
            await plain.realm.calls.call(name, "promote", deadline_s=8.0)
            took_s = time.monotonic() - asked_at
            await plain.all_see_all(time.monotonic())
            plain.report(f"promoted in {took_s * 1000:.0f} ms", asked_at)
            assert plain.role(name) == "owner"
            assert [walker.epochs for walker in walkers] == [list(range(1, epoch + 1))] * CROWD
        await plain.at_ease()
        info = await plain.realm.calls.call(SECOND, "info", deadline_s=2.0)
        assert (info["population"], info["epoch"], info["strays"], info["node"]) == (CROWD, 4, 0, "")

    async def test_it_does_not_need_the_owner(self, plain: Stage) -> None:
        await plain.crowd()
        killed_at = time.monotonic()
        await plain.kill(ZONE)
        await plain.realm.calls.call(SECOND, "promote", deadline_s=8.0)
        await plain.all_see_all(time.monotonic())
        plain.report("promoted after the owner was killed", killed_at)
        await plain.at_ease()

    async def test_it_does_not_take_over_by_itself(self, plain: Stage) -> None:
        await plain.crowd()
        await plain.kill(ZONE)
        await asyncio.sleep(1.5)
        assert plain.role(SECOND) == "following"
        await plain.start(ZONE)
        await plain.all_see_all(time.monotonic())
        assert [walker.epochs for walker in plain.walkers] == [[1, 2]] * CROWD
