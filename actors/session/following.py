"""Which topics a session actor reads, for whom, and how far (row 1.5). Plain Python over ports.

Every message of a topic reaches its members in the order of the topic's log: what the bus lost, or brought out of order, is read
from there. The place in each log is stored with the batch that numbers the messages before it, so that a restart repeats and skips
nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Set
from typing import Protocol

import orjson
import structlog

from actors.session.lane import ReliableLane
from actors.session.outbox import Body
from actors.session.together import Together, each_of
from cluster.errors import Unavailable
from cluster.ports.bus import Subscription
from cluster.ports.outbox import OutboxLog
from cluster.ports.sessions import Fence
from cluster.ports.topics import TopicLog, TopicMessage
from cluster.telemetry import tracing
from realm_proto import internal_pb2

READ_AT_ONCE, TOPICS_AT_ONCE = 200, 200
OPENED_AT_ONCE = 1_000  # subscriptions: each waits for an answer of the bus, or for its deadline
LOOKED_AT = 1_000
NO_MESSAGE = Body("", b"")  # a topic's place moves on, and nobody is told

Listen = Callable[[str, Callable[[bytes], None]], Awaitable[Subscription]]

log = structlog.get_logger(__name__)


def order(message_id: str) -> tuple[int, int]:
    """Ids of a topic's log, compared: milliseconds and a counter; "" comes before all."""
    milliseconds, _, counter = message_id.partition("-")
    return (int(milliseconds), int(counter or 0)) if milliseconds else (0, 0)


class Gate(Protocol):
    """Who of a topic's members gets a message, and whether that is known yet (gate.py)."""

    def waits(self, message: TopicMessage, members: Collection[str]) -> bool:
        """It is not known: the message, and those after it, are read again soon."""

    def deaf(self, sender: str) -> Set[str]:
        """The sessions that do not hear this user."""


class Following:
    """`listen(topic, handler)` subscribes to a topic's TopicMessages on the bus."""

    def __init__(
        self, fence: Fence, topics: TopicLog, outbox_log: OutboxLog, lane: ReliableLane, listen: Listen, gate: Gate
    ) -> None:
        self.gaps = 0
        self._fence = fence
        self._topics = topics
        self._log = outbox_log
        self._lane = lane
        self._listen = listen
        self._gate = gate
        self._members: dict[str, dict[str, None]] = {}  # topic -> session ids
        self._places: dict[str, str] = {}  # topic -> id of the newest message that was taken
        self._subscriptions: dict[str, Subscription] = {}
        self._behind: dict[str, None] = {}  # those that wait longest first
        self._since: dict[
            str, dict[str, str]
        ] = {}  # topic -> session that came while it lagged -> the newest message then
        self._changing = asyncio.Lock()
        self._opening = Together(self._open)
        self._closing = Together(self._close)
        self._orphans: set[str] = set()  # opened for somebody who gave up meanwhile
        self._looked = 0

    def __len__(self) -> int:
        return len(self._members)

    async def restore(self, members: Mapping[str, Iterable[str]]) -> None:
        """After a restart: topic -> sessions. Reading goes on where the last batch ended. Raises Unavailable, Fenced.

        Called again after it failed, it begins from nothing.
        """
        self._members.clear()
        self._behind.clear()
        self._since.clear()
        subscriptions, self._subscriptions = self._subscriptions, {}
        await self._unsubscribe(subscriptions.values())
        places = await self._log.cursors(self._fence.actor)
        over = [topic for topic in places if topic not in members]
        if over:
            await self._log.unfollow(self._fence, over)
        self._places = {topic: place for topic, place in places.items() if topic in members}
        await self._open(list(members))
        self._members = {topic: dict.fromkeys(session_ids) for topic, session_ids in members.items()}
        self._behind = dict.fromkeys(self._members)

    async def join(self, topic: str, session_id: str, *, sharply: bool = False) -> bool:
        """The session hears the topic from now on: everything published after this returns. Raises Unavailable, Fenced.

        What was published just before may be heard, too, while the topic lags here; `sharply`: nothing from before this began.
        True: nobody here did before, so that what was published before this is not known here.
        """
        shared = topic in self._members
        newest = (await self._topics.newest([topic])).get(topic, "") if sharply and shared else ""
        while topic not in self._members:
            await self._opening.get(topic)
            if topic in self._places:  # not closed again meanwhile
                self._members.setdefault(topic, {})
                self._behind[topic] = None  # what came between its place and the subscription
        members = self._members[topic]
        first = not members
        members[session_id] = None
        if order(newest) > order(self._places[topic]):
            self._since.setdefault(topic, {})[session_id] = newest
        return first

    async def leave(self, topic: str, session_id: str) -> None:
        """The session hears the topic no more. Raises Fenced."""
        members = self._members.get(topic)
        if members is None:
            return
        members.pop(session_id, None)
        self._since.get(topic, {}).pop(session_id, None)
        if not members:
            self._since.pop(topic, None)
            del self._members[topic]
            self._behind.pop(topic, None)
            await self._closing.get(topic)

    async def _open(self, topics: list[str]) -> dict[str, None]:
        """Begin to read all of them; places and subscriptions at once, since a log tells what came between the two."""
        async with self._changing:
            new = [topic for topic in topics if topic not in self._subscriptions]
            unknown = [topic for topic in new if topic not in self._places]
            places: dict[str, str] = {}
            subscriptions: dict[str, Subscription] = {}
            try:
                await each_of([self._begin(unknown, places), self._listen_to(new, subscriptions)])
            except BaseException:  # whatever it was: no topic has a subscription and no place
                await self._unsubscribe(subscriptions.values())
                raise
            self._places |= places
            self._subscriptions |= subscriptions
        return dict.fromkeys(topics)

    async def _begin(self, topics: list[str], places: dict[str, str]) -> None:
        if topics:
            places |= await self._topics.newest(topics)
            # A place from before it was left may still be there, should that have failed: the later one counts.
            await self._log.follow(self._fence, places)

    async def _listen_to(self, topics: list[str], subscriptions: dict[str, Subscription]) -> None:
        async def listen(topic: str) -> None:
            subscriptions[topic] = await self._listen(topic, self.receive)

        for start in range(0, len(topics), OPENED_AT_ONCE):
            await each_of(listen(topic) for topic in topics[start : start + OPENED_AT_ONCE])

    async def _unsubscribe(self, subscriptions: Iterable[Subscription]) -> None:
        todo = list(subscriptions)
        for start in range(0, len(todo), OPENED_AT_ONCE):
            await each_of(subscription.unsubscribe() for subscription in todo[start : start + OPENED_AT_ONCE])

    async def _close(self, topics: list[str]) -> dict[str, None]:
        """Read them no more, if nobody has joined them meanwhile. Raises Fenced."""
        async with self._changing:
            over = [topic for topic in topics if topic in self._subscriptions and topic not in self._members]
            for topic in over:
                self._places.pop(topic, None)
            # All are closed before the first wait: who joins meanwhile opens them anew.
            await self._unsubscribe([self._subscriptions.pop(topic) for topic in over])
            try:
                if over:
                    await self._log.unfollow(self._fence, over)
            except Unavailable as error:  # places that are left over are passed when the topics are followed again
                log.warning("places_kept", topics=len(over), error=str(error))
        return dict.fromkeys(topics)

    # --- messages ----------------------------------------------------------------------------------------------

    def receive(self, data: bytes) -> None:
        """A TopicMessage from the bus. One that does not follow on what was taken so far makes the log be read."""
        said = internal_pb2.TopicMessage.FromString(data)
        topic = said.topic
        if topic not in self._members or order(said.id) <= order(self._places[topic]):
            return
        message = TopicMessage(
            topic, said.id, said.previous, said.method, said.params_json, said.sender, said.refresh, said.trace
        )
        if topic in self._behind or said.previous != self._places[topic] or self._must_wait(message):
            self._behind[topic] = None
            return
        self._take(message)

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
            self._take_all(asked, await self._topics.after(asked, READ_AT_ONCE))
        except BaseException:  # whatever it was: they are read again
            self._lag(asked)
            raise

    def _take_all(self, asked: Iterable[str], found: Iterable[TopicMessage]) -> None:
        read: dict[str, int] = dict.fromkeys(asked, 0)
        waiting: set[str] = set()
        for message in found:
            topic = message.topic
            read[topic] += 1
            if topic in waiting or topic not in self._members or order(message.id) <= order(self._places[topic]):
                continue
            if self._must_wait(message):
                waiting.add(topic)
            else:
                self._take(message)
        self._lag(waiting)
        # A topic that gave all that was asked for may have more.
        self._lag(topic for topic, count in read.items() if count == READ_AT_ONCE)

    async def look(self) -> None:
        """Called every second or so: the bus may have lost a topic's last message, which no later one would betray.

        LOOKED_AT topics a call, one after the other: most are those of single users. Raises Unavailable.
        """
        topics = list(self._members)
        if self._looked >= len(topics):
            self._looked = 0
        part = topics[self._looked : self._looked + LOOKED_AT]
        newest = await self._topics.newest(part) if part else {}
        self._looked += LOOKED_AT
        self._lag(
            topic
            for topic, place in newest.items()
            if topic in self._members and order(place) > order(self._places[topic])
        )
        idle = self._subscriptions.keys() - self._members.keys() if len(self._subscriptions) > len(topics) else set()
        if self._orphans & idle:
            await self._close(list(self._orphans & idle))
        self._orphans = idle

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
        deaf = self._gate.deaf(message.sender) if message.sender else None
        hearers = [session_id for session_id in members if session_id not in deaf] if deaf else members
        if topic in self._since:
            hearers = [session_id for session_id in hearers if not self._came_after(message, session_id)]
        if message.method and hearers:
            trace = message.trace and self._numbered(message)
            self._lane.put(hearers, Body(message.method, message.params_json, trace), (topic, message.id))
        else:
            self._lane.put((), NO_MESSAGE, (topic, message.id))
        self._places[topic] = message.id
        if topic in self._since:
            late = {each: until for each, until in self._since[topic].items() if order(until) > order(message.id)}
            if late:
                self._since[topic] = late
            else:
                del self._since[topic]

    def _came_after(self, message: TopicMessage, session_id: str) -> bool:
        since = self._since[message.topic]
        return session_id in since and order(message.id) <= order(since[session_id])

    def _numbered(self, message: TopicMessage) -> str:
        """The context of what becomes of a message here, however it came: with the bus, or read from the log."""
        parent, actor = tracing.told(message.trace), self._fence.actor
        with tracing.span("topic.number", tracing.Kind.CONSUMER, parent, method=message.method, actor=actor) as trace:
            return trace

    def _must_wait(self, message: TopicMessage) -> bool:
        return self._lane.full or self._gate.waits(message, self._members[message.topic])
