"""What each of a zone's actors says of itself with a beat (cluster/beats.py). Plain Python; a beat costs much less than a tick."""

from __future__ import annotations

from typing import Any

import numpy as np

from actors.zone.roles import Roles
from actors.zone.zone import Zone
from cluster.world_settings import Bounds

CELLS = 16  # of the heat grid, along each axis


def values(roles: Roles) -> dict[str, Any]:
    """`standby`: it follows the owner. `handed_over`, `admitted`, `overruns`: totals of this incarnation. See `heat`."""
    said = roles.info()
    told = {name: said[name] for name in ("zone", "slot", "role", "epoch", "population", "ghosts", "overruns")}
    told |= {name: said[name] for name in ("strays", "tick_ms_p95", "map_version")}
    told |= {"standby": roles.role == "following", "tick_ms_p50": 0.0, "handed_over": 0, "admitted": 0, "heat": []}
    owner = roles.owner
    if owner is None:
        return told
    zone = owner.zone
    return told | {
        "tick_ms_p50": owner.times.p50_ms(),
        "handed_over": zone.population.handed_over,
        "admitted": zone.population.admitted,
        "heat": heat(places(zone), zone.bounds),
    }


def places(zone: Zone) -> np.ndarray:
    """(n, 2): x and z in metres of its own entities."""
    found: np.ndarray = zone.table.position[np.flatnonzero(zone.table.mine)][:, [0, 2]]
    return found


def heat(positions: np.ndarray, bounds: Bounds) -> list[list[int]]:
    """[[cell, entities], ...] of the cells that have any; cell = 16 * row (z) + column (x). Who stands beyond counts at the edge.

    `positions`: (n, 2), x and z in metres.
    """
    low = np.array([bounds.min_x, bounds.min_z])
    size = np.array([bounds.max_x, bounds.max_z]) - low
    cells = np.clip(((positions - low) * (CELLS / size)).astype(np.int64), 0, CELLS - 1)
    counts = np.bincount(cells[:, 1] * CELLS + cells[:, 0], minlength=CELLS * CELLS)
    busy = np.flatnonzero(counts)
    grid: list[list[int]] = np.column_stack((busy, counts[busy])).tolist()
    return grid
