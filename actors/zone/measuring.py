"""A zone that ticks as fast as it can, under a crowd that walks: how long each part of a tick takes. No clock, no bus, no Ray."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

import numpy as np

from actors.zone.arrivals import Arrival
from actors.zone.rows import MOVE_IN
from actors.zone.zone import Zone
from cluster.world_settings import Bounds, WorldSettings, ZoneSpec

SPEED = 5.0  # m/s, round and round
ROUND_M = 10.0  # the radius of that
EDGE_M = 2 * ROUND_M
GATEWAYS = 2
WARM_UP = 40  # ticks

Outputs = list[tuple[str, bytes]]


class Walkers:
    """Entities on circles, so many that each has `others` others within the radius of interest, on average."""

    def __init__(self, count: int, others: float, world: WorldSettings, seed: int) -> None:
        rng = np.random.default_rng(seed)
        radius = world.interest.radius
        self.side = math.sqrt(count * math.pi * radius * radius / others)
        self._middle = rng.uniform(0, self.side, (count, 2))
        self._phase = rng.uniform(0, 2 * math.pi, count)

    def at(self, seconds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Places on the ground (n, 2) in metres and yaws (n,), when each has walked for so many seconds (n,)."""
        angle = self._phase + seconds * (SPEED / ROUND_M)
        return self._middle + ROUND_M * np.stack([np.sin(angle), np.cos(angle)], axis=1), angle


def measure(
    entities: int, ticks: int, others: float, moving: float, seed: int, each: Callable[[Outputs], None]
) -> dict[str, np.ndarray]:
    """Milliseconds by part, of `ticks` ticks each; `tick` is all of it. `moving`: the share of entities that move in a tick.

    `each` gets what a tick said; its time does not count. Raises RuntimeError when a move was refused, as then too little moved.
    """
    world = WorldSettings(zone_capacity=entities)
    walkers = Walkers(entities, others, world, seed)
    ground = Bounds(min_x=-EDGE_M, min_z=-EDGE_M, max_x=walkers.side + EDGE_M, max_z=walkers.side + EDGE_M)
    zone = Zone(ZoneSpec(id="zon_bench", name="Bench", bounds=ground), world, 1)
    zone.timings.clock = time.perf_counter
    zone.showing.lap = zone.timings.done
    walked = np.zeros(entities)
    places, _ = walkers.at(walked)
    for n, (x, z) in enumerate(places.tolist()):
        gateway = f"gtw_{n % GATEWAYS}"
        zone.enter(Arrival(f"ent_{n}", f"e{n}", f"ses_{n}", "usr", f"chr_{n}", gateway, 1, x, 0.0, z, 0.0), 0.0)
    each(zone.tick(0.0).outputs)
    rng = np.random.default_rng(seed + 1)
    sequence = np.zeros(entities, np.uint32)
    spent: dict[str, list[float]] = {}
    for tick in range(1, WARM_UP + ticks + 1):
        movers = np.flatnonzero(rng.random(entities) < moving)
        sequence[movers] += 1
        walked[movers] += 1 / world.tick_hz
        places, yaws = walkers.at(walked)
        rows = np.zeros(len(movers), MOVE_IN)
        rows["number"], rows["sequence"], rows["yaw"] = movers, sequence[movers], yaws[movers]
        rows["x"], rows["z"] = places[movers].T
        started = time.perf_counter()
        for index in range(GATEWAYS):
            zone.take_input(f"gtw_{index}", rows[movers % GATEWAYS == index].tobytes())
        taken = time.perf_counter() - started
        ticked = zone.tick(tick / world.tick_hz)
        whole = time.perf_counter() - started
        if tick > WARM_UP:
            parts = zone.timings.parts
            parts["intake"] += taken
            for name, seconds in (*parts.items(), ("tick", whole)):
                spent.setdefault(name, []).append(seconds * 1_000)
            each(ticked.outputs)
    if zone.intake.refused or sum(zone.intake.dropped.values()):
        raise RuntimeError(f"refused {dict(zone.intake.refused)}, dropped {dict(zone.intake.dropped)}")
    return {name: np.array(milliseconds) for name, milliseconds in spent.items()}
