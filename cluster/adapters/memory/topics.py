"""Topics' logs in this process. Nothing expires by itself: `expire` and `expire_key` do it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from cluster.ports.topics import Published, TopicMessage


class MemoryTopicLog:
    """Implements `cluster.ports.topics.TopicLog`. Ids are `<count>-0`."""

    def __init__(self) -> None:
        self._messages: defaultdict[str, list[TopicMessage]] = defaultdict(list)
        self._counts: defaultdict[str, int] = defaultdict(int)
        self._results: dict[str, str] = {}

    def expire(self, topic: str) -> None:
        """Nobody published for long: the messages go, the newest id stays."""
        self._messages.pop(topic, None)

    def expire_key(self, key: str) -> None:
        del self._results[key]

    async def publish(
        self,
        topic: str,
        method: str,
        params_json: bytes,
        limit: int,
        key: str = "",
        result: str = "",
        key_ttl_s: float = 600.0,
    ) -> Published:
        if key in self._results:
            return Published(None, self._results[key])
        previous = self._newest(topic)
        self._counts[topic] += 1
        message = TopicMessage(topic, self._newest(topic), previous, method, params_json)
        self._messages[topic].append(message)
        del self._messages[topic][:-limit]
        if key:
            self._results[key] = result
        return Published(message, result)

    async def newest(self, topics: Sequence[str]) -> dict[str, str]:
        return {topic: self._newest(topic) for topic in topics}

    async def after(self, cursors: Mapping[str, str], limit: int) -> list[TopicMessage]:
        return [
            message
            for topic, place in cursors.items()
            for message in [m for m in self._messages[topic] if _count(m.id) > _count(place)][:limit]
        ]

    def _newest(self, topic: str) -> str:
        return f"{self._counts[topic]}-0" if self._counts[topic] else ""


def _count(message_id: str) -> int:
    return int(message_id.partition("-")[0]) if message_id else 0
