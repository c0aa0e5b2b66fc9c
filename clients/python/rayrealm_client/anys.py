"""`google.protobuf.Any` to plain JSON values and back (PROTOCOL.md, "Framing").

An `Any` holds a message of `rayrealm.v1`, or a `google.protobuf.Struct` for plain JSON.
"""

from __future__ import annotations

import base64
import binascii
import math
from collections.abc import Mapping, Sequence
from typing import Any

from google.protobuf import any_pb2, json_format, message, message_factory, struct_pb2

from rayrealm_client.errors import CodecError
from realm_proto import realtime_pb2

Json = Any
"""None, bool, int, float, str, list of Json, dict of str to Json."""

Params = Mapping[str, Json] | message.Message | None
"""What a method takes: plain JSON, or a message of `rayrealm.v1`."""

PREFIX = "type.googleapis.com/"
MAX_DEPTH = 64
_EXACT = 2.0**53  # beyond it a double no longer holds every integer
_STRUCT = struct_pb2.Struct.DESCRIPTOR.full_name
_TYPES: dict[str, type[message.Message]] = {
    descriptor.full_name: message_factory.GetMessageClass(descriptor)
    for descriptor in realtime_pb2.DESCRIPTOR.message_types_by_name.values()
}
_STATUS_PREFIX = "PRESENCE_STATUS_"


def pack(value: Params) -> any_pb2.Any:
    """Raises CodecError for a value that is no JSON."""
    holder = any_pb2.Any()
    if isinstance(value, message.Message):
        holder.Pack(value)
    else:
        holder.Pack(_struct(value or {}))
    return holder


def unpack(holder: any_pb2.Any) -> Json:
    """Plain JSON of what the Any holds; {} when it holds nothing. Raises CodecError."""
    if not holder.type_url:
        return {}
    name = holder.type_url.rpartition("/")[2]
    if name == _STRUCT:
        struct = struct_pb2.Struct()
        _parse(struct, holder.value)
        return {key: _plain_value(value, 0) for key, value in struct.fields.items()}
    return plain(_message(name, holder.value))


def from_tagged(params: Mapping[str, Json]) -> Json:
    """Plain JSON of `{"@type", "value": base64}`; anything else comes back as it is. Raises CodecError."""
    if "@type" not in params:
        return params
    type_url, value = params["@type"], params.get("value")
    if not isinstance(type_url, str) or not isinstance(value, str):
        raise CodecError("@type and value must be strings")
    try:
        raw = base64.b64decode(value, validate=True)
    except binascii.Error as error:
        raise CodecError("value is not base64") from error
    return unpack(any_pb2.Any(type_url=type_url, value=raw))


def tagged(value: message.Message) -> dict[str, Json]:
    """`{"@type", "value": base64}` of a message."""
    return {
        "@type": PREFIX + value.DESCRIPTOR.full_name,
        "value": base64.b64encode(value.SerializeToString()).decode(),
    }


def plain(value: message.Message) -> dict[str, Json]:
    """A message of the schema as the plain JSON that the method tables of PROTOCOL.md use."""
    if isinstance(value, realtime_pb2.PresenceUpdate):
        name = realtime_pb2.PresenceStatus.Name(value.status)
        return {
            "user_id": value.user_id,
            "status": name.removeprefix(_STATUS_PREFIX).lower(),
            "zone": value.zone_id or None,
            "character_id": value.character_id or None,
        }
    result: dict[str, Json] = json_format.MessageToDict(value, preserving_proto_field_name=True)
    return result


def _message(name: str, raw: bytes) -> message.Message:
    kind = _TYPES.get(name)
    if kind is None:
        raise CodecError(f"unknown type {name[:80]!r}")
    made = kind()
    _parse(made, raw)
    return made


def _parse(into: message.Message, raw: bytes) -> None:
    try:
        into.ParseFromString(raw)
    except message.DecodeError as error:
        raise CodecError(f"bytes are no {into.DESCRIPTOR.full_name}") from error


def _struct(value: Mapping[str, Json], depth: int = 0) -> struct_pb2.Struct:
    struct = struct_pb2.Struct()
    for key, item in value.items():
        if not isinstance(key, str):
            raise CodecError("keys must be strings")
        _fill(struct.fields[key], item, depth)
    return struct


def _fill(into: struct_pb2.Value, item: Json, depth: int) -> None:
    if depth > MAX_DEPTH:
        raise CodecError(f"nested deeper than {MAX_DEPTH}")
    if item is None:
        into.null_value = struct_pb2.NULL_VALUE
    elif isinstance(item, bool):
        into.bool_value = item
    elif isinstance(item, int | float):
        into.number_value = _number(item)
    elif isinstance(item, str):
        into.string_value = item
    elif isinstance(item, Mapping):
        into.struct_value.CopyFrom(_struct(item, depth + 1))
    elif isinstance(item, Sequence) and not isinstance(item, bytes | bytearray | memoryview):
        into.list_value.SetInParent()
        for part in item:
            _fill(into.list_value.values.add(), part, depth + 1)
    else:
        raise CodecError(f"{type(item).__name__} is no JSON value")


def _number(item: float) -> float:
    if isinstance(item, int) and abs(item) > _EXACT:
        raise CodecError("integers beyond 2**53 do not survive a Struct: send them as strings")
    number = float(item)
    if not math.isfinite(number):
        raise CodecError("numbers must be finite")
    return number


def _plain_value(value: struct_pb2.Value, depth: int) -> Json:
    if depth > MAX_DEPTH:
        raise CodecError(f"nested deeper than {MAX_DEPTH}")
    kind = value.WhichOneof("kind")
    if kind == "number_value":
        number = value.number_value
        # A Struct knows doubles only: whole ones come back as the integers they were.
        return int(number) if number.is_integer() and abs(number) <= _EXACT else number
    if kind == "struct_value":
        return {key: _plain_value(item, depth + 1) for key, item in value.struct_value.fields.items()}
    if kind == "list_value":
        return [_plain_value(item, depth + 1) for item in value.list_value.values]
    if kind == "string_value":
        return value.string_value
    if kind == "bool_value":
        return value.bool_value
    return None
