"""What people read instead of a node's id, which in Ray is 56 hex digits (row 7.8)."""

from __future__ import annotations

import re
from typing import Any, Protocol

from cluster.operations.desk import Desk

NODE_ID = re.compile(r"\b[0-9a-f]{56}\b")
SHOWN = 8  # digits of an id: as many as name a node without doubt


class Named(Protocol):
    @property
    def node(self) -> str: ...
    @property
    def host(self) -> str: ...
    @property
    def address(self) -> str: ...


def label(node: Named) -> str:
    """Its host and its address: several nodes may be of one host."""
    return called(node.node, node.host, node.address)


def called(node: str, host: str, address: str) -> str:
    """See `label`."""
    if host and address and host != address:
        return f"{host} ({address})"
    return host or address or node[:SHOWN]


async def readable(desk: Desk, text: str) -> str:
    """The text with the names of nodes for their ids; the beginning of an id for one that is not there. Raises Unavailable."""
    if not NODE_ID.search(text):
        return text
    world: dict[str, Any] = await desk.ask_world("world", {})
    known = {node["node"]: called(node["node"], node["host"], node["address"]) for node in world["nodes"]}
    return NODE_ID.sub(lambda found: known.get(found[0], found[0][:SHOWN]), text)
