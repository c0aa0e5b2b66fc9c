"""Several sessions of one user become one presence (row 3.2). Plain rules.

The merge is a maximum over a total order: in whatever order sessions come, and however often one is told, the result is the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import reduce

from actors.presence.changes import NO_METADATA, SessionPresence
from actors.presence.statuses import RANK

Rank = tuple[int, bool, str, int]


@dataclass(frozen=True, slots=True)
class UserPresence:
    """How a user really is. `status` is online, away, busy, invisible or offline; who may see what of it: see privacy.py."""

    user_id: str
    status: str
    zone_id: str = ""
    character_id: str = ""
    name: str = ""
    text: str = ""
    metadata: Mapping[str, str] = field(default_factory=lambda: NO_METADATA)

    @property
    def hidden(self) -> bool:
        """Nobody else sees that the user is there, or the user is not."""
        return self.status in ("invisible", "offline")


def rank(session: SessionPresence) -> Rank:
    """How present a session is: by status, then whoever is in a zone, then by id, so that no two are equal."""
    return RANK.get(session.effective, 0), bool(session.zone_id), session.session_id, session.revision


def more_present(a: SessionPresence, b: SessionPresence) -> SessionPresence:
    return b if rank(b) > rank(a) else a


def speaker(sessions: Iterable[SessionPresence]) -> SessionPresence | None:
    """The most present one, which speaks for the user."""
    present = [session for session in sessions if session.present]
    if len(present) < 2:
        return present[0] if present else None
    return reduce(more_present, present)


def merged(user_id: str, sessions: Iterable[SessionPresence]) -> UserPresence:
    best = speaker(sessions)
    if best is None:
        return UserPresence(user_id, "offline")
    return UserPresence(
        user_id, best.effective, best.zone_id, best.character_id, best.name, best.text, best.metadata or NO_METADATA
    )
