"""The zone of the mock realm: walkers on circles, players that are judged as PROTOCOL.md says ("Moves", "Views")."""

from __future__ import annotations

import itertools
import math
import struct
import time
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from realm_proto import realtime_pb2 as wire

TICK_HZ = 20.0
MAX_SPEED = 8.0
TOLERANCE = 1.25
INTEREST = 50.0
SIZE = 200.0
SPAWN = (100.0, 100.0)
ZONE = "zon_meadow"
ROW = struct.Struct("<HHfffH")
NAMES = [
    "Alder",
    "Briony",
    "Corvin",
    "Dagny",
    "Elowen",
    "Fenn",
    "Gisla",
    "Halvard",
    "Isolde",
    "Jory",
    "Kestrel",
    "Linnea",
]


class Judged(NamedTuple):
    """A move as it arrived; `at` in seconds of the monotonic clock."""

    sequence: int
    x: float
    z: float
    at: float


@dataclass(slots=True)
class Body:
    """A character in the zone. `judged` holds every move, good or refused."""

    number: int
    entity_id: str
    name: str
    x: float
    z: float
    yaw: float = 0.0
    sequence: int = 0
    budget: float = MAX_SPEED
    judged_at: float = 0.0
    correction: wire.Correction | None = None
    changed: bool = True
    link_dead: bool = False
    restated: bool = False  # since the last tick
    judged: list[Judged] = field(default_factory=list)
    refused: int = 0
    orbit: tuple[float, float, float] | None = None  # radius, speed, phase of a walker


class World:
    def __init__(self, walkers: int) -> None:
        self.bodies: dict[int, Body] = {}
        self.tick = 0
        self.walking = True
        self.spawn = SPAWN  # of players
        self._numbers = itertools.count(1)
        for index in range(walkers):
            number = next(self._numbers)
            name = NAMES[index % len(NAMES)] + ("" if index < len(NAMES) else f" {index // len(NAMES) + 1}")
            body = Body(number, f"ent_{number}", name, *SPAWN)
            body.orbit = (6.0 + 3.1 * index % 34, 1.5 + index % 4, index * 2.4)
            self.bodies[number] = body

    def zones(self) -> list[dict[str, Any]]:
        meadow = {"zone": ZONE, "name": "Meadow", "bounds": bounds(0), "population": len(self.bodies)}
        harbour = {"zone": "zon_harbour", "name": "Harbour", "bounds": bounds(SIZE), "population": 0}
        return [meadow, harbour]

    def enter(self, character_id: str, name: str) -> Body:
        number = next(self._numbers)
        body = Body(number, f"ent_{character_id}", name, *self.spawn, judged_at=time.monotonic())
        self.bodies[number] = body
        return body

    def entry(self, body: Body) -> dict[str, Any]:
        """The result of world.enter."""
        return {
            "zone": ZONE,
            "bounds": bounds(0),
            "entity_id": body.entity_id,
            "number": body.number,
            "position": {"x": body.x, "y": 0, "z": body.z},
            "yaw": body.yaw,
            "tick_hz": TICK_HZ,
            "interest_radius": INTEREST,
            "max_speed": MAX_SPEED,
            "character_id": body.entity_id.removeprefix("ent_"),
            "name": body.name,
            "sequence": body.sequence,
        }

    def judge(self, body: Body, move: wire.PositionUpdate) -> None:
        now = time.monotonic()
        fill = MAX_SPEED * TOLERANCE
        body.budget = min(fill, body.budget + (now - body.judged_at) * fill)
        body.judged_at = now
        x, z = move.position.x, move.position.z
        body.judged.append(Judged(move.sequence, x, z, now))
        distance = math.hypot(x - body.x, z - body.z)
        if not (0 <= x <= SIZE and 0 <= z <= SIZE):
            self._refuse(body, move.sequence, "out_of_bounds")
        elif move.sequence <= body.sequence:
            self._refuse(body, move.sequence, "stale_sequence")
        elif distance > body.budget:
            self._refuse(body, move.sequence, "too_fast")
        else:
            body.budget -= distance
            body.x, body.z, body.yaw, body.changed = x, z, move.rotation.yaw, True
        body.sequence = max(body.sequence, move.sequence)

    def correct(self, body: Body, x: float, z: float, reason: str) -> None:
        body.x, body.z, body.changed = x, z, True
        self._refuse(body, body.sequence, reason)

    def advance(self, tick: int) -> None:
        self.tick = tick
        now = tick / TICK_HZ
        for body in self.bodies.values():
            # Walkers move as often as players send, every second tick.
            if body.orbit is None or not self.walking or (tick + body.number) % 2:
                continue
            radius, speed, phase = body.orbit
            angle = phase + now * speed / radius
            body.x, body.z = SPAWN[0] + radius * math.sin(angle), SPAWN[1] + radius * math.cos(angle)
            body.yaw = angle + math.pi / 2
            body.sequence += 1
            body.changed = True

    def view(self, viewer: Body, known: set[int], *, reset: bool) -> tuple[wire.ViewFrame, set[int]]:
        """What the viewer gets for this tick, and who it knows then."""
        frame = wire.ViewFrame(tick=self.tick, ack=viewer.sequence)
        if reset:
            known = set()
            frame.reset.zone_id = ZONE
            frame.reset.epoch = 1
        near = {
            body.number: body
            for body in self.bodies.values()
            if body is not viewer and math.hypot(body.x - viewer.x, body.z - viewer.z) <= INTEREST
        }
        frame.leaves.extend(sorted(known - near.keys()))
        rows = bytearray()
        for number, body in near.items():
            if number not in known or body.restated:
                state = frame.states.add(number=number, entity_id=body.entity_id, entity_type="player", name=body.name)
                state.link_dead = body.link_dead
            if body.changed or number not in known:
                yaw = round(body.yaw / (2 * math.pi) * 65536) % 65536
                rows += ROW.pack(number, body.sequence & 0xFFFF, body.x, 0.0, body.z, yaw)
        frame.moves = bytes(rows)
        if viewer.correction is not None:
            frame.correction.CopyFrom(viewer.correction)
            viewer.correction = None
        return frame, set(near)

    def settle(self) -> None:
        """The tick is told; what changes from here on belongs to the next."""
        for body in self.bodies.values():
            body.changed = body.restated = False

    def _refuse(self, body: Body, sequence: int, reason: str) -> None:
        body.refused += 1
        position = wire.Vector3(x=body.x, y=0.0, z=body.z)
        body.correction = wire.Correction(sequence=sequence, position=position, reason=reason, yaw=body.yaw)


def bounds(min_x: float) -> dict[str, float]:
    return {"min_x": min_x, "min_z": 0.0, "max_x": min_x + SIZE, "max_z": SIZE}
