"""Where the trees and stones of a homestead stand, and what things cost. The same for a zone's ground at every start."""

from __future__ import annotations

import hashlib
import math
import random
from dataclasses import dataclass

from cluster.world_settings import Bounds

GAP_M = 28.0  # less than the narrowest part that a zone may be split into
STRAY_M = 8.0  # from the grid
EDGE_M = 6.0  # from the zone's border: things there cannot be reached by who stands across it
HOME_M = 7.0  # the baker's, from the middle
MOST_NODES = 400
TREES = 0.7  # the share of trees
BAKERS = ("Bram", "Odile", "Tilda", "Wenzel")

COSTS: dict[str, dict[str, int]] = {"campfire": {"wood": 3, "stone": 2}, "hut": {"wood": 8, "stone": 5}}


@dataclass(frozen=True, slots=True)
class Source:
    """What one gathers, and how often until it has to grow again."""

    gives: str
    pieces: int


SOURCES = {"tree": Source("wood", 4), "stone": Source("stone", 3)}


@dataclass(frozen=True, slots=True)
class Node:
    """A tree or a stone; its id says which of the zone's it is."""

    id: str
    kind: str
    x: float
    z: float


@dataclass(frozen=True, slots=True)
class Plan:
    nodes: tuple[Node, ...]
    baker: str
    baker_id: str
    home_x: float
    home_z: float


def plan_of(zone_id: str, ground: Bounds) -> Plan:
    """`ground`: all that the operator gave the zone."""
    stem = hashlib.blake2b(zone_id.encode(), digest_size=6).hexdigest()
    rng = random.Random(f"homestead/{zone_id}")  # noqa: S311 - a landscape
    middle_x, middle_z = (ground.min_x + ground.max_x) / 2, (ground.min_z + ground.max_z) / 2
    wide, deep = ground.max_x - ground.min_x, ground.max_z - ground.min_z
    gap = max(GAP_M, math.sqrt(wide * deep / MOST_NODES))  # a huge zone has its trees farther apart
    columns = min(_count(wide, gap), MOST_NODES)
    rows = min(_count(deep, gap), MOST_NODES // columns)
    nodes: list[Node] = []
    for column in range(columns):
        for row in range(rows):
            x = ground.min_x + wide * (column + 0.5) / columns + rng.uniform(-STRAY_M, STRAY_M)
            z = ground.min_z + deep * (row + 0.5) / rows + rng.uniform(-STRAY_M, STRAY_M)
            kind = "tree" if rng.random() < TREES else "stone"
            at = _within(x, ground.min_x, ground.max_x), _within(z, ground.min_z, ground.max_z)
            nodes.append(Node(f"ent_home_{stem}_{len(nodes)}", kind, *at))
    home_x = _within(middle_x + HOME_M, ground.min_x, ground.max_x)
    home_z = _within(middle_z + HOME_M, ground.min_z, ground.max_z)
    return Plan(tuple(nodes), rng.choice(BAKERS), f"ent_baker_{stem}", home_x, home_z)


def _count(length: float, gap: float) -> int:
    return max(1, round(length / gap))


def _within(value: float, low: float, high: float) -> float:
    edge = min(EDGE_M, (high - low) / 4)
    return min(max(value, low + edge), high - edge)
