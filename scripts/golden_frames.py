"""Frames by protobuf's reference implementation, and what they say, for golden.py."""

from __future__ import annotations

import json
import zlib
from typing import Any

from google.protobuf import any_pb2, struct_pb2
from google.protobuf.message import Message

from realm_proto import realtime_pb2 as pb

Vector = dict[str, Any]
Item = dict[str, Any]


def binary(name: str, message: Message | bytes, **says: Any) -> Vector:
    data = message if isinstance(message, bytes) else message.SerializeToString(deterministic=True)
    return {"name": name, "hex": data.hex(), **says}


def text(name: str, frame: Any, **says: Any) -> Vector:
    said = frame if isinstance(frame, str) else json.dumps(frame, ensure_ascii=False, separators=(",", ":"))
    return {"name": name, "text": said, **says}


def packed(value: Any) -> any_pb2.Any:
    """Plain JSON, or a message."""
    made = any_pb2.Any()
    if isinstance(value, Message):
        made.Pack(value, deterministic=True)
    else:
        plain = struct_pb2.Struct()
        plain.update(value)
        made.Pack(plain, deterministic=True)
    return made


def message(**members: Any) -> pb.WebSocketMessage:
    return pb.WebSocketMessage(jsonrpc="2.0", **members)


def request(method: str, params: Any = None, **request_id: Any) -> pb.WebSocketMessage:
    body = pb.Request(method=method)
    if params is not None:
        body.params.CopyFrom(packed(params))
    return message(request=body, **request_id)


def notification(method: str, params: Any = None, seq: int = 0) -> pb.WebSocketMessage:
    body = pb.Notification(method=method, seq=seq)
    if params is not None:
        body.params.CopyFrom(packed(params))
    return message(notification=body)


def batch(*messages: pb.WebSocketMessage, stored: bool = False, size: int | None = None) -> pb.BatchMessage:
    """`stored`: as a zlib stream without compression, which every zlib writes alike."""
    plain = pb.BatchMessage(messages=messages)
    if not stored:
        return plain
    data = plain.SerializeToString(deterministic=True)
    return pb.BatchMessage(
        compressed=True, original_size=len(data) if size is None else size, payload=zlib.compress(data, 0)
    )


def update(x: float, y: float, z: float, yaw: float, sequence: int) -> pb.PositionUpdate:
    position, rotation = pb.Vector3(x=x, y=y, z=z), pb.Rotation(yaw=yaw)
    return pb.PositionUpdate(position=position, rotation=rotation, sequence=sequence)


def a_request(request_id: Any, method: str, params: Any = None) -> Item:
    return {"kind": "request", "id": request_id, "method": method, "params": params or {}}


def a_notification(method: str, params: Any = None, seq: int | None = None) -> Item:
    """`seq`: of a reliable one."""
    said = {"kind": "notification", "method": method, "params": params or {}}
    return said if seq is None else {**said, "seq": seq}


def a_move(x: float, y: float, z: float, yaw: float, sequence: int) -> Item:
    return {"kind": "move", "x": x, "y": y, "z": z, "yaw": yaw, "sequence": sequence}


def told_text(method: str, params: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "method": method, "params": params}
