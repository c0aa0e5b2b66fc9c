"""A gateway gives up its sockets: everyone is told once, at a steady rate, and it is over before the deadline."""

from __future__ import annotations

from itertools import pairwise

import pytest

from cluster.settings import GatewaySettings
from serve_apps.gateway.drain import Drain, DrainStep

START = 1_000.0
KUBERNETES_S = 30.0


def sessions(count: int) -> list[str]:
    return [f"ses_{number}" for number in range(count)]


def run(drain: Drain, attached: list[str], every_s: float, leave: bool) -> list[tuple[float, DrainStep]]:
    """Steps until it is done; clients that were told leave at once, if they `leave`, and all when they are closed."""
    steps, now = [], START
    while True:
        step = drain.step(now, attached)
        steps.append((now - START, step))
        if step.close:
            attached = []
        elif leave:
            attached = [session for session in attached if session not in step.tell]
        if step.done:
            return steps
        now += every_s


def told(steps: list[tuple[float, DrainStep]]) -> list[str]:
    return [session for _, step in steps for session in step.tell]


@pytest.mark.parametrize("leave", [True, False], ids=["they go", "they stay"])
@pytest.mark.parametrize("every_s", [0.02, 0.1, 0.5])
@pytest.mark.parametrize("count", [1, 3, 500, 4_000])
def test_everyone_is_told_once_in_the_first_half(count: int, every_s: float, leave: bool) -> None:
    steps = run(Drain(START, 20.0, 0.5), sessions(count), every_s, leave)
    assert sorted(told(steps)) == sorted(sessions(count))
    assert max(at for at, step in steps if step.tell) <= 10.0
    assert any(step.close for _, step in steps) is not leave


def test_the_rate_is_steady() -> None:
    steps = run(Drain(START, 20.0, 0.5), sessions(500), 0.02, leave=True)
    batches = [(at, len(step.tell)) for at, step in steps if step.tell]
    assert batches[0][0] == pytest.approx(2.5, abs=0.03)
    assert {count for _, count in batches[:-1]} <= {33, 34}
    gaps = [later - earlier for (earlier, _), (later, _) in pairwise(batches)]
    assert min(gaps) > 0.45
    assert max(gaps) < 0.55


def test_few_are_not_kept_waiting() -> None:
    steps = run(Drain(START, 20.0, 0.5), sessions(3), 0.1, leave=True)
    assert max(at for at, step in steps if step.tell) < 2.5 + 1.2
    assert steps[-1][0] < 2.5 + 2.0


@pytest.mark.parametrize(("deadline_s", "first_s"), [(25.0, 2.5), (8.0, 1.0), (1.0, 0.125)])
def test_nobody_is_told_before_the_proxies_have_noticed(deadline_s: float, first_s: float) -> None:
    steps = run(Drain(START, deadline_s, 0.5), sessions(100), 0.02, leave=True)
    first = min(at for at, step in steps if step.tell)
    assert first == pytest.approx(first_s, abs=0.03)


def test_hastened_it_does_not_wait_for_the_proxies_again() -> None:
    drain = Drain(START, 20.0, 0.5)
    assert drain.step(START + 2.0, sessions(10)) == DrainStep()
    drain.hasten(START + 2.0, 4.0)
    assert drain.step(START + 2.0, sessions(10)).tell


def test_who_is_told_has_the_time_to_go() -> None:
    steps = run(Drain(START, 20.0, 0.5), sessions(500), 0.1, leave=False)
    closing = next(at for at, step in steps if step.close)
    for at, step in steps:
        if step.tell:
            assert 0.5 <= step.within_s <= 5.0
            assert at + step.within_s < closing


def test_the_defaults_end_before_kubernetes_kills() -> None:
    limits = GatewaySettings()
    drain = Drain(START, limits.drain_s, limits.drain_batch_s)
    closing, over = drain.close_at - START, drain.deadline - START
    assert closing + 2.0 < over < KUBERNETES_S - 5.0


def test_a_stalled_gateway_makes_up_for_it() -> None:
    drain = Drain(START, 20.0, 0.5)
    attached = sessions(500)
    assert len(drain.step(START + 2.5, attached).tell) == 34
    # 13 batches would have gone by; the one that is left has the rest.
    assert len(drain.step(START + 9.8, attached).tell) == 466


def test_stalled_beyond_the_half_everyone_is_told_at_once() -> None:
    step = Drain(START, 20.0, 0.5).step(START + 16.9, sessions(500))
    assert len(step.tell) == 500
    assert not step.close
    assert step.within_s == pytest.approx(0.1)


def test_after_the_deadline_it_closes_and_is_done() -> None:
    assert Drain(START, 20.0, 0.5).step(START + 20.0, sessions(2)) == DrainStep(close=True, done=True)


def test_no_clients_no_waiting() -> None:
    assert Drain(START, 20.0, 0.5).step(START, []) == DrainStep(done=True)


@pytest.mark.parametrize("deadline_s", [0.0, -1.0])
def test_no_time_at_all(deadline_s: float) -> None:
    assert Drain(START, deadline_s, 0.5).step(START, sessions(5)) == DrainStep(close=True, done=True)


def test_a_short_deadline_keeps_its_proportions() -> None:
    steps = run(Drain(START, 2.0, 0.5), sessions(100), 0.02, leave=False)
    assert max(at for at, step in steps if step.tell) <= 1.0
    assert {step.within_s for _, step in steps if step.tell} == {0.5}
    assert next(at for at, step in steps if step.close) == pytest.approx(1.6, abs=0.03)


def test_the_earlier_deadline_counts() -> None:
    drain = Drain(START, 60.0, 0.5)
    attached = sessions(600)
    first = drain.step(START, attached).tell
    drain.hasten(START + 1.0, 100.0)
    assert drain.deadline == START + 60.0
    drain.hasten(START + 1.0, 10.0)
    assert drain.deadline == START + 11.0
    later: list[str] = []
    now = START + 1.0
    while not (step := drain.step(now, attached)).close:
        later += step.tell
        now += 0.1
    assert now == pytest.approx(START + 9.0, abs=0.11)
    assert sorted((*first, *later)) == sorted(attached)  # nobody twice


def test_who_left_meanwhile_takes_no_place_in_a_batch() -> None:
    drain = Drain(START, 20.0, 0.5)
    drain.step(START + 2.5, sessions(500))
    left = sessions(500)[400:]
    assert drain.step(START + 3.0, left).tell == tuple(left[:8])  # 100 over 14 batches
