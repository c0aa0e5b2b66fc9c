"""What every adapter of the topics' log does (cluster/ports/topics.py)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from cluster.ports.topics import Published, PublishedMany, TopicMessage
from tests.contract.topic_logs import BLOCK, LIMIT, NEWS, OTHER, Rig, chained, connected, memory_rig, order, redis_rig


@pytest.fixture(params=["memory", "redis"])
async def rig(request: pytest.FixtureRequest, namespace: str) -> AsyncIterator[Rig]:
    if request.param == "memory":
        yield memory_rig()
    else:
        async with connected(request.getfixturevalue("valkey_url")) as client:
            yield redis_rig(client, namespace)


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

    async def test_each_topic_may_have_its_own_limit(self, rig: Rig) -> None:
        """A channel with a short history must not take from users what they have not been given yet."""
        for n in range(4 * BLOCK):
            await rig.log.publish_many([NEWS, OTHER], "m", b"%d" % n, [BLOCK, 10 * BLOCK], keep_s=[60.0, 3_600.0])
        assert BLOCK <= len(await rig.after("", NEWS)) <= 2 * BLOCK
        assert len(await rig.after("", OTHER)) == 4 * BLOCK
        for limits in ([LIMIT], [LIMIT, LIMIT, LIMIT]):
            with pytest.raises(ValueError, match="zip"):
                await rig.log.publish_many([NEWS, OTHER], "m", b"", limits)

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
