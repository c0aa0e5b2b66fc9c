"""What one client may send."""

from __future__ import annotations

from typing import Any

import pytest

from cluster.security_settings import LimitSettings, Rate
from cluster.token_bucket import Bucket, bottomless
from serve_apps.gateway.limits.meter import Meter, Share, unmetered

MOVE_BYTES = 40


class Rig:
    def __init__(self, premium: bool = False, **settings: Any) -> None:
        self.limits = LimitSettings(**{"user": Rate(per_s=10.0, burst=5), **settings})
        self.share = Share(self.limits, premium)
        self.counts: dict[str, int] = {}
        self.address, self.all = bottomless(), bottomless()

    def meter(self) -> Meter:
        return Meter(self.share, self.address, self.all, self.limits, self.counts)


def let_in(meter: Meter, count: int, now: float = 0.0, size: int = MOVE_BYTES) -> int:
    return sum(meter.frame(size, now) == 0.0 for _ in range(count))


class TestFrames:
    def test_the_users_limit_is_that_of_all_its_sockets(self) -> None:
        rig = Rig()
        one, other = rig.meter(), rig.meter()
        assert (let_in(one, 3), let_in(other, 9), let_in(one, 9)) == (3, 2, 0)
        assert one.limit == "user"
        assert rig.counts == {"user": 16}
        assert let_in(one, 9, now=0.1) == 1

    def test_how_long_to_wait(self) -> None:
        meter = Rig().meter()
        let_in(meter, 5)
        assert meter.frame(0, 0.0) == pytest.approx(0.1, rel=0.003)

    @pytest.mark.parametrize("which", ["address", "all"])
    def test_limits_with_others(self, which: str) -> None:
        rig = Rig()
        setattr(rig, which, Bucket(1.0, 3))
        meter = rig.meter()
        assert let_in(meter, 5) == 3
        assert meter.limit == which
        assert rig.share.bucket.full_at == pytest.approx(0.3, rel=0.003), (
            "what another limit refused the user has still"
        )

    def test_what_the_user_is_refused_costs_neighbours_nothing(self) -> None:
        rig = Rig()
        rig.address, rig.all = Bucket(1.0, 100), Bucket(1.0, 100)
        let_in(rig.meter(), 1_000)
        assert rig.address.full_at == rig.all.full_at == pytest.approx(5.0, rel=0.003)

    def test_large_ones_count_several_times(self) -> None:
        rig = Rig(unit_bytes=1_000)
        meter = rig.meter()
        assert meter.frame(1_000, 0.0) == 0.0
        assert rig.share.bucket.full_at == pytest.approx(0.1, rel=0.003)
        assert meter.frame(3_001, 0.0) == 0.0
        assert rig.share.bucket.full_at == pytest.approx(0.5, rel=0.003)
        assert meter.frame(1, 0.0) > 0.0

    def test_one_larger_than_the_burst_is_let_in_once_there_is_room_for_one(self) -> None:
        meter = Rig(unit_bytes=1_000).meter()
        assert meter.frame(20_000, 0.0) == 0.0
        assert meter.frame(1, 0.0) == pytest.approx(1.6, rel=0.003)

    def test_without_a_registry_all_is_let_in(self) -> None:
        meter = unmetered()
        assert let_in(meter, 10_000, size=100_000) == 10_000
        assert meter.method("auth.refresh", 0.0) == 0.0


class TestMethods:
    def test_each_has_its_own(self) -> None:
        meter = Rig(methods={"a.b": Rate(per_s=1.0, burst=2), "c.d": Rate(per_s=1.0, burst=1)}).meter()
        assert [meter.method("a.b", 0.0) for _ in range(3)] == [0.0, 0.0, pytest.approx(1.0, rel=0.003)]
        assert meter.limit == "method"
        assert [meter.method("c.d", 0.0) > 0.0 for _ in range(2)] == [False, True]
        assert [meter.method("e.f", 0.0) for _ in range(100)] == [0.0] * 100

    def test_sockets_of_a_user_share_them(self) -> None:
        rig = Rig(methods={"a.b": Rate(per_s=1.0, burst=1)})
        assert rig.meter().method("a.b", 0.0) == 0.0
        assert rig.meter().method("a.b", 0.0) > 0.0


class TestRates:
    def test_premium(self) -> None:
        assert let_in(Rig(True).meter(), 50) == 10

    def test_becoming_premium(self) -> None:
        rig = Rig(methods={"a.b": Rate(per_s=1.0, burst=2)})
        meter = rig.meter()
        meter.method("a.b", 0.0)
        assert let_in(meter, 50) == 5
        meter.sweep(True, 0.0)
        assert let_in(meter, 50) == 0, "what is empty stays so, and fills faster"
        assert let_in(meter, 50, now=0.1) == 2
        assert sum(meter.method("a.b", 0.0) == 0.0 for _ in range(9)) == 2, "half full stays half full"
        meter.sweep(False, 100.0)
        assert let_in(meter, 50, now=100.0) == 5

    def test_slower_for_a_while(self) -> None:
        rig = Rig(methods={"a.b": Rate(per_s=10.0, burst=10)})
        meter = rig.meter()
        meter.slow(5.0, until=60.0)
        assert let_in(meter, 50) == 1
        assert let_in(meter, 50, now=0.49) == 0
        assert let_in(meter, 50, now=0.5) == 1
        assert sum(meter.method("a.b", 0.5) == 0.0 for _ in range(9)) == 2
        meter.sweep(False, 59.0)
        assert let_in(meter, 50, now=59.0) == 1
        meter.sweep(False, 60.0)
        assert let_in(meter, 50, now=70.0) == 5

    def test_slow_is_never_faster(self) -> None:
        meter = Rig().meter()
        meter.slow(0.01, until=60.0)
        assert let_in(meter, 50) == 5


class TestStrikes:
    def test_so_many_refusals_in_a_window(self) -> None:
        meter = Rig(strikes=4, strike_window_s=10.0).meter()
        let_in(meter, 5 + 3)
        assert not meter.flooding
        let_in(meter, 1)
        assert meter.flooding

    def test_sockets_of_a_user_share_them(self) -> None:
        rig = Rig(strikes=6)
        one, other = rig.meter(), rig.meter()
        let_in(one, 5 + 3)
        let_in(other, 2)
        assert (one.flooding, other.flooding) == (False, False)
        let_in(other, 1)
        assert (one.flooding, other.flooding) == (False, True)
        late = rig.meter()
        let_in(late, 5)
        assert not late.flooding, "one socket is closed for them, and they are counted anew"
        let_in(late, 1)
        assert late.flooding

    def test_a_new_window_begins_anew(self) -> None:
        meter = Rig(strikes=4, strike_window_s=10.0, methods={"a.b": Rate(per_s=0.01, burst=1)}).meter()
        for now in (0.0, 1.0, 2.0, 3.0, 20.0, 21.0, 22.0):
            meter.method("a.b", now)
        assert not meter.flooding
        meter.method("a.b", 23.0)
        assert meter.flooding

    @pytest.mark.parametrize("which", ["address", "all"])
    def test_the_fault_of_others_is_no_strike(self, which: str) -> None:
        rig = Rig(strikes=1)
        setattr(rig, which, Bucket(1.0, 1))
        meter = rig.meter()
        let_in(meter, 100)
        assert not meter.flooding
        assert (meter.refused, meter.refused_own) == (99, 0)

    def test_ones_own_refusals(self) -> None:
        rig = Rig(methods={"a.b": Rate(per_s=1.0, burst=1)})
        rig.address = Bucket(100.0, 3)
        meter = rig.meter()
        let_in(meter, 5)
        let_in(meter, 10, now=0.05)
        meter.method("a.b", 0.05)
        meter.method("a.b", 0.05)
        assert rig.counts == {"address": 2, "user": 8, "method": 1}
        assert (meter.refused, meter.refused_own) == (11, 9)

    def test_only_so_many_refused_frames_are_read(self) -> None:
        meter = Rig().meter()
        assert sum(meter.answers(0.0) for _ in range(1_000)) == 40
        assert sum(meter.answers(1.0) for _ in range(1_000)) == 20
