"""Views on the wire: `ViewFrame` with its 18-byte rows, and the JSON of `world.view`.

Source: PROTOCOL.md, "Views".
"""

from __future__ import annotations

import json
import math
import struct

from rayrealm_client.anys import Json
from rayrealm_client.errors import CodecError
from rayrealm_client.view import Correction, Move, Position, Reset, State, View
from realm_proto import realtime_pb2 as pb

ROW = struct.Struct("<HHfffH")
TURN = 65_536
_RADIANS = math.tau / TURN


def pack_yaw(yaw: float) -> int:
    """Radians to 1/65536 of a full turn."""
    return round(yaw / math.tau * TURN) % TURN


def from_proto(frame: pb.ViewFrame) -> View:
    """Raises CodecError for rows or properties that are not what the protocol says."""
    rows = frame.moves
    if len(rows) % ROW.size:
        raise CodecError(f"moves are {len(rows)} bytes, no multiple of {ROW.size}")
    return View(
        frame.tick,
        frame.ack,
        tuple([Move(n, s, x, y, z, yaw * _RADIANS) for n, s, x, y, z, yaw in ROW.iter_unpack(rows)]),
        tuple([_state(state) for state in frame.states]) if frame.states else (),
        tuple(frame.leaves) if frame.leaves else (),
        Reset(frame.reset.zone_id, frame.reset.epoch) if frame.HasField("reset") else None,
        _correction(frame.correction) if frame.HasField("correction") else None,
    )


def to_proto(view: View) -> pb.ViewFrame:
    frame = pb.ViewFrame(
        tick=view.tick,
        ack=view.ack,
        moves=b"".join(ROW.pack(m.number, m.sequence, m.x, m.y, m.z, pack_yaw(m.yaw)) for m in view.moves),
        states=[
            pb.EntityState(
                number=s.number,
                entity_id=s.entity_id,
                entity_type=s.entity_type,
                name=s.name,
                version=s.version,
                properties_json=json.dumps(s.properties) if s.properties else "",
                link_dead=s.link_dead,
            )
            for s in view.states
        ],
        leaves=view.leaves,
    )
    if view.reset is not None:
        frame.reset.zone_id, frame.reset.epoch = view.reset.zone, view.reset.epoch
    if view.correction is not None:
        c = view.correction
        frame.correction.CopyFrom(
            pb.Correction(sequence=c.sequence, position=pb.Vector3(**c.position._asdict()), reason=c.reason, yaw=c.yaw)
        )
    return frame


def from_json(params: Json) -> View:
    """Raises CodecError for anything but the members of `world.view`."""
    try:
        reset, correction = params.get("reset"), params.get("correction")
        view = View(
            int(params["tick"]),
            int(params["ack"]),
            tuple(_move(row) for row in params.get("moves", ())),
            tuple(_state_of(row) for row in params.get("states", ())),
            tuple(int(number) for number in params.get("leaves", ())),
            None if reset is None else Reset(str(reset["zone"]), int(reset["epoch"])),
            None if correction is None else _correction_of(correction),
        )
    except (AttributeError, KeyError, TypeError, ValueError, OverflowError) as error:
        raise CodecError("no view") from error
    return view


def to_json(view: View) -> dict[str, Json]:
    params: dict[str, Json] = {"tick": view.tick, "ack": view.ack}
    if view.moves:
        params["moves"] = [move._asdict() for move in view.moves]
    if view.states:
        params["states"] = [_state_to_json(state) for state in view.states]
    if view.leaves:
        params["leaves"] = list(view.leaves)
    if view.reset is not None:
        params["reset"] = {"zone": view.reset.zone, "epoch": view.reset.epoch}
    if view.correction is not None:
        c = view.correction
        place = c.position._asdict()
        params["correction"] = {"sequence": c.sequence, "position": place, "reason": c.reason, "yaw": c.yaw}
    return params


def _state(state: pb.EntityState) -> State:
    properties: Json = {}
    if state.properties_json:
        try:
            properties = json.loads(state.properties_json)
        except (ValueError, RecursionError) as error:
            raise CodecError("properties are no JSON") from error
        if not isinstance(properties, dict):
            raise CodecError("properties are no object")
    return State(
        state.number, state.entity_id, state.entity_type, state.name, state.version, properties, state.link_dead
    )


def _state_to_json(state: State) -> dict[str, Json]:
    said = {name: getattr(state, name) for name in State.__slots__}
    if not state.link_dead:
        del said["link_dead"]
    return said


def _correction(c: pb.Correction) -> Correction:
    return Correction(c.sequence, Position(c.position.x, c.position.y, c.position.z), c.reason, c.yaw)


def _move(row: Json) -> Move:
    x, y, z, yaw = float(row["x"]), float(row["y"]), float(row["z"]), float(row.get("yaw", 0.0))
    return Move(int(row["number"]), int(row["sequence"]) % TURN, x, y, z, yaw)


def _state_of(row: Json) -> State:
    link_dead = row.get("link_dead", False)
    if type(link_dead) is not bool:
        raise TypeError("link_dead is true or false")
    return State(
        int(row["number"]),
        str(row["entity_id"]),
        str(row["entity_type"]),
        str(row["name"]),
        int(row["version"]),
        dict(row.get("properties") or {}),
        link_dead,
    )


def _correction_of(value: Json) -> Correction:
    place = value["position"]
    return Correction(
        int(value["sequence"]),
        Position(float(place["x"]), float(place["y"]), float(place["z"])),
        str(value["reason"]),
        float(value.get("yaw", 0.0)),
    )
