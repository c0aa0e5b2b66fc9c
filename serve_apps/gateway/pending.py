"""Views that could not be written yet, as one (row 1.4): a slow client misses places on the way, and nothing else."""

from __future__ import annotations

import struct

import orjson

from actors.zone.rows import MAX_HOP, MAX_STEP
from realm_proto import realtime_pb2 as pb
from serve_apps.gateway.views import View

PLACE = struct.Struct(
    "<HHiiiH"
)  # as PLACE_OUT and MOVE_OUT of actors/zone/rows.py; a test holds them against each other
MOVE = struct.Struct("<HBbbbH")
MAX_CM = 2**31 - 1
WRAP = 256  # a step says so much of a sequence


class Way:
    """Steps that go onto a place the client holds, and that this gateway does not know. Centimetres."""

    __slots__ = ("dx", "dy", "dz", "first", "hops", "last", "yaw")

    def __init__(self, sequence: int, dx: int, dy: int, dz: int, yaw: int) -> None:
        self.first = self.last = sequence
        self.hops = 0  # by how much the sequence went on after the first step
        self.dx, self.dy, self.dz, self.yaw = dx, dy, dz, yaw

    def go(self, sequence: int, dx: int, dy: int, dz: int, yaw: int) -> None:
        self.hops += (sequence - self.last) % WRAP
        self.last, self.yaw = sequence, yaw
        self.dx += dx
        self.dy += dy
        self.dz += dz

    def rows(self, number: int) -> bytes:
        """As few MOVE_OUT rows as say it: none goes further than one can, nor past a whole turn of the sequence's 8 bits.

        The first step's own hop is at most MAX_HOP, as the zone made it.
        """
        furthest = max(abs(self.dx), abs(self.dy), abs(self.dz))
        beyond = self.hops - (WRAP - 1 - MAX_HOP)
        count = max(1, -(-furthest // MAX_STEP), 1 - (-beyond // (WRAP - 1)))
        if count == 1:
            return MOVE.pack(number, self.last, self.dx, self.dy, self.dz, self.yaw)
        rows, done = bytearray(), (0, 0, 0)
        for at in range(1, count + 1):
            hops = min(self.hops, WRAP - 1 - MAX_HOP + (at - 1) * (WRAP - 1))
            there = (self.dx * at // count, self.dy * at // count, self.dz * at // count)
            step = (new - old for new, old in zip(there, done, strict=True))
            rows += MOVE.pack(number, (self.first + hops) % WRAP, *step, self.yaw)
            done = there
        return bytes(rows)


class PendingView:
    """Bounded by the entities that a viewer can see, and how far they go, however long the client does not read."""

    def __init__(self) -> None:
        self._clear()

    def _clear(self) -> None:
        self._newest: View | None = None
        self._begun: View | None = None  # the newest view with a reset
        self._places: dict[int, tuple[int, ...]] = {}
        self._ways: dict[int, Way] = {}
        self._states: dict[int, bytes] = {}
        self._leaves: dict[int, None] = {}
        self._correction = b""
        self.merged = 0

    def add(self, view: View) -> None:
        self.merged += 1
        self._newest = view
        if view.reset is not None:
            self._places.clear()
            self._ways.clear()
            self._states.clear()
            self._leaves.clear()
            self._begun = view
        for number in view.leaves:
            self._places.pop(number, None)
            self._ways.pop(number, None)
            self._states.pop(number, None)
            self._leaves[number] = None
        for data in view.states:
            self._add_state(data)
        for number, *place in PLACE.iter_unpack(view.places):
            self._places[number] = tuple(place)
            self._ways.pop(number, None)
        for number, *step in MOVE.iter_unpack(view.moves):
            self._add_step(number, *step)
        if view.correction:
            self._correction = view.correction

    def _add_state(self, data: bytes) -> None:
        state = pb.EntityState.FromString(data)
        before = self._states.get(state.number)
        self._states[state.number] = _merged(before, state) if before is not None and state.change else data

    def _add_step(self, number: int, sequence: int, dx: int, dy: int, dz: int, yaw: int) -> None:
        place = self._places.get(number)
        if place is not None:
            at, x, y, z, _ = place
            at = (at + (sequence - at) % WRAP) & 0xFFFF
            self._places[number] = at, _on_earth(x + dx), _on_earth(y + dy), _on_earth(z + dz), yaw
            return
        way = self._ways.get(number)
        if way is None:
            self._ways[number] = Way(sequence, dx, dy, dz, yaw)
        else:
            way.go(sequence, dx, dy, dz, yaw)

    def take(self) -> View | None:
        """Everything as one view, and nothing is pending any more."""
        newest, begun = self._newest, self._begun
        if newest is None:
            return None
        view = View(
            newest.tick,
            newest.ack,
            b"".join([way.rows(number) for number, way in self._ways.items()]),
            list(self._states.values()),
            list(self._leaves),
            correction=self._correction,
            places=b"".join([PLACE.pack(number, *place) for number, place in self._places.items()]),
        )
        if begun is not None:
            view.reset, view.attach_epoch = begun.reset, begun.attach_epoch
            view.session_id, view.transfer = begun.session_id, begun.transfer
        self._clear()
        return view

    def __bool__(self) -> bool:
        return self._newest is not None


def _on_earth(cm: int) -> int:
    return max(-MAX_CM, min(MAX_CM, cm))


def _merged(data: bytes, change: pb.EntityState) -> bytes:
    """A state, whole or itself a change, and then a change: a null takes a property from a whole, and stays one in a change."""
    state = pb.EntityState.FromString(data)
    properties = orjson.loads(state.properties_json or "{}") | orjson.loads(change.properties_json or "{}")
    if not state.change:
        properties = {name: value for name, value in properties.items() if value is not None}
    state.properties_json = orjson.dumps(properties).decode() if properties else ""
    state.version, state.link_dead = change.version, change.link_dead
    return state.SerializeToString()
