"""The ports to accounts, characters and refresh tokens (rows 4.1, 4.2): each method is one atomic step.

Adapters: `cluster/adapters/redis/{accounts,characters,refresh_tokens}.py` and the same under `memory/`; one
contract suite runs over both. Every method may raise Unavailable. Times are Unix seconds.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from cluster.errors import Unauthorized


@dataclass(frozen=True, slots=True)
class Account:
    """`username` is in lower case; `password_hash` is a PHC string."""

    user_id: str
    username: str
    password_hash: str = field(repr=False)
    created_at: float


@dataclass(frozen=True, slots=True)
class Character:
    """Metres and radians. `session` ("": none) holds it; `session_epoch` grows with each new holder."""

    character_id: str
    user_id: str
    name: str
    zone: str
    x: float
    y: float
    z: float
    yaw: float
    created_at: float
    session: str = ""
    session_epoch: int = 0


REPEAT_S = 60.0


class TokenReused(Unauthorized):
    """A refresh token came a second time: one of its two holders stole it. The family is revoked by now."""

    def __init__(self, user_id: str, family_id: str) -> None:
        super().__init__("token_invalid")
        self.user_id = user_id
        self.family_id = family_id

    def __reduce__(self) -> tuple[type[TokenReused], tuple[str, str]]:
        return (TokenReused, (self.user_id, self.family_id))


@dataclass(frozen=True, slots=True)
class Rotated:
    """Whose refresh token it was, and of which login: `started_at` is when that was (Unix seconds)."""

    user_id: str
    family_id: str
    started_at: float


def name_key(name: str) -> str:
    """What two names must not share: the name without case and compatibility forms (Unicode, 3.13, D146)."""
    folded = unicodedata.normalize("NFD", name).casefold()
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", folded).casefold())


class AccountStore(Protocol):
    async def create(self, account: Account) -> None:
        """Raises Conflict("username_taken"). Creating the same account again changes nothing."""

    async def get(self, user_id: str) -> Account | None: ...

    async def by_username(self, username: str) -> Account | None:
        """`username` in lower case."""

    async def usernames(self, user_ids: Sequence[str]) -> dict[str, str]:
        """User id -> username, in one round trip; without those who have no account here. The caller asks for some hundreds."""

    async def replace_hash(self, user_id: str, old_hash: str, new_hash: str) -> bool:
        """Store the new hash if the old one is still there; says whether it was."""


class CharacterStore(Protocol):
    async def get(self, character_id: str) -> Character | None: ...

    async def by_name(self, name: str) -> Character | None:
        """The one whose name has the same `name_key`."""

    async def list(self, user_id: str) -> list[Character]:
        """Oldest first."""

    async def create(self, character: Character, limit: int) -> None:
        """Raises Conflict("name_taken"), Conflict("too_many_characters") beyond `limit` for its user.

        Creating the same character again changes nothing. Names are compared by `name_key`.
        """

    async def delete(self, user_id: str, character_id: str) -> None:
        """Raises NotFound (missing or not theirs), Conflict("in_world") while a live session holds it."""

    async def claim(self, character_id: str, user_id: str, session_id: str) -> Character:
        """Take the character for a session; again for the same session changes nothing.

        Raises NotFound (missing or not theirs), Conflict("in_world") if another session holds it and its
        record still exists. A session whose record is gone is taken over from.
        """

    async def release(self, character_id: str, session_id: str) -> None:
        """Let go, if that session holds it; otherwise nothing."""

    async def save_place(self, character_id: str, zone: str, x: float, y: float, z: float, yaw: float) -> None:
        """Raises NotFound. The caller answers for finite numbers."""


class RefreshStore(Protocol):
    """Tokens are known by the hex SHA-256 of their text. A family is what descends from one login."""

    async def start(self, family_id: str, user_id: str, token_hash: str, now: float, ttl_s: float) -> None:
        """Begin a family with its first token."""

    async def rotate(self, token_hash: str, successor_hash: str, now: float, ttl_s: float) -> Rotated:
        """Use the token up and put its successor in its place.

        Raises Unauthorized("token_invalid") for a token that is unknown, expired or of a revoked family, "token_revoked" for
        one that `end_user` ended, which revokes the family, and TokenReused, after it revoked the family, for one that was used
        before. The same call again (same successor) within REPEAT_S gets the same answer: whoever got none may ask again.
        """

    async def revoke(self, token_hash: str) -> None:
        """End the family of the token, used or not; nothing if it is unknown."""

    async def login_of(self, token_hash: str) -> Rotated | None:
        """Of the token, used or not; None if it is unknown or its family has ended."""

    async def end_user(self, user_id: str, before: float, keep_s: float) -> None:
        """End the user's families that began before then. Of two calls the later moment counts.

        Remembered for `keep_s`: at least as long as a token of theirs can last without being used.
        """
