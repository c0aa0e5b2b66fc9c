"""From ZoneOutput to one view per viewer: the gateway's half of "encoded once" (DESIGN, "A position update").

The rows a viewer sees are gathered by numpy for all viewers at once; what is left per viewer is a slice and a header.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson

from actors.zone.rows import CM, MOVE_OUT, PLACE_OUT, u16_to_yaw
from realm_proto import internal_pb2
from realm_proto import realtime_pb2 as pb
from serve_apps.gateway.varint import varint

# Field tags of ViewFrame and WebSocketMessage (realtime.proto); a test holds them against the schema.
TICK, ACK, MOVES, STATES, PLACES, VIEW = b"\x0d", b"\x15", b"\x1a", b"\x22", b"\x42", b"\x42"
_SHORT = [varint(length) for length in range(16_384)]
_NONE: Sequence[Any] = ()


def _length(value: int) -> bytes:
    return _SHORT[value] if value < len(_SHORT) else varint(value)


@dataclass(slots=True)
class View:
    """One viewer's news. `tick`, `ack`: uint32, little-endian; `moves`: MOVE_OUT rows; `places`: PLACE_OUT rows.

    `states`: serialised EntityState; `correction`: serialised Correction. With a `reset`: `attach_epoch`, the attach that it
    begins the views of; and, if the viewer was handed over to the zone, `session_id`, whose views they are, and `transfer`, how
    often it was.
    """

    tick: bytes
    ack: bytes
    moves: bytes
    states: Sequence[bytes] = _NONE
    leaves: Sequence[int] = _NONE
    reset: pb.ViewReset | None = None
    correction: bytes = b""
    attach_epoch: int = 0
    places: bytes = b""
    session_id: str = ""
    transfer: int = 0

    def to_proto(self) -> bytes:
        """A WebSocketMessage with this view."""
        moves, places = self.moves, self.places
        parts = [TICK, self.tick, ACK, self.ack]
        if moves:
            parts += (MOVES, _length(len(moves)), moves)
        if places:
            parts += (PLACES, _length(len(places)), places)
        if self.states or self.leaves or self.reset or self.correction:
            for state in self.states:
                parts += (STATES, _length(len(state)), state)
            rest = pb.ViewFrame(leaves=self.leaves, reset=self.reset)
            if self.correction:
                rest.correction.MergeFromString(self.correction)
            parts.append(rest.SerializeToString())
        body = b"".join(parts)
        return b"".join((VIEW, _length(len(body)), body))

    def to_json(self) -> bytes:
        """The params of world.view (PROTOCOL.md, "Views")."""
        said: dict[str, Any] = {"tick": int.from_bytes(self.tick, "little"), "ack": int.from_bytes(self.ack, "little")}
        if self.places:
            said["places"] = [
                {"number": n, "sequence": s, "x": x / CM, "y": y / CM, "z": z / CM, "yaw": u16_to_yaw(yaw)}
                for n, s, x, y, z, yaw in np.frombuffer(self.places, PLACE_OUT).tolist()
            ]
        if self.moves:
            said["moves"] = [
                {"number": n, "sequence": s, "dx": dx / CM, "dy": dy / CM, "dz": dz / CM, "yaw": u16_to_yaw(yaw)}
                for n, s, dx, dy, dz, yaw in np.frombuffer(self.moves, MOVE_OUT).tolist()
            ]
        if self.states:
            said["states"] = [_state_to_dict(state) for state in self.states]
        if self.leaves:
            said["leaves"] = list(self.leaves)
        if self.reset is not None:
            said["reset"] = {"zone": self.reset.zone_id, "epoch": self.reset.epoch, "number": self.reset.number}
        if self.correction:
            c = pb.Correction.FromString(self.correction)
            said["correction"] = {
                "sequence": c.sequence,
                "position": {"x": c.position.x, "y": c.position.y, "z": c.position.z},
                "reason": c.reason,
                "yaw": c.yaw,
            }
        return orjson.dumps(said)


def _state_to_dict(data: bytes) -> dict[str, Any]:
    s = pb.EntityState.FromString(data)
    said: dict[str, Any] = {"number": s.number}
    if not s.change:
        said |= {"entity_id": s.entity_id, "entity_type": s.entity_type, "name": s.name}
    said |= {"version": s.version, "properties": orjson.loads(s.properties_json or "{}")}
    if s.link_dead:
        said["link_dead"] = True
    if s.change:
        said["change"] = True
    return said


def split(out: internal_pb2.ZoneOutput) -> Iterator[tuple[int, View]]:
    """The views of a ZoneOutput by the viewer's entity number."""
    tick, acks = out.tick.to_bytes(4, "little"), out.acks
    moves, ends = _gathered(out.moves, out.move_end, out.move_index, MOVE_OUT)
    places, place_ends = b"", ends
    if out.place_index:
        places, place_ends = _gathered(out.places, out.place_end, out.place_index, PLACE_OUT)
    events = {event.viewer: event for event in out.events}
    start = place_start = at = 0
    viewers = np.frombuffer(out.viewers, "<u2").tolist()
    for viewer, end, place_end in zip(viewers, ends, place_ends, strict=True):
        view = View(tick, acks[at : at + 4], moves[start:end])
        start = end
        at += 4
        if places:
            view.places = places[place_start:place_end]
            place_start = place_end
        if viewer in events:
            _add(view, events[viewer], out, viewer)
        yield viewer, view


def _gathered(table: bytes, end: bytes, index: bytes, dtype: np.dtype) -> tuple[bytes, list[int]]:
    """The rows of all viewers one after the other, and where each viewer's end, in bytes."""
    size = dtype.itemsize
    rows = np.frombuffer(table, f"V{size}")
    return rows[np.frombuffer(index, "<u4")].tobytes(), (np.frombuffer(end, "<u4") * size).tolist()


def _add(view: View, event: internal_pb2.ViewerEvents, out: internal_pb2.ZoneOutput, viewer: int) -> None:
    states = out.states
    view.states = [states[i] for i in event.states]
    view.leaves = list(event.leaves)
    view.correction = event.correction
    if event.reset:
        view.reset = pb.ViewReset(zone_id=out.zone_id, epoch=out.epoch, number=viewer)
        view.attach_epoch, view.session_id, view.transfer = event.attach_epoch, event.session_id, event.transfer
