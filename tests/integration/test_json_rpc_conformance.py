"""JSON-RPC 2.0 by its specification (https://www.jsonrpc.org/specification), over a real socket, in both framings.

The examples are those of section 7, with methods that exist here; params by position are refused, as section 4.2 allows.
"""

from __future__ import annotations

import asyncio
import secrets
import zlib
from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest
import pytest_asyncio
from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

from realm_proto import realtime_pb2 as pb
from serve_apps.gateway.typed import to_any, to_params
from tests.local_realm import LocalRealm, local_realm

pytestmark = pytest.mark.asyncio(loop_scope="module")
DEADLINE_S = 10.0
LAST = "the last request"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def realm(valkey_url: str, nats_url: str, nats_token: str) -> AsyncIterator[LocalRealm]:
    namespace = f"test-{secrets.token_hex(6)}"
    async with local_realm(valkey_url, nats_url, nats_token, namespace, session={"per_user": 1_000}) as running:
        yield running


async def joined(realm: LocalRealm, subprotocol: str) -> ClientConnection:
    ws = await connect(
        realm.url,
        additional_headers={"Authorization": f"Bearer {realm.token('usr_a')}"},
        subprotocols=[Subprotocol(subprotocol)],
        compression=None,
        proxy=None,
    )
    await ws.recv()  # session.ready
    return ws


# --- text frames ---------------------------------------------------------------------------------------------------


@pytest_asyncio.fixture(loop_scope="module")
async def ws(realm: LocalRealm) -> AsyncIterator[ClientConnection]:
    ws = await joined(realm, "rayrealm.v1+json")
    yield ws
    await ws.close()


async def answers(ws: ClientConnection, frame: str) -> list[Any]:
    """What a frame is answered with, frame by frame. Requests are answered in order, so the last one's answer ends it."""
    await ws.send(frame)
    await ws.send(orjson.dumps({"jsonrpc": "2.0", "id": LAST, "method": "system.ping"}).decode())
    said: list[Any] = []
    async with asyncio.timeout(DEADLINE_S):
        while True:
            one = orjson.loads(await ws.recv())
            if isinstance(one, dict) and one.get("id") == LAST:
                return said
            if isinstance(one, list) or "method" not in one:
                said.append(one)


async def answer(ws: ClientConnection, frame: str) -> Any:
    (said,) = await answers(ws, frame)
    return said


def error(said: Any) -> tuple[int, Any]:
    """Code and id of an error answer that is one."""
    assert set(said) == {"jsonrpc", "id", "error"}
    assert said["jsonrpc"] == "2.0"
    assert isinstance(said["error"]["message"], str)
    assert set(said["error"]) <= {"code", "message", "data"}
    return said["error"]["code"], said["id"]


def echoed(said: Any) -> tuple[Any, Any]:
    """Echo and id of a ping's answer."""
    assert set(said) == {"jsonrpc", "id", "result"}
    assert said["jsonrpc"] == "2.0"
    return said["result"]["echo"], said["id"]


class TestExamples:
    async def test_by_position(self, ws: ClientConnection) -> None:
        frame = '{"jsonrpc": "2.0", "method": "system.ping", "params": [42, 23], "id": 1}'
        said = await answer(ws, frame)
        assert error(said) == (-32602, 1)
        assert said["error"]["data"] == {"errors": [{"field": "params", "reason": "must be an object"}]}

    async def test_by_name(self, ws: ClientConnection) -> None:
        frame = '{"jsonrpc": "2.0", "method": "system.ping", "params": {"echo": {"subtrahend": 23}}, "id": 3}'
        assert echoed(await answer(ws, frame)) == ({"subtrahend": 23}, 3)
        frame = '{"id": 4, "params": {"echo": 42}, "method": "system.ping", "jsonrpc": "2.0"}'
        assert echoed(await answer(ws, frame)) == (42, 4)

    @pytest.mark.parametrize(
        "frame",
        [
            '{"jsonrpc": "2.0", "method": "system.ping", "params": {"echo": 1}}',
            '{"jsonrpc": "2.0", "method": "update", "params": [1,2,3,4,5]}',
            '{"jsonrpc": "2.0", "method": "foobar"}',
            '{"jsonrpc": "2.0", "method": "system.ping", "params": [1]}',
            '{"jsonrpc": "2.0", "method": "system.ping", "params": {"unknown": 1}}',
            '{"jsonrpc": "2.0", "method": "world.leave"}',
        ],
    )
    async def test_a_notification_is_not_answered_not_even_with_an_error(
        self, ws: ClientConnection, frame: str
    ) -> None:
        assert await answers(ws, frame) == []

    async def test_a_method_that_does_not_exist(self, ws: ClientConnection) -> None:
        said = await answer(ws, '{"jsonrpc": "2.0", "method": "foobar", "id": "1"}')
        assert error(said) == (-32601, "1")
        assert said["error"] == {"code": -32601, "message": "Method not found", "data": {"method": "foobar"}}

    async def test_invalid_json(self, ws: ClientConnection) -> None:
        said = await answer(ws, '{"jsonrpc": "2.0", "method": "foobar, "params": "bar", "baz]')
        assert error(said) == (-32700, None)
        assert said["error"]["message"] == "Parse error"

    async def test_an_invalid_request(self, ws: ClientConnection) -> None:
        said = await answer(ws, '{"jsonrpc": "2.0", "method": 1, "params": "bar"}')
        assert error(said) == (-32600, None)
        assert said["error"]["message"] == "Invalid Request"

    async def test_a_batch_that_is_invalid_json(self, ws: ClientConnection) -> None:
        frame = '[{"jsonrpc": "2.0", "method": "sum", "params": [1,2,4], "id": "1"},{"jsonrpc": "2.0", "method"]'
        assert error(await answer(ws, frame)) == (-32700, None)

    async def test_an_empty_array(self, ws: ClientConnection) -> None:
        assert error(await answer(ws, "[]")) == (-32600, None)

    async def test_an_invalid_batch_that_is_not_empty(self, ws: ClientConnection) -> None:
        assert [error(one) for one in await answer(ws, "[1]")] == [(-32600, None)]

    async def test_an_invalid_batch(self, ws: ClientConnection) -> None:
        assert [error(one) for one in await answer(ws, "[1,2,3]")] == [(-32600, None)] * 3

    async def test_a_mixed_batch(self, ws: ClientConnection) -> None:
        frame = """[
            {"jsonrpc": "2.0", "method": "system.ping", "params": {"echo": 7}, "id": "1"},
            {"jsonrpc": "2.0", "method": "notify_hello", "params": [7]},
            {"jsonrpc": "2.0", "method": "system.ping", "params": [42,23], "id": "2"},
            {"foo": "boo"},
            {"jsonrpc": "2.0", "method": "foo.get", "params": {"name": "myself"}, "id": "5"},
            {"jsonrpc": "2.0", "method": "system.ping", "id": "9"}
        ]"""
        first, second, third, fourth, fifth = await answer(ws, frame)
        assert echoed(first) == (7, "1")
        assert error(second) == (-32602, "2")
        assert error(third) == (-32600, None)
        assert error(fourth) == (-32601, "5")
        assert echoed(fifth) == (None, "9")

    async def test_a_batch_of_notifications(self, ws: ClientConnection) -> None:
        frame = """[
            {"jsonrpc": "2.0", "method": "system.ping", "params": {"echo": 1}},
            {"jsonrpc": "2.0", "method": "notify_hello", "params": [7]}
        ]"""
        assert await answers(ws, frame) == []


class TestIds:
    @pytest.mark.parametrize(
        "request_id",
        [
            "0",
            "1",
            "-1",
            "1.5",
            "-0.25",
            "1e300",
            "9007199254740991",
            "9007199254740993",
            "9223372036854775807",
            "18446744073709551615",
            "null",
            '""',
            '"0"',
            '"null"',
            '"\\u00e9\\n\\"\\u0000"',
            '"' + "x" * 10_000 + '"',
        ],
    )
    @pytest.mark.parametrize("method", ["system.ping", "nope"])
    async def test_they_come_back_as_they_were(self, ws: ClientConnection, request_id: str, method: str) -> None:
        said = await answer(ws, f'{{"jsonrpc":"2.0","method":"{method}","id":{request_id}}}')
        sent = orjson.loads(request_id)
        assert (said["id"], type(said["id"])) == (sent, type(sent))
        assert ("result" in said) == (method == "system.ping")

    @pytest.mark.parametrize("request_id", ["true", "false", "[]", "[1]", "{}", '{"a":1}'])
    async def test_other_types_are_refused(self, ws: ClientConnection, request_id: str) -> None:
        frame = f'{{"jsonrpc":"2.0","method":"system.ping","id":{request_id}}}'
        assert error(await answer(ws, frame)) == (-32600, None)

    async def test_one_id_may_be_used_twice(self, ws: ClientConnection) -> None:
        frame = '[{"jsonrpc":"2.0","method":"system.ping","id":1},{"jsonrpc":"2.0","method":"system.ping","id":1}]'
        assert [one["id"] for one in await answer(ws, frame)] == [1, 1]


class TestRequestObjects:
    @pytest.mark.parametrize(
        "frame",
        [
            "1",
            "null",
            "true",
            '"text"',
            "{}",
            '{"jsonrpc":"2.0"}',
            '{"jsonrpc":"1.0","method":"system.ping"}',
            '{"jsonrpc":2.0,"method":"system.ping"}',
            '{"method":"system.ping"}',
            '{"jsonrpc":"2.0","method":""}',
            '{"jsonrpc":"2.0","method":null}',
            '{"jsonrpc":"2.0","result":{}}',
        ],
    )
    async def test_what_is_no_request_is_answered_with_null(self, ws: ClientConnection, frame: str) -> None:
        assert error(await answer(ws, frame)) == (-32600, None)

    @pytest.mark.parametrize("member", ['"jsonrpc":"1.0"', '"jsonrpc":"2.0","method":5', '"jsonrpc":"2.0","result":{}'])
    async def test_with_its_id_if_that_can_be_read(self, ws: ClientConnection, member: str) -> None:
        assert error(await answer(ws, f'{{{member},"id":"a"}}')) == (-32600, "a")

    async def test_other_members_do_no_harm(self, ws: ClientConnection) -> None:
        frame = '{"jsonrpc":"2.0","method":"system.ping","id":1,"extra":[1],"result":2}'
        assert echoed(await answer(ws, frame)) == (None, 1)

    @pytest.mark.parametrize("params", ["null", "1", '"x"', "true", "[]", "[{}]"])
    async def test_params_are_an_object_or_absent(self, ws: ClientConnection, params: str) -> None:
        frame = f'{{"jsonrpc":"2.0","method":"system.ping","params":{params},"id":1}}'
        assert error(await answer(ws, frame)) == (-32602, 1)

    async def test_white_space_and_unicode(self, ws: ClientConnection) -> None:
        frame = (
            ' \n\t{ "jsonrpc" : "2.0" , "method" : "system\\u002eping" , "params" : { "echo" : "龍🐉" } , "id" : 1 } '
        )
        assert echoed(await answer(ws, frame)) == ("龍🐉", 1)


# --- binary frames -------------------------------------------------------------------------------------------------


@pytest_asyncio.fixture(loop_scope="module")
async def binary(realm: LocalRealm) -> AsyncIterator[ClientConnection]:
    ws = await joined(realm, "rayrealm.v1+proto")
    yield ws
    await ws.close()


def request(method: str = "system.ping", params: dict[str, Any] | None = None, **members: Any) -> pb.WebSocketMessage:
    message = pb.WebSocketMessage(**{"jsonrpc": "2.0", **members})
    message.request.method = method
    if params is not None:
        message.request.params.CopyFrom(to_any(params))
    return message


def notification(method: str, params: dict[str, Any] | None = None) -> pb.WebSocketMessage:
    message = pb.WebSocketMessage(jsonrpc="2.0")
    message.notification.method = method
    if params is not None:
        message.notification.params.CopyFrom(to_any(params))
    return message


def batch(*messages: pb.WebSocketMessage, compress: bool = False) -> pb.WebSocketMessage:
    made = pb.BatchMessage(messages=messages)
    if compress:
        plain = made.SerializeToString()
        made = pb.BatchMessage(compressed=True, original_size=len(plain), payload=zlib.compress(plain))
    return pb.WebSocketMessage(jsonrpc="2.0", batch=made)


async def binary_answers(ws: ClientConnection, frame: bytes | pb.WebSocketMessage) -> list[pb.WebSocketMessage]:
    await ws.send(frame if isinstance(frame, bytes) else frame.SerializeToString())
    await ws.send(request(id_string=LAST).SerializeToString())
    said: list[pb.WebSocketMessage] = []
    async with asyncio.timeout(DEADLINE_S):
        while True:
            data = await ws.recv()
            assert isinstance(data, bytes)
            one = pb.WebSocketMessage.FromString(data)
            if one.batch.compressed:  # a large answer
                (one,) = pb.BatchMessage.FromString(zlib.decompress(one.batch.payload)).messages
            if one.id_string == LAST:
                return said
            if one.WhichOneof("message_type") != "notification":
                said.append(one)


def read(said: pb.WebSocketMessage) -> tuple[Any, Any]:
    """The echo of a ping, or the code of an error; and the id."""
    assert said.jsonrpc == "2.0"
    kind = said.WhichOneof("id_type")
    request_id = getattr(said, kind) if kind else None
    if said.response.WhichOneof("result_type") == "error":
        assert said.response.error.message
        return said.response.error.code, request_id
    result = said.response.result
    return to_params(result.type_url, result.value)["echo"], request_id


class TestBinary:
    async def test_the_examples(self, binary: ClientConnection) -> None:
        for frame, expected in (
            (request(params={"echo": 19}, id_number=1), (19, 1)),
            (request(id_string="2"), (None, "2")),
            (request("foobar", id_string="1"), (-32601, "1")),
            (request("", id_number=3), (-32600, 3)),
            (request("system.subscribe", {"unknown": 1}, id_number=4), (-32602, 4)),
            (pb.WebSocketMessage(jsonrpc="1.0", id_number=5, request=pb.Request(method="system.ping")), (-32600, 5)),
            (pb.WebSocketMessage(jsonrpc="2.0", request=pb.Request(method="system.ping")), (-32600, None)),
            (pb.WebSocketMessage(), (-32600, None)),
            (b"\xff\xff", (-32700, None)),
            (pb.WebSocketMessage(jsonrpc="2.0", batch=pb.BatchMessage()), (-32600, None)),
        ):
            (said,) = await binary_answers(binary, frame)
            assert read(said) == expected

    async def test_notifications_are_not_answered(self, binary: ClientConnection) -> None:
        for frame in (
            notification("system.ping", {"echo": 1}),
            notification("foobar"),
            notification("system.ping", {"unknown": 1}),
            pb.WebSocketMessage(move=pb.PositionUpdate(sequence=1)),
            batch(notification("system.ping"), notification("foobar")),
        ):
            assert await binary_answers(binary, frame) == []

    @pytest.mark.parametrize("compress", [False, True])
    async def test_a_mixed_batch(self, binary: ClientConnection, compress: bool) -> None:
        frame = batch(
            request(params={"echo": 7}, id_string="1"),
            notification("notify_hello"),
            request("system.subscribe", {"unknown": 1}, id_string="2"),
            pb.WebSocketMessage(),
            request("foo.get", id_string="5"),
            request(id_string="9"),
            compress=compress,
        )
        (said,) = await binary_answers(binary, frame)
        assert said.jsonrpc == "2.0"
        assert [read(one) for one in said.batch.messages] == [
            (7, "1"),
            (-32602, "2"),
            (-32600, None),
            (-32601, "5"),
            (None, "9"),
        ]

    @pytest.mark.parametrize("number", [0, 1, -1, 2**53 + 1, 2**63 - 1, -(2**63)])
    async def test_number_ids(self, binary: ClientConnection, number: int) -> None:
        (said,) = await binary_answers(binary, request(id_number=number))
        assert read(said) == (None, number)

    @pytest.mark.parametrize("text", ["", "0", "é\n\0", "x" * 10_000])
    async def test_string_ids(self, binary: ClientConnection, text: str) -> None:
        (said,) = await binary_answers(binary, request(id_string=text))
        assert read(said) == (None, text)
