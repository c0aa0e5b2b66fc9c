"""The crowd (DESIGN, "The commands"; row 7.10): who is where when, and what an ideal server would deliver.

N walkers in a square in which 20 others are within 50 m of each on average; a random walk at 5 m/s; 10 moves a second each,
staggered. One seed, so every run, and every server that is compared, gets the same input. Plain numpy, no clock.
"""

from __future__ import annotations

import math
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
OFF_BEAT = 0.382  # of the distance between two sends: none falls together with a tick, where rounding would decide


@dataclass(frozen=True, slots=True)
class Plan:
    """Row k of `ground` (float64, steps + 1 by clients by x and z, metres from the square's corner) is where everyone is
    after its k-th move; row 0 is where it starts. `yaw` is in radians. Client i makes move k at `phase_s[i] + (k - 1) / hz`.
    """

    clients: int
    side_m: float
    steps: int
    measure_s: float
    ground: np.ndarray
    yaw: np.ndarray
    phase_s: np.ndarray
    hz: float = MOVES_HZ
    warm_up_s: float = WARM_UP_S

    def newest(self, at_s: float) -> np.ndarray:
        """Each client's newest move at this time of the walk, 0 before its first."""
        made = np.floor((at_s - self.phase_s) * self.hz).astype(np.int64) + 1
        return np.asarray(np.clip(made, 0, self.steps))

    def placed(self, min_x: float, min_z: float) -> np.ndarray:
        """`ground` at its place in a zone, in float32 as it travels."""
        return np.asarray(self.ground + np.array([min_x, min_z]), "<f4")


def side_of(clients: int, radius_m: float = RADIUS_M, neighbours: int = NEIGHBOURS) -> float:
    """The square in which each of `clients`, spread evenly, has `neighbours` others within `radius_m`, walls aside."""
    return math.sqrt(clients * math.pi * radius_m**2 / neighbours)


def make(clients: int, measure_s: float, *, seed: int = SEED, warm_up_s: float = WARM_UP_S) -> Plan:
    """Raises ValueError for a crowd that makes no sense."""
    steps = math.ceil((warm_up_s + measure_s + COOL_DOWN_S) * MOVES_HZ)
    if clients < 2 or measure_s <= 0 or steps > MAX_STEPS:
        raise ValueError(f"needs at least 2 clients, and more than 0 and less than {MAX_STEPS / MOVES_HZ:g} s")
    side = side_of(clients)
    rng = np.random.default_rng([seed, clients])
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
    phase = (rng.permutation(clients) + OFF_BEAT) / (clients * MOVES_HZ)
    return Plan(clients, side, steps, measure_s, ground, yaw, phase, MOVES_HZ, warm_up_s)


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
    n = plan.clients
    given = np.full((n, n), -1, np.int16)
    deliveries, ticks, neighbours = 0, 0, 0.0
    waits = []
    end = plan.warm_up_s + plan.measure_s
    for tick in range(int(end / tick_s)):
        now = (tick + 0.5) * tick_s
        newest = plan.newest(now)
        here = plan.ground[newest, np.arange(n)]
        pairs = cKDTree(here).query_pairs(radius_m, output_type="ndarray")
        viewer = np.concatenate([pairs[:, 0], pairs[:, 1]])
        seen = np.concatenate([pairs[:, 1], pairs[:, 0]])
        fresh = newest[seen] > given[viewer, seen]
        given[viewer, seen] = newest[seen]
        if now >= plan.warm_up_s:
            mover = seen[fresh]
            deliveries += len(mover)
            neighbours += len(viewer) / n
            ticks += 1
            waits.append(now - (plan.phase_s[mover] + (newest[mover] - 1) / plan.hz))
    waited = np.concatenate(waits) * 1_000.0 if deliveries else np.zeros(1)
    p50, p95, p99 = (float(np.percentile(waited, q)) for q in (50, 95, 99))
    return Expected(deliveries / plan.measure_s, neighbours / max(1, ticks), p50, p95, p99)
