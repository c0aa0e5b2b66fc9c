"""What handlers may use: the realm's actors and stores, and this gateway's clients."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from cluster.ports.accounts import CharacterStore
from cluster.ports.bus import Bus
from cluster.ports.calls import Calls
from cluster.ports.topics import TopicLog
from cluster.settings import Settings
from cluster.subjects import Subjects
from realm_proto import internal_pb2
from serve_apps.gateway.client import Client
from serve_apps.gateway.connection import Close
from serve_apps.gateway.hub import Hub
from serve_apps.gateway.outgoing import Priority


@dataclass(frozen=True, slots=True)
class Services:
    settings: Settings
    hub: Hub
    calls: Calls
    characters: CharacterStore
    topics: TopicLog
    bus: Bus
    subjects: Subjects
    wall_clock: Callable[[], float]

    async def session(self, client: Client, method: str, *args: Any, idempotent: bool = True) -> Any:
        """Call the client's session actor, as this attach of it."""
        return await self.calls.call(
            client.actor,
            method,
            client.session_id,
            client.attach_epoch,
            *args,
            deadline_s=self.settings.gateway.call_deadline_s,
            idempotent=idempotent,
        )

    async def zone(
        self, client: Client, method: str, params: dict[str, Any], idempotent: bool = False
    ) -> dict[str, Any]:
        """Ask the zone that the client is in, over the bus: see ZoneCalls.call."""
        return await self.hub.zone_calls.call(client, method, params, idempotent)

    async def publish(self, topic: str, method: str, params_json: bytes, key: str, result: str) -> str:
        """To everyone who listens to the topic: kept when this returns. Raises Unavailable.

        Returns `result`, or what it was when `key` was used first: then nothing is sent again.
        """
        limit = self.settings.session.topic_log
        published = await self.topics.publish(topic, method, params_json, limit, key, result)
        message = published.message
        if message is not None:
            said = internal_pb2.TopicMessage(
                topic=topic, method=method, params_json=params_json, id=message.id, previous=message.previous
            )
            self.bus.publish(self.subjects.topic(topic), said.SerializeToString())
        return published.result

    def notify(self, client: Client, method: str, params_json: bytes, priority: Priority) -> None:
        self.hub.notify(client, method, params_json, priority)

    def close(self, client: Client, code: Close, reason: str) -> None:
        self.hub.close(client, code, reason)
