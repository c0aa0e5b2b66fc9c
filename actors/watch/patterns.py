"""Patterns of abuse as data (row 6.3): what is counted, over which time, from where on it is too much, and what follows.

A threshold is far above what any client of ours does and what a bad network makes of it; docs/security.md says how that was
measured. `abuse.patterns` changes thresholds, or switches patterns off.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from actors.watch.windows import Windows
from cluster.measures import Level, SubjectKind
from cluster.security_settings import LimitSettings

KEEP_S = 60.0
SLOT_S = 5.0
GAUGES = ("addressees", "same_text")
# Whoever is under a measure is not let off it as soon as the count is back below the threshold.
RELEASE = 0.7
HALF = 0.5
UNUSUAL = "unusual_"
# Reasons of refused upgrades that are somebody's own doing. A token that is too old is not, nor a gateway that is full, nor limits
# that many behind one address share, nor an origin: any web page can have its visitors' browsers knock.
GUESSES = ("token_invalid", "bad_request", "session_not_yours")
# A socket that ended like that is no sign of churn: the realm wanted it, or the client was idle.
CALM_CLOSES = frozenset({1012, 1013, 4000, 4003, 4500, 4503})


@dataclass(frozen=True, slots=True)
class Pattern:
    """The sum of the counts `of`, within `window_s` seconds, is at least `threshold`, and that is at least `share` of the counts
    `out_of`."""

    name: str
    kind: SubjectKind
    of: tuple[str, ...]
    threshold: float
    window_s: float
    action: Level
    out_of: tuple[str, ...] = ()
    share: float = 0.0


@dataclass(frozen=True, slots=True)
class Hit:
    """`strength`: how many thresholds it was; below 1.0 (but above RELEASE) it only keeps up what is there already."""

    pattern: Pattern
    value: float

    @property
    def strength(self) -> float:
        return self.value / self.pattern.threshold


def patterns(limits: LimitSettings) -> list[Pattern]:
    """What messages may be at all is the limits' to say: a flood is what ignores their refusals for longer than a burst.

    Only what a gateway refused counts: each allows the whole rate, and a user may be at several.
    """
    # As much again as anybody may send within all that a window of 10 s may hold: slots and reports are longer at both ends.
    flood = limits.premium * (limits.user.per_s * (10.0 + 2.0 * SLOT_S) + limits.user.burst)
    return [
        Pattern("message_flood", "user", ("limited",), flood, 10.0, Level.BLOCK),
        Pattern("limits_ignored", "user", ("limited",), 10.0 * limits.user.per_s, 30.0, Level.SLOW),
        Pattern("byte_flood", "user", ("bytes",), 1_572_864.0, 10.0, Level.SLOW),
        Pattern("replay", "user", ("replays",), 2.0, 60.0, Level.BLOCK),
        Pattern("forged_signatures", "user", ("bad_signatures",), 4.0, 60.0, Level.BLOCK),
        Pattern("method_spray", "user", ("unknown",), 40.0, 60.0, Level.BLOCK),
        Pattern("error_spray", "user", ("malformed", "invalid", "refused"), 60.0, 60.0, Level.SLOW, ("calls", "malformed"), 0.5),
        Pattern("teleporting", "user", ("corrections",), 120.0, 60.0, Level.BLOCK),
        Pattern("jumping", "user", ("corrections",), 60.0, 60.0, Level.SLOW),
        Pattern("same_text_to_many", "user", ("same_text",), 20.0, 60.0, Level.BLOCK),
        Pattern("same_text_to_some", "user", ("same_text",), 10.0, 60.0, Level.MONITOR),
        Pattern("many_addressees", "user", ("addressees",), 80.0, 60.0, Level.MONITOR),
        Pattern("reconnecting", "user", ("closed",), 30.0, 60.0, Level.SLOW),
        Pattern("guessing", "address", GUESSES, 200.0, 60.0, Level.BLOCK),
    ]  # fmt: skip


def unusual(hit: Hit) -> Hit:
    """What half of a pattern is when the anomaly score points at the user, too."""
    pattern = hit.pattern
    return Hit(
        replace(pattern, name=UNUSUAL + pattern.name, threshold=HALF * pattern.threshold, action=Level.SLOW), hit.value
    )


def adjusted(known: Iterable[Pattern], thresholds: Mapping[str, float]) -> list[Pattern]:
    """With other thresholds; without those that are switched off."""
    changed = [replace(p, threshold=thresholds.get(p.name, p.threshold)) for p in known]
    return [p for p in changed if p.threshold > 0.0]


def hits(known: Sequence[Pattern], windows: Windows, subject: str, now: float, least: float = RELEASE) -> list[Hit]:
    """Of those that are at least `least` of a threshold. `known`: patterns of the kind that `windows` is about."""
    found = []
    for pattern in known:
        value = windows.total(subject, pattern.of, pattern.window_s, now)
        if value < least * pattern.threshold:
            continue
        if pattern.out_of and value < pattern.share * windows.total(subject, pattern.out_of, pattern.window_s, now):
            continue
        found.append(Hit(pattern, value))
    return found
