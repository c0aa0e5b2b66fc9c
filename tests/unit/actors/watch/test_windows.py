"""Counts of the last minute."""

from __future__ import annotations

from actors.watch.windows import Windows

KEEP_S, SLOT_S = 60.0, 5.0


def windows(most: int = 100) -> Windows:
    return Windows(KEEP_S, SLOT_S, most, ("highest",))


def test_nothing_is_known() -> None:
    assert windows().total("usr_a", ("x",), 60.0, 1_000.0) == 0.0


def test_sums_within_the_window() -> None:
    w = windows()
    for at in range(0, 100, 10):
        w.add("usr_a", {"x": 1.0, "y": 10.0}, float(at))
    assert w.total("usr_a", ("x",), 20.0, 95.0) == 2.0  # of 80 and 90
    assert w.total("usr_a", ("x", "y"), 20.0, 95.0) == 22.0
    assert w.total("usr_a", ("z",), 60.0, 95.0) == 0.0
    assert w.total("usr_b", ("x",), 60.0, 95.0) == 0.0


def test_of_gauges_the_highest() -> None:
    w = windows()
    for at, value in ((0.0, 9.0), (10.0, 5.0), (11.0, 3.0), (20.0, 4.0)):
        w.add("usr_a", {"highest": value}, at)
    assert w.total("usr_a", ("highest",), 10.0, 20.0) == 5.0
    assert w.total("usr_a", ("highest",), 60.0, 20.0) == 9.0


def test_one_slot_adds_up() -> None:
    w = windows()
    w.add("usr_a", {"x": 1.0}, 10.0)
    w.add("usr_a", {"x": 2.0, "y": 1.0}, 14.9)
    assert w.total("usr_a", ("x",), 5.0, 14.9) == 3.0
    assert w.total("usr_a", ("y",), 5.0, 14.9) == 1.0


def test_forgotten() -> None:
    w = windows()
    w.add("usr_a", {"x": 1.0}, 10.0)
    w.forget("usr_a")
    w.forget("usr_a")
    assert w.total("usr_a", ("x",), 60.0, 10.0) == 0.0
    assert len(w) == 0


def test_the_subject_heard_of_longest_ago_goes_first() -> None:
    w = windows(most=2)
    w.add("usr_a", {"x": 1.0}, 1.0)
    w.add("usr_b", {"x": 1.0}, 2.0)
    w.add("usr_a", {"x": 1.0}, 3.0)
    w.add("usr_c", {"x": 1.0}, 4.0)
    assert [w.total(f"usr_{u}", ("x",), 60.0, 5.0) for u in "abc"] == [2.0, 0.0, 1.0]


def test_a_sweep_forgets_who_is_silent() -> None:
    w = windows()
    w.add("usr_a", {"x": 1.0}, 1.0)
    w.add("usr_b", {"x": 1.0}, 60.0)
    w.sweep(70.0)
    assert len(w) == 1
    w.sweep(200.0)
    assert len(w) == 0
