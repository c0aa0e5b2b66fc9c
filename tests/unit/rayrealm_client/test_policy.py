"""The close-code table and the backoff, with the time and the dice in the test's hands."""

from __future__ import annotations

import random
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rayrealm_client.policy import Backoff, Reconnect, Step, after_close, after_refusal


@dataclass
class Dice:
    value: float = 0.5

    def random(self) -> float:
        return self.value


@pytest.mark.parametrize(
    ("code", "step"),
    [
        (1000, Step.STOP),
        (1001, Step.RETRY),
        (1002, Step.STOP),
        (1003, Step.STOP),
        (1006, Step.RETRY),
        (1007, Step.STOP),
        (1009, Step.STOP),
        (1011, Step.RETRY),
        (1012, Step.AT_ONCE),
        (1013, Step.RETRY),
        (4000, Step.FRESH),
        (4001, Step.RETRY),
        (4002, Step.RETRY),
        (4003, Step.LATER),
        (4499, Step.RETRY),
        (4500, Step.STOP),
        (4501, Step.RENEW),
        (4502, Step.STOP),
        (4503, Step.STOP),
        (4999, Step.STOP),
    ],
)
def test_close_codes(code: int, step: Step) -> None:
    assert after_close(code) is step


@pytest.mark.parametrize(
    ("status", "step"),
    [
        (400, Step.STOP),
        (401, Step.RENEW),
        (403, Step.STOP),
        (404, Step.STOP),
        (429, Step.RETRY),
        (502, Step.RETRY),
        (503, Step.RETRY),
        (504, Step.RETRY),
    ],
)
def test_refusals(status: int, step: Step) -> None:
    assert after_refusal(status) is step


@pytest.mark.parametrize(
    ("status", "reason", "step"),
    [
        (401, "recovery_invalid", Step.UNRECOVERED),
        (401, "recovery_expired", Step.UNRECOVERED),
        (401, "token_missing", Step.UNRECOVERED),  # whoever does not know recovery asks for a token
        (400, "bad_sequence", Step.UNNUMBERED),
        (400, "bad_request", Step.STOP),
        (403, "recovery_superseded", Step.STOP),
        (403, "banned", Step.STOP),
        (409, "session_attached", Step.STOP),
        (503, "draining", Step.RETRY),
    ],
)
def test_refusals_of_a_recovery(status: int, reason: str, step: Step) -> None:
    assert after_refusal(status, reason, recovering=True) is step


def test_a_number_may_be_refused_beside_an_access_token() -> None:
    assert after_refusal(400, "bad_sequence") is Step.UNNUMBERED


class TestBackoff:
    def test_the_ceiling_doubles_to_the_cap(self) -> None:
        backoff = Backoff(0.5, 20.0)
        assert [backoff.delay(n, Dice(1.0)) for n in range(8)] == [0.5, 1, 2, 4, 8, 16, 20, 20]

    @given(st.integers(0, 10_000), st.randoms(use_true_random=False))
    def test_full_jitter(self, attempt: int, rng: random.Random) -> None:
        assert 0.0 <= Backoff().delay(attempt, rng) <= 20.0

    def test_it_spreads_from_nothing_to_the_ceiling(self) -> None:
        rng = random.Random(1)
        delays = [Backoff().delay(2, rng) for _ in range(1_000)]
        assert min(delays) < 0.1
        assert max(delays) > 1.9


class TestReconnect:
    def test_delays_grow_until_a_connection_proves_stable(self) -> None:
        policy, now = Reconnect(), 0.0
        assert [policy.lost(Step.RETRY, now, Dice(1.0)) for _ in range(3)] == [0.5, 1.0, 2.0]
        policy.opened(10.0)
        assert policy.lost(Step.RETRY, 12.0, Dice(1.0)) == 4.0  # two seconds prove nothing
        policy.opened(20.0)
        assert policy.lost(Step.RETRY, 25.0, Dice(1.0)) == 0.5

    def test_at_once_is_at_once_only_the_first_time(self) -> None:
        policy = Reconnect()
        assert policy.lost(Step.AT_ONCE, 0.0, Dice(1.0)) == 0.0
        assert policy.lost(Step.AT_ONCE, 0.0, Dice(1.0)) == 1.0

    def test_the_server_says_how_long(self) -> None:
        assert Reconnect().lost(Step.RETRY, 0.0, Dice(0.5), 3.0) == 3.25

    @pytest.mark.parametrize("step", [Step.RETRY, Step.AT_ONCE, Step.RENEW])
    def test_a_crowd_that_was_told_the_same_does_not_come_back_as_one(self, step: Step) -> None:
        rng = random.Random(1)
        delays = [Reconnect().lost(step, 0.0, rng, 2.0) for _ in range(1_000)]
        assert all(delay is not None and 2.0 <= delay <= 2.5 for delay in delays)
        assert len({round(delay or 0, 2) for delay in delays}) > 40

    def test_a_thousand_lost_sockets_come_back_spread_over_half_a_second(self) -> None:
        rng = random.Random(1)
        delays = sorted(Reconnect().lost(after_close(1006), 0.0, rng) or 0.0 for _ in range(1_000))
        tenths = [sum(low <= delay < low + 0.1 for delay in delays) for low in (0.0, 0.1, 0.2, 0.3, 0.4)]
        assert all(150 < count < 250 for count in tenths)

    def test_a_renewed_token_that_is_refused_at_once_is_the_end(self) -> None:
        policy = Reconnect()
        assert policy.lost(Step.RENEW, 0.0, Dice()) == 0.0
        assert policy.lost(Step.RENEW, 1.0, Dice()) is None

    def test_a_token_may_be_renewed_again_once_it_was_good_for_something(self) -> None:
        policy = Reconnect()
        policy.lost(Step.RENEW, 0.0, Dice())
        policy.opened(0.0)
        assert policy.lost(Step.RENEW, 1.0, Dice(1.0)) == 1.0  # with backoff, while nothing is stable
        policy.opened(2.0)
        assert policy.lost(Step.RENEW, 900.0, Dice()) == 0.0

    def test_stop_is_stop(self) -> None:
        assert Reconnect().lost(Step.STOP, 0.0, Dice()) is None

    def test_it_gives_up_after_failing_for_long(self) -> None:
        policy = Reconnect(give_up_s=60.0)
        assert policy.lost(Step.RETRY, 0.0, Dice()) is not None
        assert policy.lost(Step.RETRY, 60.0, Dice()) is not None
        assert policy.lost(Step.RETRY, 60.1, Dice()) is None

    def test_a_realm_that_is_closed_for_maintenance_is_waited_for(self) -> None:
        policy = Reconnect(give_up_s=60.0)
        rng = random.Random(1)
        for now in range(0, 7_200, 60):
            assert policy.lost(Step.RETRY, float(now), rng, 60.0, closed=True) is not None
        assert policy.lost(Step.RETRY, 7_200.0, rng) is not None, "what comes after that begins anew"
        assert policy.lost(Step.RETRY, 7_261.0, rng) is None

    def test_or_never(self) -> None:
        policy = Reconnect(give_up_s=None)
        assert all(policy.lost(Step.RETRY, day * 86_400.0, Dice()) is not None for day in range(100))
