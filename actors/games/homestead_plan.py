"""Where the trees and stones of a homestead stand, and what things cost. The same for a zone's ground at every start."""

from __future__ import annotations

import hashlib
import random
from dataclasses import dataclass

from cluster.settings import Bounds

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
    columns, rows = _steps(ground.min_x, ground.max_x), _steps(ground.min_z, ground.max_z)
    nodes: list[Node] = []
    for x in columns:
        for z in rows:
            kind = "tree" if rng.random() < TREES else "stone"
            at_x = _within(x + rng.uniform(-STRAY_M, STRAY_M), ground.min_x, ground.max_x)
            at_z = _within(z + rng.uniform(-STRAY_M, STRAY_M), ground.min_z, ground.max_z)
            nodes.append(Node(f"ent_home_{stem}_{len(nodes)}", kind, at_x, at_z))
    if len(nodes) > MOST_NODES:  # a huge zone has its trees farther apart
        nodes = [nodes[i * len(nodes) // MOST_NODES] for i in range(MOST_NODES)]
    home_x = _within(middle_x + HOME_M, ground.min_x, ground.max_x)
    home_z = _within(middle_z + HOME_M, ground.min_z, ground.max_z)
    return Plan(tuple(nodes), rng.choice(BAKERS), f"ent_baker_{stem}", home_x, home_z)


def _steps(low: float, high: float) -> list[float]:
    count = max(1, round((high - low) / GAP_M))
    return [low + (high - low) * (i + 0.5) / count for i in range(count)]


def _within(value: float, low: float, high: float) -> float:
    edge = min(EDGE_M, (high - low) / 4)
    return min(max(value, low + edge), high - edge)
