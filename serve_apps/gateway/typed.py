"""Typed params (row 2.1): messages of rayrealm.v1 as plain JSON, and back where an answer needs it."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from google.protobuf import any_pb2, struct_pb2
from google.protobuf.message import DecodeError

from realm_proto import realtime_pb2 as pb
from serve_apps.gateway.messages import BadParams, Budget

PREFIX = "type.googleapis.com/"
STRUCT = PREFIX + "google.protobuf.Struct"
MAX_UPDATES = 50  # in a PositionBatch
UPDATE_VALUES = 8  # what a PositionUpdate becomes: itself, place, facing, and their numbers
WHOLE = 2.0**53  # whole numbers below are exact in a double

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


def _position(data: bytes, budget: Budget) -> dict[str, Any]:
    return position_to_dict(pb.PositionUpdate.FromString(data))


def _positions(data: bytes, budget: Budget) -> dict[str, Any]:
    """One more than there may be at most: the method's rules refuse that."""
    updates = pb.PositionBatch.FromString(data).updates[: MAX_UPDATES + 1]
    budget.charge(len(updates) * UPDATE_VALUES)
    return {"updates": [position_to_dict(u) for u in updates]}


def _presence(data: bytes, budget: Budget) -> dict[str, Any]:
    """An empty map is like none: only the JSON form can take metadata away."""
    m = pb.PresenceUpdate.FromString(data)
    budget.charge(len(m.metadata))
    update = {
        "status": STATUS_NAMES.get(m.status, ""),
        "text": m.text if m.HasField("text") else None,
        "metadata": dict(m.metadata) or None,
    }
    return {name: value for name, value in update.items() if value is not None}


def _state(data: bytes, budget: Budget) -> dict[str, Any]:
    m = pb.StateSync.FromString(data)
    budget.charge(len(m.properties))
    return {
        "entity_id": m.entity_id,
        "version": m.version,
        "properties": {name: _property(value, budget) for name, value in m.properties.items()},
    }


def _property(packed: any_pb2.Any, budget: Budget) -> Any:
    """A property: a google.protobuf.Value or Struct."""
    if packed.type_url == PREFIX + "google.protobuf.Value":
        return _value(struct_pb2.Value.FromString(packed.value), budget)
    if packed.type_url == STRUCT:
        return _struct(packed.value, budget)
    raise BadParams(f"a property is a google.protobuf.Value or Struct, not {packed.type_url[:120]!r}", "properties")


def _struct(data: bytes, budget: Budget) -> dict[str, Any]:
    return _fields(struct_pb2.Struct.FromString(data), budget)


def _fields(struct: struct_pb2.Struct, budget: Budget) -> dict[str, Any]:
    fields = struct.fields
    budget.charge(len(fields))
    return {name: _value(value, budget) for name, value in fields.items()}


def _value(value: struct_pb2.Value, budget: Budget) -> Any:
    """Plain JSON of a Value, as MessageToDict makes it. By hand: that takes four times as long, and makes everything before one can
    count. No deeper than the library parses, which is 100 messages in each other.

    A Struct knows only doubles: numbers without a fraction become int again.
    """
    kind = value.WhichOneof("kind")
    if kind == "string_value":
        return value.string_value
    if kind == "number_value":
        number = value.number_value
        if not math.isfinite(number):
            raise BadParams("a number must be finite", "value")
        return int(number) if abs(number) < WHOLE and number.is_integer() else number
    if kind == "bool_value":
        return value.bool_value
    if kind == "list_value":
        values = value.list_value.values
        budget.charge(len(values))
        return [_value(inner, budget) for inner in values]
    if kind == "struct_value":
        return _fields(value.struct_value, budget)
    return None


DECODERS: dict[str, Callable[[bytes, Budget], dict[str, Any]]] = {
    PREFIX + "rayrealm.v1.PositionUpdate": _position,
    PREFIX + "rayrealm.v1.PositionBatch": _positions,
    PREFIX + "rayrealm.v1.PresenceUpdate": _presence,
    PREFIX + "rayrealm.v1.StateSync": _state,
    STRUCT: _struct,
}


def to_params(type_url: str, data: bytes, budget: Budget | None = None) -> dict[str, Any]:
    """Raises BadParams: an unknown type, bytes that are not of that type, or more values than the frame may have."""
    budget = budget or Budget()
    budget.charge(0)  # nothing is parsed any more once it is used up
    decode = DECODERS.get(type_url)
    if decode is None:
        raise BadParams(f"unknown type {type_url[:120]!r}", "@type")
    try:
        return decode(data, budget)
    except DecodeError:
        raise BadParams(f"not a {type_url.removeprefix(PREFIX)}", "value") from None


def to_any(value: dict[str, Any]) -> any_pb2.Any:
    """Plain JSON as an Any with a Struct."""
    struct = struct_pb2.Struct()
    struct.update(value)
    return any_pb2.Any(type_url=STRUCT, value=struct.SerializeToString())
