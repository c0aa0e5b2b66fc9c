"""Redis or NATS slow, silent or cut off: players are told, durable requests are refused clearly, the rest goes on. No Ray."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import pytest

from cluster.chaos.proxy import Proxy
from tests.integration.backstage import Backstage, Viewer
from tests.local_realm import local_realm

DEADLINE_S = 20.0
SOON = {"degraded_after_s": 1.0, "probe_s": 0.2, "call_deadline_s": 1.0}


@dataclass(frozen=True)
class Between:
    """A realm behind proxies that a test can slow and cut."""

    stage: Backstage
    redis: Proxy
    nats: Proxy

    async def walks(self, walker: Viewer, watcher: Viewer, x: float) -> None:
        await walker.move(x, 100)
        await watcher.until(lambda: watcher.sees(walker, x))


@contextlib.asynccontextmanager
async def proxied(url: str) -> AsyncIterator[tuple[Proxy, str]]:
    parts = urlsplit(url)
    assert parts.port is not None
    proxy = Proxy(parts.port)
    port = await proxy.start()
    yield proxy, url.replace(f":{parts.port}", f":{port}")
    await proxy.stop()


@pytest.fixture
async def between(valkey_url: str, nats_url: str, nats_token: str, namespace: str) -> AsyncIterator[Between]:
    async with (
        proxied(valkey_url) as (redis, redis_url),
        proxied(nats_url) as (nats, nats_at),
        local_realm(redis_url, nats_at, nats_token, namespace, gateway=SOON) as realm,
    ):
        yield Between(Backstage(realm), redis, nats)


def degraded(player: Viewer) -> list[list[str]]:
    """What it heard of parts that do not answer, in order."""
    told: list[Any] = [notice.params for notice in player.notices if notice.method == "system.degraded"]
    return [params["parts"] for params in told]


async def two(between: Between) -> tuple[Viewer, Viewer]:
    ann, bob = await between.stage.enter("usr_a", 100), await between.stage.enter("usr_b", 105)
    for player in (ann, bob):
        await player.ask("chat.channel.join", channel="world")
    await between.walks(ann, bob, 101)
    return ann, bob


async def test_slow_redis_is_said_and_moves_go_on(between: Between) -> None:
    ann, bob = await two(between)
    between.redis.delay_s = 0.5
    await ann.until(lambda: degraded(ann) == [["redis"]], DEADLINE_S)
    await between.walks(ann, bob, 102)
    between.redis.delay_s = 0.0
    await ann.until(lambda: degraded(ann) == [["redis"], []], DEADLINE_S)
    for player in (ann, bob):
        await player.leave()


async def test_without_redis_what_must_be_kept_is_refused_and_then_works_again(between: Between) -> None:
    ann, bob = await two(between)
    between.redis.refusing = True
    between.redis.cut()
    await ann.until(lambda: degraded(ann) == [["redis"]], DEADLINE_S)
    refusal = await ann.ask("chat.message", channel="world", text="lost?")
    assert refusal.code == -32006
    assert refusal.data["retryAfter"] > 0
    await between.walks(ann, bob, 102)
    between.redis.refusing = False
    await ann.until(lambda: degraded(ann)[-1] == [], DEADLINE_S)
    assert (await ann.ask("chat.message", channel="world", text="kept"))["message_id"]
    said: list[Any] = []

    def heard() -> bool:
        said[:] = [n.params["text"] for n in bob.notices if n.method == "chat.message" and isinstance(n.params, dict)]
        return "kept" in said

    await bob.until(heard)
    assert said in (["kept"], ["lost?", "kept"]), "one that was refused may have been kept: its outcome is unknown"
    for player in (ann, bob):
        await player.leave()


async def test_without_nats_what_is_acknowledged_comes_later_and_views_are_made_good(between: Between) -> None:
    """Requests to the zone go over NATS: they are refused, and may be made again."""
    ann, bob = await two(between)
    between.nats.refusing = True
    between.nats.cut()
    await ann.until(lambda: bool(degraded(ann)) and "nats" in degraded(ann)[-1], DEADLINE_S)
    assert (await ann.ask("chat.message", channel="world", text="later"))["message_id"]
    refused = await ann.ask("state.sync.request")
    assert refused.code == -32006
    assert refused.data["retryAfter"] > 0
    between.nats.refusing = False
    await ann.until(lambda: degraded(ann)[-1] == [], DEADLINE_S)
    entity = (await ann.ask("state.sync.request"))["entities"][0]
    change = {"entity_id": entity["entity_id"], "version": entity["version"], "properties": {"hat": "red"}}
    assert await ann.ask("state.sync.delta", **change) == {"version": entity["version"] + 1}
    await bob.until(lambda: any(n.method == "chat.message" for n in bob.notices), DEADLINE_S)
    number = ann.world["number"]
    await bob.until(lambda: bob.entities[number].properties == {"hat": "red"}, DEADLINE_S)
    await between.walks(ann, bob, 102)
    assert (ann.code, bob.code) == (None, None), "nobody lost a socket"
    for player in (ann, bob):
        await player.leave()
