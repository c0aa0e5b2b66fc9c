"""Static geometry (row 7.1): the map's obstacles on the ground plane, and which ways they are in. Plain Python over shapely.

Obstacles that touch or overlap are one, so that nobody slips through a seam. For ways they are `SKIN_M` smaller than on the map: who
walks along a wall touches it, and coordinates are rounded on the wire.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

from cluster.settings import Bounds, Obstacle

SKIN_M = 0.01
MARGIN_M = 30.0  # entities walk a little into a neighbour's ground before it owns them


def shape(obstacle: Obstacle) -> BaseGeometry:
    """The obstacle as a polygon of (x, z)."""
    if obstacle.rect is not None:
        return shapely.box(*obstacle.rect)
    return shapely.Polygon(obstacle.polygon)


class Geometry:
    """The obstacles in and near one zone. False if there are none: then nothing else needs to be asked."""

    def __init__(self, shapes: Sequence[BaseGeometry], ground: BaseGeometry) -> None:
        """`shapes` are polygons of (x, z) that may overlap; `ground` is where `free_place` looks."""
        self._solid: np.ndarray = shapely.get_parts(shapely.union_all(shapes)) if len(shapes) else np.empty(0, object)
        thinner = shapely.buffer(self._solid, -SKIN_M, join_style="mitre")
        # What is thinner than its own skin stays as it is.
        thin = shapely.is_empty(thinner)
        self._walls: np.ndarray = shapely.get_parts(np.where(thin, self._solid, thinner))
        shapely.prepare(self._walls)
        self._tree = shapely.STRtree(self._walls)
        self._ground = ground
        self._free: BaseGeometry | None = None

    @classmethod
    def of(cls, obstacles: Sequence[Obstacle], bounds: Bounds, margin: float = MARGIN_M) -> Geometry:
        """Of the `obstacles`, those within `margin` metres of the zone's ground."""
        ground = shapely.box(bounds.min_x, bounds.min_z, bounds.max_x, bounds.max_z)
        near = shapely.box(
            bounds.min_x - margin, bounds.min_z - margin, bounds.max_x + margin, bounds.max_z + margin
        )
        shapes = np.array([shape(obstacle) for obstacle in obstacles], object)
        return cls(shapes[shapely.intersects(near, shapes)] if len(shapes) else [], ground)

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
        ways = shapely.linestrings(np.stack([before[walked], after[walked]], 1))
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

        A yard without a gate is not free: who is put there could not leave.
        """
        if not self.covers(np.array([[x, z]]))[0]:
            return x, z
        if self._free is None:
            filled = shapely.polygons(shapely.get_exterior_ring(self._solid))
            self._free = shapely.difference(self._ground, shapely.union_all(filled))
        if shapely.is_empty(self._free):
            return x, z
        nearest = shapely.get_point(shapely.shortest_line(shapely.Point(x, z), self._free), 1)
        return float(shapely.get_x(nearest)), float(shapely.get_y(nearest))
