"""Static geometry (row 7.1): the map's obstacles on the ground plane, and which ways they are in. Plain Python over shapely.

Obstacles that touch or overlap are one, so that nobody slips through a seam. For ways they are `SKIN_M` smaller than on the map:
who walks along a wall touches it, and coordinates are rounded on the wire.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

from cluster.world_settings import Bounds, Obstacle

SKIN_M = 0.01
MARGIN_M = 30.0  # entities walk a little into a neighbour's ground before it owns them
FIRST_LOOK_M = 4.0  # around a place that is not free, then twice as far
NOTHING = np.empty(0, object)


@lru_cache(maxsize=4)
def _solids(obstacles: tuple[Obstacle, ...]) -> tuple[np.ndarray, np.ndarray]:
    """What the obstacles are together, as polygons of (x, z): on the map but without yards that have no gate, and without skins.

    Kept, because it takes half a second for ten thousand of them, and a zone asks again whenever its ground changes.
    """
    solids = shapely.get_parts(shapely.union_all([_shape(obstacle) for obstacle in obstacles]))
    thinner = shapely.buffer(solids, -SKIN_M, join_style="mitre")
    # What is thinner than its own skin stays as it is.
    filled = np.asarray(shapely.polygons(shapely.get_exterior_ring(solids)))
    return filled, shapely.get_parts(np.where(shapely.is_empty(thinner), solids, thinner))


def _shape(obstacle: Obstacle) -> BaseGeometry:
    return shapely.Polygon(obstacle.polygon) if obstacle.rect is None else shapely.box(*obstacle.rect)


class Geometry:
    """The obstacles in and near one zone. False if there are none: then nothing else needs to be asked."""

    def __init__(self, filled: np.ndarray, walls: np.ndarray, ground: BaseGeometry) -> None:
        """Polygons of (x, z): where nobody is put, and what ways must not meet. `ground`: where `free_place` looks."""
        self._filled = filled
        self._walls = walls
        shapely.prepare(walls)
        self._tree = shapely.STRtree(walls)
        self._ground = ground

    @classmethod
    def of(cls, obstacles: Sequence[Obstacle], bounds: Bounds, margin: float = MARGIN_M) -> Geometry:
        """Of the `obstacles`, those within `margin` metres of the zone's ground."""
        ground = shapely.box(bounds.min_x, bounds.min_z, bounds.max_x, bounds.max_z)
        near = shapely.box(bounds.min_x - margin, bounds.min_z - margin, bounds.max_x + margin, bounds.max_z + margin)
        filled, walls = _solids(tuple(obstacles)) if obstacles else (NOTHING, NOTHING)
        return cls(filled[shapely.intersects(near, filled)], walls[shapely.intersects(near, walls)], ground)

    def __bool__(self) -> bool:
        return bool(len(self._walls))

    def blocked(self, before: np.ndarray, after: np.ndarray) -> np.ndarray:
        """Which of the straight ways from `before` to `after`, both (n, 2) of finite x, z, enter an obstacle.

        Who stands in one already, because the map changed, may walk out of it.
        """
        stopped = np.zeros(len(before), bool)
        walked = np.flatnonzero((before != after).any(1))
        if not (len(self._walls) and len(walked)):
            return stopped
        ways = np.asarray(shapely.linestrings(np.stack([before[walked], after[walked]], 1)))
        way, wall = self._tree.query(ways)
        if len(way):
            meets = shapely.intersects(self._walls[wall], ways[way])
            way, wall = walked[way[meets]], wall[meets]
            inside = shapely.intersects_xy(self._walls[wall], before[way, 0], before[way, 1])
            stopped[way[~inside]] = True
        return stopped

    def covers(self, ground: np.ndarray) -> np.ndarray:
        """Which of the places (n, 2) x, z are in an obstacle."""
        inside = np.zeros(len(ground), bool)
        if len(self._walls) and len(ground):
            place, _ = self._tree.query(shapely.points(ground), predicate="intersects")
            inside[place] = True
        return inside

    def free_place(self, x: float, z: float) -> tuple[float, float]:
        """The nearest place on the zone's ground that is in no obstacle; the same place if it is free, or if none is.

        It is outside of walls all around, too: who is put into a yard without a gate could not leave.
        """
        if not self.covers(np.array([[x, z]]))[0]:
            return x, z
        here, reach, all_seen = shapely.Point(x, z), FIRST_LOOK_M, False
        while not all_seen:
            around = shapely.box(x - reach, z - reach, x + reach, z + reach)
            all_seen = bool(shapely.covers(around, self._ground))
            solid = self._filled[shapely.intersects(around, self._filled)]
            free = shapely.difference(shapely.intersection(around, self._ground), shapely.union_all(solid))
            # What lies beyond what was looked at may be nearer than a corner of it.
            if shapely.distance(here, free) <= reach:
                nearest = shapely.get_point(shapely.shortest_line(here, free), 1)
                return float(shapely.get_x(nearest)), float(shapely.get_y(nearest))
            reach *= 2.0
        return x, z
