"""What the supervisor sees of zones and nodes. Values, for plans and for the policy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cluster.errors import Conflict, NotFound
from cluster.ports.actors import Node

SHORTEST_PREFIX = 4  # of a node's id: what people copy from a list


@dataclass(frozen=True, slots=True)
class ZoneSeen:
    """What the owner of a zone says of itself (`info()` of the zone's actor). `node`: Ray's id, empty if it does not know."""

    zone: str
    slot: int = 0
    node: str = ""
    epoch: int = 0
    population: int = 0
    ghosts: int = 0
    tick_ms_p95: float = 0.0
    overruns: int = 0
    strays: int = 0
    map_version: int = 0

    @classmethod
    def of(cls, info: Mapping[str, Any]) -> ZoneSeen:
        return cls(**{name: info[name] for name in cls.__dataclass_fields__})


def fit(nodes: Sequence[Node]) -> list[Node]:
    """Those where zones should be: none that drains, and not Ray's head if there is another.

    When the head is busy, every node and actor has to wait for it.
    """
    able = [node for node in nodes if not node.draining]
    return [node for node in able if not node.head] or able


def named(nodes: Sequence[Node], wanted: str) -> Node:
    """By id or the beginning of one, by host, address or name. Raises NotFound, and Conflict if it may be more than one."""
    found = [node for node in nodes if wanted in (node.id, node.host, node.address, node.name)]
    if not found and len(wanted) >= SHORTEST_PREFIX:
        found = [node for node in nodes if node.id.startswith(wanted)]
    if not found:
        there = ", ".join(node.short for node in nodes) or "none"
        raise NotFound("no_such_node", f"no node {wanted!r} is there; there are: {there}")
    if len(found) > 1:
        raise Conflict("several_nodes_of_that_name", {"nodes": [node.id for node in found]})
    return found[0]
