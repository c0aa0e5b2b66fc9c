"""What the mock realm says, in both framings. Made with the schema and `json`, not with the client's codec."""

from __future__ import annotations

import json
import struct
from typing import Any

from google.protobuf import json_format, struct_pb2

from realm_proto import realtime_pb2 as pb

PLACE_ROW, MOVE_ROW = struct.Struct("<HHiiiH"), struct.Struct("<HBbbbH")
RADIANS = 9.587379924285257e-05


def view_params(frame: pb.ViewFrame) -> dict[str, Any]:
    """Of `world.view`, as JSON."""
    params: dict[str, Any] = {"tick": frame.tick, "ack": frame.ack, "leaves": list(frame.leaves)}
    for name, row, axes in (("places", PLACE_ROW, "x y z"), ("moves", MOVE_ROW, "dx dy dz")):
        params[name] = [
            {"number": number, "sequence": sequence, "yaw": yaw * RADIANS}
            | {axis: cm / 100 for axis, cm in zip(axes.split(), way, strict=True)}
            for number, sequence, *way, yaw in row.iter_unpack(getattr(frame, name))
        ]
    params["states"] = [
        {"number": s.number, "version": s.version, "properties": json.loads(s.properties_json or "{}")}
        | ({} if s.change else {"entity_id": s.entity_id, "entity_type": s.entity_type, "name": s.name})
        | {flag: True for flag in ("link_dead", "change") if getattr(s, flag)}
        for s in frame.states
    ]
    if frame.HasField("reset"):
        params["reset"] = {"zone": frame.reset.zone_id, "epoch": frame.reset.epoch, "number": frame.reset.number}
    if frame.HasField("correction"):
        params["correction"] = json_format.MessageToDict(frame.correction, always_print_fields_with_no_presence=True)
    return params


def encode(
    subprotocol: str,
    *,
    id_: Any = None,
    method: str | None = None,
    params: dict[str, Any] | None = None,
    result: dict[str, Any] | None = None,
    error: dict[str, Any] | None = None,
    seq: int | None = None,
) -> str | bytes:
    if subprotocol == "rayrealm.v1+json":
        message: dict[str, Any] = {"jsonrpc": "2.0"}
        if seq is not None:
            params = {**(params or {}), "seq": seq}
        named = {"id": id_, "method": method, "params": params, "result": result, "error": error}
        message |= {name: value for name, value in named.items() if value is not None}
        return json.dumps(message)
    made = pb.WebSocketMessage(jsonrpc="2.0")
    if id_ is not None:
        made.id_number = int(id_)
    if method is not None:
        made.notification.method = method
        made.notification.seq = seq or 0
        made.notification.params.Pack(_struct(params or {}))
    elif error is not None:
        made.response.error.code, made.response.error.message = error["code"], error["message"]
        made.response.error.data.Pack(_struct(error["data"]))
    else:
        made.response.result.Pack(_struct(result or {}))
    return made.SerializeToString()


def join(frames: list[str | bytes]) -> str | bytes:
    """Several frames of one framing as a batch."""
    texts = [frame for frame in frames if isinstance(frame, str)]
    if texts:
        return f"[{','.join(texts)}]"
    messages = [pb.WebSocketMessage.FromString(frame) for frame in frames if isinstance(frame, bytes)]
    return pb.WebSocketMessage(jsonrpc="2.0", batch=pb.BatchMessage(messages=messages)).SerializeToString()


def _struct(value: dict[str, Any]) -> struct_pb2.Struct:
    return json_format.ParseDict(value, struct_pb2.Struct())
