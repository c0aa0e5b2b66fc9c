"""Messages to frames and back, in both framings of PROTOCOL.md. Pure: no socket, no clock.

A text frame is JSON-RPC 2.0, a binary frame one `WebSocketMessage`. `decode` takes either.
"""

from __future__ import annotations

import json
import math
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, overload

from google.protobuf.message import DecodeError, Message

from rayrealm_client import views
from rayrealm_client.anys import Json, Params, from_tagged, pack, tagged, unpack
from rayrealm_client.errors import CodecError
from rayrealm_client.view import View
from realm_proto import realtime_pb2 as pb

Framing = Literal["proto", "json"]
Id = str | int

SUBPROTOCOLS: dict[Framing, str] = {"proto": "rayrealm.v1+proto", "json": "rayrealm.v1+json"}
MAX_INFLATED_BYTES = 10 * 1024 * 1024
VIEW_METHOD = "world.view"
MOVE_METHOD = "world.position.update"
MAX_SEQ = 2**53 - 1  # beyond it JSON no longer holds every integer
UNNUMBERED = frozenset({"session.ready", "session.ack"})  # their `seq` is a member like any other


@dataclass(frozen=True, slots=True)
class Request:
    """`trace`: a traceparent (W3C Trace Context), with which the realm tells its part of it; "" for none."""

    id: Id
    method: str
    params: Params = None
    trace: str = ""


@dataclass(frozen=True, slots=True)
class Notification:
    """`seq`: its number in the session's stream if it is a reliable one (PROTOCOL.md, "Reliable notifications"), from 1.

    `trace`: as in a request; of one that the realm has traced, whoever caused it.
    """

    method: str
    params: Params = None
    seq: int | None = None
    trace: str = ""


@dataclass(frozen=True, slots=True)
class Result:
    id: Id
    value: Json


@dataclass(frozen=True, slots=True)
class Failure:
    """`id` is None when the server could not read the id of what it refuses."""

    id: Id | None
    code: int
    message: str
    data: dict[str, Json] | None = None


@dataclass(frozen=True, slots=True)
class OwnMove:
    """Where the client's own character is now: metres, radians, its own full sequence."""

    x: float
    y: float
    z: float
    yaw: float
    sequence: int


Item = Request | Notification | Result | Failure | OwnMove | View
"""Everything that travels."""


@overload
def encode(item: Item, framing: Literal["proto"]) -> bytes: ...
@overload
def encode(item: Item, framing: Literal["json"]) -> str: ...
@overload
def encode(item: Item, framing: Framing) -> str | bytes: ...
def encode(item: Item, framing: Framing) -> str | bytes:
    """One frame. Raises CodecError for what cannot be said."""
    if framing == "json":
        return _dumps(_to_json(item))
    return _to_proto(item).SerializeToString()


def encode_batch(items: Sequence[Item], framing: Framing, *, compress: bool = False) -> str | bytes:
    """One frame with all of `items`, at least one; `compress` is for the protobuf framing only."""
    if not items:
        raise CodecError("an empty batch is no message")
    if framing == "json":
        if compress:
            raise CodecError("JSON batches are not compressed")
        return _dumps([_to_json(item) for item in items])
    batch = pb.BatchMessage(messages=[_to_proto(item) for item in items])
    if compress:
        whole = batch.SerializeToString()
        if len(whole) > MAX_INFLATED_BYTES:
            raise CodecError("batch too large")
        batch = pb.BatchMessage(compressed=True, original_size=len(whole), payload=zlib.compress(whole))
    return pb.WebSocketMessage(batch=batch).SerializeToString()


def decode(frame: str | bytes) -> list[Item]:
    """The messages of a frame, in order. Raises CodecError."""
    if isinstance(frame, str):
        return _decode_text(frame)
    message = pb.WebSocketMessage()
    try:
        message.ParseFromString(frame)
    except DecodeError as error:
        raise CodecError("frame is no WebSocketMessage") from error
    if message.WhichOneof("message_type") != "batch":
        return [_from_proto(message)]
    return [_from_proto(part) for part in parts(message.batch)]


# --- protobuf --------------------------------------------------------------------------------


def _to_proto(item: Item) -> pb.WebSocketMessage:
    if isinstance(item, OwnMove):
        return pb.WebSocketMessage(move=_position_update(item))
    if isinstance(item, View):
        return pb.WebSocketMessage(view=views.to_proto(item))
    message = pb.WebSocketMessage(jsonrpc="2.0")
    if isinstance(item, Request | Notification):
        message.traceparent = item.trace
    if isinstance(item, Notification):
        message.notification.method = item.method
        if item.params is not None:
            message.notification.params.CopyFrom(pack(item.params))
        if item.seq is not None:
            message.notification.seq = _seq(item.seq)
        return message
    if isinstance(item.id, str):
        message.id_string = item.id
    elif item.id is not None:
        message.id_number = item.id
    if isinstance(item, Request):
        message.request.method = item.method
        if item.params is not None:
            message.request.params.CopyFrom(pack(item.params))
    elif isinstance(item, Result):
        message.response.result.CopyFrom(pack(item.value))
    else:
        message.response.error.code = item.code
        message.response.error.message = item.message
        if item.data is not None:
            message.response.error.data.CopyFrom(pack(item.data))
    return message


def _from_proto(message: pb.WebSocketMessage) -> Item:
    kind = message.WhichOneof("message_type")
    if kind == "view":
        return views.from_proto(message.view)
    if kind == "move":
        m = message.move
        return OwnMove(m.position.x, m.position.y, m.position.z, m.rotation.yaw, m.sequence)
    if message.jsonrpc != "2.0":
        raise CodecError('jsonrpc must be "2.0"')
    if kind == "notification":
        body = message.notification
        seq = _seq(body.seq) if body.seq else None
        return _notification(body.method, unpack(body.params), seq, message.traceparent)
    which = message.WhichOneof("id_type")
    id_: Id | None = None if which is None else getattr(message, which)
    if kind == "request":
        if id_ is None:
            raise CodecError("a request needs an id")
        return Request(id_, message.request.method, unpack(message.request.params), message.traceparent)
    if kind != "response":
        raise CodecError(f"unexpected message: {kind}")
    if message.response.WhichOneof("result_type") == "error":
        error = message.response.error
        data = unpack(error.data) if error.HasField("data") else None
        return Failure(id_, error.code, error.message, _data(data))
    if id_ is None:
        raise CodecError("a result needs an id")
    return Result(id_, unpack(message.response.result))


def parts(batch: pb.BatchMessage) -> Sequence[pb.WebSocketMessage]:
    """The messages of a batch, inflated. Raises CodecError."""
    if batch.compressed:
        whole = inflate(batch.payload, batch.original_size)
        batch = pb.BatchMessage()
        try:
            batch.ParseFromString(whole)
        except DecodeError as error:
            raise CodecError("payload is no BatchMessage") from error
        if batch.compressed:
            raise CodecError("nested batch")
    if not batch.messages:
        raise CodecError("empty batch")
    if any(part.HasField("batch") for part in batch.messages):
        raise CodecError("nested batch")
    return batch.messages


def inflate(payload: bytes, size: int, cap: int = MAX_INFLATED_BYTES) -> bytes:
    """The `size` bytes of a zlib stream; never holds more. Raises CodecError where `size` is a lie."""
    if size > cap:
        raise CodecError(f"more than {cap} bytes")
    stream = zlib.decompressobj()
    try:
        whole = stream.decompress(payload, size + 1)
    except zlib.error as error:
        raise CodecError("payload is no zlib stream") from error
    if len(whole) != size or not stream.eof or stream.unused_data:
        raise CodecError("original_size is not the size")
    return whole


def _position_update(move: OwnMove) -> pb.PositionUpdate:
    return pb.PositionUpdate(
        position=pb.Vector3(x=move.x, y=move.y, z=move.z),
        rotation=pb.Rotation(yaw=move.yaw),
        sequence=move.sequence,
    )


# --- JSON ------------------------------------------------------------------------------------


def _to_json(item: Item) -> dict[str, Json]:
    head: dict[str, Json] = {"jsonrpc": "2.0"}
    if isinstance(item, OwnMove):
        place = {"x": item.x, "y": item.y, "z": item.z}
        params = {"position": place, "rotation": {"yaw": item.yaw}, "sequence": item.sequence}
        return head | {"method": MOVE_METHOD, "params": params}
    if isinstance(item, View):
        return head | {"method": VIEW_METHOD, "params": views.to_json(item)}
    if isinstance(item, Request | Notification):
        message = head | {"method": item.method}
        if item.trace:
            message["traceparent"] = item.trace
        if item.params is not None:
            given = item.params
            message["params"] = tagged(given) if isinstance(given, Message) else given
        if isinstance(item, Request):
            return message | {"id": item.id}
        if item.seq is not None:
            given = message.get("params", {})
            if "seq" in given or item.method in UNNUMBERED:
                raise CodecError(f"params of {item.method} have a seq of their own")
            message["params"] = {**given, "seq": _seq(item.seq)}
        return message
    if isinstance(item, Result):
        return head | {"id": item.id, "result": item.value}
    error: dict[str, Json] = {"code": item.code, "message": item.message}
    if item.data is not None:
        error["data"] = item.data
    return head | {"id": item.id, "error": error}


def _decode_text(frame: str) -> list[Item]:
    try:
        value = json.loads(frame, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise CodecError("frame is no JSON") from error
    if isinstance(value, list):
        if not value:
            raise CodecError("empty batch")
        return [_from_json(part) for part in value]
    return [_from_json(value)]


def _from_json(value: Json) -> Item:
    if not isinstance(value, dict) or value.get("jsonrpc") != "2.0":
        raise CodecError('an object with jsonrpc "2.0" is needed')
    id_ = value.get("id")
    if isinstance(id_, bool) or not isinstance(id_, str | int | None):
        raise CodecError("an id is a string, an integer or null")
    if "method" in value:
        method, params, trace = value["method"], value.get("params", {}), value.get("traceparent", "")
        if not isinstance(trace, str):
            trace = ""
        if not isinstance(method, str) or not isinstance(params, dict):
            raise CodecError("method is a string, params an object")
        seq = None
        if "id" not in value and "seq" in params and method not in UNNUMBERED:
            seq = _seq(params["seq"])
            params = {name: member for name, member in params.items() if name != "seq"}
        params = from_tagged(params)
        if "id" not in value:
            return _notification(method, params, seq, trace)
        if id_ is None:
            raise CodecError("a request needs an id")
        return Request(id_, method, params, trace)
    if "error" in value:
        error = value["error"]
        if not isinstance(error, dict) or type(error.get("code")) is not int:
            raise CodecError("an error is an object with an integer code")
        return Failure(id_, error["code"], str(error.get("message", "")), _data(error.get("data")))
    if "result" not in value or id_ is None:
        raise CodecError("neither a call nor an answer")
    return Result(id_, value["result"])


def _seq(value: Json) -> int:
    if type(value) is not int or not 1 <= value <= MAX_SEQ:
        raise CodecError("seq is an integer from 1")
    return value


def _notification(method: str, params: Json, seq: int | None, trace: str) -> Item:
    """The long forms of views and moves are the same thing as the short ones."""
    if method == VIEW_METHOD:
        return views.from_json(params)
    if method == MOVE_METHOD:
        return _own_move(params)
    return Notification(method, params, seq, trace)


def _own_move(params: Json) -> OwnMove:
    try:
        place, rotation = params["position"], params.get("rotation", {})
        x, y, z = (float(place.get(axis, 0.0)) for axis in "xyz")
        move = OwnMove(x, y, z, float(rotation.get("yaw", 0.0)), int(params["sequence"]))
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise CodecError("no PositionUpdate") from error
    if not all(math.isfinite(number) for number in (move.x, move.y, move.z, move.yaw)):
        raise CodecError("numbers must be finite")
    return move


def _data(value: Json) -> dict[str, Json] | None:
    return value if isinstance(value, dict) else None


def _dumps(value: Json) -> str:
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    except (TypeError, ValueError, RecursionError) as error:
        raise CodecError(f"no JSON: {error}") from error


def _no_constant(name: str) -> Json:
    raise ValueError(f"{name} is no JSON")
