"""Where a character comes in, and what a client is told of the world it entered."""

from __future__ import annotations

import random
from typing import Any

from actors.zone.arrivals import Arrival, Standing
from cluster.ports.accounts import Character
from cluster.ports.sessions import SessionRecord
from cluster.settings import Bounds, WorldSettings, ZoneSpec

SPAWN_SPREAD = 0.06  # of the zone's smaller side, about its centre: newcomers see each other


def spawn_place(
    world: WorldSettings, character: Character, wanted: str, rng: random.Random
) -> tuple[str, float, float, float, float]:
    """(zone, x, y, z, yaw): where the character was last, or near the centre of the wanted or the spawn zone."""
    zones = {zone.id: zone for zone in world.zones}
    at_home = character.zone in zones and wanted in ("", character.zone)
    if at_home:
        return character.zone, character.x, character.y, character.z, character.yaw
    zone = zones[wanted or world.spawn_zone]
    x, z = near_centre(zone.bounds, rng)
    return zone.id, x, 0.0, z, 0.0


def near_centre(b: Bounds, rng: random.Random) -> tuple[float, float]:
    """(x, z) somewhere about the middle, so that newcomers do not stand on one spot."""
    reach = SPAWN_SPREAD * min(b.max_x - b.min_x, b.max_z - b.min_z) / 2
    x = (b.min_x + b.max_x) / 2 + rng.uniform(-reach, reach)
    z = (b.min_z + b.max_z) / 2 + rng.uniform(-reach, reach)
    return x, z


def arrival(record: SessionRecord, x: float, y: float, z: float, yaw: float) -> Arrival:
    """The session's character as its zone takes it in. An entity is named after its character."""
    return Arrival(
        "ent_" + record.character_id.removeprefix("chr_"),
        record.character_name,
        record.session_id,
        record.user_id,
        record.character_id,
        record.gateway_id,
        record.attach_epoch,
        x,
        y,
        z,
        yaw,
    )


def bounds_result(bounds: Bounds) -> dict[str, float]:
    return {"min_x": bounds.min_x, "min_z": bounds.min_z, "max_x": bounds.max_x, "max_z": bounds.max_z}


def world_result(
    world: WorldSettings, zone_id: str, character_id: str, name: str, standing: Standing
) -> dict[str, Any]:
    """The result of world.enter (PROTOCOL.md)."""
    zone: ZoneSpec = next(zone for zone in world.zones if zone.id == zone_id)
    return {
        "zone": zone_id,
        "bounds": bounds_result(zone.bounds),
        "entity_id": standing.entity_id,
        "number": standing.number,
        "position": {"x": standing.x, "y": standing.y, "z": standing.z},
        "yaw": standing.yaw,
        "tick_hz": world.tick_hz,
        "interest_radius": world.interest.radius,
        "max_speed": world.movement.max_speed,
        "character_id": character_id,
        "name": name,
        "sequence": standing.sequence,
    }
