"""The crowd (DESIGN, "The commands"; row 7.10): who is where when, and what an ideal server would deliver.

N walkers in a square in which 20 others are within 50 m of each on average; a random walk at 5 m/s; 10 moves a second each,
staggered. Or as many squares as there are zones, with an even share of the walkers each. One seed, so every run, and every server
that is compared, gets the same input. Plain numpy, no clock.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

SEED = 20_261_123
RADIUS_M = 50.0
NEIGHBOURS = 20
SPEED_M_S = 5.0
MOVES_HZ = 10.0
WARM_UP_S = 5.0
COOL_DOWN_S = 1.0
TURN_RAD = 0.3
IDEAL_TICK_S = 0.05
MAX_STEPS = 30_000
APART_M = 120.0  # between zones from which nobody sees another: more than interest.radius + hysteresis + 5 m
OFF_BEAT = 0.382  # of the distance between two sends: none falls together with a tick, where rounding would decide


@dataclass(frozen=True, slots=True)
class Plan:
    """Row k of `ground` (float64, steps + 1 by clients by x and z, metres from the square's corner) is where everyone is
    after its k-th move; row 0 is where it starts. `yaw` is in radians. Client i makes move k at `phase_s[i] + (k - 1) / hz`.
    `zone_of`: whose square it walks in.
    """

    clients: int
    side_m: float
    steps: int
    measure_s: float
    ground: np.ndarray
    yaw: np.ndarray
    phase_s: np.ndarray
    zone_of: np.ndarray
    hz: float = MOVES_HZ
    warm_up_s: float = WARM_UP_S

    def newest(self, at_s: float) -> np.ndarray:
        """Each client's newest move at this time of the walk, 0 before its first."""
        made = np.floor((at_s - self.phase_s) * self.hz).astype(np.int64) + 1
        return np.asarray(np.clip(made, 0, self.steps))

    @property
    def zones(self) -> int:
        return int(self.zone_of.max()) + 1

    def placed(self, corners: Sequence[tuple[float, float]]) -> np.ndarray:
        """`ground` with each zone's square at its corner (x, z), in float32 as it travels."""
        return np.asarray(self.ground + np.array(corners)[self.zone_of], "<f4")


def side_of(clients: int, radius_m: float = RADIUS_M, neighbours: int = NEIGHBOURS) -> float:
    """The square in which each of `clients`, spread evenly, has `neighbours` others within `radius_m`, walls aside."""
    return math.sqrt(clients * math.pi * radius_m**2 / neighbours)


def largest(clients: int, zones: int) -> int:
    """How many are in the fullest of the zones, when they are spread evenly."""
    return math.ceil(clients / zones)


def make(clients: int, measure_s: float, *, seed: int = SEED, warm_up_s: float = WARM_UP_S, zones: int = 1) -> Plan:
    """Raises ValueError for a crowd that makes no sense."""
    steps = math.ceil((warm_up_s + measure_s + COOL_DOWN_S) * MOVES_HZ)
    if clients < 2 * zones or measure_s <= 0 or steps > MAX_STEPS:
        raise ValueError(f"needs at least 2 clients a zone, and more than 0 and less than {MAX_STEPS / MOVES_HZ:g} s")
    side = side_of(largest(clients, zones))
    zone_of = np.arange(clients) % zones
    ground = np.empty((steps + 1, clients, 2))
    yaw = np.empty((steps + 1, clients), np.float32)
    dice = [np.random.default_rng([seed, clients, *([zone] if zone else [])]) for zone in range(zones)]
    for zone, rng in enumerate(dice):
        mine = zone_of == zone
        ground[:, mine], yaw[:, mine] = _walk(int(mine.sum()), steps, side, rng)
    phase = (dice[0].permutation(clients) + OFF_BEAT) / (clients * MOVES_HZ)
    return Plan(clients, side, steps, measure_s, ground, yaw, phase, zone_of, MOVES_HZ, warm_up_s)


def _walk(clients: int, steps: int, side: float, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Ground and yaw of one square's walkers, as in a Plan."""
    ground = np.empty((steps + 1, clients, 2))
    yaw = np.empty((steps + 1, clients), np.float32)
    at = rng.random((clients, 2)) * side
    heading = rng.random(clients) * math.tau
    for step in range(steps + 1):
        ground[step], yaw[step] = at, heading % math.tau
        heading = heading + rng.normal(0.0, TURN_RAD, clients)
        # Yaw 0 looks along +z and grows towards +x.
        at = at + np.stack([np.sin(heading), np.cos(heading)], axis=1) * (SPEED_M_S / MOVES_HZ)
        beyond = (at < 0.0) | (at > side)
        at = np.where(at < 0.0, -at, np.where(at > side, 2.0 * side - at, at))
        heading = np.where(beyond[:, 0], -heading, heading)
        heading = np.where(beyond[:, 1], math.pi - heading, heading)
    return ground, yaw


@dataclass(frozen=True, slots=True)
class Expected:
    """What a server without cost or delay delivers in the measuring window: latency there is waiting for the tick."""

    deliveries_per_s: float
    mean_neighbours: float
    p50_ms: float
    p95_ms: float
    p99_ms: float


def expected(plan: Plan, radius_m: float = RADIUS_M, tick_s: float = IDEAL_TICK_S) -> Expected:
    """Play that server: at each tick every viewer is given each entity within the radius whose newest move it lacks."""
    deliveries, pairs, ticks = 0, 0, 0
    waits: list[np.ndarray] = []
    for zone in range(plan.zones):
        told, met, ticks = _play(plan, np.flatnonzero(plan.zone_of == zone), radius_m, tick_s, waits)
        deliveries += told
        pairs += met
    waited = np.concatenate(waits) * 1_000.0 if deliveries else np.zeros(1)
    p50, p95, p99 = (float(np.percentile(waited, q)) for q in (50, 95, 99))
    return Expected(deliveries / plan.measure_s, pairs / plan.clients / max(1, ticks), p50, p95, p99)


def _play(
    plan: Plan, mates: np.ndarray, radius_m: float, tick_s: float, waits: list[np.ndarray]
) -> tuple[int, int, int]:
    """One zone of it. Returns deliveries, pairs who saw each other (over all ticks) and ticks; `waits` gets seconds."""
    n = len(mates)
    given = np.full((n, n), -1, np.int16)
    phase_s = plan.phase_s[mates]
    deliveries = met = ticks = 0
    end = plan.warm_up_s + plan.measure_s
    for tick in range(int(end / tick_s)):
        now = (tick + 0.5) * tick_s
        newest = plan.newest(now)[mates]
        here = plan.ground[newest, mates]
        pairs = cKDTree(here).query_pairs(radius_m, output_type="ndarray")
        viewer = np.concatenate([pairs[:, 0], pairs[:, 1]])
        seen = np.concatenate([pairs[:, 1], pairs[:, 0]])
        fresh = newest[seen] > given[viewer, seen]
        given[viewer, seen] = newest[seen]
        if now >= plan.warm_up_s:
            mover = seen[fresh]
            deliveries += len(mover)
            met += len(viewer)
            ticks += 1
            waits.append(now - (phase_s[mover] + (newest[mover] - 1) / plan.hz))
    return deliveries, met, ticks
