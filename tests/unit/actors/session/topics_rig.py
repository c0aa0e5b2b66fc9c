"""What a session actor follows: topic logs in memory, and a bus that brings what a test says, when it says so."""

from __future__ import annotations

from collections.abc import Callable
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


class Topics:
    """A following over a topic log in memory. The bus delivers what a test says, when it says so."""

    def __init__(self) -> None:
        self.rig = Rig()
        self.log = MemoryTopicLog()
        self.flaky = Flaky(self.log)
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
        following = Following(fence, self.flaky, self.rig.flaky, self.lane, self.listens.listen)  # type: ignore[arg-type]
        await following.restore(members)
        return following

    async def listen(self, topic: str, handler: Callable[[bytes], None]) -> Subscription:
        self.handlers[topic] = handler
        return Listening(self, topic)

    async def publish(self, text: str, topic: str = "news") -> TopicMessage:
        made = await self.log.publish(topic, "system.topic", orjson.dumps(text), LOG_KEEPS)
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
