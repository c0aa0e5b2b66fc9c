"""Log lines beside the log: bounded, at a bounded rate, and what is over is said."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from cluster.errors import InvalidInput
from cluster.ports.log_levels import LogLevel, newest
from cluster.telemetry import logs
from cluster.telemetry.counts import LOG_LINES
from cluster.telemetry.log_tap import AT_ONCE, LEAST_BYTES, MOST_BYTES, MOST_LINE, WAITING, LogControl, LogTap

AT = "2026-01-02T03:04:05.500000Z"
UNIX = 1_767_323_045.5


class Rig:
    def __init__(self, keep: int = 1_000) -> None:
        self.told: list[list[dict[str, Any]]] = []
        self.tap = LogTap("zone", "zone/a", "node1", lambda data: self.told.append(orjson.loads(data)), keep)

    def line(self, event: str, level: str = "info", **fields: Any) -> None:
        self.tap.take({"at": AT, "level": level, "event": event, "process": "another", "_record": object(), **fields})


def test_a_line() -> None:
    rig = Rig()
    rig.line("entered", zone="a", odd={1, 2} and b"x", logger="actors.zone")
    rig.tap.flush()
    assert rig.told == [
        [
            {
                "at": UNIX,
                "level": "info",
                "event": "entered",
                "kind": "zone",
                "process": "zone/a",
                "node": "node1",
                "fields": {"zone": "a", "odd": "b'x'", "logger": "actors.zone"},
            }
        ]
    ]
    rig.tap.flush()
    assert len(rig.told) == 1


def test_the_rate_is_bounded_and_what_is_over_is_said() -> None:
    rig, before = Rig(), LOG_LINES["over"]
    for number in range(WAITING + 70):
        rig.line(str(number))
    assert LOG_LINES["over"] == before + 70
    rig.tap.flush()
    assert len(rig.told[0]) == AT_ONCE
    for _ in range(WAITING // AT_ONCE):
        rig.tap.flush()
    lines = [line for message in rig.told for line in message]
    assert [line["event"] for line in lines] == [*map(str, range(WAITING)), "log_lines_over"]
    assert lines[-1]["fields"] == {"lines": 70}
    rig.tap.flush()
    assert sum(map(len, rig.told)) == WAITING + 1


def test_the_newest_are_kept() -> None:
    rig = Rig(keep=3)
    for number in range(5):
        rig.line(f"event_{number}", "warning" if number % 2 else "info", text=f"Hello {number}")
    events = [line["event"] for line in rig.tap.lines()]
    assert events == ["event_2", "event_3", "event_4"]
    assert [line["event"] for line in rig.tap.lines(level="warning")] == ["event_3"]
    assert [line["event"] for line in rig.tap.lines(q="hello 4")] == ["event_4"]
    assert [line["event"] for line in rig.tap.lines(limit=1)] == ["event_4"]
    assert rig.tap.lines(after=UNIX) == []
    assert len(rig.tap.lines(after=UNIX - 0.1)) == 3


async def test_a_level_for_a_while() -> None:
    now = 100.0
    control = LogControl(Rig().tap, "zone", "warning", lambda: now)
    assert await control.log_level("debug", 110.0) == "debug"
    now = 109.9
    control.step()
    assert logs.level() == "debug"
    now = 110.0
    control.step()
    assert logs.level() == "warning"
    assert await control.log_level("error") == "error"
    now = 10_000.0
    control.step()
    assert logs.level() == "error"
    assert await control.log_level("") == "warning"
    with pytest.raises(InvalidInput):
        await control.log_level("loud")
    assert await control.logs(kind="gateway") == []


def test_the_level_that_was_set_last_counts() -> None:
    everybody, one, over = LogLevel("info", 1.0), LogLevel("debug", 2.0), LogLevel("error", 3.0, until=5.0)
    assert newest([everybody, one], 10.0) is one
    assert newest([one, over], 4.9) is over
    assert newest([one, over], 5.0) is one
    assert newest([], 0.0) is None


def test_a_line_that_is_no_utf_8_or_too_long_stops_no_other() -> None:
    """A lone surrogate, a number of 65 bits and a very long text may come from a client."""
    rig = Rig()
    rig.line("before")
    rig.line("odd \ud800", name="\udfff", number=1 << 65, **{"\ud801": 1})
    rig.line("long", texts=["x" * 2_000] * 50)
    rig.line("after")
    rig.tap.flush()
    (lines,) = rig.told
    assert [line["event"] for line in lines] == ["before", "'odd \\ud800'", "'long'", "after"]
    assert lines[1]["fields"]["number"] == str(1 << 65)
    assert lines[2]["fields"]["bytes_left_out"] > MOST_LINE
    assert [line["event"] for line in rig.tap.lines(q="after")] == ["after"]


def test_an_answer_keeps_to_its_bytes() -> None:
    """Of a thousand processes that are asked at once each may say a little; one long line must not hide the others."""
    rig = Rig()
    for number in range(400):
        rig.line(f"event_{number}", text="x" * (6_000 if number == 398 else 60))
    for most in (0, LEAST_BYTES, 8_192, 50_000):
        found = rig.tap.lines(limit=500, most_bytes=most)
        assert len(orjson.dumps(found)) <= max(most, LEAST_BYTES) + 2
        assert len(found) > 5
        assert found[-1]["event"] == "event_399"
    assert found[-2]["fields"]["text"] == "x" * 6_000
    assert rig.tap.lines(limit=500, most_bytes=8_192)[-2]["fields"].keys() == {"bytes_left_out"}
    assert rig.tap.lines(q="xxxxxxx", most_bytes=8_192)[-2]["fields"].keys() == {"bytes_left_out"}
    assert len(orjson.dumps(rig.tap.lines(limit=500, most_bytes=1 << 40))) <= MOST_BYTES + 2
