"""Who of this gateway's clients listens to which topic; one bus subscription a topic, however many listen (row 1.5)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

from cluster.ports.bus import Bus, Subscription
from cluster.subjects import Subjects
from realm_proto import internal_pb2
from serve_apps.gateway.client import Client


class Topics:
    """`deliver(client, method, params_json)` is called for every listener of a published message."""

    def __init__(self, bus: Bus, subjects: Subjects, deliver: Callable[[Client, str, bytes], None]) -> None:
        self._bus = bus
        self._subjects = subjects
        self._deliver = deliver
        self._listeners: dict[str, dict[Client, None]] = {}
        self._subscriptions: dict[str, Subscription] = {}
        self._changing = asyncio.Lock()

    async def set(self, client: Client, topics: Iterable[str]) -> None:
        """The client listens to exactly these from now on; one whose socket is gone, to none.

        Raises Unavailable: it listens to as many as the bus took.
        """
        asked = frozenset(topics)
        async with self._changing:
            wanted = frozenset() if client.closed else asked
            for topic in wanted - client.topics:
                if topic not in self._subscriptions:
                    self._subscriptions[topic] = await self._bus.subscribe(self._subjects.topic(topic), self._receive)
                self._listeners.setdefault(topic, {})[client] = None
                client.topics |= {topic}
            for topic in client.topics - wanted:
                client.topics -= {topic}
                listeners = self._listeners[topic]
                del listeners[client]
                if not listeners:
                    del self._listeners[topic]
                    await self._subscriptions.pop(topic).unsubscribe()

    def publish(self, topic: str, method: str, params_json: bytes) -> None:
        """To every listener at every gateway."""
        message = internal_pb2.TopicMessage(topic=topic, method=method, params_json=params_json)
        self._bus.publish(self._subjects.topic(topic), message.SerializeToString())

    def _receive(self, data: bytes) -> None:
        message = internal_pb2.TopicMessage.FromString(data)
        for client in list(self._listeners.get(message.topic, ())):
            self._deliver(client, message.method, message.params_json)
