"""Measures against abuse (row 6.3): how hard each is, whom it is for, and how it is kept in the audit log and found there."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from typing import Literal

from cluster.ports.audit import AuditEntry

SubjectKind = Literal["user", "address"]
WATCH = "watch"  # who it is, in the audit log, and by whom its bans of networks are
REASON = f"{WATCH}: "  # what the reasons of its bans begin with
LIFT = "abuse.lift"  # the action that ends one
LIFTS = frozenset({LIFT, "lift"})  # and as it was called before
UNBANS: dict[str, SubjectKind] = {"user.unban": "user", "network.unban": "address"}  # as do these, of `rayrealm unban`


class Level(IntEnum):
    """MONITOR is written down and no more; SLOW lowers a user's limits; BLOCK and BAN keep out, for a short and a long time."""

    NONE = 0
    MONITOR = 1
    SLOW = 2
    BLOCK = 3
    BAN = 4


KINDS: dict[str, SubjectKind] = {"user": "user", "address": "address"}
LEVELS = {level.name.lower(): level for level in Level if level}


@dataclass(frozen=True, slots=True)
class Measure:
    """`subject`: a user's id, or an address as limits count it. `at`, `until`: Unix seconds. `reason`: the pattern's name.

    `value` and `threshold`: what was counted, and from where on it is too much.
    """

    kind: SubjectKind
    subject: str
    level: Level
    reason: str
    at: float
    until: float
    value: float = 0.0
    threshold: float = 0.0

    def entry(self, result: str) -> AuditEntry:
        """`result`: "done", or "monitored" if nothing was done."""
        details: dict[str, str | int | float | bool] = {
            "kind": self.kind,
            "until": self.until,
            "value": round(self.value, 3),
            "threshold": round(self.threshold, 3),
        }
        return AuditEntry(self.at, WATCH, self.level.name.lower(), self.subject, self.reason, result, details)


def read(entry: AuditEntry) -> Measure | None:
    """The measure of an entry of the watch's; None for any other."""
    level, details = LEVELS.get(entry.action), entry.details
    kind = KINDS.get(str(details.get("kind")))
    if entry.actor != WATCH or level is None or kind is None:
        return None
    numbers = [details.get(name) for name in ("until", "value", "threshold")]
    until, value, threshold = (float(n) if isinstance(n, int | float) else 0.0 for n in numbers)
    return Measure(kind, entry.target, level, entry.reason, entry.at, until, value, threshold)


def still_open(newest_first: Iterable[AuditEntry], now: float) -> list[Measure]:
    """What the watch has done and neither time nor anybody has ended: the newest for each subject, the newest first."""
    found: dict[tuple[str, str], Measure | None] = {}
    for entry in newest_first:
        if entry.result != "done":  # an operator's entries say when it began, too, and whether it failed
            continue
        ended = UNBANS.get(entry.action) or (
            KINDS.get(str(entry.details.get("kind"))) if entry.action in LIFTS else None
        )
        if ended is not None:
            found.setdefault((ended, _bare(entry.target)), None)
            continue
        measure = read(entry)
        if measure is None or measure.level < Level.SLOW or measure.until <= now:
            continue
        found.setdefault((measure.kind, _bare(measure.subject)), measure)
    return [measure for measure in found.values() if measure is not None]


def _bare(subject: str) -> str:
    """An address is the same with its length."""
    return subject.removesuffix("/32")
