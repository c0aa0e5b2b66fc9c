"""Errors of every kind, and people who come and go meanwhile: topics keep their subscriptions and places together (row 1.5)."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import Any

import pytest

from actors.session.following import Following
from actors.session.outbox import Body
from cluster.adapters.memory.outbox import MemoryOutboxLog
from cluster.ports.bus import Subscription
from tests.unit.actors.session.lane_rig import ACTOR
from tests.unit.actors.session.topics_rig import Listening, Topics, read_all


class Misconfigured(Exception):
    """What a store says that nobody has thought of."""


@pytest.fixture
def topics() -> Topics:
    return Topics()


async def whole(topics: Topics, following: Following) -> None:
    """It reads on, whatever was before."""
    await read_all(following)
    await following.look()
    for topic in following._members:
        topics.bus(await topics.publish("end", topic))
    await read_all(following)
    kept = await topics.rig.log.cursors(ACTOR)
    for each in (topics.handlers, following._places, following._subscriptions, kept):
        assert each.keys() == following._members.keys()


class TestJoining:
    @pytest.mark.parametrize("acted", [False, True])
    @pytest.mark.parametrize("step", ["newest", "follow", "listen"])
    async def test_an_error_that_nobody_thought_of_leaves_nothing_behind(
        self, topics: Topics, step: str, acted: bool
    ) -> None:
        following = await topics.start(chat=["ses_2"])
        for part in (topics.flaky, topics.rig.flaky, topics.listens):
            part.fail(step, Misconfigured(), acted=acted)  # type: ignore[arg-type]
        with pytest.raises(Misconfigured):
            await following.join("news", "ses_1")
        for part in (topics.flaky, topics.rig.flaky, topics.listens):
            part.heal()
        assert "news" not in following._subscriptions
        await following.join("news", "ses_1")
        await whole(topics, following)
        assert await topics.told() == ["end"]

    async def test_one_who_gives_up_leaves_nothing_behind(
        self, topics: Topics, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        following = await topics.start()
        asked = asyncio.Event()

        async def never(names: list[str]) -> dict[str, str]:
            asked.set()
            await asyncio.Event().wait()
            return {}

        monkeypatch.setattr(topics.log, "newest", never)
        joining = asyncio.create_task(following.join("news", "ses_1"))
        await asked.wait()
        joining.cancel()
        await asyncio.gather(joining, return_exceptions=True)
        assert joining.cancelled()
        assert (topics.handlers, following._subscriptions, following._places) == ({}, {}, {})
        monkeypatch.undo()
        assert await following.join("news", "ses_1"), "the first one"
        assert not await following.join("news", "ses_2")
        await whole(topics, following)
        assert await topics.told() == ["end"]

    async def test_a_place_that_is_logged_late_does_not_stay(self, topics: Topics) -> None:
        following = await topics.start(news=["ses_1"])
        await read_all(following)
        topics.bus(await topics.publish("a"))
        await following.leave("news", "ses_1")
        assert await topics.told() == ["a"]
        assert await topics.rig.log.cursors(ACTOR) == {}


class TestReading:
    async def test_what_could_not_be_read_is_read_again(self, topics: Topics) -> None:
        following = await topics.start(news=["ses_1"])
        await topics.publish("a")
        topics.flaky.fail("after", Misconfigured())  # type: ignore[arg-type]
        with pytest.raises(Misconfigured):
            await following.catch_up()
        assert following.behind
        await read_all(following)
        assert await topics.told() == ["a"]

    async def test_what_could_not_be_taken_is_taken_later(
        self, topics: Topics, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        following = await topics.start(news=["ses_1"])
        for text in "abc":
            await topics.publish(text)
        put, refused = topics.lane.put, [b'"b"']

        def refuse_once(sessions: Any, body: Body, place: tuple[str, str] | None = None) -> None:
            if body.params_json in refused:
                refused.remove(body.params_json)
                raise Misconfigured
            put(sessions, body, place)

        monkeypatch.setattr(topics.lane, "put", refuse_once)
        with pytest.raises(Misconfigured):
            await following.catch_up()
        await read_all(following)
        assert await topics.told() == ["a", "b", "c"]


class Slowly:
    """Does each thing in its own time."""

    def __init__(self, topics: Topics, rng: random.Random) -> None:
        self._topics = topics
        self._rng = rng

    async def pause(self) -> None:
        for _ in range(self._rng.randrange(8)):
            await asyncio.sleep(0)

    async def listen(self, topic: str, handler: Callable[[bytes], None]) -> Subscription:
        await self.pause()
        self._topics.handlers[topic] = handler
        await self.pause()
        return SlowListening(self._topics, topic, self)


class SlowListening(Listening):
    def __init__(self, topics: Topics, topic: str, slowly: Slowly) -> None:
        super().__init__(topics, topic)
        self._slowly = slowly

    async def unsubscribe(self) -> None:
        await self._slowly.pause()
        await super().unsubscribe()
        await self._slowly.pause()


@pytest.mark.parametrize("seed", range(100))
async def test_people_who_come_and_go_all_the_while(topics: Topics, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = random.Random(seed)
    slowly = Slowly(topics, rng)
    for method in ("follow", "unfollow"):
        done = getattr(MemoryOutboxLog, method)

        async def late(*args: Any, done: Any = done) -> None:
            await slowly.pause()
            await done(topics.rig.log, *args)
            await slowly.pause()

        monkeypatch.setattr(topics.rig.log, method, late)
    monkeypatch.setattr(topics.listens.inner, "listen", slowly.listen)
    following = await topics.start()

    async def live(name: str) -> None:
        for _ in range(6):
            topic = f"t{rng.randrange(4)}"
            await slowly.pause()
            await following.join(topic, name)
            await slowly.pause()
            topics.bus(await topics.publish("a", topic))
            if rng.random() < 0.8:
                await following.leave(topic, name)

    await asyncio.gather(*(live(f"ses_{n}") for n in range(6)))
    await whole(topics, following)
