"""Which tokens were revoked (row 4.1): the revocations of Protection, made ready for looking up. Plain Python.

By token, by family (one login and what came of it), by user and for all; the latter two by time.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable

from cluster.ports.protection import Revocation
from cluster.security.tokens import family_of


class Revoked:
    """Times are Unix seconds. What is added costs what it is, not what is there already."""

    def __init__(self, revocations: Iterable[Revocation] = ()) -> None:
        self._found: dict[tuple[str, str], Revocation] = {}
        self._ends: list[tuple[float, str, str]] = []  # a heap
        self.add(revocations)

    def __bool__(self) -> bool:
        return bool(self._found)

    def __len__(self) -> int:
        return len(self._found)

    def all(self) -> tuple[Revocation, ...]:
        return tuple(self._found.values())

    def add(self, revocations: Iterable[Revocation]) -> bool:
        """One for the same subject is replaced. Says whether any is new."""
        changed = False
        for each in revocations:
            whom = (each.kind, each.subject)
            if self._found.get(whom) == each:
                continue
            self._found[whom] = each
            heapq.heappush(self._ends, (each.until, *whom))
            changed = True
        return changed

    def forget(self, now: float, most: int) -> None:
        """Those that are over at `now`, at most so many: many end at once, and this is on the event loop."""
        for _ in range(most):
            if not self._ends or self._ends[0][0] > now:
                return
            until, kind, subject = heapq.heappop(self._ends)
            found = self._found.get((kind, subject))
            if found is not None and found.until <= until:  # else it was replaced by one that lasts
                del self._found[kind, subject]

    def fits(self, user_id: str, token_id: str, issued_at: float, now: float) -> bool:
        """Whether a token with this `sub`, `jti` and `iat` was revoked."""
        if not self._found:
            return False
        return (
            self._named("token", token_id, now)
            or self._named("family", family_of(token_id), now)
            or self._before("user", user_id, issued_at, now)
            or self._before("all", "", issued_at, now)
        )

    def _named(self, kind: str, subject: str, now: float) -> bool:
        found = self._found.get((kind, subject)) if subject else None
        return found is not None and now < found.until

    def _before(self, kind: str, subject: str, issued_at: float, now: float) -> bool:
        found = self._found.get((kind, subject))
        return found is not None and now < found.until and issued_at < found.before
