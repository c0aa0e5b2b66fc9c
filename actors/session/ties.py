"""Who of this actor's sessions hears whom, and which party they are in (rows 2.3 and 3.3). Plain data.

What is here came from the stores of friends and parties; `lookups` numbers the questions, so that an older answer never replaces a
newer one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, field

NOBODY: frozenset[str] = frozenset()


@dataclass(slots=True)
class _Person:
    """`asked`: the number of the question whose answer this is, or, while it is not `known`, of the first one that counts."""

    sessions: set[str] = field(default_factory=set)
    blocked: frozenset[str] = NOBODY
    party: str = ""
    asked: int = 0
    known: bool = False


class Ties:
    """Of the users who have sessions here. Blocks are indexed by who is blocked: most senders are blocked by nobody."""

    def __init__(self) -> None:
        self._people: dict[str, _Person] = {}
        self._deaf: dict[str, set[str]] = {}  # who is blocked -> the sessions that do not hear them
        self._questions = 0

    def __len__(self) -> int:
        return len(self._people)

    def add(self, user_id: str, session_id: str) -> None:
        person = self._people.setdefault(user_id, _Person())
        person.sessions.add(session_id)
        for blocked in person.blocked:
            self._deaf.setdefault(blocked, set()).add(session_id)

    def remove(self, user_id: str, session_id: str) -> None:
        """Also one that is not here."""
        person = self._people.get(user_id)
        if person is None:
            return
        person.sessions.discard(session_id)
        self._hear([session_id], person.blocked)
        if not person.sessions:
            del self._people[user_id]

    def question(self) -> int:
        """A number for what is asked now."""
        self._questions += 1
        return self._questions

    def answer(self, number: int, blocked: Mapping[str, frozenset[str]], parties: Mapping[str, str]) -> set[str]:
        """What the stores said to question `number` about the users that `blocked` names; `parties` lacks those who are in none.

        Returns those of whom something else was known about their party.
        """
        changed: set[str] = set()
        for user_id, theirs in blocked.items():
            person = self._people.get(user_id)
            if person is None or person.asked > number:
                continue
            self._hear(person.sessions, person.blocked - theirs)
            for other in theirs - person.blocked:
                self._deaf.setdefault(other, set()).update(person.sessions)
            party = parties.get(user_id, "")
            if person.known and party != person.party:
                changed.add(user_id)
            person.blocked, person.party, person.asked, person.known = theirs, party, number, True
        return changed

    def doubt(self, user_id: str) -> None:
        """What is known of the user may be old: only answers to questions from now on count."""
        person = self._people.get(user_id)
        if person is not None:
            person.asked, person.known = self._questions + 1, False

    def known(self, user_id: str) -> bool:
        person = self._people.get(user_id)
        return person is not None and person.known

    def users(self) -> list[str]:
        return list(self._people)

    def party(self, user_id: str) -> str:
        """The id, or ""."""
        person = self._people.get(user_id)
        return person.party if person is not None else ""

    def sessions(self, user_id: str) -> Set[str]:
        person = self._people.get(user_id)
        return person.sessions if person is not None else NOBODY

    def deaf(self, sender: str) -> Set[str]:
        """The sessions that must not get what this user says."""
        return self._deaf.get(sender, NOBODY)

    def _hear(self, session_ids: Iterable[str], others: Iterable[str]) -> None:
        for other in others:
            deaf = self._deaf.get(other)
            if deaf is not None:
                deaf.difference_update(session_ids)
                if not deaf:
                    del self._deaf[other]
