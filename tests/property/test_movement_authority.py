"""Who obeys the limits is never refused, whatever the network does to its moves; who does not gains no more than is said (row 7.1).

The network may deliver a move up to 0.8 s late, each otherwise, in bunches, and lose some. Two moves that arrive are made less than
0.35 s apart: more than `budget_s * tolerance`, with the lateness and a tick, is not saved up.
"""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.zone.acceleration import SLACK_M
from actors.zone.entities import Entity, EntityTable
from actors.zone.intake import Intake
from actors.zone.movement import OK, TOO_FAST, TOO_SUDDEN, Rules, judge
from actors.zone.rows import MOVE_IN
from cluster.world_settings import Bounds, EntityTypeSettings, MovementSettings, WorldSettings

BOUNDS = Bounds(min_x=0, min_z=0, max_x=10_000, max_z=10_000)
START = 5_000.0
TOLERANCE = 1.25
BUDGET_S = 1.0
LATE_S = 0.8
MOST_APART_S = 0.35
TICK_S = 0.05
STEP_S = 1 / 120  # of a client's own simulation
WALKERS = 24
SECONDS = 20.0


def crowd(count: int, speed: float, acceleration: float) -> tuple[EntityTable, Rules]:
    kind = EntityTypeSettings(max_speed=speed, max_acceleration=acceleration)
    movement = MovementSettings(tolerance=TOLERANCE, budget_s=BUDGET_S)
    table = EntityTable(count)
    rules = Rules.of(BOUNDS, WorldSettings(movement=movement, types={"player": kind}), table)
    for name in range(count):
        entity = Entity(table.next_number(), 1, f"ent_{name}", "player", "", f"ses_{name}", "usr", "chr", "gtw", 1)
        table.add(entity, START, 0, START, 0, 0, rules.budget_cap_of("player"), 0.0)
    table.gateway[:] = 0
    return table, rules


# --- the honest ----------------------------------------------------------------------------------------------------


def walk(rng: np.random.Generator, speed: float, acceleration: float) -> np.ndarray:
    """Where walkers are at every step of theirs, (steps, walkers, 2): they stop and turn as they like, and speed up as they may."""
    steps = int(SECONDS / STEP_S)
    heading, now, wanted = rng.uniform(0, 2 * np.pi, WALKERS), np.zeros(WALKERS), np.full(WALKERS, speed)
    restless = rng.choice([0.2, 1.0, 4.0, 10.0], WALKERS) * STEP_S
    place, places = np.full((WALKERS, 2), START), np.empty((steps, WALKERS, 2))
    for step in range(steps):
        other = rng.random(WALKERS) < restless
        heading += np.where(other, rng.choice([0.0, 0.3, np.pi / 2, np.pi], WALKERS), 0.0)
        wanted = np.where(other, speed * np.clip(rng.uniform(-0.3, 1.6, WALKERS), 0.0, 1.0), wanted)
        now = np.where(wanted < now, wanted, np.minimum(now + acceleration * STEP_S, wanted))
        place = place + np.stack([np.sin(heading), np.cos(heading)], 1) * (now * STEP_S)[:, None]
        places[step] = place
    return places


def arrivals(rng: np.random.Generator, sent: np.ndarray) -> np.ndarray:
    """When moves sent at these times arrive, in order: each late by chance, or late and early by turns, or held up and let go."""
    kind = rng.integers(3)
    if kind == 0:
        late = rng.uniform(0, LATE_S, len(sent))
    elif kind == 1:
        turns = np.cumsum(rng.uniform(0.1, 4.0, 400))
        late = rng.choice([0.0, LATE_S, LATE_S / 2], 400)[np.searchsorted(turns, sent)]
    else:
        late, begins = np.zeros(len(sent)), 0.0
        while begins < SECONDS:
            begins += rng.uniform(0, 3)
            held = (sent >= begins) & (sent < begins + LATE_S)
            late[held] = begins + LATE_S - sent[held]
            begins += LATE_S
    return np.maximum.accumulate(sent + late)


def lossy(rng: np.random.Generator, sent: np.ndarray) -> np.ndarray:
    """Which of them get through: never two in sequence too far apart."""
    kept, last, chance = np.ones(len(sent), bool), sent[0], rng.choice([0.0, 0.1, 0.4])
    for n in range(len(sent) - 1):
        if rng.random() < chance and sent[n + 1] - last < MOST_APART_S:
            kept[n] = False
        else:
            last = sent[n]
    return kept


def deliveries(rng: np.random.Generator, places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """When which MOVE_IN row arrives, in order of arrival."""
    times, moves = [], []
    for walker in range(WALKERS):
        every = 1 / rng.uniform(5, 30)
        sent = np.arange(rng.uniform(0, every), SECONDS - STEP_S, every)
        arrive, kept = arrivals(rng, sent), lossy(rng, sent)
        rows = np.zeros(len(sent), MOVE_IN)
        rows["number"], rows["sequence"] = walker, np.arange(1, len(sent) + 1)
        rows["x"], rows["z"] = places[(sent / STEP_S).astype(int), walker].T
        if rng.random() < 0.5:  # some say nothing while they stand
            kept[1:] &= (rows["x"][1:] != rows["x"][:-1]) | (rows["z"][1:] != rows["z"][:-1])
        times.append(arrive[kept])
        moves.append(rows[kept])
    at, all_moves = np.concatenate(times), np.concatenate(moves)
    order = np.argsort(at, kind="stable")
    return at[order], all_moves[order]


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    speed=st.floats(0.5, 50),
    acceleration=st.floats(0.2, 100),
    resting=st.booleans(),
)
def test_the_honest_are_never_refused(seed: int, speed: float, acceleration: float, resting: bool) -> None:
    rng = np.random.default_rng(seed)
    table, rules = crowd(WALKERS, speed, acceleration)
    if resting:
        table.motion.rest(np.arange(WALKERS), 0.0)
    intake = Intake(table, rules)
    at, moves = deliveries(rng, walk(rng, speed, acceleration))
    now, taken, refused = 0.0, 0, Counter[str]()
    while taken < len(moves):
        now += TICK_S
        upto = int(np.searchsorted(at, now, side="right"))
        if upto > taken:
            intake.take(0, moves[taken:upto].tobytes())
            refused.update(intake.apply(now, np.zeros(WALKERS, bool), np.zeros(WALKERS, bool)).values())
            taken = upto
    assert refused == {}
    assert intake.applied > 10 * WALKERS


# --- those who are not ---------------------------------------------------------------------------------------------


def from_rest(speed: float, acceleration: float, seconds: float) -> float:
    """Metres after so long, at full acceleration up to the full speed."""
    ramp = min(seconds, speed / acceleration)
    return acceleration * ramp * ramp / 2 + speed * (seconds - ramp)


class Cheat:
    """One who tries whatever it likes, straight ahead."""

    def __init__(self, speed: float, acceleration: float) -> None:
        self.table, self.rules = crowd(1, speed, acceleration)
        self.table.position[0, 0] = 0.0
        self.table.motion.rest(0, 0.0)
        self.sequence = 0
        self.verdicts = Counter[int]()

    @property
    def gone(self) -> float:
        return float(self.table.position[0, 0])

    def leap(self, metres: float, now: float) -> bool:
        self.sequence += 1
        move = np.array([(0, self.sequence, self.gone + metres, 0, START, 0)], MOVE_IN)
        verdict = int(judge(self.table, self.rules, move, now)[0])
        self.verdicts[verdict] += 1
        return verdict == OK

    def leap_most(self, now: float) -> None:
        """As far as it gets, by halves."""
        step = 64.0
        while step > 0.01:
            if not self.leap(step, now):
                step /= 2


pauses = st.lists(st.one_of(st.just(TICK_S), st.sampled_from([0.2, 0.9, 1.1, 2.0, 3.1, 7.0])), min_size=1, max_size=120)


@settings(max_examples=200, deadline=None)
@given(
    speed=st.floats(1, 40),
    acceleration=st.floats(0.5, 60),
    pauses=pauses,
    wishes=st.lists(st.one_of(st.none(), st.floats(0, 30)), min_size=1, max_size=20),
)
def test_what_a_cheat_gains(speed: float, acceleration: float, pauses: list[float], wishes: list[float | None]) -> None:
    """`wishes`: metres to leap, None for as many as it gets, tried by turns after each of the pauses."""
    cheat, now, track = Cheat(speed, acceleration), 0.0, [(0.0, 0.0)]
    top, most = speed * TOLERANCE, acceleration * TOLERANCE
    for turn, pause in enumerate(pauses):
        now += pause
        wish = wishes[turn % len(wishes)]
        if wish is None:
            cheat.leap_most(now)
        else:
            cheat.leap(wish, now)
        track.append((now, cheat.gone))
        rounding = 1e-3 * len(track)
        assert cheat.gone <= from_rest(top, most, now + BUDGET_S) + SLACK_M + rounding, "from rest"
        for since, was in track:
            assert cheat.gone - was <= top * (now - since) + top * BUDGET_S + rounding, "over any time"


@pytest.mark.parametrize(("speed", "acceleration"), [(8.0, 60.0), (20.0, 2.0), (8.0, 4.0)])
def test_a_cheat_gets_most_of_what_it_may_and_is_refused_the_rest(speed: float, acceleration: float) -> None:
    """The bound is no looser than it says: who takes all comes close to it."""
    cheat, top = Cheat(speed, acceleration), speed * TOLERANCE
    for tick in range(1, 101):
        cheat.leap_most(tick * TICK_S)
    bound = min(
        from_rest(top, acceleration * TOLERANCE, 5 + BUDGET_S) + SLACK_M,
        top * (5 + BUDGET_S),
    )
    assert 0.95 * bound - 0.5 < cheat.gone <= bound + 0.01
    assert cheat.verdicts[TOO_SUDDEN if acceleration < 10 else TOO_FAST] > 100
