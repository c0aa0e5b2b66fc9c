"""A second incarnation of a zone in a process of its own: it is believed, and ends when a newer one is."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

import actors.zone.zone_actor
import cluster.adapters.runtime
from cluster.chaos.check_owners import WriteCheck
from cluster.chaos.history import History, read
from cluster.chaos.inside import Inside
from cluster.chaos.takeover import impostor
from cluster.errors import Ours
from tests.integration.backstage import MEADOW, ZONE, Backstage
from tests.local_realm import local_realm


@pytest.fixture
async def stage(
    valkey_url: str, nats_url: str, nats_token: str, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Backstage]:
    for name, value in {
        "RAYREALM_REALM": namespace,
        "RAYREALM_REDIS__URL": valkey_url,
        "RAYREALM_NATS__URL": nats_url,
        "RAYREALM_NATS__TOKEN": nats_token,
    }.items():
        monkeypatch.setenv(name, value)
    async with local_realm(valkey_url, nats_url, nats_token, namespace) as realm:
        yield Backstage(realm)


async def test_it_takes_over_and_is_replaced(stage: Backstage, monkeypatch: pytest.MonkeyPatch) -> None:
    stopped: list[str] = []

    def stop(what: str) -> None:
        stopped.append(what)
        for loop in old._loops:
            loop.cancel()
        raise asyncio.CancelledError(what)

    old = stage.runner(ZONE)
    for module in (cluster.adapters.runtime, actors.zone.zone_actor):
        monkeypatch.setattr(module, "stop_fenced", stop)
    ann, bob = await stage.enter("usr_a", 100), await stage.enter("usr_b", 105)
    await ann.until(lambda: ann.sees(bob))
    async with impostor({}) as other:
        assert await other.take_over(ZONE) == 2
        await ann.until(lambda: ann.epochs[-1:] == [2])
        await bob.move(106, 100)
        await ann.until(lambda: ann.sees(bob, 106))  # it judges moves, and is believed
        await stage.until(lambda: stopped[:1] == [ZONE])
        await stage.start(ZONE)
        assert await other.fenced(10.0)
        await ann.until(lambda: ann.epochs == [1, 2, 3])
    for player in (ann, bob):
        await player.leave()


async def test_no_write_of_the_replaced_one_lands(
    stage: Backstage, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """It goes on to write, and is refused: the store has seen nothing of it since the other one is there."""
    stopped: list[str] = []

    def stop(what: str) -> None:
        stopped.append(what)
        for loop in old._loops:
            loop.cancel()
        raise asyncio.CancelledError(what)

    old = stage.runner(ZONE)
    for module in (cluster.adapters.runtime, actors.zone.zone_actor):
        monkeypatch.setattr(module, "stop_fenced", stop)
    nats, history = stage.realm.settings.nats, History(tmp_path / "history")
    redis, bus = stage.realm.settings.redis.url, (nats.url.get_secret_value(), nats.token.get_secret_value())
    async with Inside(redis.get_secret_value(), *bus, stage.ns, os.getpid(), history) as inside, impostor({}) as other:
        watching = asyncio.create_task(inside.watch_writes(MEADOW))
        ann = await stage.enter("usr_a", 100)
        assert await other.take_over(ZONE) == 2
        await stage.until(lambda: stopped[:1] == [ZONE])
        await ann.until(lambda: ann.epochs[-1:] == [2])
        me = {"entity_id": ann.world["entity_id"], "version": 1}
        await ann.ask("state.sync.delta", **me, properties={"n": 1})
        watching.cancel()
        await asyncio.wait({watching})
    history.close()
    events = [event for event in read(history.path) if event["k"] == "written"]
    check = WriteCheck()
    for event in events:
        check.feed(event)
    assert check.violations == []
    assert {event["newest"] for event in events} == {1, 2}
    assert events[-1]["by"]["entities"].startswith("2.")
    await ann.leave()


async def test_one_that_is_not_replaced_ends_when_it_is_told(stage: Backstage) -> None:
    async with impostor({}) as other:
        assert not await other.fenced(0.1)


async def test_the_other_actor_of_a_zone_asks_before_it_takes(stage: Backstage) -> None:
    """It finds that the zone has an owner, whom it cannot reach: only a silent one is replaced."""
    async with impostor({}) as other:
        with pytest.raises(Ours, match="the impostor ended"):
            await other.take_over("zone/zon_forest/1")
