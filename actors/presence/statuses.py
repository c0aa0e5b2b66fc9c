"""Statuses of presence, and which may follow on which, by what caused it (row 3.2). Plain values.

A session has a status that its user chose, and is idle or not. What others are shown follows from both: `effective`.

The four choices (online, away, busy, invisible) may follow on each other in any order: the table does not rule a user's will. It
rules the rest. A session begins online, busy or invisible, never away. Only whoever is online becomes away by resting, and comes
back from that by doing something. Nobody chooses offline: a session's end alone leads there, and a session's beginning alone away.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from cluster.errors import InvalidState

Status = Literal["online", "away", "busy", "invisible", "offline"]
# begun, ended: the session. chosen: by the user. rested: nothing was done for presence.away_after_s. returned: something is again.
Cause = Literal["begun", "ended", "chosen", "rested", "returned"]

# The most present session speaks for the user.
RANK: Mapping[str, int] = {"online": 4, "busy": 3, "away": 2, "invisible": 1, "offline": 0}

_CHOICES = frozenset({"online", "away", "busy", "invisible"})

# Status -> cause -> what may follow. What is not here must not be: nobody comes back from an away of their own choice by moving,
# and nobody who is busy or invisible shows by resting that they are there.
TRANSITIONS: Mapping[str, Mapping[Cause, frozenset[str]]] = {
    "offline": {"begun": frozenset({"online", "busy", "invisible"})},
    "online": {"chosen": _CHOICES, "rested": frozenset({"away"}), "ended": frozenset({"offline"})},
    "away": {"chosen": _CHOICES, "returned": frozenset({"online"}), "ended": frozenset({"offline"})},
    "busy": {"chosen": _CHOICES, "ended": frozenset({"offline"})},
    "invisible": {"chosen": _CHOICES, "ended": frozenset({"offline"})},
}


def allowed(old: str, new: str, cause: Cause) -> bool:
    return new in TRANSITIONS.get(old, {}).get(cause, frozenset())


def check(old: str, new: str, cause: Cause) -> None:
    """Raises InvalidState("status_not_allowed") with the present status."""
    if not allowed(old, new, cause):
        raise InvalidState("status_not_allowed", old)


def effective(chosen: str, idle: bool) -> str:
    """What a session's status amounts to: who is online and does nothing is away."""
    return "away" if idle and chosen == "online" else chosen


def at_start(kept: str) -> str:
    """What a new session starts with, given what the user chose last (Profile.status): away is over when somebody comes."""
    return kept if allowed("offline", kept, "begun") else "online"
