"""Views on the wire: `ViewFrame` with its rows, and the JSON of `world.view`.

Source: PROTOCOL.md, "Views".
"""

from __future__ import annotations

import json
import math
import struct

from rayrealm_client.anys import Json
from rayrealm_client.errors import CodecError
from rayrealm_client.view import CM_PER_M, Correction, Move, Place, Position, Reset, State, View
from realm_proto import realtime_pb2 as pb

PLACE_ROW = struct.Struct("<HHiiiH")
MOVE_ROW = struct.Struct("<HBbbbH")
TURN = 65_536
FURTHEST = 2**31  # centimetres
MOST_STEP = 127  # that one row says; a little less than it could, so that both ways are alike
_RADIANS = math.tau / TURN


def pack_yaw(yaw: float) -> int:
    """Radians to 1/65536 of a full turn."""
    return round(yaw / math.tau * TURN) % TURN


def from_proto(frame: pb.ViewFrame) -> View:
    """Raises CodecError for rows or properties that are not what the protocol says."""
    places, moves = frame.places, frame.moves
    if len(places) % PLACE_ROW.size:
        raise CodecError(f"places are {len(places)} bytes, no multiple of {PLACE_ROW.size}")
    if len(moves) % MOVE_ROW.size:
        raise CodecError(f"moves are {len(moves)} bytes, no multiple of {MOVE_ROW.size}")
    return View(
        frame.tick,
        frame.ack,
        tuple([Place(n, s, x, y, z, yaw * _RADIANS) for n, s, x, y, z, yaw in PLACE_ROW.iter_unpack(places)])
        if places
        else (),
        tuple([Move(n, s, x, y, z, yaw * _RADIANS) for n, s, x, y, z, yaw in MOVE_ROW.iter_unpack(moves)]),
        tuple([_state(state) for state in frame.states]) if frame.states else (),
        tuple(frame.leaves) if frame.leaves else (),
        Reset(frame.reset.zone_id, frame.reset.epoch, frame.reset.number) if frame.HasField("reset") else None,
        _correction(frame.correction) if frame.HasField("correction") else None,
    )


def to_proto(view: View) -> pb.ViewFrame:
    """A move further than a row can say becomes several. Raises CodecError for a number that has no place in a row."""
    try:
        places = b"".join(PLACE_ROW.pack(p.number, p.sequence, p.x, p.y, p.z, pack_yaw(p.yaw)) for p in view.places)
        moves = b"".join(_move_rows(move) for move in view.moves)
    except struct.error as error:
        raise CodecError(f"no row can say it: {error}") from error
    frame = pb.ViewFrame(
        tick=view.tick,
        ack=view.ack,
        places=places,
        moves=moves,
        states=[
            pb.EntityState(
                number=s.number,
                entity_id=s.entity_id,
                entity_type=s.entity_type,
                name=s.name,
                version=s.version,
                properties_json=json.dumps(s.properties) if s.properties else "",
                link_dead=s.link_dead,
                change=s.change,
            )
            for s in view.states
        ],
        leaves=view.leaves,
    )
    if view.reset is not None:
        r = view.reset
        frame.reset.zone_id, frame.reset.epoch, frame.reset.number = r.zone, r.epoch, r.number
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
            tuple(_place_of(row) for row in params.get("places", ())),
            tuple(_move_of(row) for row in params.get("moves", ())),
            tuple(_state_of(row) for row in params.get("states", ())),
            tuple(int(number) for number in params.get("leaves", ())),
            None if reset is None else Reset(str(reset["zone"]), int(reset["epoch"]), int(reset["number"])),
            None if correction is None else _correction_of(correction),
        )
    except (AttributeError, KeyError, TypeError, ValueError, OverflowError) as error:
        raise CodecError("no view") from error
    return view


def to_json(view: View) -> dict[str, Json]:
    params: dict[str, Json] = {"tick": view.tick, "ack": view.ack}
    if view.places:
        params["places"] = [_in_metres(place._asdict(), "x", "y", "z") for place in view.places]
    if view.moves:
        params["moves"] = [_in_metres(move._asdict(), "dx", "dy", "dz") for move in view.moves]
    if view.states:
        params["states"] = [_state_to_json(state) for state in view.states]
    if view.leaves:
        params["leaves"] = list(view.leaves)
    if view.reset is not None:
        params["reset"] = {"zone": view.reset.zone, "epoch": view.reset.epoch, "number": view.reset.number}
    if view.correction is not None:
        c = view.correction
        place = c.position._asdict()
        params["correction"] = {"sequence": c.sequence, "position": place, "reason": c.reason, "yaw": c.yaw}
    return params


def cm(metres: Json) -> int:
    """Whole centimetres. Raises TypeError or ValueError for what is no place."""
    if isinstance(metres, bool) or not isinstance(metres, int | float):
        raise TypeError("metres are a number")
    found = round(metres * CM_PER_M)
    if not -FURTHEST <= found < FURTHEST:
        raise ValueError("too far away")
    return found


def _move_rows(move: Move) -> bytes:
    """Usually one."""
    number, sequence, *way, yaw = move
    rows = bytearray()
    while True:
        step = [max(-MOST_STEP, min(MOST_STEP, part)) for part in way]
        rows += MOVE_ROW.pack(number, sequence, *step, pack_yaw(yaw))
        way = [part - done for part, done in zip(way, step, strict=True)]
        if not any(way):
            return bytes(rows)


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
        state.number,
        state.entity_id,
        state.entity_type,
        state.name,
        state.version,
        properties,
        state.link_dead,
        state.change,
    )


def _state_to_json(state: State) -> dict[str, Json]:
    said: dict[str, Json] = {"number": state.number}
    if not state.change:
        said |= {"entity_id": state.entity_id, "entity_type": state.entity_type, "name": state.name}
    said |= {"version": state.version, "properties": state.properties}
    return said | {name: True for name in ("link_dead", "change") if getattr(state, name)}


def _correction(c: pb.Correction) -> Correction:
    return Correction(c.sequence, Position(c.position.x, c.position.y, c.position.z), c.reason, c.yaw)


def _in_metres(row: dict[str, Json], *names: str) -> dict[str, Json]:
    return row | {name: row[name] / CM_PER_M for name in names}


def _place_of(row: Json) -> Place:
    x, y, z = cm(row["x"]), cm(row["y"]), cm(row["z"])
    return Place(int(row["number"]), int(row["sequence"]) % TURN, x, y, z, float(row.get("yaw", 0.0)))


def _move_of(row: Json) -> Move:
    dx, dy, dz = cm(row["dx"]), cm(row["dy"]), cm(row["dz"])
    return Move(int(row["number"]), int(row["sequence"]) % 256, dx, dy, dz, float(row.get("yaw", 0.0)))


def _state_of(row: Json) -> State:
    link_dead, change = row.get("link_dead", False), row.get("change", False)
    if type(link_dead) is not bool or type(change) is not bool:
        raise TypeError("link_dead and change are true or false")
    properties = row.get("properties") or {}
    if not isinstance(properties, dict):
        raise TypeError("properties are an object")
    named = ("", "", "") if change else (str(row["entity_id"]), str(row["entity_type"]), str(row["name"]))
    return State(int(row["number"]), *named, int(row["version"]), properties, link_dead, change)


def _correction_of(value: Json) -> Correction:
    place = value["position"]
    return Correction(
        int(value["sequence"]),
        Position(float(place["x"]), float(place["y"]), float(place["z"])),
        str(value["reason"]),
        float(value.get("yaw", 0.0)),
    )
