"""What the supervisor decides by itself, and that it does not change its mind all the time."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.world.policy import Decision, Policy, Verdict
from actors.world.seen import ZoneSeen
from cluster.ports.actors import Node
from cluster.world_settings import PolicySettings
from cluster.worldmap import MapZone, WorldMap, retired
from tests.unit.actors.world.lands import EAST, HEAD, NODES, WEST, A, B, C, ground, row, seen, zone

SETTINGS = PolicySettings()
ONE = WorldMap(1, (zone(A, 0, 0, 200, 200),))
PARTS = WorldMap(2, (zone(A, 0, 0, 100, 200), zone("zon_a_2", 100, 0, 200, 200, declared=A)))
HOT = {"tick_ms_p95": 40.0, "population": 100}
QUIET = {"tick_ms_p95": 3.0, "population": 10}
OLD, NEW, THIRD = (Node(letter * 56, name) for letter, name in (("a", "old"), ("b", "new"), ("c", "third")))


class Run:
    """A policy that looks every 5 s."""

    def __init__(self, world: WorldMap, nodes: tuple[Node, ...] = (OLD,), **more: object) -> None:
        self.policy = Policy(SETTINGS.model_copy(update=more), capacity=5_000)
        self.world, self.nodes, self.now = world, nodes, 0.0
        self.zones: dict[str, ZoneSeen] = {}

    def see(self, zone_id: str, **more: object) -> None:
        self.zones[zone_id] = seen(zone_id, **{"node": OLD.id, **more})  # type: ignore[arg-type]

    def look(self, busy: str = "") -> Verdict:
        self.now += 5.0
        return self.policy.decide(self.now, self.world, self.zones, self.nodes, busy)

    def until(self, seconds: float) -> tuple[Decision | None, float]:
        """The first decision within that time, and after how long it came."""
        start = self.now
        while self.now - start < seconds:
            if (decision := self.look().decision) is not None:
                return decision, self.now - start
        return None, self.now - start


class TestSplit:
    def test_when_it_lasts(self) -> None:
        run = Run(ONE)
        run.see(A, **HOT)
        decision, after = run.until(300.0)
        assert decision == Decision(
            "split", (A,), "ticks of zon_a take 40.0 ms (p95) for 30 s, more than 35; it has 100 entities"
        )
        assert after == 35.0  # 30 s after it was first seen

    def test_a_moment_below_begins_again(self) -> None:
        run = Run(ONE)
        for n in range(100):
            run.see(A, **{**HOT, "tick_ms_p95": 34.0 if n % 6 == 5 else 60.0})
            assert run.look().decision is None

    @pytest.mark.parametrize(
        ("more", "world", "reason"),
        [
            ({"population": 59}, ONE, "it has 59 entities only"),
            ({}, row(A, side=79.0), "it is too small to be split"),
            ({}, WorldMap(1, (retired(ONE.zones[0], B),)), "it is too small to be split"),
        ],
    )
    def test_why_not(self, more: dict[str, object], world: WorldMap, reason: str) -> None:
        run = Run(world)
        run.see(A, **{**HOT, **more})
        assert run.until(60.0)[0] is None
        assert any(reason in said for said in run.look().reasons)

    def test_the_hottest_first(self) -> None:
        run = Run(row(A, B))
        run.see(A, **HOT)
        run.see(B, **{**HOT, "tick_ms_p95": 50.0})
        decision, _ = run.until(60.0)
        assert decision is not None
        assert decision.args == (B,)

    def test_what_was_refused_has_to_last_again(self) -> None:
        run = Run(ONE)
        run.see(A, **HOT)
        assert run.until(60.0)[0] is not None
        assert run.until(300.0)[1] == 35.0


class TestMerge:
    def test_quiet_parts_of_one_zone(self) -> None:
        run = Run(PARTS)
        run.see(A, **QUIET)
        run.see("zon_a_2", **QUIET)
        decision, after = run.until(300.0)
        assert decision is not None
        assert (decision.kind, decision.args, after) == ("merge", (A, "zon_a_2"), 35.0)
        assert "20 entities, ticks of 3.0 and 3.0 ms" in decision.why

    @pytest.mark.parametrize(
        ("world", "one", "other"),
        [
            (row(A, B), QUIET, QUIET),  # both are the operator's
            (PARTS, QUIET, {**QUIET, "tick_ms_p95": 8.1}),
            (PARTS, QUIET, {**QUIET, "population": 31}),
            (WorldMap(1, (PARTS.zones[0], retired(PARTS.zones[1], A))), QUIET, QUIET),
            (
                WorldMap(1, (PARTS.zones[0], MapZone("zon_a_2", "A", ground(100, 0, 200, 100), A))),
                QUIET,
                QUIET,
            ),
        ],
    )
    def test_what_is_not_merged(self, world: WorldMap, one: dict[str, object], other: dict[str, object]) -> None:
        run = Run(world)
        run.see(world.zones[0].id, **one)
        run.see(world.zones[1].id, **other)
        assert run.until(1_000.0)[0] is None

    def test_two_that_would_nearly_be_split_again(self) -> None:
        run = Run(PARTS, merge_tick_ms=10.0, merge_population=500)
        for name in (A, "zon_a_2"):
            run.see(name, tick_ms_p95=9.0, population=100)
        assert run.until(1_000.0)[0] is None  # 18 ms is more than half of 35

    def test_one_that_does_not_answer(self) -> None:
        run = Run(PARTS)
        run.see(A, **QUIET)
        assert run.until(1_000.0)[0] is None

    def test_what_was_split_lately_has_to_be_quiet_for_longer(self) -> None:
        run = Run(PARTS, cooldown_s=1.0)
        for times in range(1, 4):
            run.policy.changed(run.now, "split", A)
            run.see(A, **QUIET)
            run.see("zon_a_2", **QUIET)
            decision, after = run.until(2_000.0)
            assert decision is not None
            assert after == 30.0 * 2**times + 5.0


class TestNodes:
    def test_zones_go_to_a_node_that_joins_until_it_is_even(self) -> None:
        names = [f"zon_{letter}" for letter in "abcdef"]
        run = Run(row(*names))
        for name in names:
            run.see(name, **QUIET)
        assert run.look().decision is None
        run.nodes = (OLD, NEW)
        moved = []
        while (decision := run.look().decision) is not None:
            assert (decision.kind, decision.args[1]) == ("move", NEW.id)
            run.see(decision.args[0], node=NEW.id)
            run.policy.changed(run.now, "move", decision.args[0])
            moved.append(decision.args[0])
        assert len(moved) == len(set(moved)) == 3
        run.see(moved[0], node=OLD.id, **QUIET)  # by command: 4 and 2 now
        assert run.until(500.0)[0] is None

    def test_a_node_that_was_emptied_by_command_stays_empty_for_the_cool_down(self) -> None:
        run = Run(row(A, B), (OLD, NEW))
        run.see(A)
        run.see(B, node=NEW.id)
        assert run.look().decision is None
        run.see(B)
        run.policy.changed(run.now, "move", B)
        decision, after = run.until(500.0)
        assert decision is not None
        assert (decision.args[1], after) == (NEW.id, 120.0)

    def test_a_node_that_is_drained_no_more_is_filled_at_once(self) -> None:
        run = Run(row(A, B), (OLD, replace(NEW, draining=True)))
        run.see(A)
        run.see(B)
        run.policy.changed(run.now, "move", B)
        assert run.look().decision is None
        run.nodes = (OLD, NEW)
        decision = run.look().decision
        assert decision is not None
        assert decision.args[1] == NEW.id

    def test_the_load_is_evened_out(self) -> None:
        run = Run(row(A, B, C), (OLD, NEW))
        for name, work in ((A, 30.0), (B, 14.0), (C, 2.0)):
            run.see(name, tick_ms_p95=work)
        decision = run.look().decision
        assert decision is not None
        assert decision.args == (B, NEW.id)  # 30 would make the other one the busier

    def test_one_zone_more_is_not_uneven(self) -> None:
        run = Run(row(A), (OLD, NEW))
        run.see(A)
        assert run.look().decision is None

    def test_the_head_takes_none_if_there_is_another(self) -> None:
        run = Run(row(A, B, C), NODES)
        for name in (A, B, C):
            run.see(name, node=EAST)
        decision = run.look().decision
        assert decision is not None
        assert decision.args[1] == WEST
        run = Run(row(A, B, C), NODES[:1])
        for name in (A, B, C):
            run.see(name, node=HEAD)
        assert run.look().decision is None
        run.nodes = NODES[:2]
        decision = run.look().decision
        assert decision is not None
        assert decision.args[1] == EAST

    def test_nothing_is_spread_while_a_zone_is_away(self) -> None:
        run = Run(row(A, B, C), (OLD, NEW))
        run.see(A)
        run.see(B)
        verdict = run.look()
        assert (verdict.decision, verdict.reasons) == (None, ("zon_c does not answer",))

    def test_a_node_that_drains_is_emptied_at_once(self) -> None:
        run = Run(row(A, B, C), (OLD, NEW, THIRD))
        for name, node in ((A, OLD), (B, OLD), (C, NEW)):
            run.see(name, node=node.id)
        run.policy.changed(0.0, "split", A)
        run.nodes = (replace(OLD, draining=True), NEW, THIRD)
        decision = run.look().decision
        assert decision == Decision("move", (A, THIRD.id), "old (aaaaaaaa) drains, 2 zones are left there")
        run.see(A, node=THIRD.id)
        decision = run.look().decision
        assert decision is not None
        assert decision.args[0] == B

    def test_a_node_that_drains_and_nowhere_to_go(self) -> None:
        run = Run(row(A), (replace(OLD, draining=True),))
        run.see(A)
        verdict = run.look()
        assert verdict.decision is None
        assert "no other node takes its zones" in verdict.reasons[0]


class TestOff:
    def test_it_decides_nothing(self) -> None:
        run = Run(row(A, B, C), (OLD, NEW), enabled=False)
        for name in (A, B, C):
            run.see(name, **HOT)
        assert run.until(500.0)[0] is None
        assert run.look().reasons == ("world.policy.enabled is off",)

    def test_but_a_node_is_emptied_by_command(self) -> None:
        run = Run(row(A), (replace(OLD, draining=True), NEW), enabled=False)
        run.see(A)
        assert run.look().decision is None
        run.nodes = (replace(OLD, draining=True, by_command=True), NEW)
        assert run.look().decision is not None

    def test_one_at_a_time(self) -> None:
        run = Run(ONE)
        run.see(A, **HOT)
        for _ in range(20):
            assert run.look(busy="pln_1") == Verdict(None, ("plan pln_1 is being carried out",))
        assert run.look().decision is not None  # it has lasted all the while

    @pytest.mark.parametrize("kind", ["split", "merge"])
    def test_a_pause_after_a_change(self, kind: str) -> None:
        run = Run(ONE)
        run.see(A, **HOT)
        run.policy.changed(run.now, kind, A)  # type: ignore[arg-type]
        decision, after = run.until(500.0)
        assert (decision is not None, after) == (True, 120.0)

    def test_a_pause_that_began_before_this_supervisor(self) -> None:
        policy = Policy(SETTINGS, 5_000, changed_at=100.0)
        zones = {A: seen(A, tick_ms_p95=40.0, population=100)}
        decided = [now for now in range(0, 400, 5) if policy.decide(now, ONE, zones, (OLD,)).decision]
        assert decided[0] == 220


def changes(load: Callable[[float], float], hours: float = 3.0) -> list[tuple[float, str]]:
    """A declared zone and its parts under `load` (ms of tick work in all, 1 ms for 3 entities), and what is done about it."""
    policy, world = Policy(SETTINGS, 5_000), ONE
    done: list[tuple[float, str]] = []
    now = 0.0
    while now < hours * 3_600:
        now += SETTINGS.every_s
        work = load(now) / len(world.zones)
        zones = {z.id: seen(z.id, node=OLD.id, tick_ms_p95=work, population=int(work * 3)) for z in world}
        decision = policy.decide(now, world, zones, (OLD,)).decision
        if decision is None:
            continue
        done.append((now, decision.kind))
        if decision.kind == "split":
            half = world.find(decision.args[0])
            assert half is not None
            b = half.bounds
            middle = (b.min_z + b.max_z) / 2
            low, high = b.model_copy(update={"max_z": middle}), b.model_copy(update={"min_z": middle})
            world = world.changed(replace(half, bounds=low), MapZone(f"zon_a_{world.version + 1}", "A", high, A))
        else:
            a, b_ = (world.find(name) for name in decision.args)
            assert a is not None
            assert b_ is not None
            whole = a.bounds.model_copy(update={"min_z": min(a.bounds.min_z, b_.bounds.min_z)})
            whole = whole.model_copy(update={"max_z": max(a.bounds.max_z, b_.bounds.max_z)})
            world = world.changed(replace(a, bounds=whole), without=(b_.id,))
        now += 10.0
        policy.changed(now, decision.kind, A)
    return done


class TestFlapping:
    @settings(max_examples=25, deadline=None)
    @given(st.floats(10, 7_200), st.floats(0.0, 0.3), st.floats(0.85, 1.3), st.booleans())
    def test_a_load_around_the_threshold_splits_at_most_once(
        self, period: float, swing: float, centre: float, square: bool
    ) -> None:
        def load(now: float) -> float:
            wave = math.sin(2 * math.pi * now / period)
            return SETTINGS.split_tick_ms * (centre + swing * (math.copysign(1.0, wave) if square else wave))

        done = changes(load)
        assert [kind for _, kind in done] in ([], ["split"])

    @settings(max_examples=25, deadline=None)
    @given(st.floats(10, 3_600), st.floats(40, 60))
    def test_crowds_that_come_and_go(self, period: float, most: float) -> None:
        """From nobody to too many and back: what would be 72 changes in three hours for a policy without a memory."""
        done = changes(lambda now: most if now % period < period / 2 else 0.0)
        hours = [sum(at // 3_600 == hour for at, _ in done) for hour in range(3)]
        assert max(hours) <= 8

    def test_a_day_and_a_night(self) -> None:
        done = changes(lambda now: 60.0 if now % 14_400 < 7_200 else 2.0, hours=8.0)
        assert [kind for _, kind in done] == ["split", "merge", "split", "merge"]
