"""Sessions, circles and what an index has to tell, for tests of presence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from actors.presence.changes import SessionPresence
from actors.presence.index import PresenceIndex
from actors.presence.privacy import NOBODY, Circle


def session(number: str, user: str = "ann", status: str = "online", **more: Any) -> SessionPresence:
    actor = more.pop("actor", "sessions/0")
    watching = tuple(f"usr_{w}" for w in more.pop("watching", ()))
    return SessionPresence(f"ses_{number}", f"usr_{user}", actor, status, watching=watching, **more)


def friends(*users: str, **more: Any) -> Circle:
    return Circle(friends=frozenset(f"usr_{user}" for user in users), **more)


def apart(*users: str) -> Circle:
    return Circle(apart=frozenset(f"usr_{user}" for user in users))


class Stage:
    """An index; `circles` is what the social store would say."""

    def __init__(self, epoch: int = 1, **circles: Circle) -> None:
        self.circles = {f"usr_{user}": circle for user, circle in circles.items()}
        self.index = PresenceIndex(epoch)

    def known(self, *changes: SessionPresence) -> Mapping[str, Circle]:
        return {change.user_id: self.circles.get(change.user_id, NOBODY) for change in changes}

    def rebuild(self, *sessions: SessionPresence) -> None:
        self.index.rebuild(sessions, self.known(*sessions))

    def apply(self, *changes: SessionPresence) -> None:
        self.index.apply(changes, self.known(*changes))

    def refresh(self, **circles: Circle) -> None:
        self.circles |= {f"usr_{user}": circle for user, circle in circles.items()}
        self.index.refresh({f"usr_{user}": circle for user, circle in circles.items()})

    def told(self, *changes: SessionPresence) -> list[tuple[str, str, str]]:
        """After these changes: who is told of whom, and to what: (session, user, status)."""
        self.apply(*changes)
        news = self.index.take_news()
        return sorted(
            (session_id, user_id, presence.status)
            for users in news.watchers.values()
            for user_id, session_ids in users.items()
            for presence, sessions in self.index.audience(user_id, session_ids).values()
            for session_id in sessions
        )

    def status(self, viewer: str, user: str) -> str:
        [(presence, _)] = self.index.see(f"usr_{viewer}", [f"usr_{user}"], self.circles.get(f"usr_{viewer}"))
        return presence.status
