"""Whoever takes part in a channel hears the same in the same order, once, whatever fails on the way and is tried again."""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import dataclass
from random import Random
from typing import Any

import orjson
from hypothesis import given
from hypothesis import strategies as st

from cluster.errors import Unavailable
from cluster.ports.topics import TopicMessage
from cluster.publishing import user_topic
from tests.unit.serve_apps.gateway.people_rig import People

USERS = ("usr_a", "usr_b", "usr_c")
CHANNELS = ("hall", *(f"direct:{user_id}" for user_id in USERS))
TRIES = 30
MOST = 10


@dataclass(frozen=True)
class Said:
    """What a user wants to say."""

    user_id: str
    channel: str


class Failing:
    """Stands before a store: each call of these methods takes a while, and may not be answered, whether it was done or not."""

    def __init__(self, store: Any, methods: tuple[str, ...], dice: Random) -> None:
        self.failed = 0
        for method in methods:
            setattr(store, method, self._wrap(getattr(store, method), dice))

    def _wrap(self, real: Any, dice: Random) -> Any:
        async def call(*args: Any, **kwargs: Any) -> Any:
            for _ in range(dice.randrange(4)):
                await asyncio.sleep(0)
            fate = dice.random()
            if fate >= 0.15:
                answer = await real(*args, **kwargs)
                if fate < 0.3:
                    self.failed += 1
                    raise Unavailable("redis")  # it was done, and nobody is told
                return answer
            self.failed += 1
            raise Unavailable("redis")

        return call


async def talk(said: list[Said], seed: int) -> tuple[People, dict[str, tuple[Said, str]], int]:
    """Everybody at once, each one's messages one after another. Returns the messages by text, with their ids, and the failures."""
    people, dice = People(), Random(seed)
    for user_id in USERS:
        people.come(user_id)
        await people.ask(user_id, "chat.channel.join", channel="hall")
    failing = [
        Failing(people.services.topics, ("publish_many",), dice),
        Failing(people.services.chat, ("pass_gate", "keep"), dice),
    ]
    heard: dict[str, tuple[Said, str]] = {}

    async def speak(user_id: str) -> None:
        for number, each in enumerate(each for each in said if each.user_id == user_id):
            text = f"{user_id}/{number}"
            for _ in range(TRIES):
                answer = await people.ask(user_id, "chat.message", channel=each.channel, text=text, client_id=text)
                if "message_id" in answer:
                    heard[text] = each, answer["message_id"]
                    break
                assert answer["code"] == -32006
            else:
                raise AssertionError("it never gets through")

    await asyncio.gather(*(speak(user_id) for user_id in USERS))
    return people, heard, sum(each.failed for each in failing)


async def log(people: People, topic: str) -> list[TopicMessage]:
    return await people.services.topics.after({topic: ""}, 10_000)


def place(message: TopicMessage) -> int:
    return int(message.id.partition("-")[0])


@given(st.lists(st.builds(Said, st.sampled_from(USERS), st.sampled_from(CHANNELS)), max_size=25), st.integers(0, 2**32))
def test_one_order_for_all(wanted: list[Said], seed: int) -> None:
    said = []
    for user_id in USERS:  # no more than the gate lets through at once
        own = [each for each in wanted if each.user_id == user_id and each.channel != f"direct:{user_id}"]
        said += own[:MOST]

    async def story() -> None:
        people, heard, _ = await talk(said, seed)
        assert len(heard) == len(said)
        topics = ["chat:hall", *(f"chat:direct:{a}:{b}" for a, b in itertools.combinations(USERS, 2))]
        kept: dict[str, list[str]] = {}
        for topic in topics:
            messages = await log(people, topic)
            assert [m.previous for m in messages[1:]] == [m.id for m in messages[:-1]], "a chain"
            assert all(place(one) < place(next_) for one, next_ in itertools.pairwise(messages)), "a total order"
            kept[topic] = [orjson.loads(m.params_json)["text"] for m in messages]
            for user_id in USERS:  # one's own messages are in the order in which they were said
                own = [text for text in kept[topic] if text.startswith(user_id)]
                assert own == sorted(own, key=lambda text: int(text.rpartition("/")[2]))
        assert sorted(itertools.chain.from_iterable(kept.values())) == sorted(heard), "each once"
        for user_id in USERS:
            told = [orjson.loads(m.params_json) for m in await log(people, user_topic(user_id))]
            for topic in topics[1:]:
                theirs = [each["text"] for each in told if each["text"] in kept[topic]]
                assert theirs == (kept[topic] if user_id in topic.split(":") else [])
            assert all(heard[each["text"]][1] == each["message_id"] for each in told), "as the sender was told"
            unread, _ = await people.services.chat.unread(user_id, 1_000)
            waiting = [orjson.loads(each.params_json)["text"] for each in unread]
            to_me = [text for text, (each, _) in heard.items() if each.channel == f"direct:{user_id}"]
            assert sorted(waiting) == sorted(to_me), "each waits once"

    asyncio.run(story())


def test_things_do_fail_on_the_way() -> None:
    said = [Said(user_id, channel) for user_id in USERS for channel in CHANNELS[:1] * 5]
    _, heard, failed = asyncio.run(talk(said, 1))
    assert len(heard) == 15
    assert failed > 5
