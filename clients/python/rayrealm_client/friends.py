"""`client.friends`: friends and blocks (row 3.3)."""

from __future__ import annotations

from collections.abc import Callable

from rayrealm_client.anys import Json
from rayrealm_client.asking import Asking, object_of, whom
from rayrealm_client.buffers import NoticeBuffer
from rayrealm_client.feed import Feed, Remove
from rayrealm_client.people import FriendChange, FriendList, Requested


class Friends:
    """Every change is told to both sides, on all devices. No answer tells who exists or who blocks whom: `request` of a stranger's
    id, or of somebody who blocks the user, looks as any other. Calls that answer with a bool say whether something changed.
    """

    def __init__(self, asking: Asking) -> None:
        self._asking = asking
        self._changes = Feed("friends.changed", FriendChange.of)

    async def list(self) -> FriendList:
        return FriendList.of(object_of(await self._asking.request("friends.list")))

    async def request(self, user_id: str | None = None, *, name: str | None = None) -> Requested:
        """Ask for friendship; who was asked by the other becomes a friend at once.

        Raises Conflict for the user's own limits, InvalidParams (`no_such_player`) for a name that nobody has.
        """
        return Requested.of(object_of(await self._asking.request("friends.request", whom(user_id, name))))

    async def accept(self, user_id: str) -> bool:
        return await self._ask("friends.accept", {"user_id": user_id})

    async def decline(self, user_id: str) -> bool:
        return await self._ask("friends.decline", {"user_id": user_id})

    async def cancel(self, user_id: str) -> bool:
        """Take back a request of one's own."""
        return await self._ask("friends.cancel", {"user_id": user_id})

    async def remove(self, user_id: str) -> bool:
        return await self._ask("friends.remove", {"user_id": user_id})

    async def block(self, user_id: str | None = None, *, name: str | None = None) -> bool:
        """Their messages, invitations and presence come no more, and they see the user offline. Ends a friendship."""
        return await self._ask("friends.block", whom(user_id, name))

    async def unblock(self, user_id: str) -> bool:
        return await self._ask("friends.unblock", {"user_id": user_id})

    def on_change(self, callback: Callable[[FriendChange], object]) -> Remove:
        return self._changes.on(callback)

    def changes(self, limit: int = 256) -> NoticeBuffer[FriendChange]:
        return self._changes.stream(limit)

    def take(self, params: object) -> None:
        self._changes.take(params)

    def close(self) -> None:
        self._changes.close()

    async def _ask(self, method: str, params: dict[str, Json]) -> bool:
        return bool(object_of(await self._asking.request(method, params)).get("changed"))
