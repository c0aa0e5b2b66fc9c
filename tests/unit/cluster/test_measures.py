"""Measures against abuse as the audit log keeps them."""

from __future__ import annotations

import asyncio

import pytest

from cluster.adapters.memory.audit import MemoryAuditLog
from cluster.measures import LIFT, Level, Measure, read, still_open
from cluster.ports.audit import AuditEntry

NOW = 1_000.0


def measure(subject: str = "usr_a", level: Level = Level.BLOCK, until: float = NOW + 60.0, **more: object) -> Measure:
    made = {"kind": "user", "reason": "replay", "at": NOW - 10.0, "value": 3.0, "threshold": 2.0} | more
    return Measure(subject=subject, level=level, until=until, **made)


def lift(subject: str, kind: str = "user", action: str = LIFT) -> AuditEntry:
    return AuditEntry(NOW, "operator:ann", action, subject, "", details={"kind": kind})


@pytest.mark.parametrize("level", [level for level in Level if level])
def test_written_and_read(level: Level) -> None:
    log = MemoryAuditLog(10)
    made = measure(level=level)
    asyncio.run(log.add(made.entry("done")))
    (entry,) = asyncio.run(log.newest(1))
    assert read(entry) == made
    assert (entry.actor, entry.action, entry.result) == ("watch", level.name.lower(), "done")


def test_what_is_no_measure() -> None:
    assert read(lift("usr_a")) is None
    assert read(AuditEntry(NOW, "operator:ann", "block", "usr_a", "", details={"kind": "user"})) is None
    assert read(AuditEntry(NOW, "watch", "block", "usr_a", "", details={"kind": "planet"})) is None
    assert read(AuditEntry(NOW, "watch", "praise", "usr_a", "", details={"kind": "user"})) is None


def test_open_ones() -> None:
    newest_first = [
        measure("usr_a", Level.BAN).entry("done"),
        measure("usr_a", Level.SLOW, value=9.0).entry("done"),  # before
        measure("usr_over", until=NOW).entry("done"),
        measure("usr_noted", Level.MONITOR).entry("done"),
        measure("usr_only_monitored").entry("monitored"),
        lift("usr_lifted"),
        measure("usr_lifted").entry("done"),
        measure("usr_again").entry("done"),
        lift("usr_again"),
        measure("203.0.113.7", kind="address").entry("done"),
    ]
    found = still_open(newest_first, NOW)
    assert [(m.subject, m.level) for m in found] == [
        ("usr_a", Level.BAN),
        ("usr_again", Level.BLOCK),
        ("203.0.113.7", Level.BLOCK),
    ]


@pytest.mark.parametrize(
    ("entry", "left"),
    [
        (lift("203.0.113.7", "address"), 0),
        (lift("203.0.113.7", "user"), 1),
        (lift("203.0.113.7/32", "", "network.unban"), 0),
        (lift("203.0.113.7", "", "user.unban"), 1),
    ],
)
def test_ended_by_an_operator(entry: AuditEntry, left: int) -> None:
    assert len(still_open([entry, measure("203.0.113.7", kind="address").entry("done")], NOW)) == left
