"""What session actors tell presence indexes, and what those tell watchers."""

from __future__ import annotations

from dataclasses import dataclass

from cluster.ports.sessions import SessionRecord


@dataclass(frozen=True, slots=True)
class SessionPresence:
    """One session's part of its user's presence. `actor`: who hosts it. `present` false: the session is over."""

    session_id: str
    user_id: str
    actor: str
    status: str
    zone_id: str = ""
    character_id: str = ""
    watching: tuple[str, ...] = ()
    present: bool = True


def presence_of(record: SessionRecord) -> SessionPresence:
    r = record
    return SessionPresence(r.session_id, r.user_id, r.actor, r.status, r.zone_id, r.character_id, r.watching)


@dataclass(frozen=True, slots=True)
class UserPresence:
    """A user as others see it. `status` is online, away, busy or offline."""

    user_id: str
    status: str
    zone_id: str = ""
    character_id: str = ""

    def public(self) -> dict[str, str]:
        """As in PROTOCOL.md."""
        return {
            "user_id": self.user_id,
            "status": self.status,
            "zone": self.zone_id,
            "character_id": self.character_id,
        }
