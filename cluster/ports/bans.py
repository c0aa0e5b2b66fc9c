"""The port to bans: users who may not have a session. Who is banned is looked at whenever a session is placed or found again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Ban:
    """`left_s` seconds of it are left; None: it lasts until it is lifted."""

    reason: str
    left_s: float | None


@dataclass(frozen=True, slots=True)
class Held:
    """A page of the bans that hold now, by user, and how many there are."""

    total: int
    bans: tuple[tuple[str, Ban], ...]


class Bans(Protocol):
    async def ban(self, user_id: str, for_s: float | None, reason: str, *, extend_only: bool = False) -> None:
        """From now on, for `for_s` seconds, or until it is lifted. Raises Unavailable.

        A former ban is replaced; with `extend_only` one that lasts as long or longer stays, with its reason.

        `SessionStore.place` then raises Unauthorized("banned"). Sockets that are open stay so: closing them is the caller's.
        """

    async def lift(self, user_id: str, reason: str = "") -> bool:
        """Only a ban whose reason begins with `reason`. Says whether there was one. Raises Unavailable."""

    async def banned(self, user_id: str) -> Ban | None:
        """Raises Unavailable."""

    async def held(self, offset: int, limit: int) -> Held:
        """Those that end first are the first, those without an end the last. Raises Unavailable."""
