"""Players who watch each other, and who keep the newest that they heard of each user, by version."""

from __future__ import annotations

from typing import Any

from cluster.adapters.redis.social import RedisSocialStore
from cluster.ports.calls import presence_actor
from cluster.ports.social import Limits
from rayrealm_client.codec import Failure, Framing
from tests.integration.backstage import PRESENCE, Backstage
from tests.players import Player

NO_LIMITS = Limits(1_000, 1_000, 1_000, 1_000)


class Watcher(Player):
    """`known`: user -> the newest presence. `told`: all notifications, (user, status) each, in the order in which they came."""

    def __init__(self, *args: Any) -> None:
        self.known: dict[str, dict[str, Any]] = {}
        self.told: list[tuple[str, str]] = []
        super().__init__(*args)

    def _take(self, item: Any) -> None:
        super()._take(item)
        if getattr(item, "method", None) == "presence.changed":
            self.told.append((item.params["user_id"], item.params["status"]))
            self.note(item.params)

    def note(self, presence: dict[str, Any]) -> None:
        known = self.known.get(presence["user_id"])
        if known is None or presence["version"] >= known["version"]:
            self.known[presence["user_id"]] = presence

    async def subscribe(self, *users: str) -> list[dict[str, Any]]:
        answer = await self.ask("presence.subscribe", user_ids=list(users))
        assert not isinstance(answer, Failure), answer
        for presence in answer["presences"]:
            self.note(presence)
        found: list[dict[str, Any]] = answer["presences"]
        return found

    async def get(self, *users: str) -> list[dict[str, Any]]:
        answer = await self.ask("presence.get", user_ids=list(users))
        assert not isinstance(answer, Failure), answer
        found: list[dict[str, Any]] = answer["presences"]
        return found

    async def hears(self, user: str, **members: Any) -> dict[str, Any]:
        """Until that is how the user is."""
        await self.until(lambda: user in self.known and self.known[user] | members == self.known[user])
        return self.known[user]


class Stage(Backstage):
    """`social` is the store of friends and blocks; who changes it there must say so to the index, as the routes do."""

    def __init__(self, realm: Any) -> None:
        super().__init__(realm)
        self.social = RedisSocialStore(self.redis, self.ns)

    async def watcher(self, user: str, framing: Framing = "proto", session_id: str = "") -> Watcher:
        """Somebody with a socket, of whom the index knows: it is told in batches."""
        watcher = await Watcher.join(self.realm, user, framing, session_id)
        index = await self.runner(PRESENCE)._index()
        await self.until(lambda: watcher.session_id in index.sessions())
        return watcher

    async def playing(self, user: str, framing: Framing = "proto", name: str = "", x: float = 100.0) -> Watcher:
        player = await self.watcher(user, framing)
        await player.enter(await self.realm.character(user, name, at=(x, 100.0)))
        return player

    async def befriend(self, a: str, b: str) -> None:
        await self.social.request(a, b, NO_LIMITS, 1.0)
        await self.social.accept(b, a, NO_LIMITS, 2.0)
        await self.refresh(a, b)

    async def block(self, a: str, b: str) -> None:
        await self.social.block(a, b, NO_LIMITS, 3.0)
        await self.refresh(a, b)

    async def unblock(self, a: str, b: str) -> None:
        await self.social.unblock(a, b)
        await self.refresh(a, b)

    async def refresh(self, *users: str) -> None:
        await self.realm.calls.call(presence_actor(), "refresh_users", list(users), deadline_s=5.0)


async def all_leave(*players: Player) -> None:
    for player in players:
        assert player.code is None
        await player.leave()
