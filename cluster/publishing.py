"""How a message gets to those who listen to a topic (row 2.3): into the topic's log first, then over the bus. Plain Python."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from cluster.ports.bus import Bus
from cluster.ports.topics import TopicLog, TopicMessage
from cluster.subjects import Subjects
from cluster.telemetry import tracing
from realm_proto import internal_pb2

USER = "user:"  # and a user id: all sessions of the user listen, without having asked
KEEP_S = 3_600.0


def user_topic(user_id: str) -> str:
    """What everybody publishes to who has something to tell all devices of the user."""
    return USER + user_id


class Publisher:
    """`limit`: about how many messages of a topic are kept. What the bus loses is read from the log."""

    def __init__(self, topics: TopicLog, bus: Bus, subjects: Subjects, limit: int) -> None:
        self._topics = topics
        self._bus = bus
        self._subjects = subjects
        self._limit = limit

    async def publish(
        self,
        topic: str,
        method: str,
        params_json: bytes,
        key: str,
        result: str = "",
        *,
        sender: str = "",
        refresh: str = "",
        limit: int | None = None,
        keep_s: float = KEEP_S,
    ) -> str:
        """To everyone who listens to the topic: kept when this returns. Raises Unavailable.

        Returns `result`, or what it was when `key` was used first: then nothing is sent again.
        """
        with tracing.span("topic.publish", tracing.Kind.PRODUCER, method=method) as trace:
            published = await self._topics.publish(
                topic,
                method,
                params_json,
                self._limit if limit is None else limit,
                key,
                result,
                keep_s=keep_s,
                sender=sender,
                refresh=refresh,
                trace=trace,
            )
            if published.message is not None:
                self._say([published.message])
        return published.result

    async def publish_many(
        self,
        topics: Sequence[str],
        method: str,
        params_json: bytes | Sequence[bytes],
        key: str,
        result: str = "",
        *,
        sender: str = "",
        refresh: str = "",
        limit: int | Sequence[int | None] | None = None,
        keep_s: float | Sequence[float] = KEEP_S,
    ) -> str:
        """One message to several topics, in one round trip. As `publish`. `limit`, `keep_s`: one for all, or one for each topic."""
        if not topics:
            return result
        limits = limit if isinstance(limit, Sequence) else [limit] * len(topics)
        with tracing.span("topic.publish", tracing.Kind.PRODUCER, method=method, topics=len(topics)) as trace:
            published = await self._topics.publish_many(
                topics,
                method,
                params_json,
                [self._limit if each is None else each for each in limits],
                key,
                result,
                keep_s=keep_s,
                sender=sender,
                refresh=refresh,
                trace=trace,
            )
            self._say(published.messages)
        return published.result

    def _say(self, messages: Iterable[TopicMessage]) -> None:
        for message in messages:
            said = internal_pb2.TopicMessage(
                topic=message.topic,
                method=message.method,
                params_json=message.params_json,
                id=message.id,
                previous=message.previous,
                sender=message.sender,
                refresh=message.refresh,
                trace=message.trace,
            )
            self._bus.publish(self._subjects.topic(message.topic), said.SerializeToString())
