"""Judges the history of a world (`world_history.py`). Pure: no clock, no realm.

What must hold, and what is allowed:

- An epoch of a zone belongs to one process; epochs grow; no write of an epoch lands once a newer one was given out. Ever.
- Whoever was replaced may take itself for the owner for `SURVIVAL_S` more, not counting times of trouble.
- An entity is in one place of the store, always. In two only while its player enters or leaves, or after that had an outcome which
  nobody knows; then for `STRAY_S` at most, not counting times of trouble.
- No two owners with the newest epochs of their zones simulate one entity, in any sample, with the same exception.
- Who is in the world is in the store without interruption, and simulated by somebody again after `LIMBO_S`, not counting times of
  trouble, and after `LONG_LIMBO_S` in any case.
- A change is in the store when it is acknowledged, versions grow, a version is one state; who left and heard so does not come back.
- A player in the world has a view every `GAP_S`, not counting times of trouble.
- In a calm everything agrees: the store, the owners, and every player's view of both sides of every border.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from cluster.chaos.check_world_entities import EntityCheck
from cluster.chaos.check_world_owners import OwnerCheck
from cluster.chaos.check_world_views import CalmCheck
from cluster.chaos.history import Event
from cluster.chaos.verdict import Violation

NAMES = (
    "double_owners",  # an epoch has two processes, or one that was replaced goes on
    "unfenced_writes",  # a write landed though a newer epoch was taken
    "doubled_entities",  # an entity is in two places
    "lost_entities",  # or in none
    "lost_acks",  # what was acknowledged is not there
    "turned_back",  # an entity's version went down, or means two states
    "came_back",  # who left is there
    "wrong_views",  # a player does not see what is
    "gaps",  # a player saw nothing for long, though nothing was wrong
)


@dataclass(frozen=True, slots=True)
class WorldVerdict:
    """`counts`: what there was of each kind of event; `operations`: do -> outcome -> how many; `longest_gap_s`: without a view."""

    violations: tuple[Violation, ...]
    counts: dict[str, int]
    operations: dict[str, dict[str, int]]
    longest_gap_s: float

    @property
    def good(self) -> bool:
        return not self.violations

    def as_dict(self) -> dict[str, Any]:
        """Violations by name first, all names."""
        found = Counter(violation.name for violation in self.violations)
        return {
            **{name: found[name] for name in NAMES},
            "events": self.counts,
            "operations": self.operations,
            "longest_gap_s": self.longest_gap_s,
        }


def check(history: Iterable[Event]) -> WorldVerdict:
    """All checks over the events in their order."""
    entities = EntityCheck()
    checks = (OwnerCheck(), entities, CalmCheck(entities))
    counts: Counter[str] = Counter()
    operations: dict[str, dict[str, int]] = {}
    asked: dict[int, str] = {}
    gap = 0.0
    for event in history:
        kind = event["k"]
        counts[kind] += 1
        if kind == "invoked":
            asked[event["op"]] = event["do"]
            operations.setdefault(event["do"], {"acknowledged": 0, "failed": 0, "unknown": 0})
        elif kind in ("acknowledged", "failed", "unknown"):
            operations[asked.pop(event["op"])][kind] += 1
        elif kind == "gap":
            gap = max(gap, event["s"])
        for one in checks:
            one.feed(event)
    violations = [violation for one in checks for violation in one.violations]
    return WorldVerdict(tuple(sorted(violations, key=lambda v: v.t)), dict(counts), operations, gap)
