"""What operators' operations ask a zone's actor over the bus (row 7.8): what a player sees. Plain Python; requests as
cluster/world_control.py has them.

It is a read of what is in memory, between two ticks: nothing of the zone changes, and nobody in it notices.
"""

from __future__ import annotations

from typing import Any

from actors.zone.entities import Entity
from actors.zone.roles import Roles
from actors.zone.zone import Zone
from cluster.errors import Elsewhere, InvalidState, NotFound
from cluster.world_control import Method

NOT_OWNER, ELSEWHERE = "not_owner", "elsewhere"


def methods(roles: Roles) -> dict[str, Method]:
    """For `world_control.responder`. Raises InvalidState("not_owner") where the zone's other actor is to be asked."""

    async def view(session: str) -> dict[str, Any]:
        if roles.owner is None:
            raise InvalidState(NOT_OWNER, roles.role)
        return seen(roles.owner.zone, session)

    return {"view": view}


def seen(zone: Zone, session_id: str) -> dict[str, Any]:
    """What the session's entity sees, itself first, and how far it sees (metres): as state.sync.request would tell its client.

    Raises NotFound("elsewhere") if it is not, or no longer, in this zone.
    """
    try:
        me = zone.of_session(session_id)
    except (InvalidState, Elsewhere):
        raise NotFound(ELSEWHERE, f"{session_id!a} is not in {zone.id}") from None
    told = zone.snapshot(session_id)
    return {
        "zone": zone.id,
        "tick": zone.ticks,
        "radius": zone.world.interest.radius,
        "link_dead": me.link_dead,
        "number": me.number,
        "entities": [{**entity, "kind": _kind(zone.table.by_number[entity["number"]])} for entity in told["entities"]],
    }


def _kind(entity: Entity) -> str:
    """A ghost belongs to a zone near; its player does not see the difference."""
    return "ghost" if entity.owner else "player" if entity.session_id else "thing"
