"""What every adapter of the topics' log does (cluster/ports/topics.py)."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr
from redis.asyncio import Redis

from cluster.adapters.memory.topics import MemoryTopicLog
from cluster.adapters.redis.connection import connect
from cluster.adapters.redis.topics import PUBLISH, RedisTopicLog
from cluster.errors import Unavailable
from cluster.ports.topics import Published, PublishedMany, TopicLog, TopicMessage
from cluster.settings import RedisSettings
from tests.servers import free_port

NEWS, OTHER = "news", "chat:Zoë's 1.*>"
LIMIT = 1_000
BLOCK = 100  # entries of a stream that Redis trims at once (stream-node-max-entries)


@dataclass
class Rig:
    """`expire` ends a topic's messages, and `expire_key` a key, as their times to live do."""

    log: TopicLog
    expire: Callable[[str], Awaitable[None]]
    expire_key: Callable[[str], Awaitable[None]]

    async def publish(self, topic: str = NEWS, data: str = "{}", limit: int = LIMIT, key: str = "") -> TopicMessage:
        """One that is new."""
        published = await self.log.publish(topic, "system.topic", data.encode(), limit, key)
        assert published.message is not None
        return published.message

    async def after(self, place: str, topic: str = NEWS, limit: int = 10_000) -> list[TopicMessage]:
        return await self.log.after({topic: place}, limit)


def memory_rig() -> Rig:
    log = MemoryTopicLog()

    async def expire(topic: str) -> None:
        log.expire(topic)

    async def expire_key(key: str) -> None:
        log.expire_key(key)

    return Rig(log, expire, expire_key)


def redis_rig(client: Redis, namespace: str) -> Rig:
    async def expire(topic: str) -> None:
        await client.delete(f"{namespace}:topic:{topic.encode().hex()}")

    async def expire_key(key: str) -> None:
        await client.delete(f"{namespace}:topic-key:{key}")

    return Rig(RedisTopicLog(client, namespace), expire, expire_key)


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[Redis]:
    client = connect(RedisSettings(url=SecretStr(url)), "contract")
    try:
        yield client
    finally:
        await client.aclose()


@pytest.fixture
async def client(valkey_url: str) -> AsyncIterator[Redis]:
    async with connected(valkey_url) as client:
        yield client


@pytest.fixture(params=["memory", "redis"])
async def rig(request: pytest.FixtureRequest, namespace: str) -> AsyncIterator[Rig]:
    if request.param == "memory":
        yield memory_rig()
    else:
        async with connected(request.getfixturevalue("valkey_url")) as client:
            yield redis_rig(client, namespace)


def order(message_id: str) -> tuple[int, int]:
    milliseconds, _, count = message_id.partition("-")
    return int(milliseconds), int(count)


def chained(messages: list[TopicMessage]) -> bool:
    """Each names the one before it, and ids grow."""
    return all(
        later.previous == earlier.id and order(later.id) > order(earlier.id)
        for earlier, later in itertools.pairwise(messages)
    )


class TestPublish:
    async def test_the_first_ever(self, rig: Rig) -> None:
        assert await rig.log.newest([NEWS]) == {NEWS: ""}
        published = await rig.log.publish(NEWS, "chat.message", b'{"text":"\xc3\xb6"}', LIMIT, "", "msg_1")
        message = published.message
        assert message is not None
        assert published.result == "msg_1"
        assert message == TopicMessage(NEWS, message.id, "", "chat.message", b'{"text":"\xc3\xb6"}')
        assert await rig.log.newest([NEWS]) == {NEWS: message.id}
        assert await rig.after("") == [message]

    async def test_each_names_the_one_before(self, rig: Rig) -> None:
        messages = [await rig.publish(data=str(n)) for n in range(300)]
        assert chained(messages)
        assert await rig.after("") == messages
        assert await rig.log.newest([NEWS]) == {NEWS: messages[-1].id}

    async def test_many_at_once_are_one_chain(self, rig: Rig) -> None:
        messages = await asyncio.gather(*(rig.publish(data=str(n)) for n in range(200)))
        assert chained(sorted(messages, key=lambda message: order(message.id)))
        assert await rig.after("") == sorted(messages, key=lambda message: order(message.id))

    async def test_topics_are_kept_apart(self, rig: Rig) -> None:
        news, other = await rig.publish(NEWS), await rig.publish(OTHER)
        assert (news.previous, other.previous) == ("", "")
        assert await rig.after("", NEWS) == [news]
        assert await rig.after("", OTHER) == [other]
        assert await rig.log.newest([OTHER, "none", NEWS]) == {OTHER: other.id, "none": "", NEWS: news.id}
        assert await rig.log.newest([]) == {}

    async def test_bytes_that_are_no_text(self, rig: Rig) -> None:
        data = bytes(range(256))
        await rig.log.publish(NEWS, "m", data, LIMIT)
        assert [message.params_json for message in await rig.after("")] == [data]


class TestKeys:
    async def test_a_key_that_was_used(self, rig: Rig) -> None:
        first = await rig.log.publish(NEWS, "m", b"1", LIMIT, "usr_a/1", "msg_1")
        assert first.result == "msg_1"
        for _ in range(2):
            again = await rig.log.publish(NEWS, "m", b"2", LIMIT, "usr_a/1", "msg_2")
            assert again == Published(None, "msg_1")
        assert await rig.after("") == [first.message]

    async def test_also_without_a_result(self, rig: Rig) -> None:
        await rig.publish(key="k")
        assert await rig.log.publish(NEWS, "m", b"", LIMIT, "k", "msg_2") == Published(None, "")

    async def test_for_another_topic_too(self, rig: Rig) -> None:
        await rig.log.publish(NEWS, "m", b"1", LIMIT, "k", "msg_1")
        assert await rig.log.publish(OTHER, "m", b"1", LIMIT, "k", "msg_2") == Published(None, "msg_1")
        assert await rig.after("", OTHER) == []

    async def test_another_key_and_none(self, rig: Rig) -> None:
        messages = [await rig.publish(key=key) for key in ("a", "b", "", "", "A", "ö \n")]
        assert await rig.after("") == messages
        assert chained(messages)

    async def test_it_lasts_for_a_time(self, rig: Rig) -> None:
        first = await rig.publish(key="k")
        await rig.expire_key("k")
        second = await rig.publish(key="k")
        assert await rig.after("") == [first, second]

    async def test_it_outlives_the_message(self, rig: Rig) -> None:
        await rig.log.publish(NEWS, "m", b"1", LIMIT, "k", "msg_1")
        await rig.expire(NEWS)
        assert await rig.log.publish(NEWS, "m", b"1", LIMIT, "k", "msg_2") == Published(None, "msg_1")

    async def test_many_at_once_are_one_message(self, rig: Rig) -> None:
        results = await asyncio.gather(
            *(rig.log.publish(NEWS, "m", b"", LIMIT, "k", f"msg_{n}") for n in range(50)),
        )
        (message,) = await rig.after("")
        assert [published.message for published in results if published.message] == [message]
        assert len({published.result for published in results}) == 1


class TestMany:
    async def test_each_topic_may_have_its_own_params(self, rig: Rig) -> None:
        published = await rig.log.publish_many([NEWS, OTHER], "m", [b"1", b"2"], LIMIT, "k")
        assert [message.params_json for message in published.messages] == [b"1", b"2"]
        assert await rig.after("") == [published.messages[0]]
        assert await rig.after("", OTHER) == [published.messages[1]]
        assert await rig.log.publish_many([NEWS, OTHER], "m", [b"3", b"4"], LIMIT, "k") == PublishedMany((), "")

    async def test_one_message_in_several_topics(self, rig: Rig) -> None:
        news = await rig.publish(NEWS)
        published = await rig.log.publish_many([NEWS, OTHER, NEWS], "chat.message", b"{}", LIMIT, result="msg_1")
        assert published.result == "msg_1"
        assert [(m.topic, m.previous, m.method) for m in published.messages] == [
            (NEWS, news.id, "chat.message"),
            (OTHER, "", "chat.message"),
        ]
        assert await rig.after("", NEWS) == [news, published.messages[0]]
        assert await rig.after("", OTHER) == [published.messages[1]]
        later = [await rig.publish(topic) for topic in (NEWS, OTHER)]
        assert [m.previous for m in later] == [m.id for m in published.messages]

    async def test_none(self, rig: Rig) -> None:
        assert await rig.log.publish_many([], "m", b"", LIMIT) == PublishedMany((), "")

    async def test_a_key_that_was_used_even_for_others(self, rig: Rig) -> None:
        first = await rig.log.publish_many([NEWS, OTHER], "m", b"1", LIMIT, "k", "msg_1")
        assert await rig.log.publish_many([NEWS, "third"], "m", b"2", LIMIT, "k", "msg_2") == PublishedMany((), "msg_1")
        assert await rig.log.publish("third", "m", b"2", LIMIT, "k") == Published(None, "msg_1")
        assert await rig.after("", NEWS) + await rig.after("", OTHER) == list(first.messages)
        assert await rig.after("", "third") == []

    async def test_two_thousand(self, rig: Rig) -> None:
        topics = [f"user:usr_{n}" for n in range(2_000)]
        published = await rig.log.publish_many(topics, "m", b"1", LIMIT, "k")
        assert [m.topic for m in published.messages] == topics
        assert await rig.log.newest(topics) == {m.topic: m.id for m in published.messages}


class TestSenderAndRefresh:
    async def test_they_are_kept(self, rig: Rig) -> None:
        for sender, refresh in (("usr_a", ""), ("", "ties"), ("usr_ö", "party"), ("", "")):
            published = await rig.log.publish(NEWS, "", b"", LIMIT, sender=sender, refresh=refresh)
            assert published.message is not None
            assert (published.message.sender, published.message.refresh) == (sender, refresh)
            assert (await rig.after(""))[-1] == published.message
        assert chained(await rig.after(""))


class TestBefore:
    async def test_what_came_before_a_place(self, rig: Rig) -> None:
        messages = [await rig.publish(data=str(n)) for n in range(6)]
        assert await rig.log.before(NEWS, "", 100) == messages
        assert await rig.log.before(NEWS, "", 2) == messages[4:], "the newest of them, oldest first"
        for place, message in enumerate(messages):
            assert await rig.log.before(NEWS, message.id, 2) == messages[max(0, place - 2) : place]

    async def test_a_topic_without_any(self, rig: Rig) -> None:
        assert await rig.log.before(NEWS, "", 5) == []
        await rig.publish()
        await rig.expire(NEWS)
        assert await rig.log.before(NEWS, "", 5) == []


class TestAfter:
    async def test_what_came_after_a_place(self, rig: Rig) -> None:
        messages = [await rig.publish(data=str(n)) for n in range(5)]
        for read, message in enumerate(messages, 1):
            assert await rig.after(message.id) == messages[read:]
        assert await rig.after("", limit=2) == messages[:2]
        assert await rig.after(messages[1].id, limit=2) == messages[2:4]

    async def test_several_topics(self, rig: Rig) -> None:
        news = [await rig.publish(NEWS, str(n)) for n in range(4)]
        other = [await rig.publish(OTHER, str(n)) for n in range(4)]
        found = await rig.log.after({OTHER: "", "none": "", NEWS: news[0].id, "gone": "5-0"}, 2)
        assert [message for message in found if message.topic == NEWS] == news[1:3]
        assert [message for message in found if message.topic == OTHER] == other[:2]
        assert len(found) == 4
        assert await rig.log.after({}, 2) == []

    async def test_a_place_older_than_what_is_kept(self, rig: Rig) -> None:
        first = await rig.publish()
        messages = [await rig.publish(limit=BLOCK) for _ in range(4 * BLOCK)]
        found = await rig.after(first.id)
        assert BLOCK <= len(found) <= 2 * BLOCK, "about the limit"
        assert found == messages[-len(found) :]
        assert found[0].previous != first.id, "this is how a reader knows of the gap"
        assert found[0].previous == messages[-len(found) - 1].id

    async def test_a_place_just_before_what_is_kept(self, rig: Rig) -> None:
        messages = [await rig.publish(limit=BLOCK) for _ in range(4 * BLOCK)]
        kept = await rig.after("")
        found = await rig.after(kept[0].previous)
        assert found[0].previous == kept[0].previous, "nothing is missing"
        assert found == messages[-len(kept) :]

    async def test_a_topic_that_expired(self, rig: Rig) -> None:
        first, last = await rig.publish(), await rig.publish()
        await rig.expire(NEWS)
        assert await rig.log.newest([NEWS]) == {NEWS: last.id}, "a reader at `first` can tell"
        assert await rig.after(first.id) == await rig.after("") == []
        message = await rig.publish()
        assert message.previous == last.id
        assert order(message.id) > order(last.id)
        assert await rig.after(first.id) == await rig.after(last.id) == [message]


class TestRedis:
    """What only Redis has."""

    async def test_what_expires(self, client: Redis, namespace: str) -> None:
        rig, log = redis_rig(client, namespace), f"{namespace}:topic:{NEWS.encode().hex()}"
        for _ in range(2):
            await rig.log.publish(NEWS, "m", b"", LIMIT, "k", "", 30.0)
        assert 3_500_000 < await client.pttl(log) <= 3_600_000
        await rig.log.publish(NEWS, "m", b"", LIMIT, keep_s=60.0)
        assert 50_000 < await client.pttl(log) <= 60_000, "until then after the last one"
        assert await client.pttl(f"{log}:newest") > 29 * 86_400_000
        assert 29_000 < await client.pttl(f"{namespace}:topic-key:k") <= 30_000
        assert len(await client.keys(f"{namespace}:*")) == 3, "and there is nothing else"

    async def test_a_server_whose_clock_went_back(self, client: Redis, namespace: str) -> None:
        rig, log = redis_rig(client, namespace), f"{namespace}:topic:{NEWS.encode().hex()}"
        first = await rig.publish()
        await client.xadd(log, {"method": "m", "params": "", "previous": first.id}, "9999999999999-41")
        await client.set(f"{log}:newest", "9999999999999-41")
        later = [await rig.publish() for _ in range(2)]
        assert [message.id for message in later] == ["9999999999999-42", "9999999999999-43"]
        assert chained(await rig.after(first.id))

    async def test_ids_tell_the_time(self, client: Redis, namespace: str) -> None:
        """So they grow even when everything about a topic was forgotten."""
        rig = redis_rig(client, namespace)
        seconds, micros = await client.time()
        first = await rig.publish()
        assert order(first.id) >= (seconds * 1_000 + micros // 1_000, 0)
        await client.delete(*await client.keys(f"{namespace}:topic:*"))
        second = await rig.publish()
        assert second.previous == ""
        assert order(second.id)[0] >= order(first.id)[0]

    async def test_one_call_that_was_sent_twice(self, client: Redis, namespace: str) -> None:
        """Over a broken connection: its second answer is that of the first, so that the caller still tells the realm."""
        topics = [topic.encode().hex() for topic in (NEWS, OTHER)]
        args: list[str | bytes | int | float] = [
            namespace, "m", "{}", LIMIT, "k", "msg_1", "call", 60_000, 60_000, 60_000, "", "", len(topics), *topics,
        ]  # fmt: skip
        first = await PUBLISH(client, [], args)
        assert await PUBLISH(client, [], args) == first
        assert first[0] == b"msg_1"
        rig = redis_rig(client, namespace)
        assert [m.id.encode() for topic in (NEWS, OTHER) for m in await rig.after("", topic)] == [first[1], first[3]]
        args[6] = "another call"
        assert await PUBLISH(client, [], args) == [b"msg_1"]

    async def test_a_server_that_forgot_the_scripts(self, client: Redis, namespace: str) -> None:
        rig = redis_rig(client, namespace)
        await client.script_flush()
        first = await rig.publish()
        await client.script_flush()
        assert (await rig.publish()).previous == first.id

    async def test_realms_that_share_a_server(self, client: Redis, namespace: str) -> None:
        rig, other = redis_rig(client, namespace), redis_rig(client, f"{namespace}-other")
        await rig.publish(key="k")
        assert await other.after("") == []
        assert (await other.publish(key="k")).previous == ""

    async def test_a_server_that_is_away(self, namespace: str) -> None:
        settings = RedisSettings(url=SecretStr(f"redis://127.0.0.1:{free_port()}/0"), timeout_s=0.2)
        client = connect(settings, "contract")
        log = RedisTopicLog(client, namespace)
        for attempt in (
            log.publish(NEWS, "m", b"", LIMIT),
            log.newest([NEWS]),
            log.after({NEWS: ""}, 1),
            log.before(NEWS, "", 1),
        ):
            with pytest.raises(Unavailable):
                await attempt
        await client.aclose()


# --- any story: what is published is read, in order, by a reader that goes on from where it was ------------------

publishing = st.tuples(st.just("publish"), st.sampled_from([NEWS, OTHER]), st.sampled_from(["", "", "a", "b"]))
reading = st.tuples(st.just("read"), st.integers(1, 5))
expiring = st.tuples(st.just("expire"), st.sampled_from([NEWS, OTHER]))
numbers = itertools.count()


async def holds(rig: Rig, story: list[tuple[object, ...]]) -> None:
    log: dict[str, list[TopicMessage]] = {NEWS: [], OTHER: []}
    kept_from = {NEWS: 0, OTHER: 0}
    read = {NEWS: 0, OTHER: 0}
    places = {NEWS: "", OTHER: ""}
    used: dict[str, str] = {}
    for number, step in enumerate(story):
        match step:
            case ("publish", str(topic), str(key)):
                published = await rig.log.publish(topic, "m", b"%d" % number, LIMIT, key, str(number))
                if key in used:
                    assert published == Published(None, used[key])
                    continue
                message, messages = published.message, log[topic]
                assert message is not None
                assert message.params_json == b"%d" % number
                assert message.previous == (messages[-1].id if messages else "")
                messages.append(message)
                if key:
                    used[key] = str(number)
            case ("expire", str(topic)):
                await rig.expire(topic)
                kept_from[topic] = len(log[topic])
            case ("read", int(limit)):
                found = await rig.log.after(places, limit)
                for topic, messages in log.items():
                    mine = [message for message in found if message.topic == topic]
                    start = max(read[topic], kept_from[topic])
                    assert mine == messages[start : start + limit]
                    if mine:
                        lost = start > read[topic]
                        assert (mine[0].previous != places[topic]) == lost, "a gap is told, and only a gap"
                        places[topic], read[topic] = mine[-1].id, start + len(mine)
        assert await rig.log.newest([NEWS, OTHER]) == {
            topic: messages[-1].id if messages else "" for topic, messages in log.items()
        }
    assert all(chained(messages) for messages in log.values())


@given(story=st.lists(st.one_of(publishing, publishing, reading, expiring), max_size=25))
def test_any_story(valkey_url: str, story: list[tuple[object, ...]]) -> None:
    async def both() -> None:
        await holds(memory_rig(), story)
        async with connected(valkey_url) as client:
            await holds(redis_rig(client, f"test-topic-story-{next(numbers)}"), story)

    asyncio.run(both())
