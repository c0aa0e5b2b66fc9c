"""Judges a recorded history. Pure: no clock, no realm."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from cluster.chaos.check_chat import ChatCheck
from cluster.chaos.check_lane import LaneCheck, WorldCheck
from cluster.chaos.check_owners import OutputCheck, ViewCheck, WriteCheck
from cluster.chaos.check_state import RegisterCheck, StateCheck
from cluster.chaos.history import Event
from cluster.chaos.verdict import Violation, counts, figures

OUTCOMES = ("acknowledged", "failed", "unknown")


@dataclass(frozen=True, slots=True)
class Verdict:
    """`operations`: do -> outcome -> how many; `stale_outputs`: of owners that had been replaced.

    `crossings`: walks over a border, with the time between the views of the two zones, in milliseconds; `undisturbed` are those
    between two faults. `looked_for`, `looked_across`: how many players others were asked whether they see them, and how many of
    these over a border.
    """

    violations: tuple[Violation, ...]
    operations: dict[str, dict[str, int]]
    notices: int
    views: int
    outputs: int
    stale_outputs: int
    sessions: int
    crossings: dict[str, int | None]
    undisturbed: dict[str, int | None]
    looked_for: int
    looked_across: int

    @property
    def good(self) -> bool:
        return not self.violations

    def as_dict(self) -> dict[str, Any]:
        """Counts by name first, then what was looked at."""
        return {
            **counts(self.violations),
            "operations": self.operations,
            "notices": self.notices,
            "views": self.views,
            "outputs": self.outputs,
            "stale_outputs": self.stale_outputs,
            "sessions": self.sessions,
            "crossings": self.crossings,
            "undisturbed": self.undisturbed,
            "looked_for": self.looked_for,
            "looked_across": self.looked_across,
        }


def check(history: Iterable[Event]) -> Verdict:
    """All checks over the events in their order."""
    state, registers, lane, world = StateCheck(), RegisterCheck(), LaneCheck(), WorldCheck()
    chat, views, outputs, writes = ChatCheck(), ViewCheck(), OutputCheck(), WriteCheck()
    checks = (state, registers, lane, world, chat, views, outputs, writes)
    done: dict[int, str] = {}
    operations: dict[str, dict[str, int]] = {}
    seen = dict.fromkeys(("notice", "view", "output"), 0)
    for event in history:
        kind = event["k"]
        if kind == "invoked":
            done[event["op"]] = event["do"]
            operations.setdefault(event["do"], dict.fromkeys(OUTCOMES, 0))
        elif kind in OUTCOMES:
            operations[done.pop(event["op"])][kind] += 1
        elif kind in seen:
            seen[kind] += 1
        for one in checks:
            one.feed(event)
    state.finish()
    registers.finish()
    chat.finish(lane.holes)
    violations = [violation for one in checks for violation in one.violations]
    return Verdict(
        tuple(sorted(violations, key=lambda v: v.t)),
        operations,
        seen["notice"],
        seen["view"],
        seen["output"],
        outputs.stale,
        lane.sessions,
        {"count": len(views.crossings), **figures(views.crossings)},
        {"count": len(views.undisturbed), **figures(views.undisturbed)},
        views.near,
        views.across,
    )
