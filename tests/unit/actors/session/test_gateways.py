"""Which gateways are heard."""

from __future__ import annotations

from actors.session.gateways import KEPT_S, GatewayWatch


def test_a_gateway_is_silent_after_its_time() -> None:
    watch = GatewayWatch(4.0)
    watch.known("gtw_a", 100.0)
    assert not watch.silent("gtw_a", 104.0)
    assert watch.silent("gtw_a", 104.1)
    watch.heard("gtw_a", 104.1)
    assert not watch.silent("gtw_a", 108.0)


def test_no_gateway_and_one_never_heard_of_are_not_silent() -> None:
    watch = GatewayWatch(4.0)
    assert not watch.silent("", 1e9)
    assert not watch.silent("gtw_x", 1e9)


def test_what_was_taken_is_told_once_when_it_comes_back() -> None:
    watch = GatewayWatch(4.0)
    watch.take("gtw_a", "ses_1", 2, 100.0)
    watch.take("gtw_a", "ses_2", 5, 101.0)
    watch.take("gtw_b", "ses_3", 1, 101.0)
    assert watch.heard("gtw_a", 110.0) == {"ses_1": 2, "ses_2": 5}
    assert watch.heard("gtw_a", 111.0) == {}
    assert watch.heard("gtw_b", 111.0) == {"ses_3": 1}


def test_nothing_is_kept_for_good() -> None:
    watch = GatewayWatch(4.0)
    watch.known("gtw_used", 0.0)
    watch.heard("gtw_gone", 0.0)
    watch.take("gtw_gone", "ses_1", 1, 0.0)
    watch.forget({"gtw_used"}, 10.0)
    assert watch.silent("gtw_used", 10.0)
    assert not watch.silent("gtw_gone", 10.0), "forgotten"
    assert watch.heard("gtw_gone", 11.0) == {"ses_1": 1}
    watch.take("gtw_gone", "ses_1", 1, 0.0)
    watch.forget(set(), KEPT_S + 1)
    assert watch.heard("gtw_gone", KEPT_S + 2) == {}


def test_who_was_stopped_itself_heard_nobody() -> None:
    watch = GatewayWatch(4.0)
    watch.known("gtw_a", 100.0)
    watch.look(100.0)
    watch.look(102.0)
    assert watch.silent("gtw_a", 104.1), "looking alone is not hearing"
    watch.look(104.1)
    assert not watch.silent("gtw_a", 108.0)
    watch.look(106.0)
    watch.look(108.0)
    assert watch.silent("gtw_a", 108.2)


def test_who_is_deaf_blames_nobody() -> None:
    watch = GatewayWatch(4.0)
    watch.known("gtw_a", 100.0)
    for second in range(101, 110):
        watch.look(float(second), deaf=second >= 103)
    assert not watch.silent("gtw_a", 109.5)
    watch.look(111.0)
    assert not watch.silent("gtw_a", 113.0), "it has its whole time again"
    watch.look(113.0)
    assert watch.silent("gtw_a", 113.5)
