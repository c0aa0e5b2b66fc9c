"""Typed params (row 2.1): messages of rayrealm.v1 as plain JSON, and back where an answer needs it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from google.protobuf import any_pb2, struct_pb2
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import DecodeError

from realm_proto import realtime_pb2 as pb
from serve_apps.gateway.messages import BadParams

PREFIX = "type.googleapis.com/"
STRUCT = PREFIX + "google.protobuf.Struct"

STATUS_NAMES = {
    pb.PRESENCE_STATUS_ONLINE: "online",
    pb.PRESENCE_STATUS_AWAY: "away",
    pb.PRESENCE_STATUS_BUSY: "busy",
    pb.PRESENCE_STATUS_INVISIBLE: "invisible",
    pb.PRESENCE_STATUS_UNSPECIFIED: None,  # stays as it is
}


def position_to_dict(m: pb.PositionUpdate) -> dict[str, Any]:
    update: dict[str, Any] = {
        "position": {"x": m.position.x, "y": m.position.y, "z": m.position.z} if m.HasField("position") else None,
        "rotation": {"yaw": m.rotation.yaw},
        "sequence": m.sequence,
    }
    return {k: v for k, v in update.items() if v is not None}


def _position(data: bytes) -> dict[str, Any]:
    return position_to_dict(pb.PositionUpdate.FromString(data))


def _positions(data: bytes) -> dict[str, Any]:
    return {"updates": [position_to_dict(u) for u in pb.PositionBatch.FromString(data).updates]}


def _presence(data: bytes) -> dict[str, Any]:
    """An empty map is like none: only the JSON form can take metadata away."""
    m = pb.PresenceUpdate.FromString(data)
    update = {
        "status": STATUS_NAMES.get(m.status, ""),
        "text": m.text if m.HasField("text") else None,
        "metadata": dict(m.metadata) or None,
    }
    return {name: value for name, value in update.items() if value is not None}


def _state(data: bytes) -> dict[str, Any]:
    m = pb.StateSync.FromString(data)
    return {
        "entity_id": m.entity_id,
        "version": m.version,
        "properties": {name: _value(value) for name, value in m.properties.items()},
    }


def _value(packed: any_pb2.Any) -> Any:
    """A property: a google.protobuf.Value or Struct."""
    if packed.type_url == PREFIX + "google.protobuf.Value":
        return MessageToDict(struct_pb2.Value.FromString(packed.value))
    if packed.type_url == STRUCT:
        return _struct(packed.value)
    raise BadParams(f"a property is a google.protobuf.Value or Struct, not {packed.type_url!r}", "properties")


def _struct(data: bytes) -> dict[str, Any]:
    made: dict[str, Any] = MessageToDict(struct_pb2.Struct.FromString(data))
    return made


DECODERS: dict[str, Callable[[bytes], dict[str, Any]]] = {
    PREFIX + "rayrealm.v1.PositionUpdate": _position,
    PREFIX + "rayrealm.v1.PositionBatch": _positions,
    PREFIX + "rayrealm.v1.PresenceUpdate": _presence,
    PREFIX + "rayrealm.v1.StateSync": _state,
    STRUCT: _struct,
}


def to_params(type_url: str, data: bytes) -> dict[str, Any]:
    """Raises BadParams: an unknown type, or bytes that are not of that type."""
    decode = DECODERS.get(type_url)
    if decode is None:
        raise BadParams(f"unknown type {type_url[:120]!r}", "@type")
    try:
        made: dict[str, Any] = whole(decode(data))
    except (DecodeError, ValueError, RecursionError):
        raise BadParams(f"not a {type_url.removeprefix(PREFIX)}", "value") from None
    return made


def whole(value: Any) -> Any:
    """A Struct knows only doubles: numbers without a fraction become int again."""
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return int(value)
    if isinstance(value, dict):
        return {k: whole(v) for k, v in value.items()}
    if isinstance(value, list):
        return [whole(v) for v in value]
    return value


def to_any(value: dict[str, Any]) -> any_pb2.Any:
    """Plain JSON as an Any with a Struct."""
    struct = struct_pb2.Struct()
    struct.update(value)
    return any_pb2.Any(type_url=STRUCT, value=struct.SerializeToString())
