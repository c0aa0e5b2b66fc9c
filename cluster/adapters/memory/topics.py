"""Topics' logs in this process. Nothing expires by itself: `expire` and `expire_key` do it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from cluster.ports.topics import Published, PublishedMany, TopicMessage, each_of, each_params


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

    def result(self, key: str) -> str | None:
        """What was kept with a key, None if it was not used."""
        return self._results.get(key)

    async def publish(
        self,
        topic: str,
        method: str,
        params_json: bytes,
        limit: int,
        key: str = "",
        result: str = "",
        key_ttl_s: float = 600.0,
        keep_s: float = 3_600.0,
        sender: str = "",
        refresh: str = "",
        trace: str = "",
    ) -> Published:
        published = await self.publish_many(
            [topic], method, params_json, limit, key, result, key_ttl_s, keep_s, sender, refresh, trace
        )
        return Published(published.messages[0] if published.messages else None, published.result)

    async def publish_many(
        self,
        topics: Sequence[str],
        method: str,
        params_json: bytes | Sequence[bytes],
        limit: int | Sequence[int],
        key: str = "",
        result: str = "",
        key_ttl_s: float = 600.0,
        keep_s: float | Sequence[float] = 3_600.0,
        sender: str = "",
        refresh: str = "",
        trace: str = "",
    ) -> PublishedMany:
        if key in self._results:
            return PublishedMany((), self._results[key])
        said, limits = [], each_of(topics, limit)
        for topic, params in each_params(topics, params_json).items():
            previous = self._newest(topic)
            self._counts[topic] += 1
            said.append(TopicMessage(topic, self._newest(topic), previous, method, params, sender, refresh, trace))
            self._messages[topic].append(said[-1])
            del self._messages[topic][: -limits[topic]]
        if key:
            self._results[key] = result
        return PublishedMany(tuple(said), result)

    async def newest(self, topics: Sequence[str]) -> dict[str, str]:
        return {topic: self._newest(topic) for topic in topics}

    async def after(self, cursors: Mapping[str, str], limit: int) -> list[TopicMessage]:
        return [
            message
            for topic, place in cursors.items()
            for message in [m for m in self._messages[topic] if _count(m.id) > _count(place)][:limit]
        ]

    async def before(self, topic: str, place: str, limit: int) -> list[TopicMessage]:
        return [m for m in self._messages[topic] if not place or _count(m.id) < _count(place)][-limit:]

    def _newest(self, topic: str) -> str:
        return f"{self._counts[topic]}-0" if self._counts[topic] else ""


def _count(message_id: str) -> int:
    return int(message_id.partition("-")[0]) if message_id else 0
