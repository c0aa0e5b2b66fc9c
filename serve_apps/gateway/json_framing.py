"""JSON-RPC 2.0 in text frames (row 2.2)."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from typing import Any

import orjson

from serve_apps.gateway.messages import (
    MAX_DEPTH,
    MAX_VALUES,
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
    too_deep,
)
from serve_apps.gateway.typed import to_params

MAX_METHOD = 100


def decode(payload: bytes, max_batch: int, sizes: Sizes = None) -> Decoded:
    """Never raises: what is wrong becomes a Fault."""
    if _crowded(payload):
        reason = f"more than {MAX_VALUES} commas and opening brackets"
        return Decoded((Fault(Code.INVALID_REQUEST, {"reason": reason}),))
    try:
        document = orjson.loads(payload)
    except orjson.JSONDecodeError:
        return Decoded((Fault(Code.PARSE_ERROR, {"reason": "not JSON"}),))
    may_be_deep = payload.count(b"{") + payload.count(b"[") > MAX_DEPTH  # few frames are: the others pay nothing
    if not isinstance(document, list):
        return Decoded((_one(document, may_be_deep, len(payload), sizes, Budget()),))
    if not document:
        return Decoded((Fault(Code.INVALID_REQUEST, {"reason": "an empty batch"}),))
    if len(document) > max_batch:
        return Decoded((Fault(Code.INVALID_REQUEST, {"reason": f"a batch of more than {max_batch}"}),))
    budget = Budget()
    return Decoded(tuple(_one(item, may_be_deep, len(payload), sizes, budget) for item in document), batch=True)


def _crowded(payload: bytes) -> bool:
    """Whether the document could hold more values than a frame may, before any of them is made.

    A document has no more values than commas and opening brackets, and one. Those inside of texts count, too: no text for others
    is so long that it matters.
    """
    if len(payload) <= MAX_VALUES:
        return False
    return payload.count(b",") + payload.count(b"[") + payload.count(b"{") > MAX_VALUES


def _one(item: Any, may_be_deep: bool, frame_bytes: int, sizes: Sizes, budget: Budget) -> Call | Fault:
    if not isinstance(item, dict):
        return Fault(Code.INVALID_REQUEST, {"reason": "not an object"})
    request_id: RequestId | NoId = item.get("id", NO_ID)
    if isinstance(request_id, bool) or not isinstance(request_id, str | int | float | NoId | None):
        return Fault(Code.INVALID_REQUEST, {"reason": "id is a string, a number or null"})
    answer_to = None if request_id is NO_ID else request_id
    if item.get("jsonrpc") != "2.0":
        return Fault(Code.INVALID_REQUEST, {"reason": 'jsonrpc must be "2.0"'}, answer_to)
    method = item.get("method")
    if not isinstance(method, str) or not method or len(method) > MAX_METHOD:
        return Fault(Code.INVALID_REQUEST, {"reason": "method must be a string"}, answer_to)
    try:
        most = most_bytes(sizes, method)
        params = _params(item, may_be_deep, frame_bytes, most, budget) if most >= 0 else {}
        if "traceparent" in item:
            return Call(method, params, request_id, _trace(item["traceparent"]))
        return Call(method, params, request_id)
    except BadParams as bad:
        data = {"errors": [{"field": bad.field, "reason": bad.reason}]}
        return Fault(Code.INVALID_PARAMS, data, request_id)


def _trace(said: Any) -> str:
    """What is no context is ignored, as the standard has it."""
    return said if isinstance(said, str) else ""


def _params(item: dict[str, Any], may_be_deep: bool, frame_bytes: int, most: int, budget: Budget) -> dict[str, Any]:
    """`most` bytes, written without spaces: what an item of a batch has of its frame is not known otherwise. Params of a frame that
    is no longer need not be written.
    """
    params = item.get("params", {})
    if not isinstance(params, dict):
        raise BadParams("must be an object")
    if may_be_deep and too_deep(params):
        raise BadParams(f"nested deeper than {MAX_DEPTH}")
    if "@type" not in params:
        if frame_bytes > most and len(orjson.dumps(params)) > most:
            raise BadParams(f"more than {most} bytes")
        return params
    type_url, value = params["@type"], params.get("value", "")
    if not isinstance(type_url, str):
        raise BadParams("must be a string", "@type")
    if not isinstance(value, str):
        raise BadParams("must be base64", "value")
    try:
        data = base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        raise BadParams("must be base64", "value") from None
    if len(data) > most:
        raise BadParams(f"more than {most} bytes", "value")
    return to_params(type_url, data, budget)


def _object(answer: Result | Fault) -> dict[str, Any]:
    if isinstance(answer, Result):
        return {"jsonrpc": "2.0", "id": answer.id, "result": answer.value}
    error: dict[str, Any] = {"code": answer.code.value, "message": MESSAGES[answer.code]}
    if answer.data:
        error["data"] = answer.data
    return {"jsonrpc": "2.0", "id": None if answer.id is NO_ID else answer.id, "error": error}


def encode_answers(answers: Sequence[Result | Fault], batch: bool) -> bytes:
    if batch:
        return orjson.dumps([_object(answer) for answer in answers])
    return orjson.dumps(_object(answers[0]))


def encode_notification(method: str, params_json: bytes) -> bytes:
    """`params_json` is put in as it is."""
    return b'{"jsonrpc":"2.0","method":' + orjson.dumps(method) + b',"params":' + params_json + b"}"


def notification_body(method: str, params_json: bytes) -> bytes:
    """A notification that lacks its number: see `numbered`."""
    separator = b"" if params_json == b"{}" else b","
    return (
        b'{"jsonrpc":"2.0","method":' + orjson.dumps(method) + b',"params":' + params_json[:-1] + separator + b'"seq":'
    )


def numbered(body: bytes, seq: int, trace: str = "") -> bytes:
    """A reliable notification: `seq` is a member of its params."""
    if trace:
        return b'%b%d},"traceparent":"%b"}' % (body, seq, trace.encode())
    return b"%b%d}}" % (body, seq)


def join(notifications: Sequence[bytes]) -> bytes:
    """Several encoded notifications as one batch."""
    return b"[" + b",".join(notifications) + b"]"
