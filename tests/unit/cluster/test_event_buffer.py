"""Events that wait for an acknowledgement (row 4.3)."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from cluster.event_buffer import EventBuffer, Limits, Waiting

FEW = Limits(events=4, size=100, window=2, attempts=3, ack_s=1.0)
LATE_S = 100.0  # longer than any acknowledgement is waited for


def buffer(limits: Limits = FEW) -> EventBuffer:
    return EventBuffer(random.Random(1), limits)


def event(name: str, size: int = 1, expires_at: float = 1e9) -> Waiting:
    return Waiting("state", "state.zone.a", b"x" * size, name, expires_at)


def names(events: list[Waiting]) -> list[str]:
    return [one.event_id for one in events]


def sent(made: EventBuffer, now: float) -> list[Waiting]:
    """All that may go now."""
    going = []
    while (one := made.next(now)) is not None:
        going.append(one)
    return going


class TestBounds:
    def test_the_oldest_make_room(self) -> None:
        made = buffer()
        assert [names(made.add(event(name))) for name in "abcdef"] == [[], [], [], [], ["a"], ["b"]]
        assert len(made) == 4

    def test_bytes_count_too(self) -> None:
        made = buffer()
        for name in "ab":
            made.add(event(name, 50))
        assert names(made.add(event("c", 60))) == ["a", "b"]
        assert len(made) == 1

    def test_one_that_never_fits_pushes_nothing_out(self) -> None:
        made = buffer()
        made.add(event("a"))
        assert names(made.add(event("big", 101))) == ["big"]
        assert len(made) == 1

    def test_what_is_on_its_way_stays(self) -> None:
        made = buffer()
        for name in "abcd":
            made.add(event(name))
        assert names(sent(made, 0.0)) == ["a", "b"]
        assert names(made.add(event("e"))) == ["c"]


class TestSending:
    def test_first_in_first_out_within_the_window(self) -> None:
        made = buffer()
        for name in "abc":
            made.add(event(name))
        a, b = sent(made, 0.0)
        assert names([a, b]) == ["a", "b"]
        assert made.done(a)
        assert names(sent(made, 0.0)) == ["c"]

    def test_an_acknowledgement_counts_once(self) -> None:
        made = buffer()
        made.add(event("a"))
        [a] = sent(made, 0.0)
        assert (made.done(a), made.done(a), len(made)) == (True, False, 0)

    def test_it_is_repeated_later_and_later_and_given_up(self) -> None:
        made = buffer()
        made.add(event("a"))
        [a] = sent(made, 0.0)
        now, waits = 0.0, []
        for _ in range(2):
            assert made.again(a.due_at - 0.001) == ([], [])
            waits.append(a.due_at - now)
            now = a.due_at
            repeated, given_up = made.again(now)
            assert (names(repeated), given_up) == (["a"], [])
        waits.append(a.due_at - now)
        for wait, least in zip(waits, (1.0, 2.0, 4.0), strict=True):
            assert least <= wait <= 2 * least
        repeated, given_up = made.again(a.due_at)
        assert (repeated, names(given_up), len(made)) == ([], ["a"], 0)

    def test_what_is_too_old_is_not_sent(self) -> None:
        made = buffer()
        for name in "abc":
            made.add(event(name, expires_at=10.0))
        sent(made, 0.0)
        _, given_up = made.again(10.0)
        assert sorted(names(given_up)) == ["a", "b", "c"]

    def test_after_a_lost_connection_all_goes_again_in_order_and_untried(self) -> None:
        made = buffer()
        for name in "abc":
            made.add(event(name))
        sent(made, 0.0)
        made.again(LATE_S)
        made.start_over()
        again = sent(made, LATE_S)
        assert names(again) == ["a", "b"]
        assert [one.attempts for one in again] == [1, 1]
        made.done(again[0])
        assert names(sent(made, LATE_S)) == ["c"]

    def test_emptied(self) -> None:
        made = buffer()
        for name in "abc":
            made.add(event(name))
        sent(made, 0.0)
        assert names(list(made.clear())) == ["a", "b", "c"]
        assert len(made) == 0
        assert names(made.add(event("d", 100))) == []


@given(
    st.lists(st.sampled_from(["add", "send", "ack", "late", "lost"]), max_size=60), st.randoms(use_true_random=False)
)
def test_whatever_happens_each_event_ends_once_and_the_bounds_hold(steps: list[str], rng: random.Random) -> None:
    made = buffer()
    now, added, ended = 0.0, 0, list[str]()
    on_its_way: dict[str, Waiting] = {}
    for step in steps:
        if step == "add":
            given_up = made.add(event(str(added), rng.randrange(1, 40)))
            added += 1
        elif step == "send":
            on_its_way |= {one.event_id: one for one in sent(made, now)}
            given_up = []
        elif step == "ack" and on_its_way:
            one = on_its_way.pop(rng.choice(sorted(on_its_way)))
            assert made.done(one)
            ended.append(one.event_id)
            given_up = []
        elif step == "late":
            now += LATE_S
            _, given_up = made.again(now)
        else:
            made.start_over()
            on_its_way.clear()
            given_up = []
        for one in given_up:
            on_its_way.pop(one.event_id, None)
        ended += names(given_up)
        assert len(made) <= FEW.events
        assert len(on_its_way) <= FEW.window
        assert len(made) + len(ended) == added
    ended += names(list(made.clear()))
    assert sorted(ended, key=int) == [str(n) for n in range(added)]
