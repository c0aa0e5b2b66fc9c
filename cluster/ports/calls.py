"""The port to the realm's actors: the control lane (DESIGN, "Four lanes").

Adapters: `cluster/adapters/ray_calls.py` (Ray actors) and `cluster/adapters/memory/calls.py` (objects in this process).
"""

from __future__ import annotations

from typing import Any, Protocol

SUPERVISOR = "supervisor"


def zone_actor(zone_id: str, slot: int = 0) -> str:
    """The actor's name of a zone. A zone has two at most: one owns it, the other follows it or is about to (row 7.4)."""
    return f"zone/{zone_id}/{slot}" if slot else f"zone/{zone_id}"


def zone_and_slot(name: str) -> tuple[str, int]:
    """The zone and the slot that an actor's name means, with or without `zone/` before it."""
    zone_id, _, slot = name.removeprefix("zone/").partition("/")
    return zone_id, int(slot or 0)


def presence_actor(index: int = 0) -> str:
    return f"presence/{index}"


def watch_actor() -> str:
    return "watch/0"


def sessions_actor(number: int) -> str:
    return f"sessions/{number}"


class Calls(Protocol):
    async def call(self, actor: str, method: str, *args: Any, deadline_s: float, idempotent: bool = False) -> Any:
        """Call a method of a named actor.

        An idempotent call is repeated with jittered backoff while the actor is away and the deadline allows. Raises what the method
        raised if it is a RealmError; Unavailable when there was no answer in time, or the actor failed otherwise.
        """
