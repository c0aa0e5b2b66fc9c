"""What can be asked of a realm: the methods of PROTOCOL.md, typed."""

from __future__ import annotations

import asyncio
import itertools
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable

from rayrealm_client.anys import Json, Params
from rayrealm_client.asking import integer_of, object_of, strings_of
from rayrealm_client.chat import Chat
from rayrealm_client.errors import ConnectionLost, DeadlineExceeded
from rayrealm_client.feed import Feed
from rayrealm_client.friends import Friends
from rayrealm_client.models import GameAnswer, Snapshot, Zone
from rayrealm_client.party import Parties
from rayrealm_client.people import TopicNotice
from rayrealm_client.policy import Backoff, Random
from rayrealm_client.presence import Presences
from rayrealm_client.sealed import Sealed
from rayrealm_client.watching import Remove, Watching
from rayrealm_client.wishes import Wishes


class Calls(Watching, ABC):
    """The calls that need nothing but `request`; what they set up is noted in the wishes.

    Those about people are in groups: `presence`, `friends`, `chat`, `party`, `sealed`.
    """

    def __init__(self, timeout_s: float, backoff: Backoff, rng: Random) -> None:
        super().__init__()
        self._timeout_s = timeout_s
        self._backoff = backoff
        self._rng = rng
        self._wishes = Wishes()
        self.presence = Presences(self, self._wishes)
        self.friends = Friends(self)
        self.chat = Chat(self, self._wishes)
        self.party = Parties(self)
        self.sealed = Sealed(self)
        self._topics = Feed("system.topic", TopicNotice.of)
        self._takers |= {
            "presence.changed": self.presence.take,
            "friends.changed": self.friends.take,
            "chat.message": self.chat.take,
            "chat.deleted": self.chat.take_deletion,
            "chat.invited": self.chat.take_invitation,
            "chat.sealed": self.sealed.take,
            "keys.changed": self.sealed.take_change,
            "party.changed": self.party.take_change,
            "party.invited": self.party.take_invitation,
            "party.positions": self.party.take_positions,
            "system.topic": self._topics.take,
        }

    @abstractmethod
    async def request(self, method: str, params: Params = None, timeout_s: float | None = None) -> Json:
        """The result. Raises the errors of errors.py."""

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

    def on_topic(self, callback: Callable[[TopicNotice], object]) -> Remove:
        """What is published to the server topics that the session has subscribed to."""
        return self._topics.on(callback)

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
        return integer_of(object_of(await self.request("state.sync.delta", params)), "version")

    async def game_message(self, type: str, data: Json = None, tick: float | None = None) -> GameAnswer:  # noqa: A002 - the wire's name
        """Something for the game's code; what it may be is for the game to say.

        `tick`: of the view that the player acted on (`tick` of the client), with a fraction where it was shown something between
        two, for what has to be judged as it was seen.
        """
        params: dict[str, Json] = {"type": type, "data": data} | ({} if tick is None else {"tick": tick})
        return GameAnswer.of(object_of(await self.request("game.message", params)))

    async def repeat(self, method: str, params: dict[str, Json]) -> Json:
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
