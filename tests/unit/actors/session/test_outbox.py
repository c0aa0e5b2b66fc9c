"""What a session was told and has not acknowledged: numbers, bounds, and what may be recovered (rows 1.7 and 2.5)."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from actors.session.outbox import Body, Limits, Outbox
from cluster.errors import InvalidInput

WIDE = Limits(1_000, 1_000_000, 120.0)


def body(text: str = "{}") -> Body:
    return Body("n", text.encode())


def filled(count: int, limits: Limits = WIDE, at: float = 0.0, size: int = 2) -> Outbox:
    """Numbers 1 to `count`, each of `size` bytes and one for the method."""
    outbox = Outbox()
    for n in range(count):
        outbox.keep(outbox.number(1), [body("x" * size)], at + n, limits)
    return outbox


def after(outbox: Outbox, seq: int) -> list[int] | None:
    entries = outbox.after(seq)
    return None if entries is None else [entry.seq for entry in entries]


class TestNumbers:
    def test_they_begin_at_one_and_never_skip(self) -> None:
        outbox = Outbox()
        assert [outbox.number(1), outbox.number(3), outbox.number(1)] == [1, 2, 5]
        assert (outbox.numbered, outbox.logged) == (5, 0)

    def test_a_restarted_one_goes_on(self) -> None:
        outbox = Outbox(7)
        assert (outbox.logged, outbox.number(1)) == (7, 8)

    def test_what_is_not_logged_is_nobody_s(self) -> None:
        outbox = Outbox()
        outbox.number(2)
        assert after(outbox, 0) == []
        assert after(outbox, 1) is None
        with pytest.raises(InvalidInput):
            outbox.ack(1)


class TestRecovering:
    def test_everything_after_a_number(self) -> None:
        outbox = filled(4)
        assert [after(outbox, seq) for seq in range(6)] == [[1, 2, 3, 4], [2, 3, 4], [3, 4], [4], [], None]

    def test_with_its_body(self) -> None:
        outbox = Outbox()
        outbox.keep(1, [body("1"), body("2")], 5.0, WIDE)
        assert [(e.seq, e.at, e.body) for e in outbox.after(0) or []] == [(1, 5.0, body("1")), (2, 5.0, body("2"))]

    def test_what_was_acknowledged_is_gone(self) -> None:
        outbox = filled(4)
        outbox.ack(2)
        assert [after(outbox, seq) for seq in (1, 2, 3)] == [None, [3, 4], [4]]
        outbox.ack(1)
        outbox.ack(2)
        assert (outbox.acked, len(outbox)) == (2, 2)
        outbox.ack(4)
        assert (after(outbox, 4), after(outbox, 3)) == ([], None)

    def test_an_acknowledgement_of_what_was_never_sent_changes_nothing(self) -> None:
        outbox = filled(3)
        with pytest.raises(InvalidInput) as refused:
            outbox.ack(4)
        assert refused.value.errors == [("seq", "was not sent")]
        assert (outbox.acked, after(outbox, 0)) == (0, [1, 2, 3])

    def test_a_restarted_one_without_its_log_can_recover_nothing_but_the_newest(self) -> None:
        assert [after(Outbox(7), seq) for seq in (6, 7, 8)] == [None, [], None]


class TestBounds:
    def test_of_count(self) -> None:
        outbox = filled(5, Limits(3, 1_000, 10.0))
        assert [after(outbox, seq) for seq in (1, 2)] == [None, [3, 4, 5]]

    def test_of_bytes(self) -> None:
        limits = Limits(100, 30, 10.0)
        outbox = filled(3, limits, size=9)
        assert after(outbox, 0) == [1, 2, 3]
        outbox.keep(outbox.number(1), [body("")], 0.0, limits)
        assert [after(outbox, seq) for seq in (0, 1)] == [None, [2, 3, 4]]

    def test_one_that_is_larger_than_all_there_may_be(self) -> None:
        limits = Limits(100, 30, 10.0)
        outbox = filled(2, limits)
        outbox.keep(outbox.number(1), [body("x" * 30)], 0.0, limits)
        assert (len(outbox), [after(outbox, seq) for seq in (0, 2, 3)]) == (0, [None, None, []])
        outbox.keep(outbox.number(1), [body()], 0.0, limits)
        assert [after(outbox, seq) for seq in (2, 3)] == [None, [4]]

    def test_of_age(self) -> None:
        limits = Limits(100, 1_000, 10.0)
        outbox = filled(3, limits)
        outbox.expire(11.0, limits)
        assert [after(outbox, seq) for seq in (0, 1)] == [None, [2, 3]]
        outbox.expire(100.0, limits)
        assert [after(outbox, seq) for seq in (2, 3)] == [None, []]


class TestTakingBack:
    """What comes from the log after a restart."""

    def test_a_batch_that_is_there_twice_is_taken_once(self) -> None:
        outbox = Outbox(3)
        for first, bodies in ((1, ["1", "2"]), (1, ["1", "2"]), (3, ["3"]), (1, ["1", "2"])):
            outbox.keep(first, [body(text) for text in bodies], 0.0, WIDE)
        assert [e.body.params_json for e in outbox.after(0) or []] == [b"1", b"2", b"3"]
        assert outbox.logged == 3

    def test_what_the_record_does_not_know_yet(self) -> None:
        """The record and the log are written in one step; the log is believed all the same."""
        outbox = Outbox(1)
        outbox.keep(1, [body("1"), body("2")], 0.0, WIDE)
        assert (outbox.numbered, outbox.logged, after(outbox, 1)) == (2, 2, [2])

    def test_a_log_that_begins_late(self) -> None:
        outbox = Outbox(9)
        outbox.keep(8, [body(), body()], 0.0, WIDE)
        assert [after(outbox, seq) for seq in (6, 7, 9)] == [None, [8, 9], []]

    def test_a_log_with_a_hole_is_good_behind_it(self) -> None:
        outbox = Outbox(9)
        outbox.keep(1, [body(), body()], 0.0, WIDE)
        outbox.keep(8, [body(), body()], 0.0, WIDE)
        assert [after(outbox, seq) for seq in (0, 1, 7)] == [None, None, [8, 9]]


class OutboxMachine(RuleBasedStateMachine):
    """Numbers are given out, logged one batch at a time, acknowledged; time goes by; the actor restarts.

    `after` is None, or exactly everything up to the newest logged.
    """

    def __init__(self) -> None:
        super().__init__()
        self.limits = Limits(6, 60, 10.0)
        self.now = 0.0
        self.outbox = Outbox()
        self.batch: tuple[int, list[Body]] | None = None
        self.log: list[tuple[float, int, list[Body]]] = []  # as the store has it: batches, some of them twice
        self.truth: dict[int, Body] = {}

    @rule(sizes=st.lists(st.integers(0, 40), min_size=1, max_size=4))
    def number(self, sizes: list[int]) -> None:
        if self.batch is None:
            first = self.outbox.number(len(sizes))
            self.batch = first, [Body("n", b"x" * size) for size in sizes]

    @rule(twice=st.booleans())
    def logged(self, twice: bool) -> None:
        if self.batch is None:
            return
        (first, bodies), self.batch = self.batch, None
        self.log += [(self.now, first, bodies)] * (1 + twice)
        self.truth |= dict(enumerate(bodies, first))
        self.outbox.keep(first, bodies, self.now, self.limits)

    @rule(seq=st.integers(0, 40))
    def ack(self, seq: int) -> None:
        try:
            self.outbox.ack(seq)
        except InvalidInput:
            assert seq > len(self.truth)

    @rule(seconds=st.sampled_from([0.5, 3.0, 11.0]))
    def expire(self, seconds: float) -> None:
        self.now += seconds
        self.outbox.expire(self.now, self.limits)

    @rule(kept=st.booleans())
    def restart(self, kept: bool) -> None:
        """What was numbered and not logged was never sent: its numbers are given out again."""
        self.batch = None
        self.outbox = Outbox(len(self.truth))
        if not kept:
            self.log = []
        for at, first, bodies in self.log:
            self.outbox.keep(first, bodies, at, self.limits)

    @invariant()
    def what_is_after_is_whole_or_not_there(self) -> None:
        newest = len(self.truth)
        assert self.outbox.logged == newest
        for seq in range(newest + 3):
            entries = self.outbox.after(seq)
            if entries is None:
                assert seq != newest, "nothing is missed, and that can always be said"
                continue
            assert [e.seq for e in entries] == list(range(seq + 1, newest + 1))
            assert [e.body for e in entries] == [self.truth[e.seq] for e in entries]

    @invariant()
    def it_is_bounded(self) -> None:
        kept = self.outbox._kept
        assert len(kept) <= self.limits.count
        assert self.outbox._bytes == sum(entry.body.size for entry in kept) <= self.limits.bytes

    @invariant()
    def what_fits_is_there(self) -> None:
        """Not acknowledged, young, few and small: then it can be recovered, also after a restart with a whole log."""
        newest, seq, size = len(self.truth), len(self.truth), 0
        times = {n: at for at, first, bodies in self.log for n, _ in enumerate(bodies, first)}
        while seq > self.outbox.acked and newest - seq < self.limits.count and seq in times:
            size += self.truth[seq].size
            if size > self.limits.bytes or self.now - times[seq] > self.limits.age_s:
                break
            seq -= 1
        assert self.outbox.after(seq) is not None


TestAnySequence = OutboxMachine.TestCase
TestAnySequence.settings = settings(max_examples=200, stateful_step_count=30, deadline=None)
