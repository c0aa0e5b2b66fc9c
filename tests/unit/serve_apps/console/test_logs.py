"""The newest log lines (serve_apps/console/logs.py)."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from serve_apps.console.logs import AT_ONCE, LONGEST, LogLines, LogsTopic


def line(number: int, level: str = "info", **more: Any) -> dict[str, Any]:
    return {
        "at": float(number),
        "level": level,
        "event": f"event {number}",
        "kind": "zone",
        "process": "zone/a",
        **more,
    }


def lines(*said: dict[str, Any], keep: int = 1_000) -> LogLines:
    made = LogLines(keep)
    for each in said:
        made.take(orjson.dumps(each))
    return made


def told(topic: LogsTopic, known: int | None) -> list[float]:
    news = topic.news(known)
    return [] if news is None else [each["at"] for each in news[1]["lines"]]


def test_those_that_came_since() -> None:
    held = lines(line(1), line(2))
    topic = LogsTopic(held, {})
    assert told(topic, None) == [1.0, 2.0]
    assert topic.news(2) is None
    held.take(orjson.dumps([line(3), line(4)]))
    assert told(topic, 2) == [3.0, 4.0]


def test_the_oldest_make_room() -> None:
    held = lines(*(line(n) for n in range(10)), keep=3)
    assert told(LogsTopic(held, {}), None) == [7.0, 8.0, 9.0]
    assert told(LogsTopic(held, {}), 9) == [9.0]


def test_who_is_slow_gets_the_newest_and_hears_how_many_were_skipped() -> None:
    held = lines(*(line(n) for n in range(AT_ONCE + 50)))
    news = LogsTopic(held, {}).news(0)
    assert news is not None
    assert (len(news[1]["lines"]), news[1]["skipped"]) == (AT_ONCE, 50)
    assert news[1]["lines"][-1]["at"] == AT_ONCE + 49


@pytest.mark.parametrize(
    ("wanted", "at"),
    [
        ({}, [1.0, 2.0, 3.0]),
        ({"level": "warning"}, [2.0, 3.0]),
        ({"level": "ERROR"}, [3.0]),
        ({"level": "nonsense"}, [1.0, 2.0, 3.0]),
        ({"kind": "gateway"}, [3.0]),
        ({"process": "zone/a", "level": "debug"}, [1.0, 2.0]),
        ({"q": "EVENT 2"}, [2.0]),
        ({"q": "ses_77"}, [3.0]),
        ({"q": "nowhere"}, []),
    ],
)
def test_filters(wanted: dict[str, str], at: list[float]) -> None:
    last = line(3, "error", kind="gateway", process="gtw_1", fields={"session": "ses_77"})
    assert told(LogsTopic(lines(line(1), line(2, "warning"), last), wanted), None) == at


@pytest.mark.parametrize("data", [b"", b"x", b"5", b"null", b'{"level":"info"}', b'["x"]', b"\xff"])
def test_what_is_no_line_is_dropped(data: bytes) -> None:
    held = LogLines(10)
    held.take(data)
    assert held.heard == 0


def test_what_is_too_long_is_not_kept() -> None:
    held = LogLines(10)
    held.take(orjson.dumps([line(1), line(2, text="x" * LONGEST), line(3)]))
    assert told(LogsTopic(held, {}), None) == [1.0, 3.0]
