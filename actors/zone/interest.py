"""Interest (row 3.5): who sees whom, by distance on the ground, with hysteresis.

An edge is `viewer << 16 | seen` in an int64; a set of edges is a sorted array. Two such arrays are compared by binary search,
so that a tick costs a few numpy calls however many entities there are.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

SHIFT = 16
MASK = (1 << SHIFT) - 1
NOTHING = np.empty(0, np.int64)


@dataclass(frozen=True, slots=True)
class Change:
    """The edges that hold now, which of them are new (a mask), and those that ended. All sorted by viewer."""

    edges: np.ndarray
    entered: np.ndarray
    ended: np.ndarray


def contains(haystack: np.ndarray, needles: np.ndarray) -> np.ndarray:
    """A mask: which of `needles` are in `haystack`, both sorted."""
    if not len(haystack):
        return np.zeros(len(needles), bool)
    at = np.searchsorted(haystack, needles)
    at[at == len(haystack)] = 0
    found: np.ndarray = haystack[at] == needles
    return found


def look(
    position: np.ndarray,
    alive: np.ndarray,
    sees: np.ndarray,
    before: np.ndarray,
    radius: float,
    hysteresis: float,
) -> Change:
    """Compute the edges of a tick.

    `position`: (n, 3) metres; `alive`, `sees`: masks of n (who can be seen, who is looking); `before`: last tick's edges.
    A pair within `radius` is seen; one within `radius + hysteresis` stays seen.
    """
    living = np.flatnonzero(alive)
    if len(living) < 2 or not sees.any():
        return Change(NOTHING, np.zeros(0, bool), before)
    ground = position[living][:, (0, 2)].astype(np.float64)
    tree = cKDTree(ground, balanced_tree=False, compact_nodes=False)
    pairs = tree.query_pairs(radius + hysteresis, output_type="ndarray")
    one, other = living[pairs[:, 0]], living[pairs[:, 1]]
    gap = ground[pairs[:, 0]] - ground[pairs[:, 1]]
    near = (gap * gap).sum(1) <= radius * radius
    viewer = np.concatenate([one, other])
    edges = viewer << SHIFT | np.concatenate([other, one])
    near = np.concatenate([near, near])
    looking = sees[viewer]
    edges, near = edges[looking], near[looking]
    order = np.argsort(edges)
    edges, near = edges[order], near[order]
    known = contains(before, edges)
    holds = near | known
    edges, known = edges[holds], known[holds]
    return Change(edges, ~known, before[~contains(edges, before)])
