"""What operators' operations ask the presence index over the bus (row 7.8). Plain Python; requests as cluster/world_control.py has
them.

Operators see how users are, whatever those show to others; `see` answers as one user sees others.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from actors.presence.index import PresenceIndex
from cluster.world_control import Method

MOST_ROWS = 500
MOST_SEEN = 1_000

Get = Callable[[str, list[str]], Awaitable[list[dict[str, Any]]]]


class Asked:
    """`get(viewer, users)`: how these users are, as that one may see them."""

    def __init__(self, index: PresenceIndex, get: Get) -> None:
        self._index = index
        self._get = get
        self.methods: dict[str, Method] = {"list": self._list, "see": self._see}

    async def _list(
        self, q: str, user: str, offset: int, limit: int, status: str = "", zone: str = ""
    ) -> dict[str, Any]:
        """`{"total", "users"}`: a page of the users who are there, by id. `q`: part of an id or of a character's name; `user`: one
        who is wanted too, whatever `q` is. `status`, `zone`: only those.
        """
        index, wanted = self._index, q.casefold()
        users = sorted(
            user_id
            for user_id in index.users()
            if (
                not wanted
                or wanted in user_id.casefold()
                or user_id == user
                or any(wanted in session.name.casefold() for session in index.of(user_id))
            )
            and (not status or index.truth(user_id).status == status)
            and (not zone or index.truth(user_id).zone_id == zone)
        )
        page = users[max(0, offset) : max(0, offset) + min(limit, MOST_ROWS)]
        return {"total": len(users), "users": [self._row(user_id) for user_id in page]}

    async def _see(self, viewer: str, users: list[str]) -> list[dict[str, Any]]:
        return await self._get(viewer, users[:MOST_SEEN])

    def _row(self, user_id: str) -> dict[str, Any]:
        there = self._index.truth(user_id)
        return {
            "user": user_id,
            "status": there.status,
            "text": there.text,
            "zone": there.zone_id,
            "character_id": there.character_id,
            "character": there.name,
            "sessions": len(self._index.of(user_id)),
        }


def beat(index: PresenceIndex) -> dict[str, int]:
    """What the index tells with each beat (cluster/beats.py)."""
    return {"users": len(index), "watchers": index.watchers}
