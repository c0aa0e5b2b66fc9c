"""JSON-RPC 2.0 in text frames. That no input raises is in tests/property."""

from __future__ import annotations

import base64
from typing import Any

import orjson
import pytest

from realm_proto import realtime_pb2 as pb
from serve_apps.gateway.json_framing import decode, encode_answers, encode_notification, join
from serve_apps.gateway.messages import NO_ID, Call, Code, Fault, Result

MAX_BATCH = 4


def one(document: Any) -> Call | Fault:
    payload = document if isinstance(document, bytes) else orjson.dumps(document)
    decoded = decode(payload, MAX_BATCH)
    assert not decoded.batch
    (item,) = decoded.items
    return item


def request(**members: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "method": "m", **members}


def fault(document: Any, code: Code) -> Fault:
    item = one(document)
    assert isinstance(item, Fault)
    assert item.code is code
    return item


@pytest.mark.parametrize("request_id", [0, 1, -7, 1.5, "", "a", "0", None, 2**53, 2**63 - 1, 2**64 - 1, 1e300])
def test_every_kind_of_id_is_kept_as_it_is(request_id: Any) -> None:
    item = one(request(id=request_id))
    assert item == Call("m", {}, request_id)
    assert type(item.id) is type(request_id)
    said: Any = request_id
    answer = orjson.loads(encode_answers([Result({}, said)], False))
    assert answer == {"jsonrpc": "2.0", "id": request_id, "result": {}}


def test_without_an_id_it_is_a_notification_and_null_is_an_id() -> None:
    assert one(request()).id is NO_ID
    assert one(request(id=None)).id is None


@pytest.mark.parametrize("request_id", [True, False, [], [1], {}, {"a": 1}])
def test_other_ids_are_refused_and_not_repeated(request_id: Any) -> None:
    assert fault(request(id=request_id), Code.INVALID_REQUEST).id is None


@pytest.mark.parametrize("payload", [b"", b"{", b"nope", b"NaN", b'{"a":1e999}', b"\xef\xbb\xbf{}", b"[" * 2000])
def test_what_is_not_json_is_a_parse_error_without_an_id(payload: bytes) -> None:
    assert fault(payload, Code.PARSE_ERROR).id is None


@pytest.mark.parametrize("document", [1, "text", None, True, 1.5])
def test_json_that_is_no_object_is_an_invalid_request(document: Any) -> None:
    fault(document, Code.INVALID_REQUEST)


@pytest.mark.parametrize("version", [None, "1.0", "2", 2.0, ["2.0"]])
def test_a_wrong_version_is_an_invalid_request_with_its_id(version: Any) -> None:
    assert fault(request(id=3, jsonrpc=version), Code.INVALID_REQUEST).id == 3


def test_no_version_is_the_wrong_one() -> None:
    assert fault({"method": "m", "id": 3}, Code.INVALID_REQUEST).id == 3


@pytest.mark.parametrize("method", [None, 1, "", "m" * 101, ["m"]])
def test_a_method_is_a_string_of_1_to_100(method: Any) -> None:
    assert fault(request(id="x", method=method), Code.INVALID_REQUEST).id == "x"


def test_a_method_of_100_is_fine() -> None:
    assert isinstance(one(request(method="m" * 100)), Call)


@pytest.mark.parametrize("params", [None, [], [1], "text", 5, True])
def test_params_are_an_object(params: Any) -> None:
    refused = fault(request(id=1, params=params), Code.INVALID_PARAMS)
    assert refused == Fault(Code.INVALID_PARAMS, {"errors": [{"field": "params", "reason": "must be an object"}]}, 1)


def test_a_notification_with_wrong_params_stays_one() -> None:
    assert fault(request(params=[1]), Code.INVALID_PARAMS).id is NO_ID


@pytest.mark.parametrize(("depth", "fine"), [(1, True), (64, True), (65, False), (900, False)])
def test_params_have_a_depth(depth: int, fine: bool) -> None:
    """`params` is one level; what is deeper than 64 no encoder would take on the way out."""
    params = b'{"a":' + b"[" * (depth - 1) + b"1" + b"]" * (depth - 1) + b"}"
    item = one(b'{"jsonrpc":"2.0","method":"m","id":1,"params":' + params + b"}")
    assert isinstance(item, Call) is fine
    assert item.id == 1


def test_many_brackets_are_not_deep() -> None:
    params: dict[str, Any] = {"a": [[] for _ in range(200)]}
    assert one(request(params=params)) == Call("m", params, NO_ID)


class TestTyped:
    URL = "type.googleapis.com/rayrealm.v1.PositionUpdate"

    def value(self) -> str:
        update = pb.PositionUpdate(position=pb.Vector3(x=1.5, y=0, z=-2), rotation=pb.Rotation(yaw=0.25), sequence=7)
        return base64.b64encode(update.SerializeToString()).decode()

    def test_a_message_becomes_plain_params(self) -> None:
        assert one(request(id=1, params={"@type": self.URL, "value": self.value()})) == Call(
            "m", {"position": {"x": 1.5, "y": 0, "z": -2}, "rotation": {"yaw": 0.25}, "sequence": 7}, 1
        )

    @pytest.mark.parametrize(
        ("params", "field"),
        [
            ({"@type": 7, "value": ""}, "@type"),
            ({"@type": "type.googleapis.com/rayrealm.v1.Nothing", "value": ""}, "@type"),
            ({"@type": "type.googleapis.com/rayrealm.v1.ViewFrame", "value": ""}, "@type"),
            ({"@type": URL, "value": 7}, "value"),
            ({"@type": URL, "value": "not base64!"}, "value"),
            ({"@type": URL, "value": "AAA"}, "value"),
            ({"@type": URL, "value": "/////w=="}, "value"),
        ],
    )
    def test_anything_else_is_wrong_params(self, params: Any, field: str) -> None:
        refused = fault(request(id=1, params=params), Code.INVALID_PARAMS)
        assert [error["field"] for error in refused.data["errors"]] == [field]

    def test_without_a_value_the_message_is_empty(self) -> None:
        assert one(request(params={"@type": self.URL})) == Call("m", {"rotation": {"yaw": 0}, "sequence": 0}, NO_ID)

    def test_a_long_type_is_not_sent_back_whole(self) -> None:
        refused = fault(request(id=1, params={"@type": "x" * 10_000}), Code.INVALID_PARAMS)
        assert len(orjson.dumps(refused.data)) < 300


class TestBatches:
    def test_entries_are_judged_one_by_one_in_order(self) -> None:
        decoded = decode(orjson.dumps([request(id=1), 5, request(), {"id": 2}]), MAX_BATCH)
        assert decoded.batch
        kinds = [(type(item), item.id) for item in decoded.items]
        assert kinds == [(Call, 1), (Fault, None), (Call, NO_ID), (Fault, 2)]

    def test_an_empty_one_is_one_error(self) -> None:
        fault([], Code.INVALID_REQUEST)

    def test_it_has_a_largest_size(self) -> None:
        assert len(decode(orjson.dumps([request()] * MAX_BATCH), MAX_BATCH).items) == MAX_BATCH
        fault([request()] * (MAX_BATCH + 1), Code.INVALID_REQUEST)

    def test_a_batch_inside_a_batch_is_an_invalid_entry(self) -> None:
        decoded = decode(orjson.dumps([[request(id=1)]]), MAX_BATCH)
        assert [(type(item), item.id) for item in decoded.items] == [(Fault, None)]

    def test_depth_is_per_entry(self) -> None:
        deep = b'{"jsonrpc":"2.0","method":"m","id":1,"params":{"a":' + b"[" * 70 + b"]" * 70 + b"}}"
        decoded = decode(b"[" + deep + b',{"jsonrpc":"2.0","method":"m","id":2}]', MAX_BATCH)
        assert [(type(item), item.id) for item in decoded.items] == [(Fault, 1), (Call, 2)]


class TestAnswers:
    def test_an_error(self) -> None:
        said = orjson.loads(encode_answers([Fault(Code.CONFLICT, {"current": {"version": 2}}, "a")], False))
        error = {"code": -32005, "message": "Conflict", "data": {"current": {"version": 2}}}
        assert said == {"jsonrpc": "2.0", "id": "a", "error": error}

    def test_an_error_without_an_id_has_null(self) -> None:
        said = orjson.loads(encode_answers([Fault(Code.PARSE_ERROR)], False))
        assert said == {"jsonrpc": "2.0", "id": None, "error": {"code": -32700, "message": "Parse error"}}

    def test_a_batch_of_one_is_still_an_array(self) -> None:
        assert orjson.loads(encode_answers([Result({}, 1)], True)) == [{"jsonrpc": "2.0", "id": 1, "result": {}}]


def test_notifications() -> None:
    first, second = encode_notification("a.b", b'{"x":1}'), encode_notification('quote"', b"{}")
    assert orjson.loads(first) == {"jsonrpc": "2.0", "method": "a.b", "params": {"x": 1}}
    assert orjson.loads(join([first, second])) == [orjson.loads(first), orjson.loads(second)]
    assert orjson.loads(second)["method"] == 'quote"'
