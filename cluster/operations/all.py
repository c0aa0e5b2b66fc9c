"""Every operation of the realm."""

from __future__ import annotations

from cluster.operations import (
    announcing,
    audit,
    bans,
    gateways,
    history,
    logs,
    nodes,
    operators,
    people,
    processes,
    realm,
    sessions,
    tokens,
    upgrade,
    world,
    zones,
)
from cluster.operations.model import Registry


def registry() -> Registry:
    made = Registry()
    for part in (
        realm,
        announcing,
        sessions,
        bans,
        tokens,
        audit,
        world,
        zones,
        nodes,
        gateways,
        history,
        people,
        processes,
        logs,
        operators,
        upgrade,
    ):
        made.add(*part.OPERATIONS)
    return made
