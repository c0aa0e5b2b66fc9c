"""The schedule: replayable, complete, and with time to recover."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster.chaos.schedule import FROZEN_S, KINDS, LEAD_S, kinds_for, plan, traits_of

SOME_KINDS = st.lists(st.sampled_from(sorted(KINDS)), min_size=1, unique=True)


@given(st.integers(), st.floats(1.0, 600.0), SOME_KINDS)
def test_a_seed_is_one_schedule(seed: int, seconds: float, kinds: list[str]) -> None:
    assert plan(seed, seconds, kinds) == plan(seed, seconds, kinds[::-1])


@given(st.integers(), st.floats(1.0, 600.0), SOME_KINDS)
def test_every_fault_has_its_quiet_time(seed: int, seconds: float, kinds: list[str]) -> None:
    faults = plan(seed, seconds, kinds)
    ends = [fault.at + fault.lasts_s + KINDS[fault.kind].quiet_s for fault in faults]
    starts = [fault.at for fault in faults[1:]] + [seconds]
    assert all(end <= start + 0.01 for end, start in zip(ends, starts, strict=False))
    assert all(fault.at >= LEAD_S and 0.0 <= fault.pick <= 1.0 and fault.kind in kinds for fault in faults)
    assert [fault.number for fault in faults] == list(range(1, len(faults) + 1))
    for fault in faults:
        low, high = KINDS[fault.kind].lasts_s
        assert low <= fault.lasts_s <= high


@given(st.integers(), st.floats(130.0, 600.0), st.booleans())
def test_two_minutes_have_room_for_each_kind(seed: int, seconds: float, standby: bool) -> None:
    kinds = kinds_for(own=True, standby=standby)
    assert {fault.kind for fault in plan(seed, seconds - (0 if standby else 10), kinds, standby)} == set(kinds)


@given(st.integers(), SOME_KINDS)
def test_no_kind_comes_again_before_all_others(seed: int, kinds: list[str]) -> None:
    drawn = [fault.kind for fault in plan(seed, 400.0, kinds)]
    for start in range(0, len(drawn) - len(kinds), len(kinds)):
        assert set(drawn[start : start + len(kinds)]) == set(kinds)


def test_seeds_differ() -> None:
    assert len({tuple(fault.kind for fault in plan(seed, 120.0)) for seed in range(50)}) == 50


def test_a_short_run_has_fewer() -> None:
    assert 1 <= len(plan(1, 20.0)) <= 4
    assert plan(1, 1.0) == []


def test_what_a_foreign_realm_cannot_bear_is_left_out() -> None:
    assert "redis_slow" not in kinds_for(own=False)
    assert {"gateway", "zone", "redis_restart"} <= set(kinds_for(own=False))
    assert set(kinds_for(own=True)) == KINDS.keys() - {"standby"}
    assert not {"split", "merge"} & set(kinds_for(own=False))  # its world stays as it is


def test_with_standbys() -> None:
    assert set(kinds_for(own=True, standby=True)) == KINDS.keys() - {"zone"}
    assert traits_of("freeze", standby=True).lasts_s == (FROZEN_S, FROZEN_S)
    assert traits_of("freeze") == KINDS["freeze"]
    (fault,) = plan(1, 30.0, ["freeze"], standby=True)
    assert fault.lasts_s == FROZEN_S


@pytest.mark.parametrize("kinds", [[], ["gateway", "earthquake"]])
def test_unknown_kinds_are_refused(kinds: list[str]) -> None:
    with pytest.raises(ValueError, match=r"no (such )?faults"):
        plan(1, 60.0, kinds)
