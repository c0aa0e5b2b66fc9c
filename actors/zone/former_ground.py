"""The ground that a zone had until the map gave it another: those who stand there belong to it for a moment more (row 7.3)."""

from __future__ import annotations

import numpy as np

from cluster.world_settings import Bounds
from cluster.worldmap import WorldMap

WALKED_ON_S = 2.0  # until their new owner has them


def away(x: np.ndarray, z: np.ndarray, bounds: Bounds) -> np.ndarray:
    """Metres from each place to the ground, along the farther axis; 0 inside."""
    out_x = np.maximum(bounds.min_x - x, x - bounds.max_x)
    out_z = np.maximum(bounds.min_z - z, z - bounds.max_z)
    far: np.ndarray = np.maximum(np.maximum(out_x, out_z), 0.0)
    return far


class FormerGround:
    """`overlap`: metres beyond a ground that one may walk before the owner has changed."""

    def __init__(self, overlap: float) -> None:
        self._overlap = overlap
        self._bounds: Bounds | None = None
        self._since: float | None = None

    def lost(self, bounds: Bounds) -> None:
        """The time runs from when it is first asked about."""
        self._bounds, self._since = bounds, None

    def allowed(self, x: np.ndarray, z: np.ndarray, world: WorldMap, now: float) -> np.ndarray:
        """Which places (n) on any zone's ground may be walked to, because they are on the former ground or next to it."""
        good = np.zeros(len(x), bool)
        if self._bounds is None:
            return good
        self._since = now if self._since is None else self._since
        if now - self._since > WALKED_ON_S:
            self._bounds = None
            return good
        for zone in world:
            if not zone.into:
                good |= away(x, z, zone.bounds) == 0.0
        return good & (away(x, z, self._bounds) <= self._overlap)
