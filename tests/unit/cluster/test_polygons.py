"""Simple polygons. Shapely is the judge of the random ones."""

from __future__ import annotations

import numpy as np
import pytest
import shapely

from cluster.polygons import Point, why_not_simple

SQUARE = ((0.0, 0.0), (4.0, 0.0), (4.0, 4.0), (0.0, 4.0))


@pytest.mark.parametrize(
    "points",
    [
        ((0, 0), (1, 0), (0, 1)),
        SQUARE,
        SQUARE[::-1],
        ((0, 0), (2, 0), (4, 0), (4, 4), (0, 4)),  # a corner of 180 degrees
        ((0, 0), (4, 0), (4, 4), (2, 1), (0, 4)),
        ((1, 1), (3, 1), (3, 3), (2, 3), (2, 2), (1.5, 2), (1.5, 3), (1, 3)),
    ],
)
def test_simple(points: tuple[Point, ...]) -> None:
    for first in range(len(points)):
        assert why_not_simple(points[first:] + points[:first]) is None


@pytest.mark.parametrize(
    ("points", "reason"),
    [
        ((), "at least 3 corners"),
        (SQUARE[:2], "at least 3 corners"),
        ((*SQUARE, SQUARE[0]), r"in a row are both \(0, 0\) \(the first need not be said again\)"),
        (((0, 0), (0, 0), (4, 0), (4, 4)), r"in a row are both \(0, 0\)$"),
        (((0, 0), (4, 4), (4, 0), (0, 4)), r"from \(0, 0\) and from \(4, 0\) cross or touch"),
        (((0, 0), (4, 0), (2, 0), (2, 4)), "cross or touch"),  # back on itself
        (((0, 0), (4, 0), (8, 0)), "cross or touch"),  # a line
        (((0, 0), (4, 0), (4, 4), (2, 0), (0, 4)), "cross or touch"),  # a corner on an edge
        (((0, 0), (4, 0), (2, 2), (4, 4), (0, 4), (2, 2)), "cross or touch"),  # a corner twice
        (((2, 0), (4, 4), (0, 4), (2, 0.5), (2, -1)), "cross or touch"),  # the last edge folds back on the first corner
    ],
)
def test_not_simple(points: tuple[Point, ...], reason: str) -> None:
    with pytest.raises(AssertionError, match=reason):
        raise AssertionError(why_not_simple(points))


@pytest.mark.parametrize("seed", range(4))
def test_against_shapely(seed: int) -> None:
    """Corners on a small grid, so that many touch exactly."""
    rng, verdicts = np.random.default_rng(seed), []
    for _ in range(1_500):
        points = [(float(x), float(z)) for x, z in rng.integers(0, 6, (rng.integers(3, 8), 2))]
        polygon = shapely.Polygon(points)
        # Two corners of one place make no difference to shapely; here each is a mistake.
        double = any(a == b for a, b in zip(points, points[1:] + points[:1], strict=True))
        simple = bool(shapely.is_valid(polygon)) and polygon.area > 0 and not double
        verdicts.append(simple)
        assert (why_not_simple(points) is None) == simple, points
    assert 50 < sum(verdicts) < 1_450


def test_a_thousand_corners_are_soon_looked_through() -> None:
    turns = np.linspace(0, 2 * np.pi, 1_000, endpoint=False)
    ring = [(float(np.cos(t)), float(np.sin(t))) for t in turns]
    assert why_not_simple(ring) is None
    ring[500], ring[501] = ring[501], ring[500]
    assert "cross or touch" in str(why_not_simple(ring))
