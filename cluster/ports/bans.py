"""The port to bans: users who may not have a session. Who is banned is looked at whenever a session is placed or found again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Ban:
    """`left_s` seconds of it are left; None: it lasts until it is lifted."""

    reason: str
    left_s: float | None


class Bans(Protocol):
    async def ban(self, user_id: str, for_s: float | None, reason: str) -> None:
        """From now on, for `for_s` seconds, or until it is lifted. A former ban is replaced. Raises Unavailable.

        `SessionStore.place` then raises Unauthorized("banned"). Sockets that are open stay so: closing them is the caller's.
        """

    async def lift(self, user_id: str) -> bool:
        """Says whether there was a ban. Raises Unavailable."""

    async def banned(self, user_id: str) -> Ban | None:
        """Raises Unavailable."""
