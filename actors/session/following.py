"""Which topics a session actor reads, for whom, and how far (row 1.5). Plain Python over ports.

Every message of a topic reaches its members in the order of the topic's log: what the bus lost, or brought out of order, is read
from there. The place in each log is stored with the batch that numbers the messages before it, so that a restart repeats and skips
nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping

import orjson
import structlog

from actors.session.lane import ReliableLane
from actors.session.outbox import Body
from cluster.errors import Unavailable
from cluster.ports.bus import Subscription
from cluster.ports.outbox import OutboxLog
from cluster.ports.sessions import Fence
from cluster.ports.topics import TopicLog, TopicMessage
from realm_proto import internal_pb2

READ_AT_ONCE, TOPICS_AT_ONCE = 200, 200

Listen = Callable[[str, Callable[[bytes], None]], Awaitable[Subscription]]

log = structlog.get_logger(__name__)


def order(message_id: str) -> tuple[int, int]:
    """Ids of a topic's log, compared: milliseconds and a counter; "" comes before all."""
    milliseconds, _, counter = message_id.partition("-")
    return (int(milliseconds), int(counter or 0)) if milliseconds else (0, 0)


class Following:
    """`listen(topic, handler)` subscribes to a topic's TopicMessages on the bus."""

    def __init__(
        self, fence: Fence, topics: TopicLog, outbox_log: OutboxLog, lane: ReliableLane, listen: Listen
    ) -> None:
        self.gaps = 0
        self._fence = fence
        self._topics = topics
        self._log = outbox_log
        self._lane = lane
        self._listen = listen
        self._members: dict[str, dict[str, None]] = {}  # topic -> session ids
        self._places: dict[str, str] = {}  # topic -> id of the newest message that was taken
        self._subscriptions: dict[str, Subscription] = {}
        self._behind: dict[str, None] = {}  # those that wait longest first
        self._changing = asyncio.Lock()

    def __len__(self) -> int:
        return len(self._members)

    async def restore(self, members: Mapping[str, Iterable[str]]) -> None:
        """After a restart: topic -> sessions. Reading goes on where the last batch ended. Raises Unavailable, Fenced.

        Called again after it failed, it begins from nothing.
        """
        self._members.clear()
        self._behind.clear()
        while self._subscriptions:
            await self._subscriptions.popitem()[1].unsubscribe()
        places = await self._log.cursors(self._fence.actor)
        self._places = {topic: place for topic, place in places.items() if topic in members}
        for topic, session_ids in members.items():
            for session_id in session_ids:
                await self.join(topic, session_id)
        self._behind = dict.fromkeys(self._members)

    async def join(self, topic: str, session_id: str) -> None:
        """The session hears the topic from now on: everything published after this returns. Raises Unavailable, Fenced."""
        async with self._changing:
            if topic not in self._subscriptions:
                place = self._places.get(topic)
                if place is None:
                    place = (await self._topics.newest([topic]))[topic]
                    # A place from before it was left may still be there, should that have failed.
                    await self._log.unfollow(self._fence, [topic])
                    await self._log.follow(self._fence, {topic: place})
                self._subscriptions[topic] = await self._listen(topic, self.receive)
                self._places[topic] = place
                self._behind[topic] = None  # what came between the place and the subscription
            self._members.setdefault(topic, {})[session_id] = None

    async def leave(self, topic: str, session_id: str) -> None:
        """The session hears the topic no more. Raises Fenced."""
        async with self._changing:
            members = self._members.get(topic, {})
            members.pop(session_id, None)
            if members or topic not in self._members:
                return
            del self._members[topic]
            self._behind.pop(topic, None)
            del self._places[topic]
            await self._subscriptions.pop(topic).unsubscribe()
            try:
                await self._log.unfollow(self._fence, [topic])
            except Unavailable as error:  # a place that is left over is forgotten before the topic is followed again
                log.warning("place_kept", topic=topic, error=str(error))

    # --- messages ----------------------------------------------------------------------------------------------

    def receive(self, data: bytes) -> None:
        """A TopicMessage from the bus. One that does not follow on what was taken so far makes the log be read."""
        said = internal_pb2.TopicMessage.FromString(data)
        topic = said.topic
        if topic not in self._members or order(said.id) <= order(self._places[topic]):
            return
        if topic in self._behind or self._lane.full or said.previous != self._places[topic]:
            self._behind[topic] = None
            return
        self._take(TopicMessage(topic, said.id, said.previous, said.method, said.params_json))

    @property
    def behind(self) -> bool:
        """Some topics' logs must be read: call `catch_up` soon."""
        return bool(self._behind)

    async def catch_up(self) -> None:
        """Read what was missed. Raises Unavailable."""
        asked = {topic: self._places[topic] for topic in list(self._behind)[:TOPICS_AT_ONCE]}
        full = self._lane.full
        if full or not asked:
            return
        for topic in asked:  # what turns out to be missing meanwhile is asked for next time
            del self._behind[topic]
        try:
            found = await self._topics.after(asked, READ_AT_ONCE)
        except Unavailable:
            self._lag(asked)
            raise
        read: dict[str, int] = dict.fromkeys(asked, 0)
        for message in found:
            read[message.topic] += 1
            if message.topic not in self._members or order(message.id) <= order(self._places[message.topic]):
                continue
            if self._lane.full:
                self._behind[message.topic] = None
            else:
                self._take(message)
        # A topic that gave all that was asked for may have more.
        self._lag(topic for topic, count in read.items() if count == READ_AT_ONCE)

    async def look(self) -> None:
        """Called every second or so: the bus may have lost a topic's last message, which no later one would betray.

        Raises Unavailable.
        """
        topics = list(self._members)
        newest = await self._topics.newest(topics) if topics else {}
        self._lag(t for t, place in newest.items() if t in self._members and order(place) > order(self._places[t]))

    def _lag(self, topics: Iterable[str]) -> None:
        self._behind |= dict.fromkeys(topic for topic in topics if topic in self._members)

    def _take(self, message: TopicMessage) -> None:
        topic, place = message.topic, self._places[message.topic]
        members = self._members[topic]
        if message.previous != place and order(message.previous) > order(place):
            # The log is bounded, and this actor was away for longer than it reaches.
            self.gaps += 1
            log.error("topic_log_outrun", topic=topic, place=place, oldest=message.id)
            self._lane.put(members, Body("session.gap", orjson.dumps({"topic": topic})))
        self._lane.put(members, Body(message.method, message.params_json), (topic, message.id))
        self._places[topic] = message.id
