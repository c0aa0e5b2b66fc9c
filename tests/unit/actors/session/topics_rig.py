"""What a session actor follows: topic logs in memory, and a bus that brings what a test says, when it says so."""

from __future__ import annotations

from collections.abc import Callable, Collection, Set
from typing import Any

import orjson

from actors.session.following import Following
from actors.session.lane import ReliableLane
from cluster.adapters.memory.topics import MemoryTopicLog
from cluster.ports.bus import Subscription
from cluster.ports.sessions import Fence
from cluster.ports.topics import TopicMessage
from realm_proto import internal_pb2
from tests.unit.actors.session.lane_rig import ACTOR, Rig
from tests.unit.actors.session.stage import Flaky

LOG_KEEPS = 10


class OpenGate:
    """A gate that a test shuts: `shut` names users whose messages wait, `unheard` has who does not hear them."""

    def __init__(self) -> None:
        self.shut: set[str] = set()
        self.unheard: dict[str, set[str]] = {}

    def waits(self, message: TopicMessage, members: Collection[str]) -> bool:
        return message.sender in self.shut and bool(members)

    def deaf(self, sender: str) -> Set[str]:
        return self.unheard.get(sender, set())


class Topics:
    """A following over a topic log in memory. The bus delivers what a test says, when it says so."""

    def __init__(self) -> None:
        self.rig = Rig()
        self.log = MemoryTopicLog()
        self.flaky = Flaky(self.log)
        self.gate = OpenGate()
        self.handlers: dict[str, Callable[[bytes], None]] = {}
        self.listens = Flaky(self)
        for name in ("ses_1", "ses_2"):
            self.rig.session(name)

    async def start(self, **members: list[str]) -> Following:
        """A new incarnation of the actor, whose sessions listen to these topics."""
        self.handlers.clear()
        self.rig.restarted()
        self.lane: ReliableLane = await self.rig.lane()
        fence = Fence(ACTOR, await self.rig.epochs.current("sessions", ACTOR))
        following = Following(fence, self.flaky, self.rig.flaky, self.lane, self.listens.listen, self.gate)  # type: ignore[arg-type]
        await following.restore(members)
        return following

    async def listen(self, topic: str, handler: Callable[[bytes], None]) -> Subscription:
        self.handlers[topic] = handler
        return Listening(self, topic)

    async def publish(
        self, text: str, topic: str = "news", sender: str = "", method: str = "system.topic"
    ) -> TopicMessage:
        made = await self.log.publish(topic, method, orjson.dumps(text), LOG_KEEPS, sender=sender)
        assert made.message is not None
        return made.message

    def bus(self, message: TopicMessage) -> None:
        """The bus brings it."""
        said = internal_pb2.TopicMessage(
            topic=message.topic,
            method=message.method,
            params_json=message.params_json,
            id=message.id,
            previous=message.previous,
            sender=message.sender,
            refresh=message.refresh,
        )
        handler = self.handlers.get(message.topic)
        if handler is not None:
            handler(said.SerializeToString())

    async def told(self, session: str = "ses_1") -> list[Any]:
        """What the session was told by now."""
        while self.lane._pending or self.lane._batch is not None:
            await self.lane.flush()
        entries = self.rig.sessions[session].outbox.after(0)
        assert entries is not None
        return [e.body.method if e.body.method == "session.gap" else orjson.loads(e.body.params_json) for e in entries]


class Listening:
    def __init__(self, topics: Topics, topic: str) -> None:
        self._topics = topics
        self._topic = topic

    async def unsubscribe(self) -> None:
        self._topics.handlers.pop(self._topic, None)


async def read_all(following: Following) -> None:
    for _ in range(20):
        if following.behind:
            await following.catch_up()
    assert not following.behind
