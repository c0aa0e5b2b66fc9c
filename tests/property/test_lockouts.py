"""However guesses are spread, in the long run there is one for each `max_lock_s` (cluster/ports/lockouts.py)."""

from __future__ import annotations

import asyncio
import math

from hypothesis import given
from hypothesis import strategies as st

from cluster.adapters.memory.lockouts import MemoryLockouts
from cluster.ports.lockouts import LockRule

RULES = st.builds(
    lambda failures, first, longest: LockRule(failures, first, max(first, longest)),
    st.integers(1, 12),
    st.floats(1.0, 600.0),
    st.floats(1.0, 3_600.0),
)


@given(RULES, st.integers(1, 200))
def test_locks_grow_and_are_kept_for_longer_than_they_last(rule: LockRule, failures: int) -> None:
    assert rule.lock(failures) <= rule.lock(failures + 1) <= rule.max_lock_s
    assert (rule.lock(failures) > 0) == (failures >= rule.failures)
    assert rule.kept(failures) > rule.lock(failures)


@given(RULES, st.lists(st.tuples(st.floats(0.0, 20_000.0), st.integers(1, 20)), max_size=60))
def test_no_schedule_of_guesses_gets_more(rule: LockRule, schedule: list[tuple[float, int]]) -> None:
    """`schedule`: (seconds of silence, guesses at once). What is above one for each `max_lock_s` is what comes before the locks
    have grown, once.
    """
    now, judged = 0.0, 0
    lockouts = MemoryLockouts(lambda: now)

    async def guesses() -> None:
        nonlocal now, judged
        for silence, count in schedule:
            now += silence
            for _ in range(count):
                judged += await lockouts.guess("ada", "203.0.113.9", rule) == 0.0

    asyncio.run(guesses())
    growing = math.ceil(math.log2(rule.max_lock_s / rule.lock_s)) + 1
    assert judged <= now / rule.max_lock_s + rule.failures + growing


@given(RULES, st.lists(st.sampled_from(["guess", "unjudged", "right", "wait"]), max_size=80))
def test_the_owner_at_home_is_locked_by_own_failures_alone(rule: LockRule, steps: list[str]) -> None:
    """Strangers do what they like; from a known address there are always `failures` guesses after a success."""
    now = 0.0
    lockouts = MemoryLockouts(lambda: now)

    async def play() -> None:
        nonlocal now
        await lockouts.guess("ada", "home", rule)
        await lockouts.right("ada", "home")
        for number, step in enumerate(steps):
            stranger = f"203.0.113.{number % 5}"
            if step == "guess":
                await lockouts.guess("ada", stranger, rule)
            elif step == "unjudged":
                await lockouts.unjudged("ada", stranger, rule)
            elif step == "wait":
                now += rule.lock_s
            else:
                assert await lockouts.guess("ada", "home", rule) == 0.0
                await lockouts.right("ada", "home")
        assert [await lockouts.guess("ada", "home", rule) for _ in range(rule.failures)] == [0.0] * rule.failures

    asyncio.run(play())
