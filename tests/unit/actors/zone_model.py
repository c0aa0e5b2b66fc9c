"""What tests of the zone share: small worlds, and a client that believes only what it is sent (PROTOCOL.md, "Views").

Nothing here uses the zone's own encoders: rows and messages are read as PROTOCOL.md and internal.proto say.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import Any

import orjson

from actors.zone.arrivals import Arrival
from actors.zone.zone import Zone
from cluster.settings import Bounds, InterestSettings, MovementSettings, WorldSettings, ZoneSpec
from realm_proto import internal_pb2, realtime_pb2

ROW = struct.Struct("<HHfffH")
MOVE = struct.Struct("<IIffff")
SPEC = ZoneSpec(id="zon_test", name="Test", bounds=Bounds(min_x=0, min_z=0, max_x=100, max_z=100))


def make_world(capacity: int = 16, radius: float = 10.0, hysteresis: float = 2.0, **movement: float) -> WorldSettings:
    """Moves of up to 10 m/s, and 10 m at once, unless told otherwise."""
    limits = {"max_speed": 8.0, "tolerance": 1.25, "budget_s": 1.0, **movement}
    return WorldSettings(
        zones=(SPEC,),
        spawn_zone=SPEC.id,
        zone_capacity=capacity,
        movement=MovementSettings(**limits),
        interest=InterestSettings(radius=radius, hysteresis=hysteresis),
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


@dataclass
class View:
    """One viewer's ViewFrame, as a gateway takes it out of a ZoneOutput (internal.proto). `attach_epoch`: 0 without a reset."""

    tick: int
    ack: int
    moves: list[tuple[int, int, float, float, float, int]]
    states: list[realtime_pb2.EntityState] = field(default_factory=list)
    leaves: list[int] = field(default_factory=list)
    reset: tuple[str, int] | None = None
    correction: realtime_pb2.Correction | None = None
    attach_epoch: int = 0

    @property
    def numbers(self) -> list[int]:
        """Whose moves it has."""
        return [row[0] for row in self.moves]


def read(data: bytes) -> dict[int, View]:
    """The views of a serialised ZoneOutput, by the viewer's entity number."""
    out = internal_pb2.ZoneOutput.FromString(data)
    table = list(ROW.iter_unpack(out.moves))
    viewers = [v for (v,) in struct.iter_unpack("<H", out.viewers)]
    acks = [a for (a,) in struct.iter_unpack("<I", out.acks)]
    ends = [e for (e,) in struct.iter_unpack("<I", out.move_end)]
    index = [i for (i,) in struct.iter_unpack("<I", out.move_index)]
    assert len(viewers) == len(set(viewers)) == len(acks) == len(ends)
    assert ends == sorted(ends)
    assert (ends[-1] if ends else 0) == len(index)
    events = {event.viewer: event for event in out.events}
    assert len(events) == len(out.events)
    assert events.keys() <= set(viewers), "an event of a viewer without a view would be lost"
    views, start = {}, 0
    for viewer, ack, end in zip(viewers, acks, ends, strict=True):
        view = views[viewer] = View(out.tick, ack, [table[i] for i in index[start:end]])
        start = end
        if viewer in events:
            event = events[viewer]
            view.states = [realtime_pb2.EntityState.FromString(out.states[i]) for i in event.states]
            view.leaves = list(event.leaves)
            view.reset = (out.zone_id, out.epoch) if event.reset else None
            view.attach_epoch = event.attach_epoch
            assert bool(event.attach_epoch) == event.reset, "a reset says for which attach it is"
            if event.correction:
                view.correction = realtime_pb2.Correction.FromString(event.correction)
    return views


def views_of(messages: list[tuple[str, bytes]]) -> dict[str, dict[int, View]]:
    """The views of a tick: by gateway, then by viewer. Fails if a viewer has two."""
    found: dict[str, dict[int, View]] = {}
    for gateway, data in messages:
        for viewer, view in read(data).items():
            assert all(viewer not in views for views in found.values()), "two views of one tick"
            found.setdefault(gateway, {})[viewer] = view
    return found


@dataclass
class Seen:
    """An entity as a client knows it. Positions as float32, `sequence` its low 16 bits, `yaw` in 1/65536 turns."""

    number: int
    entity_id: str
    name: str
    version: int
    properties: dict[str, Any]
    position: tuple[float, float, float] = (0.0, 0.0, 0.0)
    sequence: int = 0
    yaw: int = 0
    link_dead: bool = False


class ModelClient:
    """A client: it knows what views told it, and refuses a view that breaks the protocol."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.tick = -1
        self.ack = 0
        self.epoch = 0
        self.entities: dict[int, Seen] = {}
        self.corrections: list[realtime_pb2.Correction] = []

    def apply(self, view: View) -> None:
        """In the order of PROTOCOL.md: reset, leaves, states, moves, correction."""
        if view.reset is not None:
            zone_id, self.epoch = view.reset
            assert zone_id == SPEC.id
            self.entities.clear()
        else:
            assert self.epoch, "the first view starts from nothing"
            assert view.tick > self.tick
        self.tick, self.ack = view.tick, view.ack
        assert len(view.leaves) == len(set(view.leaves))
        for number in view.leaves:
            del self.entities[number]  # KeyError: a leave of something never seen
        rows = {row[0]: row for row in view.moves}
        assert len(rows) == len(view.moves), "two moves of one entity in a view"
        for state in view.states:
            assert state.number != self.number, "its own entity is not among them"
            new = Seen(
                state.number,
                state.entity_id,
                state.name,
                state.version,
                orjson.loads(state.properties_json or "{}"),
                link_dead=state.link_dead,
            )
            old = self.entities.get(state.number)
            if old is None:
                assert state.number in rows, "what comes into view has its place in the same view"
            else:
                assert (old.entity_id, old.name) == (new.entity_id, new.name), "a number became someone else"
                assert new.version > old.version or (new.version, new.properties) == (old.version, old.properties)
                new.position, new.sequence, new.yaw = old.position, old.sequence, old.yaw
            self.entities[state.number] = new
        for number, sequence, x, y, z, yaw in view.moves:
            entity = self.entities[number]  # KeyError: a move of something not in view
            entity.sequence, entity.position, entity.yaw = sequence, (x, y, z), yaw
        if view.correction is not None:
            self.corrections.append(view.correction)
