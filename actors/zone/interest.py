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
    """The edges that hold now, and those that ended; both sorted by viewer.

    By edge that holds: `entered`, whether it is new; `was`, where it was among the edges before (0 for a new one); `gap`, the
    squared distance in metres.
    """

    edges: np.ndarray
    entered: np.ndarray
    ended: np.ndarray
    was: np.ndarray
    gap: np.ndarray


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
        return Change(NOTHING, np.zeros(0, bool), before, NOTHING, np.zeros(0))
    ground = position[living][:, (0, 2)].astype(np.float64)
    tree = cKDTree(ground, balanced_tree=False, compact_nodes=False)
    pairs = tree.query_pairs(radius + hysteresis, output_type="ndarray")
    one, other = living[pairs[:, 0]], living[pairs[:, 1]]
    apart = ground[pairs[:, 0]] - ground[pairs[:, 1]]
    gap = apart[:, 0] * apart[:, 0] + apart[:, 1] * apart[:, 1]
    viewer = np.concatenate([one, other])
    edges = viewer << SHIFT | np.concatenate([other, one])
    gap = np.concatenate([gap, gap])
    looking = sees[viewer]
    if not looking.all():
        edges, gap = edges[looking], gap[looking]
    order = np.argsort(edges)
    edges, gap = edges[order], gap[order]
    was, known = _places(before, edges)
    holds = known | (gap <= radius * radius)
    if not holds.all():
        edges, gap, was, known = edges[holds], gap[holds], was[holds], known[holds]
    over = np.ones(len(before), bool)
    over[was[known]] = False
    return Change(edges, ~known, before[over], was, gap)


def _places(haystack: np.ndarray, needles: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where each of `needles` is in `haystack` (0 if nowhere), and a mask of those that are; both sorted."""
    if not len(haystack):
        return np.zeros(len(needles), np.int64), np.zeros(len(needles), bool)
    at = np.searchsorted(haystack, needles)
    at[at == len(haystack)] = 0
    found = haystack[at] == needles
    at[~found] = 0
    return at, found
