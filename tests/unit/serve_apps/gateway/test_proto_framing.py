"""JSON-RPC 2.0 in binary frames. That no input raises is in tests/property."""

from __future__ import annotations

import tracemalloc
import zlib
from typing import Any

import orjson
import pytest

from realm_proto import realtime_pb2 as pb
from serve_apps.gateway.messages import NO_ID, Call, Code, Decoded, Fault, Result
from serve_apps.gateway.proto_framing import decode, encode_answers, encode_notification, join, parse
from serve_apps.gateway.typed import to_any, to_params

MAX_BATCH, MAX_INFLATED, MAX_ENTRY = 4, 10_000, 1_000


def take(message: pb.WebSocketMessage | bytes) -> Decoded:
    data = message if isinstance(message, bytes) else message.SerializeToString()
    return decode(parse(data), MAX_BATCH, MAX_INFLATED, MAX_ENTRY)


def one(message: pb.WebSocketMessage | bytes) -> Call | Fault:
    decoded = take(message)
    assert not decoded.batch
    (item,) = decoded.items
    return item


def request(method: str = "m", **members: Any) -> pb.WebSocketMessage:
    message = pb.WebSocketMessage(**{"jsonrpc": "2.0", **members})
    message.request.method = method
    return message


def notification(method: str = "m") -> pb.WebSocketMessage:
    return pb.WebSocketMessage(jsonrpc="2.0", notification=pb.Notification(method=method))


def packed(plain: bytes, size: int | None = None, payload: bytes | None = None) -> pb.WebSocketMessage:
    payload = zlib.compress(plain) if payload is None else payload
    batch = pb.BatchMessage(compressed=True, original_size=len(plain) if size is None else size, payload=payload)
    return pb.WebSocketMessage(batch=batch)


def batch_of(*messages: pb.WebSocketMessage) -> bytes:
    return pb.BatchMessage(messages=messages).SerializeToString()


class TestOne:
    @pytest.mark.parametrize("number", [0, 1, -1, 2**63 - 1, -(2**63)])
    def test_number_ids(self, number: int) -> None:
        assert one(request(id_number=number)) == Call("m", {}, number)
        assert pb.WebSocketMessage.FromString(encode_answers([Result({}, number)], False)).id_number == number

    @pytest.mark.parametrize("text", ["", "a", "0", "é"])
    def test_string_ids(self, text: str) -> None:
        assert one(request(id_string=text)) == Call("m", {}, text)
        answer = pb.WebSocketMessage.FromString(encode_answers([Result({}, text)], False))
        assert answer.WhichOneof("id_type") == "id_string"
        assert answer.id_string == text

    def test_a_notification(self) -> None:
        assert one(notification()) == Call("m", {}, NO_ID)

    def test_params(self) -> None:
        message = request(id_number=1)
        message.request.params.CopyFrom(to_any({"a": [1, 2.5, None, {"b": True}]}))
        assert one(message) == Call("m", {"a": [1, 2.5, None, {"b": True}]}, 1)

    def test_a_move_needs_no_version(self) -> None:
        item = one(pb.WebSocketMessage(move=pb.PositionUpdate(sequence=3)))
        assert item == Call("world.position.update", {"rotation": {"yaw": 0}, "sequence": 3}, NO_ID)

    @pytest.mark.parametrize(
        ("message", "request_id"),
        [
            (request(jsonrpc="", id_number=1), 1),
            (request(jsonrpc="1.0", id_string="a"), "a"),
            (request("", id_number=1), 1),
            (request("m" * 101, id_number=1), 1),
            (request(), None),
            (pb.WebSocketMessage(jsonrpc="2.0", id_number=1, notification=pb.Notification(method="m")), 1),
            (pb.WebSocketMessage(jsonrpc="2.0", id_number=1, response=pb.Response()), 1),
            (pb.WebSocketMessage(jsonrpc="2.0", view=pb.ViewFrame()), None),
            (pb.WebSocketMessage(jsonrpc="2.0", id_number=1), 1),
            (pb.WebSocketMessage(), None),
        ],
    )
    def test_an_invalid_request_with_its_id(self, message: pb.WebSocketMessage, request_id: Any) -> None:
        item = one(message)
        assert isinstance(item, Fault)
        assert (item.code, item.id) == (Code.INVALID_REQUEST, request_id)

    @pytest.mark.parametrize("type_url", ["", "nonsense", "type.googleapis.com/google.protobuf.Any"])
    def test_an_unknown_type_is_wrong_params(self, type_url: str) -> None:
        message = request(id_number=1)
        message.request.params.type_url = type_url
        item = one(message)
        assert isinstance(item, Fault)
        assert (item.code, item.id) == (Code.INVALID_PARAMS, 1)
        assert item.data["errors"][0]["field"] == "@type"

    @pytest.mark.parametrize("data", [b"\xff", b"\x0a\x05ab", b"\x12\x03\xff\xff\xff", b"\x08"])
    def test_bytes_that_are_no_message(self, data: bytes) -> None:
        assert one(data) == Fault(Code.PARSE_ERROR, {"reason": "not a WebSocketMessage"})


class TestBatches:
    def test_plain(self) -> None:
        batch = pb.BatchMessage(messages=[request(id_number=1), notification(), request("", id_number=2)])
        decoded = take(pb.WebSocketMessage(batch=batch))
        assert decoded.batch
        assert [(type(i), i.id) for i in decoded.items] == [(Call, 1), (Call, NO_ID), (Fault, 2)]

    def test_compressed_means_the_same(self) -> None:
        plain = batch_of(request(id_number=1), notification(), request("", id_number=2))
        assert take(packed(plain)) == take(pb.WebSocketMessage(batch=pb.BatchMessage.FromString(plain)))

    @pytest.mark.parametrize("compress", [False, True])
    @pytest.mark.parametrize(("count", "fine"), [(0, False), (1, True), (4, True), (5, False), (50, False)])
    def test_a_batch_has_1_to_the_most(self, count: int, fine: bool, compress: bool) -> None:
        messages = [notification()] * count
        plain = batch_of(*messages)
        decoded = take(packed(plain) if compress else pb.WebSocketMessage(batch=pb.BatchMessage(messages=messages)))
        assert decoded.batch is fine
        assert [isinstance(item, Call) for item in decoded.items] == ([True] * count if fine else [False])

    @pytest.mark.parametrize("compress", [False, True])
    def test_a_batch_inside_is_refused_in_its_place(self, compress: bool) -> None:
        inner = pb.WebSocketMessage(batch=pb.BatchMessage(messages=[request(id_number=1)]))
        plain = batch_of(inner, request(id_number=2))
        decoded = take(packed(plain) if compress else pb.WebSocketMessage(batch=pb.BatchMessage.FromString(plain)))
        assert [(type(i), i.id) for i in decoded.items] == [(Fault, None), (Call, 2)]

    def test_a_compressed_batch_inside_a_compressed_batch_is_refused(self) -> None:
        self.refused(packed(packed(batch_of(notification())).batch.SerializeToString()))

    def test_an_entry_that_is_no_message_spoils_only_itself(self) -> None:
        decoded = take(packed(batch_of(request(id_number=1)) + b"\x0a\x01\xff"))
        assert [(type(i), i.id) for i in decoded.items] == [(Call, 1), (Fault, None)]
        assert isinstance(decoded.items[1], Fault)
        assert decoded.items[1].code is Code.PARSE_ERROR

    @staticmethod
    def refused(message: pb.WebSocketMessage) -> str:
        item = one(message)
        assert isinstance(item, Fault)
        assert (item.code, item.id) == (Code.INVALID_REQUEST, None)
        reason: str = item.data["reason"]
        return reason

    @pytest.mark.parametrize("lie", [-1, 1])
    def test_the_size_must_be_true(self, lie: int) -> None:
        plain = batch_of(request(id_number=1))
        assert "original_size" in self.refused(packed(plain, len(plain) + lie))

    @pytest.mark.parametrize("size", [0, MAX_INFLATED + 1, 2**32 - 1])
    def test_the_size_has_bounds(self, size: int) -> None:
        assert "original_size" in self.refused(packed(batch_of(notification()), size))

    def test_the_stream_must_end_where_it_ends(self) -> None:
        plain = batch_of(notification())
        stream = zlib.compress(plain)
        for payload in (stream[:-1], stream[:-5], stream + b"x", stream + stream, stream[:-1] + b"\0", b"", b"x"):
            self.refused(packed(plain, payload=payload))

    @pytest.mark.parametrize(
        "plain",
        [
            b"\x0a",
            b"\x0a\x05abc",
            b"\x0a\x80",
            b"\x0a\xff\xff\xff\xff\xff\xff\x01",
            b"\x0b\x00",
            b"\x12\x00",
            b"\x0a\x00\x10\x01",
        ],
    )
    def test_what_is_inside_must_be_messages(self, plain: bytes) -> None:
        self.refused(packed(plain))

    def test_an_entry_is_no_longer_than_a_frame(self) -> None:
        def entry(size: int) -> pb.WebSocketMessage:
            return pb.WebSocketMessage(jsonrpc="2.0", id_string="x" * (size - 8))

        fits, too_long = batch_of(entry(MAX_ENTRY)), batch_of(entry(MAX_ENTRY + 1))
        assert take(packed(fits)).batch
        assert "bytes" in self.refused(packed(too_long))

    def test_a_bomb_costs_neither_memory_nor_time(self) -> None:
        """A kilobyte that inflates to the largest allowed batch, full of empty messages."""
        plain = b"\x0a\x00" * (512 * 1024)
        frame = packed(plain).SerializeToString()
        assert len(frame) < 1_200
        tracemalloc.start()
        try:
            item = decode(parse(frame), 50, 1024 * 1024).items[0]
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert isinstance(item, Fault)
        assert item.data == {"reason": "a batch of more than 50"}
        assert peak < 4 * 1024 * 1024


class TestAnswers:
    def test_a_result(self) -> None:
        made = pb.WebSocketMessage.FromString(encode_answers([Result({"a": [1, {"b": None}]}, 7)], False))
        assert (made.jsonrpc, made.id_number) == ("2.0", 7)
        assert to_params(made.response.result.type_url, made.response.result.value) == {"a": [1, {"b": None}]}

    def test_an_error(self) -> None:
        fault = Fault(Code.INVALID_STATE, {"state": "authenticated"}, "x")
        made = pb.WebSocketMessage.FromString(encode_answers([fault], False))
        error = made.response.error
        assert (made.id_string, error.code, error.message) == ("x", -32003, "Invalid state")
        assert to_params(error.data.type_url, error.data.value) == {"state": "authenticated"}

    @pytest.mark.parametrize("no_id", [None, NO_ID])
    def test_an_error_whose_request_had_no_readable_id_has_none(self, no_id: Any) -> None:
        made = pb.WebSocketMessage.FromString(encode_answers([Fault(Code.PARSE_ERROR, {}, no_id)], False))
        assert made.WhichOneof("id_type") is None
        assert not made.response.error.HasField("data")

    def test_a_batch(self) -> None:
        made = pb.WebSocketMessage.FromString(encode_answers([Result({}, 1), Fault(Code.CONFLICT, {}, "b")], True))
        assert [m.WhichOneof("id_type") for m in made.batch.messages] == ["id_number", "id_string"]

    @pytest.mark.parametrize(
        ("request_id", "kind", "said"),
        [
            (3.0, "id_number", 3),
            (1.5, "id_string", "1.5"),
            (2**63, "id_string", str(2**63)),
            (-1e300, "id_string", "-1e+300"),
        ],
    )
    def test_ids_of_json_that_int64_does_not_hold(self, request_id: Any, kind: str, said: Any) -> None:
        """Asked in a text frame, answered in the framing of the last frame: a client may mix."""
        made = pb.WebSocketMessage.FromString(encode_answers([Result({}, request_id)], False))
        assert made.WhichOneof("id_type") == kind
        assert getattr(made, kind) == said


def test_notifications() -> None:
    first, second = encode_notification("a", orjson.dumps({"x": 1})), encode_notification("b", b"{}")
    one_made = pb.WebSocketMessage.FromString(first)
    assert (one_made.jsonrpc, one_made.notification.method) == ("2.0", "a")
    params = one_made.notification.params
    assert to_params(params.type_url, params.value) == {"x": 1}
    together = pb.WebSocketMessage.FromString(join([first, second]))
    assert [m.SerializeToString() for m in together.batch.messages] == [first, second]
