"""JSON-RPC 2.0 in Protocol Buffers: binary frames of one WebSocketMessage (row 2.2)."""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import orjson
from google.protobuf.message import DecodeError

from realm_proto import realtime_pb2 as pb
from serve_apps.gateway.messages import (
    MESSAGES,
    NO_ID,
    BadParams,
    Budget,
    Call,
    Code,
    Decoded,
    Fault,
    NoId,
    RequestId,
    Result,
    Sizes,
    most_bytes,
)
from serve_apps.gateway.typed import position_to_dict, to_any, to_params
from serve_apps.gateway.varint import varint

MOVE_METHOD = "world.position.update"
MAX_METHOD = 100
MAX_ENTRY = 64 * 1024  # bytes of one message in a compressed batch: what a frame may have
ENTRY = 0x0A  # the tag of BatchMessage.messages
# Field tags of Notification and WebSocketMessage; a test holds them against the schema.
SEQ, NOTIFICATION, TRACEPARENT = b"\x18", b"\x32", b"\x52"
VERSION = b"\x0a\x032.0"


def parse(payload: bytes) -> pb.WebSocketMessage | None:
    """None: not a WebSocketMessage."""
    try:
        return pb.WebSocketMessage.FromString(payload)
    except DecodeError:
        return None


def decode(
    message: pb.WebSocketMessage | None,
    max_batch: int,
    max_inflated: int,
    max_entry: int = MAX_ENTRY,
    sizes: Sizes = None,
) -> Decoded:
    """Never raises: what is wrong becomes a Fault."""
    if message is None:
        return Decoded((Fault(Code.PARSE_ERROR, {"reason": "not a WebSocketMessage"}),))
    if message.WhichOneof("message_type") != "batch":
        return Decoded((_one(message, sizes, Budget()),))
    budget = Budget()
    try:
        if message.batch.compressed:
            entries = _entries(_inflate(message.batch, max_inflated), max_batch, max_entry)
            items = tuple(_entry(data, sizes, budget) for data in entries)
        else:
            items = tuple(_one(item, sizes, budget) for item in message.batch.messages[: max_batch + 1])
    except BadParams as bad:
        return Decoded((Fault(Code.INVALID_REQUEST, {"reason": bad.reason}),))
    if not items:
        return Decoded((Fault(Code.INVALID_REQUEST, {"reason": "an empty batch"}),))
    if len(items) > max_batch:
        return Decoded((Fault(Code.INVALID_REQUEST, {"reason": f"a batch of more than {max_batch}"}),))
    return Decoded(items, batch=True)


def _inflate(batch: pb.BatchMessage, max_inflated: int) -> bytes:
    """Never more bytes than the batch says, nor than `max_inflated`."""
    if not 0 < batch.original_size <= max_inflated:
        raise BadParams(f"original_size must be 1 to {max_inflated}")
    inflater = zlib.decompressobj()
    try:
        plain = inflater.decompress(batch.payload, batch.original_size)
        more = inflater.decompress(inflater.unconsumed_tail, 1)
    except zlib.error:
        raise BadParams("payload is not a zlib stream") from None
    if len(plain) != batch.original_size or more or not inflater.eof or inflater.unused_data:
        raise BadParams("original_size is not the size of the payload")
    return plain


def _entries(plain: bytes, max_batch: int, max_entry: int) -> list[bytes]:
    """The serialised messages of a serialised BatchMessage, one more than `max_batch` at most.

    Taken apart by hand, because the library needs a hundred times the memory for a megabyte of empty messages, and an attacker
    sends that as a kilobyte.
    """
    entries: list[bytes] = []
    at = 0
    while at < len(plain) and len(entries) <= max_batch:
        if plain[at] != ENTRY:
            raise BadParams("payload must be a BatchMessage with nothing but messages")
        length = shift = 0
        while True:
            at += 1
            if at == len(plain) or shift > 28:
                raise BadParams("payload is not a BatchMessage")
            length |= (plain[at] & 0x7F) << shift
            shift += 7
            if plain[at] < 0x80:
                break
        start, at = at + 1, at + 1 + length
        if at > len(plain):
            raise BadParams("payload is not a BatchMessage")
        if length > max_entry:
            raise BadParams(f"a message of more than {max_entry} bytes")
        entries.append(plain[start:at])
    return entries


def _entry(data: bytes, sizes: Sizes, budget: Budget) -> Call | Fault:
    message = parse(data)
    if message is None:
        return Fault(Code.PARSE_ERROR, {"reason": "not a WebSocketMessage"})
    return _one(message, sizes, budget)


def _one(message: pb.WebSocketMessage, sizes: Sizes, budget: Budget) -> Call | Fault:
    which = message.WhichOneof("message_type")
    if which == "move":
        return Call(MOVE_METHOD, position_to_dict(message.move), NO_ID)
    if which == "batch":
        return Fault(Code.INVALID_REQUEST, {"reason": "a batch inside a batch"})
    id_kind = message.WhichOneof("id_type")
    request_id: RequestId | NoId = NO_ID if id_kind is None else getattr(message, id_kind)
    answer_to = None if request_id is NO_ID else request_id
    if message.jsonrpc != "2.0":
        return Fault(Code.INVALID_REQUEST, {"reason": 'jsonrpc must be "2.0"'}, answer_to)
    if which not in ("request", "notification"):
        return Fault(Code.INVALID_REQUEST, {"reason": "a request, a notification, a move or a batch"}, answer_to)
    if (which == "request") == (request_id is NO_ID):
        return Fault(Code.INVALID_REQUEST, {"reason": "a request has an id, a notification has none"}, answer_to)
    body = message.request if which == "request" else message.notification
    if not body.method or len(body.method) > MAX_METHOD:
        return Fault(Code.INVALID_REQUEST, {"reason": "method must be a string"}, answer_to)
    most = most_bytes(sizes, body.method)
    if most < 0 or not body.HasField("params"):
        return Call(body.method, {}, request_id, message.traceparent)
    packed = body.params
    try:
        if len(packed.value) > most:
            raise BadParams(f"more than {most} bytes")
        return Call(body.method, to_params(packed.type_url, packed.value, budget), request_id, message.traceparent)
    except BadParams as bad:
        data = {"errors": [{"field": bad.field, "reason": bad.reason}]}
        return Fault(Code.INVALID_PARAMS, data, request_id)


def _message(answer: Result | Fault) -> pb.WebSocketMessage:
    made = pb.WebSocketMessage(jsonrpc="2.0")
    if isinstance(answer.id, str):
        made.id_string = answer.id
    elif isinstance(answer.id, int | float):
        # A client that mixes framings may have asked in JSON with a number that has no place here.
        if answer.id == int(answer.id) and -(2**63) <= answer.id < 2**63:
            made.id_number = int(answer.id)
        else:
            made.id_string = str(answer.id)
    if isinstance(answer, Result):
        made.response.result.CopyFrom(to_any(answer.value))
    else:
        made.response.error.code = answer.code.value
        made.response.error.message = MESSAGES[answer.code]
        if answer.data:
            made.response.error.data.CopyFrom(to_any(answer.data))
    return made


def encode_answers(answers: Sequence[Result | Fault], batch: bool) -> bytes:
    if batch:
        return pb.WebSocketMessage(
            jsonrpc="2.0", batch=pb.BatchMessage(messages=[_message(a) for a in answers])
        ).SerializeToString()
    return _message(answers[0]).SerializeToString()


def encode_notification(method: str, params_json: bytes) -> bytes:
    made = pb.WebSocketMessage(jsonrpc="2.0")
    made.notification.method = method
    made.notification.params.CopyFrom(to_any(orjson.loads(params_json)))
    return made.SerializeToString()


def notification_body(method: str, params_json: bytes) -> bytes:
    """A serialised Notification that lacks its number: see `numbered`."""
    return pb.Notification(method=method, params=to_any(orjson.loads(params_json))).SerializeToString()


def numbered(body: bytes, seq: int, trace: str = "") -> bytes:
    """A reliable notification. Fields of a message may come in any order and piecemeal, so the number is put behind the body."""
    notification = body + SEQ + varint(seq)
    frame = b"".join((VERSION, NOTIFICATION, varint(len(notification)), notification))
    return b"".join((frame, TRACEPARENT, varint(len(trace)), trace.encode())) if trace else frame


def join(notifications: Sequence[bytes]) -> bytes:
    """Several encoded notifications as one batch."""
    batch = pb.BatchMessage(messages=[pb.WebSocketMessage.FromString(n) for n in notifications])
    return pb.WebSocketMessage(jsonrpc="2.0", batch=batch).SerializeToString()
