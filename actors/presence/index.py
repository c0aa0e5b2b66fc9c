"""The presence index (row 3.2, first form): who is where, and who watches whom. Plain Python.

It holds nothing that session records do not: after a crash it is filled again from them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace

from actors.presence.changes import SessionPresence, UserPresence

# The most present session speaks for the user.
RANK = {"online": 3, "busy": 2, "away": 1, "invisible": 0}


class PresenceIndex:
    def __init__(self) -> None:
        self._sessions: dict[str, SessionPresence] = {}
        self._of_user: defaultdict[str, set[str]] = defaultdict(set)
        self._watchers: defaultdict[str, set[str]] = defaultdict(set)  # user -> session ids
        self._told: set[str] = set()  # users whose watchers know what this index knows

    def __len__(self) -> int:
        return len(self._of_user)

    def rebuild(self, sessions: Iterable[SessionPresence]) -> None:
        """Take in what session records say. Nobody is told: watchers know most of it, and the rest comes again as changes."""
        for session in sessions:
            self._put(session)

    def apply(self, changes: Iterable[SessionPresence]) -> list[tuple[UserPresence, list[SessionPresence]]]:
        """Take changes in. Returns the users whose public presence changed, each with the sessions to tell.

        The first change of a user is always told: the records that this index was rebuilt from may have had it already.
        """
        before: dict[str, UserPresence] = {}
        for change in changes:
            before.setdefault(change.user_id, self.of_user(change.user_id))
            self._put(change)
        told = []
        for user_id, old in before.items():
            new = self.of_user(user_id)
            if new != old or user_id not in self._told:
                watchers = [self._sessions[s] for s in sorted(self._watchers.get(user_id, ()))]
                told.append((new, watchers))
            if user_id in self._of_user:
                self._told.add(user_id)
            else:
                self._told.discard(user_id)
        return told

    def of_user(self, user_id: str) -> UserPresence:
        """The user's merged presence as others see it: invisible is offline."""
        mine = [self._sessions[s] for s in self._of_user.get(user_id, ())]
        best = max(mine, key=lambda s: (RANK.get(s.status, 0), bool(s.zone_id), s.session_id), default=None)
        if best is None or best.status == "invisible":
            return UserPresence(user_id, "offline")
        return UserPresence(user_id, best.status, best.zone_id, best.character_id)

    def over(self, session_ids: Iterable[str]) -> list[SessionPresence]:
        """The changes that end these sessions, as far as they are known here."""
        return [replace(self._sessions[s], present=False) for s in session_ids if s in self._sessions]

    def sessions(self) -> list[str]:
        """The ids of all sessions."""
        return list(self._sessions)

    def _put(self, change: SessionPresence) -> None:
        old = self._sessions.pop(change.session_id, None)
        if old is not None:
            for user in old.watching:
                self._discard(self._watchers, user, old.session_id)
            self._discard(self._of_user, old.user_id, old.session_id)
        if change.present:
            self._sessions[change.session_id] = change
            self._of_user[change.user_id].add(change.session_id)
            for user in change.watching:
                self._watchers[user].add(change.session_id)

    @staticmethod
    def _discard(index: defaultdict[str, set[str]], key: str, value: str) -> None:
        index[key].discard(value)
        if not index[key]:
            del index[key]
