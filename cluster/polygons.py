"""Simple polygons: closed lines that neither cross nor touch themselves. Plain arithmetic, because settings are read everywhere."""

from __future__ import annotations

from collections.abc import Sequence

Point = tuple[float, float]
Edge = tuple[Point, Point]


def why_not_simple(points: Sequence[Point]) -> str | None:
    """What is wrong with the polygon of these corners, which is closed by itself; None if it is simple."""
    count = len(points)
    if count < 3:
        return "a polygon needs at least 3 corners"
    for here in range(count):
        if points[here] == points[(here + 1) % count]:
            again = " (the first need not be said again)" if here == count - 1 else ""
            return f"two corners in a row are both {_said(points[here])}{again}"
    edges = [(points[here], points[(here + 1) % count]) for here in range(count)]
    # Only edges that share a stretch of the first axis can meet.
    order = sorted(range(count), key=lambda n: min(edges[n][0][0], edges[n][1][0]))
    open_edges: list[int] = []
    for here in order:
        left = min(edges[here][0][0], edges[here][1][0])
        open_edges = [n for n in open_edges if max(edges[n][0][0], edges[n][1][0]) >= left]
        for other in open_edges:
            first, second = min(here, other), max(here, other)
            if _wrong(edges[first], edges[second], second - first, count):
                return f"the edges from {_said(edges[first][0])} and from {_said(edges[second][0])} cross or touch"
        open_edges.append(here)
    return None


def _said(point: Point) -> str:
    return f"({point[0]:g}, {point[1]:g})"


def _wrong(a: Edge, b: Edge, apart: int, count: int) -> bool:
    """Edges in a row share a corner, and must share no more; `a` comes before `b` in the polygon by `apart`."""
    if apart not in (1, count - 1):
        return _meet(a, b)
    before, corner, after = (a[0], a[1], b[1]) if apart == 1 else (b[0], b[1], a[1])
    back = (before[0] - corner[0]) * (after[0] - corner[0]) + (before[1] - corner[1]) * (after[1] - corner[1])
    return _side(before, corner, after) == 0.0 and back > 0.0


def _side(a: Point, b: Point, c: Point) -> float:
    """On which side of the line from a to b the point c is: positive, negative, or 0 on the line."""
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])


def _meet(a: Edge, b: Edge) -> bool:
    sides = (_side(*a, b[0]), _side(*a, b[1]), _side(*b, a[0]), _side(*b, a[1]))
    if sides[0] * sides[1] < 0.0 and sides[2] * sides[3] < 0.0:
        return True
    ends = ((a, b[0]), (a, b[1]), (b, a[0]), (b, a[1]))
    return any(side == 0.0 and _spans(edge, point) for side, (edge, point) in zip(sides, ends, strict=True))


def _spans(edge: Edge, point: Point) -> bool:
    """Whether a point on the edge's line is on the edge."""
    return all(min(a, b) <= p <= max(a, b) for a, b, p in zip(*edge, point, strict=True))
