"""The presence actor dies and comes back: nobody is told offline who is not, and no change is lost (rows 1.9 and 3.2)."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import pytest

from cluster.ports.social import Ties
from cluster.settings import SessionSettings
from tests.integration.backstage import PRESENCE, SESSIONS
from tests.integration.presence_rig import NO_LIMITS, Stage, Watcher, all_leave
from tests.local_realm import local_realm

STATUSES = ("online", "busy", "away")


@pytest.fixture
async def stage(valkey_url: str, nats_url: str, nats_token: str, namespace: str) -> AsyncIterator[Stage]:
    async with local_realm(valkey_url, nats_url, nats_token, namespace, session=SessionSettings(grace_s=0.5)) as realm:
        yield Stage(realm)


async def test_nobody_is_told_anything_by_a_restart(stage: Stage) -> None:
    ann, bob = await stage.playing("usr_a", name="Ann"), await stage.watcher("usr_b")
    await bob.subscribe("usr_a")
    await ann.ask("presence.update", status="busy")
    before = await bob.hears("usr_a", status="busy")
    told = list(bob.told)
    await stage.restart(PRESENCE)
    [now] = await bob.get("usr_a")
    assert now | {"version": 0} == before | {"version": 0}
    assert now["version"] > before["version"]
    assert bob.told == told
    await all_leave(ann, bob)


async def test_what_it_took_and_had_not_told_is_told_by_the_next(stage: Stage) -> None:
    ann, bob = await stage.watcher("usr_a"), await stage.watcher("usr_b")
    await bob.subscribe("usr_a")
    runner = stage.runner(PRESENCE)
    index = await runner._index()
    index.take_news = lambda: pytest.fail("the loop that tells is stopped")  # what it takes now dies with it
    for loop in runner._loops:
        loop.cancel()
    await ann.ask("presence.update", status="busy")
    await stage.until(lambda: index.of_user("usr_a").status == "busy")
    assert bob.known["usr_a"]["status"] == "online"
    await stage.restart(PRESENCE)
    await bob.hears("usr_a", status="busy")
    assert ("usr_a", "offline") not in bob.told
    await all_leave(ann, bob)


async def test_who_left_meanwhile_is_offline_and_who_is_in_its_grace_period_is_not(
    valkey_url: str, nats_url: str, nats_token: str, namespace: str
) -> None:
    async with local_realm(valkey_url, nats_url, nats_token, namespace, session=SessionSettings(grace_s=3.0)) as realm:
        stage = Stage(realm)
        ann, eve, bob = await stage.watcher("usr_a"), await stage.watcher("usr_e"), await stage.watcher("usr_b")
        await bob.subscribe("usr_a", "usr_e")
        await stage.kill(PRESENCE)
        gone = ann.session_id
        await ann.leave()
        session_id = eve.session_id
        await stage.until(lambda: gone not in stage.runner(SESSIONS)._sessions.sessions)
        await eve.leave()
        await stage.start(PRESENCE)
        await bob.hears("usr_a", status="offline")
        eve = await stage.watcher("usr_e", session_id=session_id)
        assert eve.ready["resumed"]
        await eve.ask("presence.update", status="busy")
        await bob.hears("usr_e", status="busy")
        assert ("usr_e", "offline") not in bob.told
        await all_leave(eve, bob)


async def test_blocks_hold_from_the_first_moment(stage: Stage) -> None:
    ann, bob = await stage.watcher("usr_a"), await stage.watcher("usr_b")
    await bob.subscribe("usr_a")
    await stage.block("usr_a", "usr_b")
    await bob.hears("usr_a", status="offline")
    told = len(bob.told)
    await stage.restart(PRESENCE)
    await ann.ask("presence.update", status="busy")
    [seen] = await bob.get("usr_a")
    assert seen["status"] == "offline"
    assert bob.told[told:] == []
    await all_leave(ann, bob)


async def test_a_block_that_it_was_not_told_of_is_found_by_looking(stage: Stage) -> None:
    ann, bob = await stage.watcher("usr_a"), await stage.watcher("usr_b")
    await bob.subscribe("usr_a")
    await stage.social.block("usr_a", "usr_b", NO_LIMITS, 3.0)
    runner = stage.runner(PRESENCE)
    await runner._index()
    await runner._again.look(0.0, time.monotonic, asyncio.sleep)
    await bob.hears("usr_a", status="offline")
    await all_leave(ann, bob)


async def test_changes_do_not_wait_while_it_looks(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    ann, bob = await stage.watcher("usr_a"), await stage.watcher("usr_b")
    await bob.subscribe("usr_a")
    runner = stage.runner(PRESENCE)
    real, asked, answered = stage.social.ties, asyncio.Event(), asyncio.Event()

    async def slow(user_ids: Sequence[str]) -> Mapping[str, Ties]:
        asked.set()
        await answered.wait()
        return await real(user_ids)

    monkeypatch.setattr(runner._social, "ties", slow)
    looking = asyncio.create_task(runner._again.look(0.0, time.monotonic, asyncio.sleep))
    await asked.wait()
    await ann.ask("presence.update", status="busy")
    await bob.hears("usr_a", status="busy")
    assert not looking.done()
    answered.set()
    await looking
    await all_leave(ann, bob)


async def test_calls_while_it_is_away_wait_for_it(stage: Stage) -> None:
    ann, bob = await stage.watcher("usr_a"), await stage.watcher("usr_b")
    await stage.kill(PRESENCE)
    asking = asyncio.create_task(bob.subscribe("usr_a"))
    changing = asyncio.create_task(ann.ask("presence.update", status="away"))
    await changing
    assert not asking.done()
    await stage.start(PRESENCE)
    assert (await asking)[0]["status"] == "away"
    await all_leave(ann, bob)


async def test_killed_again_and_again_under_people_who_change(stage: Stage) -> None:
    """Everybody watches everybody, from one device or two; at the end all believe what is so, and nobody ever was told offline."""
    rng = random.Random(5)
    users = [f"usr_{name}" for name in "abcde"]
    people = [await stage.watcher(user, rng.choice(["json", "proto"])) for user in [*users, *users[:2]]]
    for person in people:
        await person.subscribe(*users)
    stop = asyncio.Event()
    last: dict[str, str] = {}

    async def live(person: Watcher) -> None:
        number = 0
        while not stop.is_set():
            number += 1
            answer: Any = await person.ask(
                "presence.update", status=rng.choice(STATUSES), text=f"{id(person)} {number}"
            )
            assert isinstance(answer, dict), answer
            last[person.session_id] = answer["text"]
            await asyncio.sleep(rng.uniform(0.0, 0.02))

    living = [asyncio.create_task(live(person)) for person in people]
    for _ in range(3):
        await asyncio.sleep(0.15)
        await stage.kill(PRESENCE)
        await asyncio.sleep(rng.uniform(0.0, 0.2))
        await stage.start(PRESENCE)
    stop.set()
    await asyncio.gather(*living)
    index = await stage.runner(PRESENCE)._index()
    await stage.until(lambda: {index._sessions[s].text for s in last} == set(last.values()))
    for person in people:
        for user in users:
            [truth] = await person.get(user)
            wanted = {name: value for name, value in truth.items() if name != "version"}
            await person.hears(user, **wanted)
        assert "offline" not in {status for _, status in person.told}
    await all_leave(*people)
