"""From ZoneOutput to one view per viewer: the gateway's half of "encoded once" (DESIGN, "A position update").

The rows a viewer sees are gathered by numpy for all viewers at once; what is left per viewer is a slice and a header.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import orjson

from actors.zone.rows import MOVE_OUT, u16_to_yaw
from realm_proto import internal_pb2
from realm_proto import realtime_pb2 as pb
from serve_apps.gateway.varint import varint

ROW = MOVE_OUT.itemsize


# Field tags of ViewFrame and WebSocketMessage (realtime.proto); a test holds them against the schema.
TICK, ACK, MOVES, STATES, VIEW = b"\x0d", b"\x15", b"\x1a", b"\x22", b"\x42"
_SHORT = [varint(length) for length in range(16_384)]


def _length(value: int) -> bytes:
    return _SHORT[value] if value < len(_SHORT) else varint(value)


@dataclass(slots=True)
class View:
    """One viewer's news. `moves`: MOVE_OUT rows; `states`: serialised EntityState; `correction`: serialised Correction.

    `attach_epoch`: with a `reset`, the attach that it begins the views of.
    """

    tick: bytes
    ack: bytes
    moves: bytes
    states: list[bytes] = field(default_factory=list)
    leaves: list[int] = field(default_factory=list)
    reset: pb.ViewReset | None = None
    correction: bytes = b""
    attach_epoch: int = 0

    def to_proto(self) -> bytes:
        """A WebSocketMessage with this view."""
        moves = self.moves
        parts = (
            [TICK, self.tick, ACK, self.ack, MOVES, _length(len(moves)), moves]
            if moves
            else [TICK, self.tick, ACK, self.ack]
        )
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
        said: dict[str, Any] = {
            "tick": int.from_bytes(self.tick, "little"),
            "ack": int.from_bytes(self.ack, "little"),
            "moves": [
                {
                    "number": int(r["number"]),
                    "sequence": int(r["sequence"]),
                    "x": float(r["x"]),
                    "y": float(r["y"]),
                    "z": float(r["z"]),
                    "yaw": u16_to_yaw(int(r["yaw"])),
                }
                for r in np.frombuffer(self.moves, MOVE_OUT)
            ],
        }
        if self.states:
            said["states"] = [_state_to_dict(state) for state in self.states]
        if self.leaves:
            said["leaves"] = self.leaves
        if self.reset is not None:
            said["reset"] = {"zone": self.reset.zone_id, "epoch": self.reset.epoch}
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
    link_dead = {"link_dead": True} if s.link_dead else {}
    return {
        "number": s.number,
        "entity_id": s.entity_id,
        "entity_type": s.entity_type,
        "name": s.name,
        "version": s.version,
        "properties": orjson.loads(s.properties_json or "{}"),
        **link_dead,
    }


def split(out: internal_pb2.ZoneOutput) -> Iterator[tuple[int, View]]:
    """The views of a ZoneOutput by the viewer's entity number."""
    rows = np.frombuffer(out.moves, np.uint8).reshape(-1, ROW)
    gathered = rows[np.frombuffer(out.move_index, "<u4")].tobytes()
    tick = out.tick.to_bytes(4, "little")
    acks = out.acks
    ends = (np.frombuffer(out.move_end, "<u4") * ROW).tolist()
    events = {event.viewer: event for event in out.events}
    start = 0
    for at, (viewer, end) in enumerate(zip(np.frombuffer(out.viewers, "<u2").tolist(), ends, strict=True)):
        view = View(tick, acks[4 * at : 4 * at + 4], gathered[start:end])
        start = end
        if viewer in events:
            event = events[viewer]
            view.states = [out.states[i] for i in event.states]
            view.leaves = list(event.leaves)
            view.correction = event.correction
            if event.reset:
                view.reset = pb.ViewReset(zone_id=out.zone_id, epoch=out.epoch)
                view.attach_epoch = event.attach_epoch
        yield viewer, view


class PendingView:
    """Views that could not be written yet, merged: the newest move of each entity wins, no state and no leave is lost.

    Bounded by the entities that a viewer can see, however long the client does not read.
    """

    def __init__(self) -> None:
        self._clear()

    def _clear(self) -> None:
        self._newest: View | None = None
        self._rows: dict[bytes, bytes] = {}
        self._states: dict[int, bytes] = {}
        self._leaves: dict[int, None] = {}
        self._reset: pb.ViewReset | None = None
        self._correction = b""
        self.merged = 0

    def add(self, view: View) -> None:
        self.merged += 1
        self._newest = view
        if view.reset is not None:
            self._rows.clear()
            self._states.clear()
            self._leaves.clear()
            self._reset = view.reset
        for number in view.leaves:
            self._rows.pop(number.to_bytes(2, "little"), None)
            self._states.pop(number, None)
            self._leaves[number] = None
        for state in view.states:
            self._states[pb.EntityState.FromString(state).number] = state
        moves = view.moves
        for at in range(0, len(moves), ROW):
            row = moves[at : at + ROW]
            self._rows[row[:2]] = row
        if view.correction:
            self._correction = view.correction

    def take(self) -> View | None:
        """Everything as one view, and nothing is pending any more."""
        newest = self._newest
        if newest is None:
            return None
        view = View(
            newest.tick,
            newest.ack,
            b"".join(self._rows.values()),
            list(self._states.values()),
            list(self._leaves),
            self._reset,
            self._correction,
        )
        self._clear()
        return view

    def __bool__(self) -> bool:
        return self._newest is not None
