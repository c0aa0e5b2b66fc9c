"""The sessions of the mock realm: recovery tokens, attaches, and numbered notifications that are kept until acknowledged."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import Any

from websockets.asyncio.server import ServerConnection

Params = dict[str, Any]


@dataclass
class Refusal:
    status: int
    reason: str
    retry_after: str | None = None


@dataclass
class Session:
    session_id: str
    user_id: str
    stream: str
    character_id: str | None = None
    number: int = 0
    sequence: int = 0
    place: tuple[float, float, float] = (100.0, 0.0, 100.0)
    topics: set[str] = field(default_factory=set)
    channels: set[str] = field(default_factory=set)
    watched: set[str] = field(default_factory=set)
    attributes: dict[str, Any] = field(default_factory=dict)
    status: str = "online"
    socket: ServerConnection | None = None
    attach: int = 0
    seq: int = 0
    acked: int = 0
    kept: dict[int, tuple[str, Params]] = field(default_factory=dict)  # by number: what is not acknowledged
    opened_by: int = 0  # the attach whose token opened the present socket; 0: none, or the client has got through

    def number_one(self, method: str, params: Params) -> int:
        self.seq += 1
        self.kept[self.seq] = (method, params)
        return self.seq

    def ack(self, seq: int) -> None:
        assert seq <= self.seq, "acknowledged what was never sent"
        self.acked = max(self.acked, seq)
        for old in [number for number in self.kept if number <= seq]:
            del self.kept[old]

    def missed_after(self, seen: int) -> list[int] | None:
        """The numbers after `seen`; None when some are not there any more."""
        missed = list(range(seen + 1, self.seq + 1))
        return missed if all(number in self.kept for number in missed) else None


@dataclass
class Attach:
    """What an upgrade was granted. `seen`: the number of `last`, in the session's stream, or None."""

    session: Session
    resumed: bool
    seen: int | None


class MockSessions:
    """`of`: session id -> Session. `expired`: recovery tokens that are refused as too old."""

    def __init__(self) -> None:
        self.of: dict[str, Session] = {}
        self.expired: set[str] = set()
        self._tokens: dict[str, tuple[str, int]] = {}  # recovery token -> session id, attach
        self._count = itertools.count(1)

    def token(self, session: Session) -> str:
        made = f"recovery.{next(self._count)}-{session.session_id}"
        self._tokens[made] = (session.session_id, session.attach)
        return made

    def attach(
        self, user: str | None, recovery: str | None, session_id: str | None, last: str | None
    ) -> Attach | Refusal:
        """`user`: whose access token it was."""
        opened_by = 0
        if recovery is not None:
            if recovery in self.expired:
                return Refusal(401, "recovery_expired")
            if recovery not in self._tokens:
                return Refusal(401, "recovery_invalid")
            session_id, opened_by = self._tokens[recovery]
        elif user is None:
            return Refusal(401, "token_expired")
        session = self.of.get(session_id or "")
        if session is not None and opened_by and opened_by not in (session.attach, session.opened_by):
            return Refusal(403, "recovery_superseded")
        seen = None
        if session is not None and last is not None:
            stream, _, number = last.rpartition(".")
            if not number.isdecimal() or (stream == session.stream and int(number) > session.seq):
                return Refusal(400, "bad_sequence")
            seen = int(number) if stream == session.stream else None
        resumed = session is not None
        if session is None:
            number_made = next(self._count)
            owner = f"usr_{user}" if user is not None else "usr_recovered"
            session = Session(f"ses_{number_made}", owner, f"stream-{number_made}")
            self.of[session.session_id] = session
        session.attach += 1
        session.opened_by = opened_by
        return Attach(session, resumed, seen)
