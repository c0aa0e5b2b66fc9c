"""Numbers of reliable notifications: what is new, what is missing, and when to acknowledge."""

from __future__ import annotations

import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rayrealm_client.reliable import ACK_AFTER_S, ACK_COUNT, Reliable


def begun(seq: int = 0, stream: str = "s") -> Reliable:
    """On a new session, at time 0."""
    reliable = Reliable()
    assert reliable.begin(stream, seq, recovered=False, resumed=False, now=0.0)
    return reliable


class TestNumbers:
    def test_one_after_another(self) -> None:
        reliable = begun()
        assert [reliable.take(seq, 0.0) for seq in (1, 2, 3)] == [True] * 3
        assert (reliable.seq, reliable.last, reliable.received) == (3, "s.3", 3)
        assert (reliable.gaps, reliable.duplicates) == (0, 0)

    def test_duplicates_are_dropped_and_counted(self) -> None:
        reliable = begun(5)
        assert [reliable.take(seq, 0.0) for seq in (6, 6, 5, 7)] == [True, False, False, True]
        assert (reliable.seq, reliable.duplicates, reliable.gaps) == (7, 2, 0)

    def test_a_hole_is_counted_and_logged(self, caplog: pytest.LogCaptureFixture) -> None:
        reliable = begun(5)
        with caplog.at_level(logging.ERROR):
            assert reliable.take(9, 0.0)
        assert (reliable.gaps, reliable.missing, reliable.seq) == (1, 3, 9)
        assert "6 to 8" in caplog.text

    @given(st.lists(st.integers(1, 30), max_size=60))
    def test_whatever_comes_is_new_a_duplicate_or_missing(self, seqs: list[int]) -> None:
        reliable = begun()
        taken = [seq for seq in seqs if reliable.take(seq, 0.0)]
        assert taken == sorted(set(taken))
        assert reliable.received + reliable.duplicates == len(seqs)
        assert reliable.received + reliable.missing == reliable.seq == max(seqs, default=0)


class TestSockets:
    def test_nothing_can_be_missed_on_the_first(self) -> None:
        reliable = Reliable()
        assert reliable.last is None
        assert reliable.begin("s", 40, recovered=False, resumed=True, now=0.0)
        assert reliable.last == "s.40"

    def test_a_recovered_one_goes_on(self) -> None:
        reliable = begun(5)
        assert reliable.begin("s", 5, recovered=True, resumed=True, now=0.0)
        assert reliable.take(6, 0.0)
        assert reliable.gaps == 0

    def test_one_that_is_not_recovered_starts_where_the_server_says(self) -> None:
        reliable = begun(5)
        assert not reliable.begin("s", 9, recovered=False, resumed=True, now=0.0)
        assert reliable.take(10, 0.0)
        assert reliable.gaps == 0  # it was announced

    def test_a_recovered_one_that_leaves_something_out_has_a_hole(self) -> None:
        reliable = begun(5)
        assert reliable.begin("s", 8, recovered=True, resumed=True, now=0.0)
        assert (reliable.gaps, reliable.missing, reliable.last) == (1, 3, "s.8")

    def test_a_recovered_one_that_goes_back_repeats(self) -> None:
        reliable = begun(5)
        assert reliable.begin("s", 3, recovered=True, resumed=True, now=0.0)
        assert [reliable.take(seq, 0.0) for seq in (4, 5, 6)] == [False, False, True]

    def test_another_stream_is_never_recovered(self) -> None:
        reliable = begun(5)
        assert not reliable.begin("t", 0, recovered=True, resumed=True, now=0.0)
        assert reliable.last == "t.0"

    def test_what_was_forgotten_is_missed_and_not_presented(self) -> None:
        reliable = begun(5)
        reliable.forget()
        assert reliable.last is None
        assert not reliable.begin("t", 0, recovered=False, resumed=False, now=0.0)

    def test_of_somebody_else_nothing_is_missed(self) -> None:
        reliable = begun(5)
        reliable.reset()
        assert reliable.last is None
        assert reliable.begin("t", 0, recovered=False, resumed=False, now=0.0)


class TestAcknowledging:
    def test_nothing_to_say_at_first(self) -> None:
        assert begun(5).ack_in(0.0) is None

    def test_within_a_second_of_the_first_that_came(self) -> None:
        reliable = begun()
        reliable.take(1, 10.0)
        reliable.take(2, 10.0 + ACK_AFTER_S / 2)
        assert reliable.ack_in(10.0) == pytest.approx(ACK_AFTER_S)
        assert ACK_AFTER_S < 1.0
        assert reliable.ack_in(11.0) == 0.0
        assert reliable.ack() == 2
        assert reliable.ack_in(11.0) is None

    def test_or_when_there_are_many(self) -> None:
        reliable = begun()
        for seq in range(1, ACK_COUNT):
            reliable.take(seq, 0.0)
        assert reliable.ack_in(0.0) == pytest.approx(ACK_AFTER_S)
        reliable.take(ACK_COUNT, 0.0)
        assert reliable.ack_in(0.0) == 0.0
        assert reliable.ack() == ACK_COUNT

    def test_a_resumed_session_hears_at_once_that_the_client_got_through(self) -> None:
        reliable = begun(5)
        reliable.begin("s", 5, recovered=True, resumed=True, now=7.0)
        assert reliable.ack_in(7.0) == 0.0
        assert reliable.ack() == 5
        reliable.begin("t", 0, recovered=False, resumed=False, now=8.0)
        assert reliable.ack_in(8.0) is None  # a new session has sent nothing

    def test_what_comes_again_is_acknowledged_again(self) -> None:
        """The acknowledgement may be what got lost."""
        reliable = begun(5)
        reliable.take(5, 1.0)
        assert reliable.ack_in(1.0) == pytest.approx(ACK_AFTER_S)
        assert reliable.ack() == 5
