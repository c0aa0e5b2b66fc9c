"""Who listens to which topic."""

from __future__ import annotations

import asyncio

import pytest

from cluster.adapters.memory.bus import MemoryBus
from cluster.errors import Unavailable
from cluster.ports.bus import Handler, Subscription
from serve_apps.gateway.client import Client
from serve_apps.gateway.topics import Topics
from tests.unit.serve_apps.gateway.fakes import SUBJECTS, a_client


class CountingBus(MemoryBus):
    """Knows its subscriptions by subject, and refuses when it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.listening: list[str] = []
        self.refuse: set[str] = set()
        self.hold: asyncio.Event | None = None

    async def subscribe(self, subject: str, handler: Handler) -> Subscription:  # type: ignore[override]
        if self.hold is not None:
            await self.hold.wait()
        if subject in self.refuse:
            raise Unavailable("the message bus")
        inner = await super().subscribe(subject, handler)
        self.listening.append(subject)
        bus = self

        class Counted:
            async def unsubscribe(self) -> None:
                await inner.unsubscribe()
                bus.listening.remove(subject)

        return Counted()


class Listening:
    def __init__(self) -> None:
        self.heard: list[tuple[str, str, bytes]] = []
        self.bus = CountingBus()
        self.topics = Topics(self.bus, SUBJECTS, self._deliver)

    def _deliver(self, client: Client, method: str, params_json: bytes) -> None:
        self.heard.append((client.session_id, method, params_json))

    def say(self, topic: str) -> list[str]:
        """Publish; who heard it?"""
        self.topics.publish(topic, "system.topic", b"{}")
        self.bus.deliver()
        heard, self.heard = self.heard, []
        return [session for session, _, _ in heard]


@pytest.fixture
def listening() -> Listening:
    return Listening()


def client(name: str) -> Client:
    return a_client(session_id=name)[0]


async def test_listeners_hear_and_others_do_not(listening: Listening) -> None:
    a, b = client("a"), client("b")
    await listening.topics.set(a, ["news", "chat:hall"])
    await listening.topics.set(b, ["news"])
    assert listening.say("news") == ["a", "b"]
    assert listening.say("chat:hall") == ["a"]
    assert listening.say("weather") == []


async def test_what_is_said_arrives_as_it_was(listening: Listening) -> None:
    await listening.topics.set(client("a"), ["news"])
    listening.topics.publish("news", "chat.message", b'{"text":"x"}')
    listening.bus.deliver()
    assert listening.heard == [("a", "chat.message", b'{"text":"x"}')]


async def test_one_subscription_however_many_listen(listening: Listening) -> None:
    clients = [client(str(n)) for n in range(5)]
    for each in clients:
        await listening.topics.set(each, ["news"])
    assert listening.bus.listening == [SUBJECTS.topic("news")]
    for each in clients[:4]:
        await listening.topics.set(each, [])
    assert listening.say("news") == ["4"]
    await listening.topics.set(clients[4], ())
    assert listening.bus.listening == []
    assert listening.say("news") == []


async def test_setting_replaces(listening: Listening) -> None:
    a = client("a")
    await listening.topics.set(a, ["one", "two"])
    await listening.topics.set(a, ["two", "three"])
    assert a.topics == {"two", "three"}
    assert [listening.say(topic) for topic in ("one", "two", "three")] == [[], ["a"], ["a"]]
    assert sorted(listening.bus.listening) == sorted(SUBJECTS.topic(t) for t in ("two", "three"))


async def test_a_topic_that_is_left_and_joined_again(listening: Listening) -> None:
    a = client("a")
    for _ in range(3):
        await listening.topics.set(a, ["news"])
        assert listening.say("news") == ["a"]
        await listening.topics.set(a, [])
        assert listening.say("news") == []


async def test_topics_may_have_any_characters(listening: Listening) -> None:
    a = client("a")
    names = ["chat:a.b", "chat:a b*>", "é", "."]
    await listening.topics.set(a, names)
    assert [listening.say(name) for name in names] == [["a"]] * 4


async def test_one_whose_socket_is_gone_listens_to_nothing(listening: Listening) -> None:
    """A handler that was on its way when the socket closed must not sign it up again."""
    a = client("a")
    await listening.topics.set(a, ["news"])
    a.closed = True
    await listening.topics.set(a, ["news", "more"])
    assert a.topics == frozenset()
    assert listening.bus.listening == []


async def test_a_bus_that_refuses_leaves_nothing_half_done(listening: Listening) -> None:
    a, b = client("a"), client("b")
    await listening.topics.set(a, ["news"])
    listening.bus.refuse.add(SUBJECTS.topic("more"))
    for each in (a, b):
        with pytest.raises(Unavailable):
            await listening.topics.set(each, ["more"])
    listening.bus.refuse.clear()
    await listening.topics.set(b, ["more"])
    assert listening.say("more") == ["b"]
    await listening.topics.set(a, [])
    await listening.topics.set(b, [])
    assert listening.bus.listening == []


async def test_changes_do_not_overtake_each_other(listening: Listening) -> None:
    a = client("a")
    listening.bus.hold = asyncio.Event()
    first = asyncio.create_task(listening.topics.set(a, ["news"]))
    await asyncio.sleep(0)
    second = asyncio.create_task(listening.topics.set(a, []))
    await asyncio.sleep(0)
    listening.bus.hold.set()
    await asyncio.gather(first, second)
    assert listening.bus.listening == []
    assert listening.say("news") == []
