"""The port to friends, blocks and what a user has chosen to show (rows 3.2 and 3.3): each method is one atomic step on both sides.

Every method may raise Unavailable. Times are Unix seconds. The adapter may have to repeat a call over a broken connection: the
answer is then that of the first time, so that who must tell others of a change does. Calling again is another call: it finds the
change made.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from cluster.errors import InvalidInput

Audience = Literal["all", "friends", "nobody"]


@dataclass(frozen=True, slots=True)
class Link:
    """Somebody another user has to do with, and since when.

    `name`: in `outgoing` and `blocked`, what the user called the other when it asked or blocked; empty if by id. It says nothing of
    the other that the user did not know.
    """

    user_id: str
    at: float
    name: str = ""


@dataclass(frozen=True, slots=True)
class Relations:
    """All of one user's, each the oldest first. `blocked`: those that the user blocks; `blocked_by`: those who block the user."""

    friends: tuple[Link, ...] = ()
    incoming: tuple[Link, ...] = ()
    outgoing: tuple[Link, ...] = ()
    blocked: tuple[Link, ...] = ()
    blocked_by: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Ties:
    """What decides who may see and hear whom; empty for most users."""

    friends: frozenset[str] = frozenset()
    blocked: frozenset[str] = frozenset()
    blocked_by: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Profile:
    """What a user has chosen, for all sessions. `status`: what a new session starts with, online, busy or invisible.

    `last_online`: 0 if never. `name`: of the character that was played last, for lists of those who are away.
    """

    status: str = "online"
    text: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)
    show_zone: Audience = "all"
    show_character: Audience = "all"
    last_online: float = 0.0
    name: str = ""


@dataclass(frozen=True, slots=True)
class Limits:
    friends: int
    outgoing: int
    incoming: int
    blocked: int


# What a request came to. "hidden": the other side blocks the asker or has a full inbox; it is kept on the asker's side alone, and
# looks as if requested: the other is not told. "shown": it was hidden, and the other sees it from now on; to the asker that looks
# as "already_requested" does.
Asked = Literal["requested", "friends", "hidden", "shown", "already_requested", "already_friends"]

CHOICES = frozenset({"status", "text", "metadata", "show_zone", "show_character"})


def check_others(user_id: str, other_id: str) -> None:
    """Nobody has to do with oneself. Raises InvalidInput."""
    if user_id == other_id:
        raise InvalidInput([("user_id", "is your own")])


def check_choices(changes: Mapping[str, object]) -> None:
    """Raises ValueError for what a user does not choose (`Profile`)."""
    if not changes.keys() <= CHOICES:
        raise ValueError(f"not for choice: {sorted(changes.keys() - CHOICES)}")


class SocialStore(Protocol):
    """Users are friends of each other. A request is in the asker's `outgoing` and, unless hidden, in the other's `incoming`."""

    async def request(self, user_id: str, other_id: str, limits: Limits, now: float, name: str = "") -> Asked:
        """Ask for friendship; who was asked by the other becomes a friend at once ("friends"), also where that was hidden.

        `name`: as in `Link`; asking again keeps the first. Asking again shows a hidden request to the other ("shown"), once nothing
        hides it any more.
        Raises InvalidInput for oneself, InvalidState("blocked") if the user blocks the other, Conflict("too_many_friends") as
        `accept` and for one's own, Conflict("too_many_requests") for one's own limit.
        """

    async def accept(self, user_id: str, other_id: str, limits: Limits, now: float) -> bool:
        """Whether something changed: not if they are friends already. Raises NotFound("no_such_request"),
        Conflict("too_many_friends") for either side."""

    async def decline(self, user_id: str, other_id: str) -> bool:
        """An incoming request goes, on both sides. Whether there was one."""

    async def cancel(self, user_id: str, other_id: str) -> bool:
        """One's own request goes, on both sides. Whether there was one."""

    async def remove(self, user_id: str, other_id: str) -> bool:
        """Friends no more, on both sides. Whether they were."""

    async def block(self, user_id: str, other_id: str, limits: Limits, now: float, name: str = "") -> bool:
        """Friendship and requests between the two go. Whether it is new; else it keeps its `name` (as in `Link`). Raises
        InvalidInput for oneself, Conflict("too_many_blocked")."""

    async def unblock(self, user_id: str, other_id: str) -> bool:
        """Whether there was a block."""

    async def relations(self, user_id: str) -> Relations:
        """All at one moment, in one round trip."""

    async def ties(self, user_ids: Sequence[str]) -> dict[str, Ties]:
        """Of each, all at one moment, in one round trip: the caller asks for some hundreds at most."""

    async def profiles(self, user_ids: Sequence[str]) -> dict[str, Profile]:
        """Of each, in one round trip; the default for who has none."""

    async def choose(self, user_id: str, changes: Mapping[str, object]) -> Profile:
        """Change members of the profile by name, those of CHOICES (ValueError for others). Returns all of it."""

    async def seen(self, user_id: str, now: float, name: str) -> None:
        """The user was online until now; an empty `name` keeps the former one. An older `now` than the known one changes
        nothing.
        """
