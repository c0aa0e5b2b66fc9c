"""What only the topics' log in Redis has, and that the one in memory does the same, whatever is done to them."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr
from redis.asyncio import Redis

from cluster.adapters.redis.connection import connect
from cluster.adapters.redis.topics import PUBLISH, RedisTopicLog
from cluster.errors import Unavailable
from cluster.ports.topics import Published, TopicMessage
from cluster.settings import RedisSettings
from tests.contract.topic_logs import LIMIT, NEWS, OTHER, Rig, chained, connected, memory_rig, order, redis_rig
from tests.servers import free_port


@pytest.fixture
async def client(valkey_url: str) -> AsyncIterator[Redis]:
    async with connected(valkey_url) as client:
        yield client


class TestRedis:
    """What only Redis has."""

    async def test_what_expires(self, client: Redis, namespace: str) -> None:
        rig, log = redis_rig(client, namespace), f"{namespace}:topic:{NEWS.encode().hex()}"
        for _ in range(2):
            await rig.log.publish(NEWS, "m", b"", LIMIT, "k", "", 30.0)
        assert 3_500_000 < await client.pttl(log) <= 3_600_000
        await rig.log.publish(NEWS, "m", b"", LIMIT, keep_s=60.0)
        assert 3_500_000 < await client.pttl(log) <= 3_600_000, "a shorter one takes nothing away"
        await rig.log.publish(NEWS, "m", b"", LIMIT, keep_s=7_200.0)
        assert 7_100_000 < await client.pttl(log) <= 7_200_000
        assert await client.pttl(f"{log}:newest") > 29 * 86_400_000
        assert 29_000 < await client.pttl(f"{namespace}:topic-key:k") <= 30_000
        assert len(await client.keys(f"{namespace}:*")) == 3, "and there is nothing else"

    async def test_how_long_each_topic_is_kept(self, client: Redis, namespace: str) -> None:
        rig, log = redis_rig(client, namespace), f"{namespace}:topic:{{}}"
        days = 60 * 86_400.0
        await rig.log.publish_many([NEWS, OTHER], "m", b"", LIMIT, keep_s=[days, 60.0])
        lives = [await client.pttl(log.format(topic.encode().hex())) / 1_000 for topic in (NEWS, OTHER)]
        assert lives == [pytest.approx(days, abs=10), pytest.approx(60.0, abs=10)]
        await rig.log.publish_many([NEWS, OTHER], "m", [b"1", b"2"], LIMIT, keep_s=[60.0, 120.0])
        lives = [await client.pttl(log.format(topic.encode().hex())) / 1_000 for topic in (NEWS, OTHER)]
        assert lives == [pytest.approx(days, abs=10), pytest.approx(120.0, abs=10)]
        assert await client.pttl(log.format(f"{NEWS.encode().hex()}:newest")) / 1_000 == pytest.approx(days, abs=10)

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
            namespace, "m", "{}", "k", "msg_1", "call", 60_000, "", "", "", len(topics),
            *(part for topic in topics for part in (topic, LIMIT, 60_000, 60_000)),
        ]  # fmt: skip
        first = await PUBLISH(client, [], args)
        assert await PUBLISH(client, [], args) == first
        assert first[0] == b"msg_1"
        rig = redis_rig(client, namespace)
        assert [m.id.encode() for topic in (NEWS, OTHER) for m in await rig.after("", topic)] == [first[1], first[3]]
        args[5] = "another call"
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
