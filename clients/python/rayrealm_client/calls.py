"""What can be asked of a realm: the methods of PROTOCOL.md, typed."""

from __future__ import annotations

import asyncio
import itertools
import secrets
from collections.abc import Iterable
from typing import Any

from rayrealm_client.anys import Json, Params
from rayrealm_client.errors import CodecError, ConnectionLost, DeadlineExceeded
from rayrealm_client.models import GameAnswer, Presence, Snapshot, Zone
from rayrealm_client.policy import Backoff, Random
from rayrealm_client.watching import Watching
from rayrealm_client.wishes import Wishes


class Calls(Watching):
    """The calls that need nothing but `request`; what they set up is noted in the wishes."""

    def __init__(self, timeout_s: float, backoff: Backoff, rng: Random) -> None:
        super().__init__()
        self._timeout_s = timeout_s
        self._backoff = backoff
        self._rng = rng
        self._wishes = Wishes()

    async def request(self, method: str, params: Params = None, timeout_s: float | None = None) -> Json:
        raise NotImplementedError

    async def ping(self) -> float:
        """Seconds there and back, through the gateway's own code."""
        started = asyncio.get_running_loop().time()
        await self.request("system.ping")
        return asyncio.get_running_loop().time() - started

    async def subscribe(self, topics: Iterable[str]) -> list[str]:
        """All topics of the session then."""
        return await self._topics_after("system.subscribe", list(topics))

    async def unsubscribe(self, topics: Iterable[str]) -> list[str]:
        return await self._topics_after("system.unsubscribe", list(topics))

    async def _topics_after(self, method: str, topics: list[str]) -> list[str]:
        now = strings_of(await self.request(method, {"topics": topics}), "topics")
        self._wishes.topics = set(now)
        return now

    async def set_attribute(self, name: str, value: Json) -> dict[str, Json]:
        """All attributes of the session then; None removes one. A session that takes the place of a lost one gets them again."""
        now = await self._attributes_after("session.attribute.set", {"name": name, "value": value})
        if value is None:
            self._wishes.attributes.pop(name, None)
        else:
            self._wishes.attributes[name] = value
        return now

    async def attributes(self) -> dict[str, Json]:
        return await self._attributes_after("session.attribute.list", {})

    async def _attributes_after(self, method: str, params: dict[str, Json]) -> dict[str, Json]:
        return object_of(object_of(await self.request(method, params)).get("attributes"))

    async def zones(self) -> list[Zone]:
        body = object_of(await self.request("world.zones"))
        return [Zone.of(item) for item in body.get("zones", [])]

    async def state_sync(self) -> Snapshot:
        """What the character sees, as its zone has it, itself included. Views say the same, tick by tick."""
        return Snapshot.of(object_of(await self.request("state.sync.request")))

    async def state_change(self, entity_id: str, version: int, properties: dict[str, Json]) -> int:
        """Change properties of an entity of one's own; None takes one away. The new version, once it is durable.

        Raises Conflict if `version` is not the current one; its `current` is what holds.
        """
        params = {"entity_id": entity_id, "version": version, "properties": properties}
        return _integer(object_of(await self.request("state.sync.delta", params)), "version")

    async def game_message(self, type: str, data: Json = None, tick: float | None = None) -> GameAnswer:  # noqa: A002 - the wire's name
        """Something for the game's code; what it may be is for the game to say.

        `tick`: of the view that the player acted on (`tick` of the client), with a fraction where it was shown something between
        two, for what has to be judged as it was seen.
        """
        params: dict[str, Json] = {"type": type, "data": data} | ({} if tick is None else {"tick": tick})
        return GameAnswer.of(object_of(await self.request("game.message", params)))

    async def presence_update(self, status: str) -> str:
        """`status`: online, away, busy or invisible."""
        body = object_of(await self.request("presence.update", {"status": status}))
        self._wishes.status = status
        return str(body.get("status", status))

    async def presence_subscribe(self, user_ids: Iterable[str]) -> list[Presence]:
        """How these users are now; changes come to `on_presence`."""
        wanted = list(user_ids)
        body = object_of(await self.request("presence.subscribe", {"user_ids": wanted}))
        self._wishes.watched.update(wanted)
        return [Presence.of(item) for item in body.get("presences", [])]

    async def presence_unsubscribe(self, user_ids: Iterable[str]) -> int:
        """How many are still watched."""
        unwanted = list(user_ids)
        body = object_of(await self.request("presence.unsubscribe", {"user_ids": unwanted}))
        self._wishes.watched.difference_update(unwanted)
        return int(body.get("watching", 0))

    async def chat_join(self, channel: str) -> list[str]:
        """All channels of the session then."""
        return await self._channels_after("chat.channel.join", channel)

    async def chat_leave(self, channel: str) -> list[str]:
        return await self._channels_after("chat.channel.leave", channel)

    async def chat_send(self, channel: str, text: str, client_id: str | None = None) -> str:
        """The message's id, once it is kept. If the connection is lost before the answer, the call is repeated on the next one.

        `client_id` (1-64 characters) names the message, so that a repeated one is not sent twice; without one it gets one.
        Raises as `request` does; after a DeadlineExceeded it may be tried again with the same `client_id`.
        """
        params = {"channel": channel, "text": text, "client_id": client_id or secrets.token_hex(12)}
        return str(object_of(await self._repeat("chat.message", params)).get("message_id", ""))

    async def _repeat(self, method: str, params: dict[str, Json]) -> Json:
        """A request that does no harm when it is done twice: again after each lost connection, within the deadline."""
        clock = asyncio.get_running_loop().time
        deadline = clock() + self._timeout_s
        for attempt in itertools.count():
            try:
                return await self.request(method, params, deadline - clock())
            except ConnectionLost as lost:
                wait_s = self._backoff.delay(attempt, self._rng)
                if clock() + wait_s >= deadline:
                    raise DeadlineExceeded(f"{method}: no answer in {self._timeout_s} s") from lost
                await asyncio.sleep(wait_s)
        raise AssertionError("unreachable")

    async def _channels_after(self, method: str, channel: str) -> list[str]:
        now = strings_of(await self.request(method, {"channel": channel}), "channels")
        self._wishes.channels = set(now)
        return now


def object_of(body: Json) -> dict[str, Any]:
    if not isinstance(body, dict):
        raise CodecError("no object where one was agreed")
    return body


def text_of(body: dict[str, Any], member: str) -> str:
    value = body.get(member)
    if not isinstance(value, str):
        raise CodecError(f"{member} is no string")
    return value


def _integer(body: dict[str, Any], member: str) -> int:
    value = body.get(member)
    if type(value) is not int:
        raise CodecError(f"{member} is no integer")
    return value


def strings_of(body: Json, member: str) -> list[str]:
    items = object_of(body).get(member, [])
    if not isinstance(items, list):
        raise CodecError(f"{member} is no list")
    return [str(item) for item in items]
