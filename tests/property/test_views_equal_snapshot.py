"""A client that is fed views knows after every tick what a fresh snapshot would say (row 3.4), but for places that are still owed;
of these none is owed for longer than `starve_s`, and all come once it is quiet (rows 3.5 and 3.6).

Joins, leaves, moves, jumps, property changes, near and far, tiny budgets, slow clients, lost outputs, failed ticks.
"""

from __future__ import annotations

import random

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from tests.property.views_twin import ViewsTwin
from tests.unit.actors.showing_model import make_world

GATEWAYS = ["gtw_a", "gtw_b", ""]
KINDS = ["player", "npc", "rock"]
TYPES = {"player": {"a": "owner", "b": "near"}, "npc": {"a": "owner", "b": "all"}}
YAWS = [0.0, 1.0, 2.5, -1.0]
# Eighths of a metre, so that pairs are often exactly on a border and every square is exact.
eighths = st.integers(-8, 8).map(lambda n: n / 8)
ground = st.integers(0, 60).map(lambda n: 40 + n / 2)
picks = st.integers(0, 7)


class ViewsMachine(RuleBasedStateMachine):
    """Six numbers, so that they are used again at once."""

    twin: ViewsTwin

    @initialize(
        near=st.sampled_from([None, 5.0, 11.0]),
        far_every=st.integers(1, 5),
        budget=st.sampled_from([0, 30, 300, 5_000]),
        starve=st.sampled_from([0.2, 1.0, 2.0]),
    )
    def start(self, near: float | None, far_every: int, budget: int, starve: float) -> None:
        self.twin = ViewsTwin(
            make_world(
                6, TYPES, radius=10.0, near_radius=near, far_every=far_every, bytes_per_s=budget, starve_s=starve
            )
        )
        self.twin.join(50.0, 50.0, "gtw_a", "player")
        self.twin.join(52.0, 50.0, "gtw_b", "player")

    def one(self, pick: int) -> int:
        alive = self.twin.alive
        return alive[pick % len(alive)]

    def anyone(self) -> bool:
        return bool(self.twin.alive)

    @rule(x=ground, z=ground, gateway=st.sampled_from(GATEWAYS), kind=st.sampled_from(KINDS))
    def join(self, x: float, z: float, gateway: str, kind: str) -> None:
        self.twin.join(x, z, gateway, kind)

    @precondition(anyone)
    @rule(pick=picks)
    def leave(self, pick: int) -> None:
        self.twin.leave(self.one(pick))

    @precondition(anyone)
    @rule(pick=picks, gateway=st.sampled_from(GATEWAYS))
    def attach(self, pick: int, gateway: str) -> None:
        self.twin.attach(self.one(pick), gateway)

    @precondition(anyone)
    @rule(moves=st.lists(st.tuples(picks, eighths, eighths, st.sampled_from(YAWS)), min_size=1, max_size=6))
    def walk(self, moves: list[tuple[int, float, float, float]]) -> None:
        for pick, dx, dz, yaw in moves:
            self.twin.stage.walk(self.one(pick), dx, dz, yaw)
        self.twin.tick()

    @precondition(anyone)
    @rule(pick=picks, x=ground, z=ground, hop=st.sampled_from([1, 40, 300, 70_000]))
    def jump(self, pick: int, x: float, z: float, hop: int) -> None:
        self.twin.stage.put(self.one(pick), x, z, hop)

    @precondition(anyone)
    @rule(pick=picks, x=ground, z=ground)
    def elsewhere(self, pick: int, x: float, z: float) -> None:
        self.twin.elsewhere(self.one(pick), x, z)

    @precondition(anyone)
    @rule(pick=picks, name=st.sampled_from("abc"), value=st.none() | st.integers(0, 3))
    def change(self, pick: int, name: str, value: int | None) -> None:
        self.twin.stage.change(self.one(pick), **{name: value})

    @precondition(anyone)
    @rule(pick=picks)
    def block(self, pick: int) -> None:
        self.twin.block(self.one(pick))

    @precondition(anyone)
    @rule(pick=picks)
    def unblock(self, pick: int) -> None:
        self.twin.unblock(self.one(pick))

    @rule(gateway=st.sampled_from(GATEWAYS[:2]))
    def lose_and_resync(self, gateway: str) -> None:
        self.twin.lose(gateway)
        self.twin.tick()
        self.twin.resync(gateway)

    @rule()
    def start_over(self) -> None:
        self.twin.start_over()

    @rule(count=st.sampled_from([1, 1, 1, 4]))
    def tick(self, count: int) -> None:
        for _ in range(count):
            self.twin.tick()

    @rule()
    def quiet(self) -> None:
        self.twin.quiet()

    def teardown(self) -> None:
        if hasattr(self, "twin"):
            self.twin.tick()
            self.twin.quiet()


TestViews = ViewsMachine.TestCase
TestViews.settings = settings(max_examples=100, stateful_step_count=50)


@pytest.mark.parametrize(
    ("seed", "near", "budget", "starve"), [(0, None, 0, 2.0), (1, 8.0, 0, 2.0), (2, 8.0, 600, 1.0), (3, None, 300, 0.5)]
)
def test_a_crowd(seed: int, near: float | None, budget: int, starve: float) -> None:
    """Many more than six, who mostly walk, and see many others."""
    rng = random.Random(seed)
    world = make_world(40, TYPES, radius=15.0, near_radius=near, far_every=4, bytes_per_s=budget, starve_s=starve)
    twin = ViewsTwin(world)

    def somewhere() -> float:
        return rng.randrange(320, 640) / 8

    for _ in range(160):
        if rng.random() < 0.5:
            twin.join(somewhere(), somewhere(), rng.choice([*GATEWAYS, "gtw_a"]), rng.choice(KINDS))
        for n in twin.alive:
            chance = rng.random()
            if chance < 0.6:
                twin.stage.walk(n, rng.randint(-4, 4) / 8, rng.randint(-4, 4) / 8, rng.choice(YAWS))
            elif chance < 0.62:
                twin.stage.put(n, somewhere(), somewhere())
            elif chance < 0.63:
                twin.leave(n)
            elif chance < 0.64:
                twin.attach(n, rng.choice(GATEWAYS))
            elif chance < 0.67:
                twin.stage.change(n, **{rng.choice("abc"): rng.choice([None, 1, 2])})
            elif chance < 0.70:
                twin.block(n)
            elif chance < 0.75:
                twin.unblock(n)
        twin.tick()
    assert len(twin.alive) > 20
    if budget or near:
        assert twin.longest_wait > 0.09, "something was put off"
    twin.quiet()
