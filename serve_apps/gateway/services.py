"""What handlers may use: the realm's actors and stores, and this gateway's clients."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from actors.chat.filtering import Contained
from cluster.ports.accounts import CharacterStore
from cluster.ports.bus import Bus
from cluster.ports.calls import Calls
from cluster.ports.chat import ChatStore
from cluster.ports.device_keys import DeviceKeyStore
from cluster.ports.limits import Limiter
from cluster.ports.parties import PartyStore
from cluster.ports.social import SocialStore
from cluster.ports.topics import TopicLog
from cluster.publishing import KEEP_S, Publisher, user_topic
from cluster.settings import Settings
from cluster.subjects import Subjects
from serve_apps.gateway.authority import Authority
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
    social: SocialStore
    parties: PartyStore
    chat: ChatStore
    limiter: Limiter
    words: Contained
    device_keys: DeviceKeyStore
    authority: Authority

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
        keep_s: float | None = None,
    ) -> str:
        """To everyone who listens to the topic: kept when this returns. Raises Unavailable.

        Returns `result`, or what it was when `key` was used first: then nothing is sent again. `sender`: a user whose blockers do
        not get it. `refresh`: what listening sessions look up again ("ties", "party"). The log keeps about `limit` messages, until
        `keep_s` after the last one.
        """
        return await self._publisher.publish(
            topic,
            method,
            params_json,
            key,
            result,
            sender=sender,
            refresh=refresh,
            limit=limit,
            keep_s=KEEP_S if keep_s is None else keep_s,
        )

    async def tell(
        self,
        user_id: str,
        method: str,
        params: Mapping[str, Any] | bytes,
        key: str,
        *,
        sender: str = "",
        refresh: str = "",
    ) -> None:
        """A reliable notification for all devices of a user; without a method only the refresh. As `publish`."""
        await self.publish(user_topic(user_id), method, _json(params), key, sender=sender, refresh=refresh)

    async def tell_all(
        self,
        user_ids: Sequence[str],
        method: str,
        params: Mapping[str, Any] | bytes,
        key: str,
        *,
        result: str = "",
        sender: str = "",
        refresh: str = "",
    ) -> str:
        """The same notification for several users, in one round trip. As `publish`."""
        topics = [user_topic(user_id) for user_id in user_ids]
        return await self._publisher.publish_many(
            topics, method, _json(params), key, result, sender=sender, refresh=refresh
        )

    async def publish_many(
        self,
        topics: Sequence[str],
        method: str,
        params_json: Sequence[bytes],
        key: str,
        result: str = "",
        *,
        sender: str = "",
        limit: Sequence[int | None] | None = None,
        keep_s: float | Sequence[float] = KEEP_S,
    ) -> str:
        """To several topics in one step, each with params of its own, and if need be a `limit` (None: as of any topic) and time to
        be kept of its own: in the same order everywhere. As `publish`.
        """
        return await self._publisher.publish_many(
            topics,
            method,
            params_json,
            key,
            result,
            sender=sender,
            limit=limit,
            keep_s=keep_s,
        )

    @property
    def _publisher(self) -> Publisher:
        return Publisher(self.topics, self.bus, self.subjects, self.settings.session.topic_log)

    def notify(self, client: Client, method: str, params_json: bytes, priority: Priority) -> None:
        self.hub.notify(client, method, params_json, priority)

    def close(self, client: Client, code: Close, reason: str) -> None:
        self.hub.close(client, code, reason)


def _json(params: Mapping[str, Any] | bytes) -> bytes:
    return params if isinstance(params, bytes) else orjson.dumps(params)
