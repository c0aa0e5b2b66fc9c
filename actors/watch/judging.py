"""What follows from what was seen (row 6.3): monitor, slow, block or ban, for how long, and whom never. Plain; time is an argument.

A measure begins at a pattern's full threshold and is not renewed below RELEASE of it (hysteresis). Who goes on under one for
PATIENCE_S gets the next harder one, up to a block; who does it again after a block is banned. Every measure ends by itself, and
can be lifted.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from actors.watch.patterns import UNUSUAL, Hit, Pattern
from cluster.measures import Level, Measure, SubjectKind
from cluster.security_settings import AbuseSettings

PATIENCE_S = 15.0
MEMORY_S = 3_600.0  # how long a block counts against its user
MONITOR_S = 600.0  # so often at most it is written down that somebody is watched
SPARED = frozenset({"operator", "moderator"})
MOST = 100_000
# So many users of an address who were blocked, and such a share of all who are there, and the address is blocked.
CROWD, CROWD_SHARE = 3, 0.8


@dataclass(slots=True)
class _Record:
    level: Level = Level.NONE
    since: float = 0.0
    until: float = 0.0
    blocked_at: float | None = None  # the last time
    reason: str = ""
    told: dict[str, float] = field(default_factory=dict)  # reasons of MONITOR -> until when it is known


class Judge:
    """`now` is in Unix seconds. What has ended is remembered for MEMORY_S."""

    def __init__(self, settings: AbuseSettings) -> None:
        self._records: dict[tuple[SubjectKind, str], _Record] = {}
        self._for_s = {
            Level.MONITOR: MONITOR_S,
            Level.SLOW: settings.slow_s,
            Level.BLOCK: settings.block_s,
            Level.BAN: settings.ban_s,
        }

    def __len__(self) -> int:
        return len(self._records)

    def judge(self, kind: SubjectKind, subject: str, role: str, found: Sequence[Hit], now: float) -> list[Measure]:
        """What is to be done about a subject now; nothing if that is being done already."""
        record = self._records.get((kind, subject))
        if not found:
            return []
        if record is None:
            if all(hit.strength < 1.0 for hit in found):
                return []
            record = self._add(kind, subject)
        level = record.level if record.until > now else Level.NONE
        worst = max(found, key=lambda hit: (hit.strength >= 1.0, hit.pattern.action, hit.strength))
        wanted = worst.pattern.action
        if worst.strength < 1.0:
            # Below a threshold it only goes on with what ended a moment ago, or is about to.
            if record.reason != worst.pattern.name or now - record.until > PATIENCE_S or level:
                return []
            wanted = min(record.level, Level.SLOW)
        elif (
            level == Level.SLOW
            and wanted == Level.SLOW
            and now - record.since >= PATIENCE_S
            and escalates(worst.pattern)
        ):
            wanted = Level.BLOCK
        again = record.blocked_at is not None and now - record.blocked_at < MEMORY_S
        if (
            wanted == Level.BLOCK and again and level < Level.BLOCK
        ):  # what was on its way when the block began is no new offence
            wanted = Level.BAN
        if role in SPARED:
            wanted = Level.MONITOR
        return self._decide(kind, subject, record, level, wanted, worst, now)

    def _decide(
        self, kind: SubjectKind, subject: str, record: _Record, level: Level, wanted: Level, hit: Hit, now: float
    ) -> list[Measure]:
        reason = hit.pattern.name
        if wanted <= level:
            return []
        until = now + self._for_s[wanted]
        if wanted == Level.MONITOR:
            if record.told.get(reason, 0.0) > now:
                return []
            record.told[reason] = until
        else:
            if record.level != wanted or record.until <= now:
                record.since = now
            record.level, record.until, record.reason = wanted, until, reason
            if wanted >= Level.BLOCK:
                record.blocked_at = now
        return [Measure(kind, subject, wanted, reason, now, until, hit.value, hit.pattern.threshold)]

    def _add(self, kind: SubjectKind, subject: str) -> _Record:
        if len(self._records) >= MOST:
            del self._records[next(iter(self._records))]
        record = self._records[kind, subject] = _Record()
        return record

    def level(self, kind: SubjectKind, subject: str, now: float) -> Level:
        """What holds for it now."""
        record = self._records.get((kind, subject))
        return record.level if record is not None and record.until > now else Level.NONE

    def blocked_lately(self, users: Iterable[str], now: float) -> int:
        """How many of these were blocked within MEMORY_S."""
        records = (self._records.get(("user", user)) for user in users)
        return sum(r is not None and r.blocked_at is not None and now - r.blocked_at < MEMORY_S for r in records)

    def restore(self, measure: Measure) -> None:
        """One that holds still, from the audit log: this process has begun anew."""
        record = self._add(measure.kind, measure.subject)
        record.level, record.since, record.until = measure.level, measure.at, measure.until
        record.reason = measure.reason
        if measure.level >= Level.BLOCK:
            record.blocked_at = measure.at

    def lift(self, kind: SubjectKind, subject: str) -> bool:
        """Nothing holds for it any more, nor counts against it. Says whether something did."""
        return self._records.pop((kind, subject), None) is not None

    def sweep(self, now: float) -> None:
        """Records that nothing depends on any more are forgotten."""
        for key, record in list(self._records.items()):
            newest = max(record.until, (record.blocked_at or 0.0) + MEMORY_S, *record.told.values(), 0.0)
            if newest + PATIENCE_S < now:
                del self._records[key]


def escalates(pattern: Pattern) -> bool:
    """Whether going on with it, once slowed, leads to a block. An anomaly score is no proof of anything."""
    return not pattern.name.startswith(UNUSUAL)


# `threshold` is abuse.anomaly_score; the score itself is in anomaly.py.
ANOMALY = Pattern("anomaly", "user", (), 0.85, 0.0, Level.MONITOR)
