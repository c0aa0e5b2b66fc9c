"""`rayrealm logs`: lines for people, and times."""

from __future__ import annotations

import pytest

from cluster.cli.logs import describe, seconds
from cluster.errors import StartRefused


def test_a_line_for_people() -> None:
    line = {
        "at": 1_767_323_045.5,
        "level": "warning",
        "event": "zone_away",
        "kind": "supervisor",
        "process": "supervisor",
        "node": "n1",
        "fields": {"zone": "zon_a", "why": "two words", "count": 3, "logger": "actors.world"},
    }
    assert describe(line) == (
        '2026-01-02 03:04:05.500Z warning  supervisor               zone_away  zone=zon_a why="two words" count=3'
    )


@pytest.mark.parametrize(("text", "found"), [("30", 30.0), ("30s", 30.0), ("10m", 600.0), ("1.5h", 5_400.0)])
def test_times(text: str, found: float) -> None:
    assert seconds(text) == found


@pytest.mark.parametrize("text", ["", "m", "1d", "-1s", "1 m"])
def test_what_is_no_time(text: str) -> None:
    with pytest.raises(StartRefused):
        seconds(text)
