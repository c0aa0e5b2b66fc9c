"""The loads of `bench chat` and `bench social` on a realm in this process: what is well is found well, what is planted is found."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Any

import orjson
import pytest

from cluster.adapters.redis.topics import RedisTopicLog
from cluster.bench import chat, social, socialites
from cluster.bench.chat import ChatLoad
from cluster.bench.decoding import SharedDecoder
from cluster.bench.hearing import join
from cluster.bench.returning import Returning
from cluster.bench.social import Social
from cluster.bench.social_checks import CHAT_FAULTS, STATUS_FAULTS, chat_shortcomings, social_shortcomings
from cluster.bench.socialites import ALL
from tests.integration.backstage import PRESENCE, SESSIONS, Backstage
from tests.local_realm import LocalRealm, local_realm
from tests.servers import Nats

PEOPLE = 12
GRACE_S = 1.0
DEADLINE_S = 20.0
FAST_S = (0.02, 0.1)


@pytest.fixture
def own_nats(tmp_path: Path) -> Iterator[Nats]:
    """One that may be killed."""
    with Nats(tmp_path) as server:
        yield server


@pytest.fixture
async def stage(valkey_url: str, own_nats: Nats, namespace: str) -> AsyncIterator[Backstage]:
    limits: dict[str, Any] = {"session": {"grace_s": GRACE_S}, "chat": {"per_s": 1_000.0, "burst": 1_000}}
    async with local_realm(valkey_url, own_nats.url, own_nats.token, namespace, **limits) as realm:
        yield Backstage(realm)


@contextlib.asynccontextmanager
async def clients(realm: LocalRealm, count: int) -> AsyncIterator[list[Returning]]:
    """Not connected before `connect`; gone at the end."""
    url, decode = realm.url.removesuffix("/ws").replace("ws://", "http://"), SharedDecoder()
    made = [Returning(url, realm.token(f"usr_{number:02d}"), random.Random(number), decode) for number in range(count)]
    try:
        yield made
    finally:
        running = [task for task in asyncio.all_tasks() if task.get_name().startswith("returning-")]
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        for client in made:
            client.close()


async def connect(made: Sequence[Returning]) -> None:
    for number, client in enumerate(made):
        asyncio.create_task(client.run(), name=f"returning-{number}")  # noqa: RUF006 - found by its name
    async with asyncio.timeout(DEADLINE_S):
        while not all(client.connected for client in made):  # noqa: ASYNC110 - nothing announces it
            await asyncio.sleep(0.01)


async def test_a_channel_with_many_members(stage: Backstage) -> None:
    async with clients(stage.realm, PEOPLE) as made:
        load = ChatLoad(made, per_s=40.0)
        await connect(made)
        for client in made:
            await join(client, chat.CHANNEL)
        load.all_joined()
        told = await load.run(1.0, {os.getpid(): "gateway"}, calm_s=0.2, warm_up_s=0.2)
    assert chat_shortcomings(told) == []
    assert (told["members"], told["senders"], told["messages"]) == (PEOPLE, PEOPLE, 48)
    assert told["deliveries"] == told["expected"] == 48 * PEOPLE
    assert 0.0 < told["p50_ms"] <= told["p99_ms"] <= told["max_ms"]
    assert told["server_cpu_s_per_1k"] > 0.0
    assert set(told["cpu_s_per_1k_by_process"]) == {"gateway"}


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TALK_PAUSE_S", "STATUS_PAUSE_S", "LOOK_PAUSE_S"):
        monkeypatch.setattr(socialites, name, FAST_S)
    monkeypatch.setattr(socialites, "AGAIN_S", (0.02, 0.1))
    monkeypatch.setattr(socialites, "REQUEST_S", 2.0)
    monkeypatch.setattr(social, "POLL_S", 0.05)
    monkeypatch.setattr(social, "SETTLE_S", 10.0)


async def gathered(made: Sequence[Returning]) -> Social:
    """All of them there, and watching."""
    people = Social(made, seed=1)
    await connect(made)
    for client in made:
        await people.come(client)
    await people.meet()
    return people


def all_found(told: dict[str, Any]) -> dict[str, int]:
    return {name: told[name] for name in (*CHAT_FAULTS, *STATUS_FAULTS) if told[name]}


async def test_people_who_lose_the_presence_actor_and_nats(stage: Backstage, own_nats: Nats, quick: None) -> None:
    async def presence() -> float:
        since = time.monotonic()
        await stage.restart(PRESENCE)
        return since

    async def nats() -> float:
        since = time.monotonic()
        own_nats.kill()
        await asyncio.to_thread(own_nats.start)
        return since

    async with clients(stage.realm, PEOPLE) as made:
        people = await gathered(made)
        faults = await people.live(4.0, {"presence": presence, "nats": nats})
        settled_s = await people.settle()
        offline = await people.some_leave(GRACE_S)
        told = people.report(4.0, faults, {"presence": True, "nats": True}, settled_s, offline)
    assert social_shortcomings(told) == [], told
    assert told["status_changes"] > PEOPLE
    assert told["messages"] > PEOPLE
    assert told["messages_heard"] > told["messages"]
    assert [fault["kind"] for fault in told["faults"]] == ["presence", "nats"]
    assert told["left"] == len(offline) == 2
    assert told["looks"] > PEOPLE
    assert told["refusals"] == []


async def test_what_is_planted_is_found(stage: Backstage, quick: None) -> None:
    """A change that says somebody is offline, and a message that comes again, each to everybody they concern."""
    async with clients(stage.realm, PEOPLE) as made:
        people = await gathered(made)

        async def lie() -> float:
            victim, watchers = people.people[1].user_id, [people.people[0].client.sessions[0]]
            gone = {"user_id": victim, "status": "offline", "zone": "", "character_id": "", "version": 0}
            await stage.runner(SESSIONS).post([(watchers, "presence.changed", orjson.dumps(gone))])
            return time.monotonic()

        async def repeat() -> float:
            text, said = next((text, said) for text, said in people.chat._said.items() if said.channel == ALL)
            again = {"message_id": said.id, "channel": ALL, "from": said.speaker, "name": "", "text": text}
            topics = RedisTopicLog(stage.redis, stage.ns)
            await topics.publish(f"chat:{ALL}", "chat.message", orjson.dumps(again | {"sent_at": 1.0}), 1_000)
            return time.monotonic()

        faults = await people.live(2.0, {"lie": lie, "repeat": repeat})
        settled_s = await people.settle()
        offline = await people.some_leave(GRACE_S)
        told = people.report(2.0, faults, {"lie": True, "repeat": True}, settled_s, offline)
    found = all_found(told)
    assert found == {"false_offline": 1, "doubled": PEOPLE}
    assert social_shortcomings(told) != []
