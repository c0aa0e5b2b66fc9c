"""Who comes into a zone, and where an entity stands: what others tell it and hear from it.

Apart from the zone, because session actors and gateways need these and not what the zone computes with: numpy and scipy take
half a second to import, which is half a second more until a killed session actor is back.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Arrival:
    """Who comes into the zone. `x`, `y`, `z` in metres, may lie outside: it is put on the nearest ground inside."""

    entity_id: str
    name: str
    session_id: str
    user_id: str
    character_id: str
    gateway_id: str
    attach_epoch: int
    x: float
    y: float
    z: float
    yaw: float


@dataclass(frozen=True, slots=True)
class Standing:
    """Where an entity is: metres, radians, and the newest move judged."""

    entity_id: str
    number: int
    x: float
    y: float
    z: float
    yaw: float
    sequence: int
