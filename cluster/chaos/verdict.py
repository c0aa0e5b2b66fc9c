"""What a check finds: violations, each with its name; and figures."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

# The four that DESIGN names come first.
NAMES = (
    "lost_acks",  # what was acknowledged is not there
    "gaps",  # a reliable notification did not come
    "duplicates",  # it came twice
    "double_owners",  # two incarnations were believed, or one did not stop
    "wrong_views",  # a player does not see who is there, or sees who is not
    "misordered",  # members of a channel heard its messages in different orders
    "lost_sessions",  # a session was not the one it had been
    "phantoms",  # what nobody asked for is there
    "unread",  # what was acknowledged could not be read back at the end
)


@dataclass(frozen=True, slots=True)
class Violation:
    """`count`: how many of what it is about; `t`: when it was seen, in seconds on the history's clock."""

    name: str
    t: float
    who: str
    what: str
    count: int = 1

    def as_dict(self) -> dict[str, Any]:
        return {"name": self.name, "t": self.t, "who": self.who, "what": self.what, "count": self.count}


def counts(violations: Sequence[Violation]) -> dict[str, int]:
    """By name, all names."""
    return {name: sum(v.count for v in violations if v.name == name) for name in NAMES}


def first_of_each(violations: Sequence[Violation], most: int) -> list[Violation]:
    """At most so many of each name, in their order: one cause often has a thousand effects."""
    seen: Counter[str] = Counter()
    shown = []
    for violation in violations:
        seen[violation.name] += 1
        if seen[violation.name] <= most:
            shown.append(violation)
    return shown


def figures(times_s: Sequence[float]) -> dict[str, int | None]:
    """Milliseconds: p50 and max; null of nothing."""
    if not times_s:
        return {"p50": None, "max": None}
    return {"p50": round(statistics.median(times_s) * 1_000), "max": round(max(times_s) * 1_000)}
