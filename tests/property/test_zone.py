"""A client that is fed views always knows what a fresh snapshot would say (row 3.4), whatever happens in the zone.

After every tick each viewer's client must know exactly what the model of zone_twin.py says it sees, and nobody else may have got
anything.
"""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from tests.property.zone_twin import Twin

NAMES = [f"n{i}" for i in range(8)]
GATEWAYS = ["gtw_a", "gtw_b", "gtw_c"]
names, gateways = st.sampled_from(NAMES), st.sampled_from(GATEWAYS)
# Halves, so that pairs are often exactly on a border and every square is exact.
halves = st.integers(-4, 204).map(lambda n: n / 2)
steps = st.integers(-8, 8).map(lambda n: n / 2)
heights = st.floats(-3, 3, width=32)
yaws = st.floats(-7, 7, width=32)


class ZoneMachine(RuleBasedStateMachine):
    """Six places for eight players, so that numbers are used again at once."""

    def __init__(self) -> None:
        super().__init__()
        self.twin = Twin(capacity=6)

    @rule(name=names, gateway=gateways, x=st.integers(80, 120), y=heights, z=st.integers(80, 120))
    def join(self, name: str, gateway: str, x: int, y: float, z: int) -> None:
        self.twin.join(name, gateway, x / 2, y, z / 2)

    @rule(name=names, gateway=gateways, late=st.booleans())
    def attach(self, name: str, gateway: str, late: bool) -> None:
        self.twin.attach(name, gateway, late=late)

    @rule(name=names, late=st.booleans())
    def detach(self, name: str, late: bool) -> None:
        self.twin.detach(name, late=late)

    @rule(name=names)
    def leave(self, name: str) -> None:
        self.twin.leave(name)

    @rule(name=names, key=st.sampled_from("ab"), value=st.none() | st.integers(0, 9))
    def change(self, name: str, key: str, value: int | None) -> None:
        self.twin.change(name, key, value)

    @rule(name=names, dx=steps, dz=steps, y=heights, yaw=yaws, skip=st.integers(0, 3))
    def walk(self, name: str, dx: float, dz: float, y: float, yaw: float, skip: int) -> None:
        body = self.twin.bodies.get(name)
        if body is not None:
            x, _, z = body.place
            self.twin.move(name, "", (x + dx, y, z + dz), yaw, skip)

    @rule(name=names, gateway=gateways, x=halves, z=halves, bad=st.sampled_from([0.0, math.nan, math.inf]))
    def cheat(self, name: str, gateway: str, x: float, z: float, bad: float) -> None:
        """Anywhere, from any gateway."""
        self.twin.move(name, gateway, (x, bad, z), 0.0, 1)

    @rule(seconds=st.sampled_from([0.0, 0.0625, 0.0625, 0.5]))
    def tick(self, seconds: float) -> None:
        self.twin.tick(seconds)

    @rule(gateway=gateways)
    def resync(self, gateway: str) -> None:
        self.twin.resync(gateway)

    @rule()
    def start_over(self) -> None:
        self.twin.start_over()

    @rule()
    def save_places(self) -> None:
        self.twin.save_places()

    @rule(seconds=st.sampled_from([0.5, 40.0]))
    def restart(self, seconds: float) -> None:
        self.twin.restart(seconds)

    def teardown(self) -> None:
        self.twin.tick(0.0625)


TestZone = ZoneMachine.TestCase
TestZone.settings = settings(max_examples=100, stateful_step_count=50)


@pytest.mark.parametrize("seed", range(3))
def test_a_crowd(seed: int) -> None:
    """Many more than six, who mostly walk, and see many others."""
    rng = random.Random(seed)
    twin = Twin(capacity=60)
    players = [f"p{i}" for i in range(64)]

    def somewhere() -> float:
        return rng.randrange(40, 160) / 2

    for step in range(240):
        for name in players:
            body, chance = twin.bodies.get(name), rng.random()
            if body is None:
                if chance < 0.1:
                    twin.join(name, rng.choice(GATEWAYS), somewhere(), 0.0, somewhere())
            elif chance < 0.5:
                place = (body.place[0] + rng.randint(-2, 2) / 2, 0.0, body.place[2] + rng.randint(-2, 2) / 2)
                twin.move(name, "", place, rng.uniform(-3, 3), 1)
            elif chance < 0.52:
                twin.move(name, "", (somewhere(), 0.0, somewhere()), 0.0, 1)
            elif chance < 0.53:
                twin.leave(name)
            elif chance < 0.54:
                twin.attach(name, rng.choice(GATEWAYS), late=rng.random() < 0.2)
            elif chance < 0.55:
                twin.detach(name, late=rng.random() < 0.2)
            elif chance < 0.56:
                twin.change(name, rng.choice("ab"), rng.choice([None, 1, 2, 3]))
        twin.tick(0.0625)
        if step % 10 == 0:
            twin.save_places()
            twin.resync(rng.choice(GATEWAYS))
        if step % 97 == 96:
            twin.restart(0.5)
    assert len(twin.bodies) > 30
    assert twin.zone.intake.refused["too_fast"] > 0
