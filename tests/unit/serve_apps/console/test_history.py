"""The rings of the last hour (serve_apps/console/history.py)."""

from __future__ import annotations

import time

import pytest

from serve_apps.console import history as module
from serve_apps.console.history import History, told


def taken(count: int, history: History, name: str = "players", first: int = 0) -> None:
    for number in range(first, first + count):
        history.take(100.0 + 5.0 * number, {name: float(number)})


def test_points_oldest_first() -> None:
    history = History(5.0, 60.0, 90.0)
    taken(3, history)
    assert history.series(["players", "nothing"]) == {"players": [[100.0, 0.0], [105.0, 1.0], [110.0, 2.0]]}
    assert told(history, ["players"])["since"] == 90.0


def test_the_oldest_make_room() -> None:
    history = History(5.0, 20.0, 90.0)
    taken(11, history)
    assert [value for _, value in history.series(["players"])["players"]] == [7.0, 8.0, 9.0, 10.0]


def test_only_what_came_since() -> None:
    history = History(5.0, 20.0, 90.0)
    taken(2, history)
    known = history.taken
    assert history.series(["players"], known)["players"] == []
    taken(2, history, first=2)
    assert [value for _, value in history.series(["players"], known)["players"]] == [2.0, 3.0]
    taken(40, history, first=4)
    assert len(history.series(["players"], known)["players"]) == 4


def test_a_silence_is_a_gap_and_what_began_later_has_no_past() -> None:
    history = History(5.0, 60.0, 90.0)
    history.take(100.0, {"a": 1.0})
    history.take(105.0, {"b": 2.0})
    history.take(110.0, {"a": 3.0, "b": 4.0})
    assert history.series(["a", "b"]) == {
        "a": [[100.0, 1.0], [105.0, None], [110.0, 3.0]],
        "b": [[105.0, 2.0], [110.0, 4.0]],
    }


def test_what_is_silent_for_the_whole_history_is_forgotten_and_its_row_used_again() -> None:
    history = History(5.0, 20.0, 90.0)
    history.take(100.0, {"gone": 1.0})
    rows = history.nbytes
    for number in range(200):
        history.take(200.0 + number, {f"zone {number}": 1.0})
    assert "gone" not in history.names()
    assert len(history.names()) <= 5
    assert history.nbytes == rows
    history.take(999.0, {"fresh": 7.0})
    assert history.series(["fresh"]) == {"fresh": [[999.0, 7.0]]}


def test_a_thousand_zones_for_an_hour_are_small_and_soon_told() -> None:
    history = History(5.0, 3_600.0, 0.0)
    names = [f"{figure}:zon_{number}" for number in range(1_000) for figure in ("tick_ms_p95", "population")]
    for moment in range(3):
        history.take(float(moment), dict.fromkeys(names, 1.5))
    assert history.nbytes < 10_000_000
    began = time.process_time()
    history.take(9.0, dict.fromkeys(names, 2.5))
    assert time.process_time() - began < 0.1


def test_series_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_SERIES", 128)
    history = History(5.0, 20.0, 0.0)
    history.take(1.0, {f"s{number}": 1.0 for number in range(1_000)})
    assert len(history.names()) == 128
