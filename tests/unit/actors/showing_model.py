"""What tests of views share: a stage with entities that no zone rules, and a viewer that believes only what it is sent.

Nothing here uses the zone's own encoders: rows and messages are read as PROTOCOL.md and internal.proto say.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import orjson

from actors.zone.entities import Entity, EntityTable
from actors.zone.showing import Showing
from cluster.world_settings import EntityTypeSettings, InterestSettings, WorldSettings
from realm_proto import internal_pb2, realtime_pb2

PLACE_ROW = struct.Struct("<HHiiiH")
MOVE_ROW = struct.Struct("<HBbbbH")
TICK_HZ = 20.0
TICK_S = 1 / TICK_HZ
ZONE = "zon_test"

Row = tuple[int, ...]


@dataclass
class View:
    """One viewer's ViewFrame, as a gateway takes it out of a ZoneOutput. `attach_epoch`: 0 without a reset."""

    tick: int
    ack: int
    places: list[Row] = field(default_factory=list)
    moves: list[Row] = field(default_factory=list)
    states: list[realtime_pb2.EntityState] = field(default_factory=list)
    leaves: list[int] = field(default_factory=list)
    reset: tuple[str, int, int] | None = None
    correction: realtime_pb2.Correction | None = None
    attach_epoch: int = 0
    session_id: str = ""
    transfer: int = 0

    @property
    def numbers(self) -> list[int]:
        """Whose rows it has."""
        return sorted(row[0] for row in self.places + self.moves)


def read(data: bytes) -> dict[int, View]:
    """The views of a serialised ZoneOutput, by the viewer's entity number."""
    out = internal_pb2.ZoneOutput.FromString(data)
    viewers = [v for (v,) in struct.iter_unpack("<H", out.viewers)]
    acks = [a for (a,) in struct.iter_unpack("<I", out.acks)]
    assert viewers, "a message for nobody"
    assert viewers == sorted(set(viewers))
    assert len(acks) == len(viewers)
    moves = _rows(out.moves, MOVE_ROW, out.move_end, out.move_index, len(viewers))
    places: list[list[Row]] = [[] for _ in viewers]
    if out.place_end:
        places = _rows(out.places, PLACE_ROW, out.place_end, out.place_index, len(viewers))
    else:
        assert not out.places
        assert not out.place_index
    events = {event.viewer: event for event in out.events}
    assert len(events) == len(out.events)
    assert events.keys() <= set(viewers), "an event of a viewer without a view would be lost"
    views = {}
    for at, viewer in enumerate(viewers):
        view = views[viewer] = View(out.tick, acks[at], places[at], moves[at])
        if viewer in events:
            event = events[viewer]
            view.states = [realtime_pb2.EntityState.FromString(out.states[i]) for i in event.states]
            view.leaves = list(event.leaves)
            view.reset = (out.zone_id, out.epoch, viewer) if event.reset else None
            view.attach_epoch, view.session_id, view.transfer = event.attach_epoch, event.session_id, event.transfer
            if event.correction:
                view.correction = realtime_pb2.Correction.FromString(event.correction)
    return views


def _rows(table: bytes, row: struct.Struct, end: bytes, index: bytes, viewers: int) -> list[list[Row]]:
    rows = list(row.iter_unpack(table))
    assert len({number for number, *_ in rows}) == len(rows), "each entity once"
    ends = [e for (e,) in struct.iter_unpack("<I", end)]
    indexes = [i for (i,) in struct.iter_unpack("<I", index)]
    assert len(ends) == viewers
    assert ends == sorted(ends)
    assert ends[-1] == len(indexes)
    assert set(indexes) == set(range(len(rows))), "only rows that somebody is sent"
    return [[rows[i] for i in indexes[start:stop]] for start, stop in zip([0, *ends], ends, strict=False)]


def views_of(messages: list[tuple[str, bytes]]) -> dict[int, View]:
    """The views of a tick, by viewer. Fails if one has two."""
    found: dict[int, View] = {}
    for _, data in messages:
        views = read(data)
        assert not found.keys() & views.keys(), "two views of one tick"
        found |= views
    return found


@dataclass
class Seen:
    """An entity as a viewer knows it: place in centimetres, yaw in 1/65536 turns, 16 bits of its sequence."""

    entity_id: str
    entity_type: str
    name: str
    version: int
    properties: dict[str, Any]
    link_dead: bool
    place: tuple[int, int, int] = (0, 0, 0)
    sequence: int = 0
    yaw: int = 0


class ModelViewer:
    """Knows what views told it, and refuses a view that breaks the protocol."""

    def __init__(self, number: int = -1) -> None:
        self.number = number
        self.tick = -1
        self.ack = 0
        self.entities: dict[int, Seen] = {}
        self.corrections: list[realtime_pb2.Correction] = []

    def apply(self, view: View) -> None:
        """In the order of PROTOCOL.md: reset, leaves, states, places, moves, correction."""
        if view.reset is not None:
            zone_id, _, self.number = view.reset
            assert zone_id == ZONE
            self.entities.clear()
        else:
            assert self.tick >= 0, "the first view starts from nothing"
            assert view.tick > self.tick, "views never reorder"
        self.tick, self.ack = view.tick, view.ack
        assert len(view.leaves) == len(set(view.leaves))
        for number in view.leaves:
            self.entities.pop(number, None)
        placed = {row[0] for row in view.places}
        assert len(placed) == len(view.places), "two places of one entity in a view"
        assert len({state.number for state in view.states}) == len(view.states), "two states of one entity in a view"
        for state in view.states:
            self._tell(state, placed)
        assert view.reset is None or self.number in self.entities, "itself, whole"
        for number, sequence, x, y, z, yaw in view.places:
            assert number != self.number
            e = self.entities[number]  # KeyError: a place of something not in view
            e.place, e.sequence, e.yaw = (x, y, z), sequence, yaw
        for number, sequence, dx, dy, dz, yaw in view.moves:
            assert number != self.number
            e = self.entities[number]
            e.place = (e.place[0] + dx, e.place[1] + dy, e.place[2] + dz)
            e.sequence, e.yaw = (e.sequence + (sequence - e.sequence) % 256) & 0xFFFF, yaw
        if view.correction is not None:
            self.corrections.append(view.correction)

    def _tell(self, state: realtime_pb2.EntityState, placed: set[int]) -> None:
        properties = orjson.loads(state.properties_json or "{}")
        if state.change:
            known = self.entities[state.number]  # KeyError: a change of something not in view
            assert (state.entity_id, state.entity_type, state.name) == ("", "", "")
            merged = known.properties | properties
            known.properties = {name: value for name, value in merged.items() if value is not None}
            known.version, known.link_dead = state.version, state.link_dead
            return
        new = Seen(state.entity_id, state.entity_type, state.name, state.version, properties, state.link_dead)
        old = self.entities.get(state.number)
        if old is not None:
            new.place, new.sequence, new.yaw = old.place, old.sequence, old.yaw
        else:
            assert state.number in placed or state.number == self.number, "what comes into view has its place"
        self.entities[state.number] = new


def make_world(capacity: int = 16, types: dict[str, dict[str, Any]] | None = None, **interest: Any) -> WorldSettings:
    """Seen within 10 m, and 2 m more once seen, unless told otherwise. `types`: property -> audience, by type."""
    return WorldSettings(
        zone_capacity=capacity,
        tick_hz=TICK_HZ,
        interest=InterestSettings(**{"radius": 10.0, "hysteresis": 2.0, **interest}),
        types={name: EntityTypeSettings(visibility=visibility) for name, visibility in (types or {}).items()},
    )


class Stage:
    """Entities on a table, shown by a Showing; a clock of 20 ticks a second. `gateway` "": an entity without a viewer."""

    def __init__(self, world: WorldSettings | None = None, **made: Any) -> None:
        self.world = world or make_world(**made)
        self.table = EntityTable(self.world.zone_capacity)
        self.showing = Showing(self.table, self.world, ZONE, 7)
        self.now, self.ticks, self.incarnations = 100.0, 0, 0
        self.moved: set[int] = set()
        self.acked: set[int] = set()
        self.corrections: dict[int, bytes] = {}

    def add(
        self, x: float = 50.0, z: float = 50.0, gateway: str = "gtw_a", kind: str = "player", **properties: Any
    ) -> int:
        number = self.table.next_number()
        self.incarnations += 1
        name = f"{kind}{self.incarnations}"
        entity = Entity(number, self.incarnations, f"ent_{name}", kind, name, f"ses_{name}", "usr", "chr", gateway, 1)
        entity.properties = properties
        self.table.add(entity, x, 0.0, z, 0.0, 0, 10.0, self.now)
        self.showing.connect(entity)
        return number

    def entity(self, number: int) -> Entity:
        return self.table.by_number[number]

    def attach(self, number: int, gateway: str, handed_over: bool = False) -> None:
        entity = self.entity(number)
        entity.gateway_id = gateway
        entity.attach_epoch += 1
        self.showing.connect(entity, handed_over)

    def leave(self, number: int) -> None:
        self.table.remove(number)
        self.showing.forget(number)

    def walk(self, number: int, dx: float = 0.0, dz: float = 0.0, yaw: float | None = None, hop: int = 1) -> None:
        """Metres from where it is."""
        self.table.position[number] += np.array([dx, 0.0, dz], np.float32)
        if yaw is not None:
            self.table.yaw[number] = yaw
        self.table.sequence[number] += np.uint32(hop)
        self.moved.add(number)
        self.acked.add(number)

    def put(self, number: int, x: float, z: float, hop: int = 1) -> None:
        """Somewhere else."""
        at = self.table.position[number]
        self.walk(number, x - float(at[0]), z - float(at[2]), hop=hop)

    def change(self, number: int, **properties: Any) -> None:
        """None removes a property."""
        entity = self.entity(number)
        merged = entity.properties | properties
        entity.properties = {name: value for name, value in merged.items() if value is not None}
        entity.version += 1
        self.showing.changed(number, properties)

    def messages(self) -> list[tuple[str, bytes]]:
        """Advance a tick."""
        self.ticks += 1
        self.now += TICK_S
        moved, acked = np.zeros(self.table.capacity, bool), np.zeros(self.table.capacity, bool)
        moved[list(self.moved)] = True
        acked[list(self.acked)] = True
        corrections, self.corrections = self.corrections, {}
        self.moved, self.acked = set(), set()
        made = self.showing.tick(self.now, self.ticks, moved, acked, corrections)
        self.table.end_tick()
        return made

    def tick(self) -> dict[int, View]:
        """Advance a tick; the views it made."""
        return views_of(self.messages())

    def cm(self, number: int) -> tuple[int, int, int]:
        """Where it is, as a viewer should know it in the end."""
        x, y, z = (round(float(value) * 100) for value in self.table.position[number])
        return x, y, z
