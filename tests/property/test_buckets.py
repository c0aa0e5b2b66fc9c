"""Whatever is asked when: in no stretch of time more than the burst and what came back meanwhile."""

from __future__ import annotations

from itertools import accumulate

from hypothesis import given
from hypothesis import strategies as st

from cluster.security_settings import LimitSettings, Rate
from cluster.token_bucket import Bucket
from serve_apps.gateway.limits.meter import Meter, Share

SLACK = 0.0015
TINY = 1e-6
RATES = st.floats(0.01, 10_000.0)
BURSTS = st.integers(1, 50)
PAUSES = st.lists(st.one_of(st.just(0.0), st.floats(0.0, 10.0), st.floats(0.0, 0.01)), min_size=1, max_size=120)


def within(taken: list[tuple[float, int]], per_s: float, burst: int, extra: int = 0) -> None:
    """Over every stretch between two that were let in."""
    for first, (begin, _) in enumerate(taken):
        total = 0
        for end, cost in taken[first:]:
            total += cost
            assert total <= burst + (end - begin) * per_s * (1 + TINY) + extra + SLACK


@given(RATES, BURSTS, PAUSES)
def test_a_bucket_never_gives_more(per_s: float, burst: int, pauses: list[float]) -> None:
    bucket, taken = Bucket(per_s, burst), []
    for now in accumulate(pauses, initial=1e8):
        wait = bucket.take(now)
        if wait == 0.0:
            taken.append((now, 1))
        else:
            assert 0.0 < wait <= 1.0 / per_s * (1 + SLACK)
    within(taken, per_s, burst)
    assert taken, "the first of all is always let in"


@given(RATES, BURSTS, PAUSES)
def test_nor_less_to_who_asks_all_the_time(per_s: float, burst: int, pauses: list[float]) -> None:
    """Asking again after what it said succeeds."""
    bucket, now = Bucket(per_s, burst), 1e8
    for pause in pauses:
        now += pause
        wait = bucket.take(now)
        if wait:
            now += wait + TINY
            assert bucket.take(now) == 0.0


@given(
    RATES,
    BURSTS,
    st.lists(st.tuples(st.integers(0, 3), st.floats(0.0, 0.5), st.integers(0, 9_000)), min_size=1, max_size=120),
)
def test_sockets_of_a_user_together_never_get_more(
    per_s: float, burst: int, asked: list[tuple[int, float, int]]
) -> None:
    """Any interleaving of four sockets; the last frame may be larger than what is left, which is a debt."""
    limits = LimitSettings(user=Rate(per_s=per_s, burst=burst), unit_bytes=1_000)
    share, address, in_all = Share(limits), Bucket(per_s * 2, burst * 2), Bucket(per_s * 3, burst * 3)
    meters = [Meter(share, address, in_all, limits) for _ in range(4)]
    now, taken = 1e8, []
    for which, pause, size in asked:
        now += pause
        if meters[which].frame(size, now) == 0.0:
            taken.append((now, max(1, -(-size // 1_000))))
    within(taken, per_s, burst, extra=8)
