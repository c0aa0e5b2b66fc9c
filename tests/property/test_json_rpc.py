"""JSON-RPC 2.0 to the letter (https://www.jsonrpc.org/specification), in both framings, whatever a client sends."""

from __future__ import annotations

import asyncio
import math
import zlib
from typing import Any, cast

import orjson
import pytest
from google.protobuf import any_pb2, struct_pb2
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from pydantic import ConfigDict
from structlog.testing import capture_logs

from actors.session.attaching import Attached
from cluster.errors import Conflict
from cluster.settings import GatewaySettings
from cluster.telemetry.gateway_metrics import GatewayMetrics
from realm_proto import realtime_pb2 as pb
from serve_apps.gateway import json_framing, proto_framing
from serve_apps.gateway.client import Client
from serve_apps.gateway.connection import Connection
from serve_apps.gateway.dispatch import Dispatcher
from serve_apps.gateway.identity import Identity
from serve_apps.gateway.messages import NO_ID, Call, Code, Decoded, Fault, Framing, Result
from serve_apps.gateway.outgoing import Outgoing
from serve_apps.gateway.router import Params, Router
from serve_apps.gateway.services import Services
from serve_apps.gateway.typed import STRUCT, to_any

MAX_BATCH = 50
MAX_INFLATED = 64 * 1024
DECODING_CODES = {Code.PARSE_ERROR, Code.INVALID_REQUEST, Code.INVALID_PARAMS}
WHOLE = 2**53 - 1  # what JavaScript, and a Struct, know exactly

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
numbers = st.integers(-WHOLE, WHOLE) | st.floats(allow_nan=False, allow_infinity=False, width=32)
scalars = st.none() | st.booleans() | numbers | texts
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4), max_leaves=15
)
objects = st.dictionaries(texts.filter(lambda key: key != "@type"), values, max_size=5)
methods = st.sampled_from(["echo", "fail", "crash", "no.such.method"])
ids = st.integers(-WHOLE, WHOLE) | texts


@st.composite
def requests(draw: st.DrawFn) -> dict[str, Any]:
    """A request, or without an id a notification."""
    request: dict[str, Any] = {"jsonrpc": "2.0", "method": draw(methods)}
    if draw(st.booleans()):
        request["params"] = draw(objects)
    if draw(st.booleans()):
        request["id"] = draw(ids | st.none())
    return request


# Nearly right: one member is missing, of another type, or of another value.
broken = st.builds(
    lambda request, member, value: {**request, member: value},
    requests(),
    st.sampled_from(["jsonrpc", "method", "params", "id"]),
    values,
)
documents = st.one_of(requests(), broken, values, st.lists(requests() | broken | values, max_size=8))


def json(document: object) -> bytes:
    return orjson.dumps(document)


def decode_json(payload: bytes) -> Decoded:
    return json_framing.decode(payload, MAX_BATCH)


def decode_proto(payload: bytes) -> Decoded:
    return proto_framing.decode(proto_framing.parse(payload), MAX_BATCH, MAX_INFLATED)


def as_proto(request: dict[str, Any]) -> pb.WebSocketMessage:
    """The same request in a binary frame. Ids of other types than string and integer have no binary form."""
    message = pb.WebSocketMessage(jsonrpc="2.0")
    if "id" in request:
        if isinstance(request["id"], str):
            message.id_string = request["id"]
        else:
            message.id_number = request["id"]
    body = message.request if "id" in request else message.notification
    body.method = request["method"]
    if "params" in request:
        body.params.CopyFrom(to_any(request["params"]))
    return message


def check(decoded: Decoded) -> None:
    """What holds for every frame."""
    assert decoded.items
    assert decoded.batch or len(decoded.items) == 1
    for item in decoded.items:
        if isinstance(item, Fault):
            assert item.code in DECODING_CODES
        else:
            assert item.method
            assert isinstance(item.params, dict)


class TestDecoding:
    @given(st.binary(max_size=300))
    @example(b"")
    @example(b"\xff\xfe")
    @example(b'{"jsonrpc":"2.0","method":"\\ud800","id":1}')
    @example(b"[" * 5_000)
    @example(b'{"jsonrpc":"2.0","method":"echo","id":1e999}')
    @example(b'{"jsonrpc":"2.0","method":"echo","params":{"@type":7},"id":1}')
    def test_no_bytes_raise(self, payload: bytes) -> None:
        check(decode_json(payload))
        check(decode_proto(payload))

    @given(documents)
    def test_no_document_raises(self, document: object) -> None:
        check(decode_json(json(document)))

    @given(requests(), st.data())
    def test_no_damaged_message_raises(self, request: dict[str, Any], data: st.DataObject) -> None:
        assume(request.get("id", "") is not None)
        payload = bytearray(as_proto(request).SerializeToString())
        for _ in range(data.draw(st.integers(1, 4))):
            payload[data.draw(st.integers(0, len(payload) - 1))] = data.draw(st.integers(0, 255))
        check(decode_proto(bytes(payload)))

    @given(requests())
    def test_what_is_right_is_taken_as_it_is(self, request: dict[str, Any]) -> None:
        (call,) = decode_json(json(request)).items
        assert call == Call(request["method"], request.get("params", {}), request.get("id", NO_ID))

    @given(requests())
    def test_both_framings_mean_the_same(self, request: dict[str, Any]) -> None:
        assume(request.get("id", "") is not None)
        text, binary = decode_json(json(request)), decode_proto(as_proto(request).SerializeToString())
        assert text == binary

    @given(st.lists(requests(), min_size=1, max_size=8))
    def test_a_batch_keeps_its_order(self, batch: list[dict[str, Any]]) -> None:
        decoded = decode_json(json(batch))
        assert decoded == Decoded(tuple(decode_json(json(one)).items[0] for one in batch), batch=True)

    @pytest.mark.parametrize(
        ("payload", "code", "answer_to"),
        [
            (b'{"jsonrpc": "2.0", "method": "foobar, "params": "bar", "baz]', Code.PARSE_ERROR, None),
            (b'{"jsonrpc": "2.0", "method": 1, "params": "bar"}', Code.INVALID_REQUEST, None),
            (b"[]", Code.INVALID_REQUEST, None),
            (b'"text"', Code.INVALID_REQUEST, None),
            (b'{"method": "echo", "id": 1}', Code.INVALID_REQUEST, 1),
            (b'{"jsonrpc": "1.0", "method": "echo", "id": "a"}', Code.INVALID_REQUEST, "a"),
            (b'{"jsonrpc": "2.0", "method": "echo", "id": [1]}', Code.INVALID_REQUEST, None),
            (b'{"jsonrpc": "2.0", "method": "echo", "id": true}', Code.INVALID_REQUEST, None),
            (b'{"jsonrpc": "2.0", "method": "echo", "id": 1, "params": [1]}', Code.INVALID_PARAMS, 1),
            (b'{"jsonrpc": "2.0", "method": "echo", "id": 1, "params": {"@type": "x"}}', Code.INVALID_PARAMS, 1),
        ],
    )
    def test_what_is_wrong_has_its_code(self, payload: bytes, code: Code, answer_to: object) -> None:
        (fault,) = decode_json(payload).items
        assert isinstance(fault, Fault)
        assert (fault.code, fault.id) == (code, answer_to)

    @pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
    def test_a_number_that_json_does_not_have_is_bad_params(self, number: float) -> None:
        packed = struct_pb2.Struct(fields={"x": struct_pb2.Value(number_value=number)}).SerializeToString()
        message = pb.WebSocketMessage(jsonrpc="2.0", id_number=1)
        message.request.method = "echo"
        message.request.params.CopyFrom(any_pb2.Any(type_url=STRUCT, value=packed))
        (fault,) = decode_proto(message.SerializeToString()).items
        assert isinstance(fault, Fault)
        assert (fault.code, fault.id) == (Code.INVALID_PARAMS, 1)


class TestCompressedBatches:
    @given(st.lists(requests().filter(lambda r: r.get("id", "") is not None), min_size=1, max_size=8))
    def test_they_mean_what_plain_ones_mean(self, batch: list[dict[str, Any]]) -> None:
        plain = pb.BatchMessage(messages=[as_proto(one) for one in batch])
        inner = plain.SerializeToString()
        packed = pb.BatchMessage(compressed=True, original_size=len(inner), payload=zlib.compress(inner))
        decoded = decode_proto(pb.WebSocketMessage(jsonrpc="2.0", batch=packed).SerializeToString())
        assert decoded == decode_proto(pb.WebSocketMessage(jsonrpc="2.0", batch=plain).SerializeToString())

    @given(st.binary(max_size=100), st.integers(0, 2**32 - 1))
    def test_no_payload_raises(self, payload: bytes, size: int) -> None:
        for body in (payload, zlib.compress(payload)):
            batch = pb.BatchMessage(compressed=True, original_size=size, payload=body)
            check(decode_proto(pb.WebSocketMessage(batch=batch).SerializeToString()))

    @pytest.mark.parametrize("claimed", [1, 1_000, MAX_INFLATED, MAX_INFLATED + 1, 2**32 - 1])
    def test_a_bomb_is_refused(self, claimed: int) -> None:
        bomb = zlib.compress(bytes(64 * 1024 * 1024), 9)
        batch = pb.BatchMessage(compressed=True, original_size=claimed, payload=bomb)
        (fault,) = decode_proto(pb.WebSocketMessage(batch=batch).SerializeToString()).items
        assert isinstance(fault, Fault)
        assert fault.code is Code.INVALID_REQUEST


def delimited(field: int, data: bytes) -> bytes:
    """A protobuf field of wire type 2: libraries refuse to make messages as deep as an attacker does."""
    size, length = len(data), b""
    while size >= 0x80:
        length, size = length + bytes([size & 0x7F | 0x80]), size >> 7
    return bytes([field << 3 | 2]) + length + bytes([size]) + data


class TestAnswers:
    @given(st.one_of(objects.map(lambda value: Result(value, 1)), objects.map(lambda d: Fault(Code.CONFLICT, d, 1))))
    def test_an_answer_has_a_result_or_an_error(self, answer: Result | Fault) -> None:
        said = orjson.loads(json_framing.encode_answers([answer], False))
        assert said.pop("jsonrpc") == "2.0"
        assert said.pop("id") == 1
        if isinstance(answer, Result):
            assert said == {"result": answer.value}
        else:
            data = {"data": answer.data} if answer.data else {}
            assert said == {"error": {"code": -32005, "message": "Conflict", **data}}

    @given(st.lists(st.builds(Result, objects, ids), min_size=1, max_size=5))
    def test_binary_answers_say_the_same_as_text(self, answers: list[Result]) -> None:
        text = orjson.loads(json_framing.encode_answers(answers, True))
        binary = pb.WebSocketMessage.FromString(proto_framing.encode_answers(answers, True))
        assert [one["id"] for one in text] == [getattr(one, one.WhichOneof("id_type")) for one in binary.batch.messages]
        for one, message in zip(text, binary.batch.messages, strict=True):
            request = pb.WebSocketMessage(jsonrpc="2.0", id_number=1)
            request.request.method = "echo"
            request.request.params.CopyFrom(message.response.result)
            (call,) = decode_proto(request.SerializeToString()).items
            assert isinstance(call, Call)
            assert call.params == one["result"]


class EchoParams(Params):
    model_config = ConfigDict(extra="allow", frozen=True)


async def echo(_services: Services, _client: Client, params: EchoParams) -> dict[str, Any]:
    return params.model_extra or {}


async def fail(_services: Services, _client: Client, _params: EchoParams) -> dict[str, Any]:
    raise Conflict("stale", {"version": 2})


async def crash(_services: Services, _client: Client, _params: EchoParams) -> dict[str, Any]:
    raise RuntimeError("this method fails on purpose")


class Written:
    """A socket that remembers."""

    def __init__(self) -> None:
        self.frames: list[bytes] = []

    def send(self, frame: bytes, framing: Framing) -> None:
        self.frames.append(frame)

    def ping(self) -> None: ...

    def close(self, code: int, reason: str) -> None: ...


class NoServices:
    """What the dispatcher itself may ask for."""

    def notify(self, *_: object) -> None: ...

    def close(self, *_: object) -> None: ...


ROUTER = Router()
for name, handler in (("echo", echo), ("fail", fail), ("crash", crash)):
    ROUTER.add(name, EchoParams, handler)
METRICS = GatewayMetrics(ROUTER.methods, [])
LIMITS = GatewaySettings(max_errors_per_minute=10**9)


def exchange(payload: bytes, framing: Framing = Framing.JSON) -> list[bytes]:
    """The frames that a client gets for one that it sends."""
    socket = Written()
    attached = Attached("ses_1", "usr_1", 1, False, "authenticated", None, ())
    client = Client(
        attached, "a", Connection(framing, LIMITS, 0), Outgoing(framing, 10**9, 10), socket, 0, Identity("usr_a")
    )
    dispatcher = Dispatcher(ROUTER, cast(Services, NoServices()), lambda: 0.0, MAX_BATCH, METRICS)

    async def run() -> None:
        dispatcher.take(client, decode_json(payload) if framing is Framing.JSON else decode_proto(payload))
        if client.worker is not None:
            async with asyncio.timeout(5):
                await client.worker

    with capture_logs():
        asyncio.run(run())
    return socket.frames


def expected_codes(request: dict[str, Any]) -> int | None:
    return {"echo": None, "fail": -32005, "crash": -32603, "no.such.method": -32601}[request["method"]]


class TestExchange:
    @settings(max_examples=50)
    @given(requests())
    def test_a_request_is_answered_and_a_notification_is_not(self, request: dict[str, Any]) -> None:
        frames = exchange(json(request))
        if "id" not in request:
            assert frames == []
            return
        (frame,) = frames
        answer = orjson.loads(frame)
        assert (answer["jsonrpc"], answer["id"]) == ("2.0", request["id"])
        if (code := expected_codes(request)) is None:
            assert answer["result"] == request.get("params", {})
            assert "error" not in answer
        else:
            assert answer["error"]["code"] == code
            assert isinstance(answer["error"]["message"], str)
            assert "result" not in answer

    @settings(max_examples=50)
    @given(st.lists(requests() | broken | values, min_size=1, max_size=10))
    def test_a_batch_is_answered_in_one_frame_without_notifications(self, batch: list[Any]) -> None:
        wanted = [item.id for item in decode_json(json(batch)).items if item.id is not NO_ID]
        frames = exchange(json(batch))
        if not wanted:
            assert frames == []
            return
        (frame,) = frames
        answers = orjson.loads(frame)
        assert isinstance(answers, list)
        assert [answer["id"] for answer in answers] == wanted
        assert all(("result" in answer) != ("error" in answer) for answer in answers)

    @pytest.mark.parametrize("depth", [90, 200, 300, 900])
    def test_deep_params_are_answered(self, depth: int) -> None:
        params = '{"a":' * depth + "1" + "}" * depth
        (frame,) = exchange(f'{{"jsonrpc":"2.0","method":"echo","params":{params},"id":1}}'.encode())
        answer = orjson.loads(frame)
        assert answer["id"] == 1

    @pytest.mark.parametrize("depth", [10, 30, 60, 90, 200])
    def test_deep_binary_params_are_answered(self, depth: int) -> None:
        value = struct_pb2.Value(bool_value=True).SerializeToString()
        for _ in range(depth):
            value = delimited(5, delimited(1, delimited(1, b"a") + delimited(2, value)))
        packed = delimited(1, delimited(1, b"a") + delimited(2, value))
        message = pb.WebSocketMessage(jsonrpc="2.0", id_number=1)
        message.request.method = "echo"
        message.request.params.CopyFrom(any_pb2.Any(type_url=STRUCT, value=packed))
        (frame,) = exchange(message.SerializeToString(), Framing.PROTO)
        assert pb.WebSocketMessage.FromString(frame).id_number == 1

    @pytest.mark.parametrize("number", ["1e999", "123456789012345678901234567890", "-0.0", "1.5", "0", "null", '""'])
    def test_an_id_comes_back_as_it_was(self, number: str) -> None:
        frames = exchange(f'{{"jsonrpc":"2.0","method":"echo","id":{number}}}'.encode())
        answer = orjson.loads(frames[0])
        if "result" in answer:
            assert answer["id"] == orjson.loads(number)
        else:
            assert answer["error"]["code"] in (-32700, -32600)
