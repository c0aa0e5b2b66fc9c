"""What tests of the zone share: small worlds, arrivals, moves, and the views of a tick.

What a viewer makes of its views is in showing_model.py.
"""

from __future__ import annotations

import struct
from typing import Any

from actors.zone.arrivals import Arrival
from actors.zone.zone import Zone
from cluster.world_settings import (
    Bounds,
    EntityTypeSettings,
    InterestSettings,
    MovementSettings,
    WorldSettings,
    ZoneSpec,
)
from realm_proto import internal_pb2
from tests.unit.actors.showing_model import ZONE, View, read

MOVE = struct.Struct("<IIffff")
SPEC = ZoneSpec(id=ZONE, name="Test", bounds=Bounds(min_x=0, min_z=0, max_x=100, max_z=100))
HASTE = 10_000.0  # m/s2: whoever may be somewhere in time may also be there at once


def make_world(capacity: int = 16, radius: float = 10.0, hysteresis: float = 2.0, **movement: float) -> WorldSettings:
    """Moves of up to 10 m/s, and 10 m at once, unless told otherwise."""
    limits = {"max_speed": 8.0, "tolerance": 1.25, "budget_s": 1.0, **movement}
    return WorldSettings(
        zones=(SPEC,),
        spawn_zone=SPEC.id,
        zone_capacity=capacity,
        movement=MovementSettings(**limits),
        interest=InterestSettings(radius=radius, hysteresis=hysteresis),
        types={"player": EntityTypeSettings(max_speed=limits["max_speed"], max_acceleration=HASTE)},
    )


def make_zone(capacity: int = 16, epoch: int = 1, **world: float) -> Zone:
    return Zone(SPEC, make_world(capacity, **world), epoch)


def arrival(
    name: str, x: float = 50.0, z: float = 50.0, gateway: str = "gtw_a", attach_epoch: int = 1, **more: Any
) -> Arrival:
    """`name` makes every id: ent_name, ses_name, usr_name, chr_name."""
    return Arrival(
        f"ent_{name}",
        name,
        more.pop("session", f"ses_{name}"),
        f"usr_{name}",
        f"chr_{name}",
        gateway,
        attach_epoch,
        x,
        more.pop("y", 0.0),
        z,
        more.pop("yaw", 0.0),
    )


def move(number: int, sequence: int, x: float, z: float, y: float = 0.0, yaw: float = 0.0) -> bytes:
    """A MOVE_IN row."""
    return MOVE.pack(number, sequence, x, y, z, yaw)


def change(zone: Zone, name: str, **properties: Any) -> int:
    """Properties of the player's entity; None removes one. Returns the new version."""
    return zone.change(zone.of_session(f"ses_{name}"), properties)


def views_of(messages: list[tuple[str, bytes]]) -> dict[str, dict[int, View]]:
    """The views of a tick: by gateway, then by viewer. Fails if a viewer has two."""
    found: dict[str, dict[int, View]] = {}
    for gateway, data in messages:
        for viewer, view in read(data).items():
            assert all(viewer not in views for views in found.values()), "two views of one tick"
            assert bool(view.attach_epoch) == (view.reset is not None), "a reset says for which attach it is"
            found.setdefault(gateway, {})[viewer] = view
    return found


def tick(zone: Zone, now: float = 0.0) -> dict[str, dict[int, View]]:
    """Advance a tick; the views it made."""
    return views_of(zone.tick(now).outputs)


def numbers_of(messages: list[tuple[str, bytes]]) -> dict[str, list[int]]:
    """The numbers of a tick's outputs, by gateway."""
    found: dict[str, list[int]] = {}
    for gateway, data in messages:
        found.setdefault(gateway, []).append(internal_pb2.ZoneOutput.FromString(data).number)
    return found
