"""The zones of the mock realm: walkers on circles, players that are judged as PROTOCOL.md says ("Moves", "Views")."""

from __future__ import annotations

import itertools
import json
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
ZONE, NEXT_ZONE = "zon_meadow", "zon_harbour"
BORDER_HYSTERESIS = 2.0
# In the next zone everything has another number, and ticks are counted from elsewhere.
NUMBERS = {ZONE: 0, NEXT_ZONE: 1_000}
TICKS = {ZONE: 0, NEXT_ZONE: 700_000}
PLACE, MOVE = struct.Struct("<HHiiiH"), struct.Struct("<HBbbbH")
STEP_CM = 127
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
    refusal: str = ""
    changed: bool = True
    link_dead: bool = False
    restated: bool = False  # since the last tick
    entity_type: str = "player"
    properties: dict[str, Any] = field(default_factory=dict)
    version: int = 1
    news: dict[str, Any] = field(default_factory=dict)  # properties that changed since the last tick
    zone: str = ZONE  # whose views its player gets
    said: tuple[int, int] | None = None  # x and z in centimetres, as they were told last
    judged: list[Judged] = field(default_factory=list)
    refused: int = 0
    orbit: tuple[float, float, float] | None = None  # radius, speed, phase of a walker

    @property
    def cm(self) -> tuple[int, int]:
        return round(self.x * 100), round(self.z * 100)

    def change(self, **properties: Any) -> None:
        """None takes a property away."""
        self.properties = {k: v for k, v in (self.properties | properties).items() if v is not None}
        self.news |= properties
        self.version += 1


class World:
    def __init__(self, walkers: int) -> None:
        self.bodies: dict[int, Body] = {}
        self.tick = 0
        self.walking = True
        self.joined = False  # whether one can walk from the one zone to the other
        self.spawn = SPAWN  # of players
        self.middle = SPAWN  # of the walkers' circles
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
        land = {"land": bounds(0) | {"max_x": 2 * SIZE}} if self.joined else {}
        return land | {
            "zone": body.zone,
            "bounds": bounds(0 if body.zone == ZONE else SIZE),
            "entity_id": body.entity_id,
            "number": body.number + NUMBERS[body.zone],
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
        if not (0 <= x <= (2 * SIZE if self.joined else SIZE) and 0 <= z <= SIZE):
            self._refuse(body, "out_of_bounds")
        elif move.sequence <= body.sequence:
            self._refuse(body, "stale_sequence")
        elif distance > body.budget:
            self._refuse(body, "too_fast")
        else:
            body.budget -= distance
            body.x, body.z, body.yaw, body.changed = x, z, move.rotation.yaw, True
        body.sequence = max(body.sequence, move.sequence)

    def correct(self, body: Body, x: float, z: float, reason: str) -> None:
        body.x, body.z, body.changed = x, z, True
        self._refuse(body, reason)

    def advance(self, tick: int) -> None:
        self.tick = tick
        now = tick / TICK_HZ
        for body in self.bodies.values():
            # Walkers move as often as players send, every second tick.
            if body.orbit is None or not self.walking or (tick + body.number) % 2:
                continue
            radius, speed, phase = body.orbit
            angle = phase + now * speed / radius
            middle_x, middle_z = self.middle
            body.x, body.z = middle_x + radius * math.sin(angle), middle_z + radius * math.cos(angle)
            body.yaw = angle + math.pi / 2
            body.sequence += 1
            body.changed = True

    def view(self, viewer: Body, known: set[int], *, reset: bool) -> tuple[wire.ViewFrame, set[int]]:
        """What the viewer gets for this tick, and who it knows then."""
        zone = self._zone_of(viewer)
        crossed, viewer.zone = zone != viewer.zone, zone
        frame = wire.ViewFrame(tick=self.tick + TICKS[zone], ack=viewer.sequence)
        if reset or crossed:
            known = set()
            frame.reset.zone_id, frame.reset.epoch, frame.reset.number = zone, 1, viewer.number + NUMBERS[zone]
            frame.states.append(_state(viewer, whole=True))
        elif viewer.news:
            frame.states.append(_state(viewer, whole=False))
        near = {
            body.number: body
            for body in self.bodies.values()
            if body is not viewer and math.hypot(body.x - viewer.x, body.z - viewer.z) <= INTEREST
        }
        frame.leaves.extend(number + NUMBERS[zone] for number in sorted(known - near.keys()))
        places, moves = bytearray(), bytearray()
        for number, body in near.items():
            new = number not in known
            if new or body.restated or body.news:
                frame.states.append(_state(body, whole=new or body.restated))
            if not (new or body.changed):
                continue
            x, z = body.cm
            yaw = round(body.yaw / (2 * math.pi) * 65536) % 65536
            step = (x - body.said[0], z - body.said[1]) if body.said is not None else (SIZE, SIZE)
            if new or max(map(abs, step)) > STEP_CM:
                places += PLACE.pack(number + NUMBERS[zone], body.sequence & 0xFFFF, x, 0, z, yaw)
            else:
                moves += MOVE.pack(number + NUMBERS[zone], body.sequence & 0xFF, int(step[0]), 0, int(step[1]), yaw)
        for state in frame.states:
            state.number += NUMBERS[zone]
        frame.places, frame.moves = bytes(places), bytes(moves)
        if viewer.refusal:
            position = wire.Vector3(x=viewer.x, y=0.0, z=viewer.z)
            frame.correction.CopyFrom(
                wire.Correction(sequence=viewer.sequence, position=position, reason=viewer.refusal, yaw=viewer.yaw)
            )
            viewer.refusal = ""
        return frame, set(near)

    def settle(self) -> None:
        """The tick is told; what changes from here on belongs to the next."""
        for body in self.bodies.values():
            body.changed = body.restated = False
            body.said = body.cm
            body.news = {}

    def _zone_of(self, body: Body) -> str:
        """A border is crossed when one is well past it."""
        if not self.joined:
            return ZONE
        if body.zone == ZONE:
            return NEXT_ZONE if body.x > SIZE + BORDER_HYSTERESIS else ZONE
        return ZONE if body.x < SIZE - BORDER_HYSTERESIS else NEXT_ZONE

    def _refuse(self, body: Body, reason: str) -> None:
        body.refused += 1
        body.refusal = reason


def _state(body: Body, *, whole: bool) -> wire.EntityState:
    state = wire.EntityState(number=body.number, version=body.version, link_dead=body.link_dead, change=not whole)
    properties = body.properties if whole else body.news
    state.properties_json = json.dumps(properties) if properties else ""
    if whole:
        state.entity_id, state.entity_type, state.name = body.entity_id, body.entity_type, body.name
    return state


def bounds(min_x: float) -> dict[str, float]:
    return {"min_x": min_x, "min_z": 0.0, "max_x": min_x + SIZE, "max_z": SIZE}
