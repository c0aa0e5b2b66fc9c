"""Topics reach their members in the order of their logs, whatever the bus does (row 1.5)."""

from __future__ import annotations

import asyncio
from itertools import permutations
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.session import following as following_module
from actors.session import lane as lane_module
from actors.session.following import order
from cluster.errors import Fenced, Unavailable
from cluster.ports.topics import TopicMessage
from realm_proto import internal_pb2
from tests.unit.actors.session.lane_rig import ACTOR
from tests.unit.actors.session.topics_rig import LOG_KEEPS, Topics, read_all


@pytest.fixture
def topics() -> Topics:
    return Topics()


@pytest.mark.parametrize(
    ("older", "newer"),
    [("", "0-1"), ("9-0", "10-0"), ("5-9", "5-10"), ("1800000000000-3", "1800000000001-0"), ("", "1-0")],
)
def test_ids_are_ordered(older: str, newer: str) -> None:
    assert order(older) < order(newer)
    assert order(newer) == order(newer)


class TestMessages:
    async def test_they_come_as_they_are_published(self, topics: Topics) -> None:
        following = await topics.start(news=["ses_1", "ses_2"])
        await read_all(following)
        for text in "abc":
            topics.bus(await topics.publish(text))
        assert (await topics.told("ses_1"), await topics.told("ses_2")) == (["a", "b", "c"], ["a", "b", "c"])
        assert not following.behind
        assert topics.flaky.called.count("after") == 1, "the log was read at the start only"

    @pytest.mark.parametrize("way", list(permutations(range(4))))
    async def test_in_the_log_s_order_however_the_bus_brings_them(self, topics: Topics, way: tuple[int, ...]) -> None:
        following = await topics.start(news=["ses_1"])
        await read_all(following)
        messages = [await topics.publish(text) for text in "abcd"]
        for at in way:
            topics.bus(messages[at])
        await read_all(following)
        assert await topics.told() == ["a", "b", "c", "d"]

    async def test_what_comes_twice_is_told_once(self, topics: Topics) -> None:
        following = await topics.start(news=["ses_1"])
        await read_all(following)
        first, second = await topics.publish("a"), await topics.publish("b")
        for message in (first, first, second, first, second):
            topics.bus(message)
        assert await topics.told() == ["a", "b"]
        assert not following.behind

    async def test_a_lost_one_is_read_from_the_log(self, topics: Topics) -> None:
        following = await topics.start(news=["ses_1"])
        await read_all(following)
        topics.bus(await topics.publish("a"))
        await topics.publish("lost")
        topics.bus(await topics.publish("c"))
        assert (await topics.told(), following.behind) == (["a"], True)
        await following.catch_up()
        assert (await topics.told(), following.behind) == (["a", "lost", "c"], False)

    async def test_a_lost_last_one_is_found_by_looking(self, topics: Topics) -> None:
        following = await topics.start(news=["ses_1"])
        await read_all(following)
        await topics.publish("lost")
        assert not following.behind
        await following.look()
        await read_all(following)
        assert await topics.told() == ["lost"]
        await following.look()
        assert not following.behind

    async def test_while_the_log_is_read_the_bus_goes_on(self, topics: Topics, monkeypatch: pytest.MonkeyPatch) -> None:
        """What comes meanwhile is either taken, or asked for next time; and nothing twice."""
        following = await topics.start(news=["ses_1"])
        messages = [await topics.publish(text) for text in "ab"]
        after, gate = topics.log.after, asyncio.Event()

        async def slow(*args: Any) -> list[TopicMessage]:
            found = await after(*args)
            await gate.wait()
            return found

        monkeypatch.setattr(topics.log, "after", slow)
        reading = asyncio.create_task(following.catch_up())
        await asyncio.sleep(0)
        topics.bus(messages[0])
        await topics.publish("lost")
        topics.bus(await topics.publish("d"))
        gate.set()
        await reading
        await read_all(following)
        assert await topics.told() == ["a", "b", "lost", "d"]

    async def test_of_a_topic_that_nobody_here_listens_to(self, topics: Topics) -> None:
        following = await topics.start(news=["ses_1"])
        await read_all(following)
        handler = topics.handlers["news"]
        message = await topics.publish("a", "other")
        handler(internal_pb2.TopicMessage(topic="other", id=message.id).SerializeToString())
        assert (await topics.told(), following.behind) == ([], False)

    async def test_an_outage_of_the_log_is_waited_for(self, topics: Topics) -> None:
        following = await topics.start(news=["ses_1"])
        await topics.publish("a")
        topics.flaky.fail("after")
        with pytest.raises(Unavailable):
            await following.catch_up()
        assert following.behind
        await read_all(following)
        assert await topics.told() == ["a"]

    async def test_no_more_is_read_than_the_lane_takes(self, topics: Topics, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(lane_module, "PENDING_MESSAGES", 3)
        following = await topics.start(news=["ses_1"])
        for n in range(5):
            await topics.publish(str(n))
        await following.catch_up()
        assert (len(topics.lane._pending), following.behind) == (3, True)
        await following.catch_up()
        topics.bus(await topics.publish("5"))
        assert (len(topics.lane._pending), following.behind) == (3, True)
        while following.behind:
            await topics.told()
            await following.catch_up()
        assert await topics.told() == ["0", "1", "2", "3", "4", "5"]

    async def test_a_topic_that_is_far_behind_is_read_in_parts(
        self, topics: Topics, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(following_module, "READ_AT_ONCE", 2)
        monkeypatch.setattr(following_module, "TOPICS_AT_ONCE", 2)
        names = [f"t{n}" for n in range(5)]
        following = await topics.start(**{name: ["ses_1"] for name in names})
        for name in names:
            for n in range(3):
                await topics.publish(f"{name}.{n}", name)
        await read_all(following)
        told = await topics.told()
        assert sorted(told) == [f"{name}.{n}" for name in names for n in range(3)]
        assert all([t for t in told if t.startswith(name)] == [f"{name}.{n}" for n in range(3)] for name in names)


class TestGaps:
    async def test_what_the_log_has_given_up_is_said_to_be_missing(self, topics: Topics) -> None:
        following = await topics.start(news=["ses_1"], chat=["ses_2"])
        await read_all(following)
        topics.bus(await topics.publish("a"))
        await topics.told()
        for n in range(LOG_KEEPS + 3):
            await topics.publish(str(n))
        await following.look()
        await read_all(following)
        assert await topics.told() == ["a", "session.gap", *(str(n) for n in range(3, LOG_KEEPS + 3))]
        assert await topics.told("ses_2") == []
        assert following.gaps == 1
        gap = (topics.rig.sessions["ses_1"].outbox.after(1) or [])[0]
        assert orjson.loads(gap.body.params_json) == {"topic": "news"}

    async def test_a_whole_log_that_begins_where_one_stands_has_none(self, topics: Topics) -> None:
        following = await topics.start(news=["ses_1"])
        await read_all(following)
        for n in range(LOG_KEEPS):
            await topics.publish(str(n))
        await following.look()
        await read_all(following)
        assert await topics.told() == [str(n) for n in range(LOG_KEEPS)]
        assert following.gaps == 0

    async def test_a_topic_whose_newest_id_is_forgotten_begins_anew(self, topics: Topics) -> None:
        """After a month of silence; its ids go on growing."""
        following = await topics.start(news=["ses_1"])
        await read_all(following)
        topics.bus(await topics.publish("a"))
        message = await topics.publish("b")
        topics.log._messages["news"] = [TopicMessage("news", message.id, "", "system.topic", b'"b"')]
        topics.bus(topics.log._messages["news"][0])
        await read_all(following)
        assert (await topics.told(), following.gaps) == (["a", "b"], 0)


class TestMembers:
    async def test_who_joins_hears_what_is_published_from_then_on(self, topics: Topics) -> None:
        following = await topics.start()
        await topics.publish("before")
        await following.join("news", "ses_1")
        lost = await topics.publish("a")
        assert lost.previous
        await read_all(following)
        topics.bus(await topics.publish("b"))
        assert await topics.told() == ["a", "b"]
        assert len(following) == 1

    async def test_while_messages_flow(self, topics: Topics) -> None:
        following = await topics.start(news=["ses_1"])
        await read_all(following)
        topics.bus(await topics.publish("a"))
        await following.join("news", "ses_2")
        topics.bus(await topics.publish("b"))
        await read_all(following)
        assert (await topics.told("ses_1"), await topics.told("ses_2")) == (["a", "b"], ["b"])

    async def test_one_who_left_hears_no_more_and_the_last_one_ends_it(self, topics: Topics) -> None:
        following = await topics.start(news=["ses_1", "ses_2"])
        await read_all(following)
        await following.leave("news", "ses_1")
        topics.bus(await topics.publish("a"))
        assert (await topics.told("ses_1"), await topics.told("ses_2")) == ([], ["a"])
        await following.leave("news", "ses_2")
        assert (len(following), topics.handlers, await topics.rig.log.cursors(ACTOR)) == (0, {}, {})
        await following.leave("news", "ses_2")
        await following.leave("other", "ses_1")

    async def test_who_comes_back_later_does_not_hear_what_was_between(self, topics: Topics) -> None:
        following = await topics.start(news=["ses_1"])
        await read_all(following)
        await following.leave("news", "ses_1")
        await topics.publish("between")
        await following.join("news", "ses_1")
        await read_all(following)
        topics.bus(await topics.publish("after"))
        assert await topics.told() == ["after"]

    async def test_who_joins_sharply_hears_nothing_from_before_though_the_topic_lags(self, topics: Topics) -> None:
        """What the user's other session still waits for is no news to the one that has just come."""
        following = await topics.start(news=["ses_1"])
        await read_all(following)
        before = [await topics.publish(text) for text in "ab"]
        await following.join("news", "ses_2", sharply=True)
        after = await topics.publish("after")
        for message in (*before, after):
            topics.bus(message)
        assert (await topics.told("ses_1"), await topics.told("ses_2")) == (["a", "b", "after"], ["after"])
        topics.bus(await topics.publish("more"))
        assert (await topics.told("ses_1"))[3:] == (await topics.told("ses_2"))[1:] == ["more"]

    async def test_who_left_before_the_lag_was_over_and_comes_again(self, topics: Topics) -> None:
        following = await topics.start(news=["ses_1"])
        await read_all(following)
        topics.gate.shut.add("usr_slow")
        await topics.publish("a", sender="usr_slow")
        await following.join("news", "ses_2", sharply=True)
        await following.leave("news", "ses_2")
        await topics.publish("b", sender="usr_slow")
        await following.join("news", "ses_2", sharply=True)
        topics.gate.shut.clear()
        await topics.publish("c")
        await following.look()
        await read_all(following)
        assert (await topics.told("ses_1"), await topics.told("ses_2")) == (["a", "b", "c"], ["c"])

    async def test_a_place_that_could_not_be_forgotten_does_not_count(self, topics: Topics) -> None:
        following = await topics.start(news=["ses_1"])
        await read_all(following)
        topics.rig.flaky.fail("unfollow")
        await following.leave("news", "ses_1")
        assert await topics.rig.log.cursors(ACTOR) == {"news": ""}
        await topics.publish("between")
        following = await topics.start()
        await following.join("news", "ses_1")
        await read_all(following)
        topics.bus(await topics.publish("after"))
        assert await topics.told() == ["after"]

    @pytest.mark.parametrize("step", ["newest", "follow", "listen"])
    async def test_a_join_that_fails_leaves_nothing_behind(self, topics: Topics, step: str) -> None:
        following = await topics.start()
        await topics.publish("before")
        for part in (topics.flaky, topics.rig.flaky, topics.listens):
            part.fail(step)
        with pytest.raises(Unavailable):
            await following.join("news", "ses_1")
        for part in (topics.flaky, topics.rig.flaky, topics.listens):
            part.heal()
        assert len(following) == 0
        await topics.publish("between")
        await following.join("news", "ses_1")
        await read_all(following)
        topics.bus(await topics.publish("after"))
        assert await topics.told() == ["after"]

    async def test_an_older_incarnation_may_not_join_or_leave(self, topics: Topics) -> None:
        old = await topics.start(news=["ses_1"])
        await topics.start(news=["ses_1"])
        with pytest.raises(Fenced):
            await old.join("other", "ses_2")
        with pytest.raises(Fenced):
            await old.leave("news", "ses_1")
        assert await topics.rig.log.cursors(ACTOR) == {"news": ""}


class TestRestart:
    async def test_it_goes_on_where_the_last_batch_ended(self, topics: Topics) -> None:
        following = await topics.start(news=["ses_1"])
        await read_all(following)
        topics.bus(await topics.publish("a"))
        assert await topics.told() == ["a"]
        topics.bus(await topics.publish("numbered by nobody"))
        await topics.publish("while it was away")
        following = await topics.start(news=["ses_1"])
        await read_all(following)
        assert await topics.told() == ["a", "numbered by nobody", "while it was away"]

    async def test_what_was_logged_and_not_answered_is_not_repeated(self, topics: Topics) -> None:
        following = await topics.start(news=["ses_1"])
        await read_all(following)
        topics.bus(await topics.publish("a"))
        topics.rig.flaky.fail("append", acted=True)
        with pytest.raises(Unavailable):
            await topics.lane.flush()
        following = await topics.start(news=["ses_1"])
        await read_all(following)
        assert await topics.told() == ["a"]

    async def test_one_that_fails_is_begun_again(self, topics: Topics) -> None:
        following = await topics.start(news=["ses_1"], chat=["ses_2"])
        await read_all(following)
        topics.bus(await topics.publish("a"))
        await topics.told()
        await topics.publish("b")
        topics.listens.fail("listen", acted=True)
        with pytest.raises(Unavailable):
            await topics.start(news=["ses_1"], chat=["ses_2"])
        following = await topics.start(news=["ses_1"], chat=["ses_2"])
        await read_all(following)
        assert await topics.told() == ["a", "b"]

    async def test_topics_without_members_are_not_followed(self, topics: Topics) -> None:
        await topics.start(news=["ses_1"], chat=["ses_2"])
        following = await topics.start(chat=["ses_2"])
        assert (len(following), list(topics.handlers)) == (1, ["chat"])


class Fates:
    """What the bus does with a message: how often it comes, and after which later one."""

    each = st.tuples(st.sampled_from([0, 1, 1, 1, 2]), st.integers(0, 3))


@given(
    fates=st.lists(Fates.each, max_size=25),
    reads=st.sets(st.integers(0, 25)),
    flushes=st.sets(st.integers(0, 25)),
    restarts=st.sets(st.integers(0, 25), max_size=3),
)
@settings(max_examples=150, deadline=None)
async def test_members_are_told_the_log_once_and_in_order(
    fates: list[tuple[int, int]], reads: set[int], flushes: set[int], restarts: set[int]
) -> None:
    """Lost, repeated, out of order; read, logged and restarted at any time. The log is longer than the story."""
    topics = Topics()
    following = await topics.start(news=["ses_1"])
    coming: list[tuple[int, TopicMessage]] = []
    for at, (times, delay) in enumerate(fates):
        made = await topics.log.publish("news", "system.topic", orjson.dumps(at), 1_000)
        assert made.message is not None
        coming += [(at + delay, made.message)] * times
        for due, message in list(coming):
            if due <= at:
                coming.remove((due, message))
                topics.bus(message)
        if at in reads:
            await following.catch_up()
        if at in flushes:
            await topics.told()
        if at in restarts:
            coming.clear()
            following = await topics.start(news=["ses_1"])
    await following.look()
    await read_all(following)
    assert await topics.told() == list(range(len(fates)))


async def test_a_restore_that_is_repeated_begins_from_nothing(topics: Topics) -> None:
    """Meanwhile a newer incarnation has changed the records; this one is about to be fenced."""
    following = await topics.start()
    topics.listens.fail("listen")
    with pytest.raises(Unavailable):
        await following.restore({"chat": ["ses_1"], "news": ["ses_1"]})
    await following.restore({"chat": ["ses_2"]})
    await following.restore({"news": ["ses_2"]})
    assert (len(following), list(topics.handlers)) == (1, ["news"])
    await read_all(following)
    topics.bus(await topics.publish("a"))
    assert (await topics.told("ses_1"), await topics.told("ses_2")) == ([], ["a"])
