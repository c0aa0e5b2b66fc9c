"""Where a character comes in, and what a client is told of the world it entered."""

from __future__ import annotations

import random
from typing import Any

from actors.zone.arrivals import Arrival, Standing
from cluster.ports.accounts import Character
from cluster.ports.sessions import SessionRecord
from cluster.world_settings import Bounds, WorldSettings
from cluster.worldmap import WorldMap

SPAWN_SPREAD = 0.06  # of the zone's smaller side, about its centre: newcomers see each other


def spawn_place(
    world_map: WorldMap, spawn_zone: str, character: Character, wanted: str, rng: random.Random
) -> tuple[str, float, float, float, float]:
    """(zone, x, y, z, yaw): where the character was last, or near the centre of the wanted or the spawn zone.

    The ground may have got another zone since the character was there: the place counts, and not the zone's name.
    """
    here = world_map.at(character.x, character.z) if character.zone else None
    if here is not None and wanted in ("", here.id, character.zone):
        return here.id, character.x, character.y, character.z, character.yaw
    zone = world_map.find(wanted or spawn_zone) or next(iter(world_map))
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


def land_of(world_map: WorldMap, zone_id: str) -> Bounds:
    """The smallest rectangle around all the ground that one can walk to from a zone."""
    found, reached = {zone_id}, [zone for zone in world_map if zone.id == zone_id]
    for zone in reached:  # grows while it is read
        for other in world_map:
            if other.id not in found and other.distance(zone.bounds) <= 0:
                found.add(other.id)
                reached.append(other)
    grounds = [zone.bounds for zone in reached]
    return Bounds(
        min_x=min(b.min_x for b in grounds),
        min_z=min(b.min_z for b in grounds),
        max_x=max(b.max_x for b in grounds),
        max_z=max(b.max_z for b in grounds),
    )


def ground_result(world_map: WorldMap, zone_id: str) -> dict[str, Any]:
    """What a client is told of the zone it is in, and what changes when it walks into another one."""
    zone = world_map.find(zone_id) or next(iter(world_map))
    return {
        "zone": zone_id,
        "bounds": bounds_result(zone.bounds),
        "land": bounds_result(land_of(world_map, zone.id)),
    }


def world_result(
    world: WorldSettings, world_map: WorldMap, zone_id: str, character_id: str, name: str, standing: Standing
) -> dict[str, Any]:
    """The result of world.enter (PROTOCOL.md)."""
    player = world.types.get("player")
    return {
        **ground_result(world_map, zone_id),
        "entity_id": standing.entity_id,
        "number": standing.number,
        "position": {"x": standing.x, "y": standing.y, "z": standing.z},
        "yaw": standing.yaw,
        "tick_hz": world.tick_hz,
        "interest_radius": world.interest.radius,
        "max_speed": player.max_speed if player else world.movement.max_speed,
        "character_id": character_id,
        "name": name,
        "sequence": standing.sequence,
    }
