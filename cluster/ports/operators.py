"""The port to operators (row 7.8): who may use the console, their sessions and their tokens. Operators are no players.

Tokens, session ids, invitations and recovery codes are random, and kept as SHA-256; passwords as argon2id; the key of TOTP sealed.
A record is changed by `save` alone, which fails if somebody else changed it meanwhile: so a code counts once, wherever it is tried.

`more` of a record, an invitation or a token: JSON, what a newer release keeps there beside; "" for nothing. It is written back as
it is, so that a release that does not know it can change the rest (a login does) while both run.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

RoleName = Literal["viewer", "operator", "admin"]
MOST_OPERATORS = 1_000
MOST_TOKENS = 20  # of one operator
MOST_SESSIONS = 50  # of one operator: with one more the oldest ends


@dataclass(frozen=True, slots=True)
class Invitation:
    """`token`: the SHA-256 of what was given to whoever is invited. `totp`: the sealed key that they were shown, "" until then."""

    token: str
    by: str
    expires_at: float
    totp: str = ""
    more: str = ""


@dataclass(frozen=True, slots=True)
class ApiToken:
    """For scripts. `hash`: its SHA-256. `role`: at most this; never more than the operator's own."""

    id: str
    hash: str
    label: str
    role: RoleName
    created_at: float
    expires_at: float
    more: str = ""


@dataclass(frozen=True, slots=True)
class OperatorRecord:
    """`password`: argon2id as a PHC string, "" while the operator is only invited. Times are Unix seconds, 0.0 for never.

    `generation`: random, another one whenever sessions must end: after a change of the role, a reset, a new password.
    `totp`: the sealed key, "" if none is used; `totp_step`: the newest step (RFC 6238) whose code was taken. `recovery`: SHA-256 of
    the codes that are left.
    """

    name: str
    role: RoleName
    generation: str
    created_at: float
    by: str
    password: str = ""
    totp: str = ""
    totp_step: int = 0
    recovery: tuple[str, ...] = ()
    invitation: Invitation | None = None
    tokens: tuple[ApiToken, ...] = ()
    last_login_at: float = 0.0
    more: str = ""

    @property
    def active(self) -> bool:
        """Whether they can log in."""
        return bool(self.password)


@dataclass(frozen=True, slots=True)
class OperatorSession:
    """A login at the console. It counts while the operator's record has its `generation`. `csrf`: what changes must come with."""

    operator: str
    generation: str
    csrf: str
    address: str
    began_at: float


@dataclass(frozen=True, slots=True)
class HeldSession:
    """A login as it is kept. `hash`: the SHA-256 of its secret. `used_at`: when its operator did something last, Unix seconds."""

    hash: str
    session: OperatorSession
    used_at: float


class OperatorStore(Protocol):
    """Every method may raise Unavailable."""

    async def get(self, name: str) -> OperatorRecord | None: ...

    async def all(self) -> list[OperatorRecord]:
        """By name. At most MOST_OPERATORS."""

    async def save(self, record: OperatorRecord, replacing: OperatorRecord | None) -> bool:
        """False, and nothing is done, unless what is kept under that name is `replacing` (None: nothing).

        Saving the same again is True: the command may be sent twice. Raises Conflict("too_many_operators").
        """

    async def remove(self, record: OperatorRecord) -> bool:
        """False if it is another one by now, or gone."""

    async def begin(self, session_hash: str, session: OperatorSession, idle_s: float, longest_s: float) -> None:
        """It ends after `longest_s`, or when nobody has used it for `idle_s`. Of MOST_SESSIONS and more the oldest ends."""

    async def session(self, session_hash: str, use: bool) -> tuple[OperatorSession, OperatorRecord] | None:
        """With its operator; None if either is gone, or has another generation. `use`: it is not idle."""

    async def sessions(self, name: str) -> list[HeldSession]:
        """Those of the operator that count, newest first."""

    async def end(self, session_hash: str, name: str) -> None:
        """`name`: its operator's."""
