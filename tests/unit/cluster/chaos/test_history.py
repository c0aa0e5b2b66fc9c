"""What is written is what is read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cluster.chaos.checker import check
from cluster.chaos.history import History, read
from cluster.chaos.verdict import NAMES, Violation, counts, first_of_each


def test_written_and_read(tmp_path: Path) -> None:
    now = iter((1.0, 2.00004, 3.0, 4.0))
    history = History(tmp_path / "history", lambda: next(now))
    first = history.invoked("ann", "chat", channel="all", text="hi")
    second = history.invoked("ann", "join", channel="all")
    history.add("acknowledged", op=first, message_id="m1")
    history.add("unknown", op=second, why="gone")
    history.close()
    history.close()
    assert first != second
    events = list(read(history.path))
    assert events[0] == {"k": "invoked", "t": 1.0, "op": 1, "bot": "ann", "do": "chat", "channel": "all", "text": "hi"}
    assert events[1]["t"] == 2.0
    assert history.events == len(events) == 4
    assert check(events).operations == {
        "chat": {"acknowledged": 1, "failed": 0, "unknown": 0},
        "join": {"acknowledged": 0, "failed": 0, "unknown": 1},
    }


def test_a_torn_line_is_no_event(tmp_path: Path) -> None:
    (tmp_path / "history").write_text('{"k": "view"}\n{"k": "vi')
    with pytest.raises(json.JSONDecodeError):
        list(read(tmp_path / "history"))


def test_the_verdict_names_all_names() -> None:
    told = counts([Violation("gaps", 1.0, "ann", "x", 3), Violation("gaps", 2.0, "ben", "y")])
    assert tuple(told) == NAMES
    assert told["gaps"] == 4
    assert sum(told.values()) == 4
    assert Violation("gaps", 1.0, "ann", "x").as_dict() == {
        "name": "gaps",
        "t": 1.0,
        "who": "ann",
        "what": "x",
        "count": 1,
    }


def test_some_of_each_are_shown() -> None:
    many = [Violation(name, float(t), "ann", "x") for t in range(5) for name in ("gaps", "duplicates")]
    assert [(v.name, v.t) for v in first_of_each(many, 2)] == [
        ("gaps", 0.0), ("duplicates", 0.0), ("gaps", 1.0), ("duplicates", 1.0),
    ]  # fmt: skip
