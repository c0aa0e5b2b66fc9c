"""How much the params of a frame may be, in both framings, and that it is known before anything is made of them (row 6.2)."""

from __future__ import annotations

import base64
import time
import zlib
from typing import Any

import orjson
import pytest
from google.protobuf import struct_pb2

from cluster.settings import GatewaySettings
from realm_proto import realtime_pb2 as pb
from serve_apps.gateway import json_framing, proto_framing
from serve_apps.gateway.connection import Connection, Received
from serve_apps.gateway.gateway_app import build_router
from serve_apps.gateway.messages import MAX_VALUES, Call, Code, Decoded, Fault
from serve_apps.gateway.typed import PREFIX, STRUCT
from tests.unit.serve_apps.gateway.fakes import Gateway

SIZES = {"small": 100, "large": 40_000}
FRAME = 64 * 1024
CPU_S = 0.1  # a frame costs some 5 ms at the most; this machine may be busy


def in_json(*calls: tuple[str, Any]) -> Decoded:
    said = [{"jsonrpc": "2.0", "id": n, "method": method, "params": params} for n, (method, params) in enumerate(calls)]
    return json_framing.decode(orjson.dumps(said if len(said) > 1 else said[0]), 50, SIZES)


def message(method: str, data: bytes, url: str = STRUCT) -> pb.WebSocketMessage:
    made = pb.WebSocketMessage(jsonrpc="2.0", id_number=1)
    made.request.method, made.request.params.type_url, made.request.params.value = method, url, data
    return made


def in_proto(*messages: pb.WebSocketMessage, packed: bool = False, sizes: Any = SIZES) -> Decoded:
    if len(messages) == 1:
        whole = messages[0]
    elif packed:
        plain = pb.BatchMessage(messages=messages).SerializeToString()
        payload = zlib.compress(plain, 9)
        whole = pb.WebSocketMessage(batch=pb.BatchMessage(compressed=True, original_size=len(plain), payload=payload))
    else:
        whole = pb.WebSocketMessage(batch=pb.BatchMessage(messages=messages))
    data = whole.SerializeToString()
    assert len(data) <= FRAME
    began = time.process_time()
    decoded = proto_framing.decode(proto_framing.parse(data), 50, 1024 * 1024, FRAME, sizes)
    assert time.process_time() - began < CPU_S
    return decoded


def nulls(count: int) -> bytes:
    values = struct_pb2.ListValue(values=[struct_pb2.Value()] * count)
    return struct_pb2.Struct(fields={"a": struct_pb2.Value(list_value=values)}).SerializeToString()


def reasons(decoded: Decoded) -> list[str]:
    """Of the items that were refused for their params; "" of the others."""
    told = []
    for item in decoded.items:
        if isinstance(item, Fault):
            assert item.code is Code.INVALID_PARAMS
            told.append(item.data["errors"][0]["reason"])
        else:
            told.append("")
    return told


class TestSizes:
    def test_json(self) -> None:
        assert reasons(in_json(("small", {"a": "x" * 92}))) == [""]  # {"a":""} has 8 bytes
        assert reasons(in_json(("small", {"a": "x" * 93}))) == ["more than 100 bytes"]
        assert reasons(in_json(("large", {"a": "x" * 93}))) == [""]

    def test_json_counts_without_spaces(self) -> None:
        spaced = b'{"jsonrpc":"2.0","id":1,"method":"small","params":{"a":' + b" " * 5_000 + b"1}}"
        assert reasons(json_framing.decode(spaced, 50, SIZES)) == [""]

    def test_each_of_a_batch_counts_for_itself(self) -> None:
        long, short = {"a": "x" * 500}, {"a": 1}
        told = reasons(in_json(("small", short), ("small", long), ("large", long), ("small", short)))
        assert told == ["", "more than 100 bytes", "", ""]

    def test_json_of_a_type_counts_what_is_in_it(self) -> None:
        for size, reason in ((100, ""), (101, "more than 100 bytes")):
            data = pb.PresenceUpdate(text="x" * (size - 2)).SerializeToString()
            assert len(data) == size
            params = {"@type": PREFIX + "rayrealm.v1.PresenceUpdate", "value": base64.b64encode(data).decode()}
            assert reasons(in_json(("small", params))) == [reason]

    def test_protobuf(self) -> None:
        for size, reason in ((100, ""), (101, "more than 100 bytes")):
            data = pb.PresenceUpdate(text="x" * (size - 2)).SerializeToString()
            url = PREFIX + "rayrealm.v1.PresenceUpdate"
            assert reasons(in_proto(message("small", data, url))) == [reason]
            assert reasons(in_proto(message("small", data, url), message("large", data, url))) == [reason, ""]

    def test_nobody_looks_at_the_params_of_a_method_that_there_is_not(self) -> None:
        for params in ({"a": "x" * 10_000}, [1], {"@type": "no type"}):
            assert in_json(("other", params)).items == (Call("other", {}, 0),)
        assert in_proto(message("other", b"\xff" * 1_000)).items == (Call("other", {}, 1),)

    async def test_a_gateway_has_the_sizes_of_its_methods(self) -> None:
        gateway = Gateway(build_router())
        client, wire = gateway.connect()
        long = {"character_id": "chr_" + "x" * 5_000}
        await gateway.say(client, {"jsonrpc": "2.0", "id": 1, "method": "world.enter", "params": long})
        ((answer),) = wire.json()
        assert answer["error"]["code"] == -32602
        assert answer["error"]["data"]["errors"] == [{"field": "params", "reason": "more than 4096 bytes"}]


class TestValues:
    @pytest.mark.parametrize("unit", [b"[]", b"{}", b"0", b'{"a":1}', b"[[[[]]]]", b"1e308"])
    def test_a_crowded_text_frame_is_refused_before_it_is_parsed(self, unit: bytes) -> None:
        head, tail = b'{"jsonrpc":"2.0","id":1,"method":"large","params":{"a":[', b"]}}"
        times = (FRAME - len(head) - len(tail)) // (len(unit) + 1)
        payload = head + b",".join([unit] * times) + tail
        began = time.process_time()
        decoded = json_framing.decode(payload, 50, SIZES)
        assert time.process_time() - began < CPU_S
        (item,) = decoded.items
        assert isinstance(item, Fault)
        assert (item.code, item.id) == (Code.INVALID_REQUEST, None)
        assert item.data == {"reason": f"more than {MAX_VALUES} commas and opening brackets"}

    def test_as_many_as_may_be(self) -> None:
        params = {"a": [0] * (MAX_VALUES - 20)}
        (item,) = in_json(("large", params)).items
        assert isinstance(item, Call)
        assert item.params == params

    @pytest.mark.parametrize("depth", [1_000, 100_000])
    def test_depth_costs_nothing(self, depth: int) -> None:
        payload = b'{"jsonrpc":"2.0","id":1,"method":"large","params":{"a":' + b"[" * depth + b"]" * depth + b"}}"
        began = time.process_time()
        (item,) = json_framing.decode(payload, 50, SIZES).items
        assert time.process_time() - began < CPU_S
        assert isinstance(item, Fault)

    @pytest.mark.parametrize("packed", [False, True])
    def test_the_values_of_a_batch_count_together(self, packed: bool) -> None:
        told = reasons(in_proto(*[message("large", nulls(1_500))] * 4, packed=packed))
        assert told == [
            "",
            "",
            f"more than {MAX_VALUES} values in one frame",
            f"more than {MAX_VALUES} values in one frame",
        ]

    def test_a_small_compressed_batch_of_many_values_costs_little(self) -> None:
        sizes = build_router().sizes
        structs = in_proto(*[message("game.message", nulls(4_000))] * 50, packed=True, sizes=sizes)
        assert reasons(structs).count("") == 1
        url = PREFIX + "rayrealm.v1.PositionBatch"
        positions = in_proto(
            *[message("world.position.batch", b"\x0a\x00" * 8_000, url)] * 50, packed=True, sizes=sizes
        )
        assert reasons(positions).count("") == 10  # of 51 moves each, one more than the rules allow

    def test_a_connection_hands_the_sizes_on(self) -> None:
        connection = Connection(None, GatewaySettings(), 0.0, SIZES)
        for event in (
            connection.binary(message("small", nulls(200)).SerializeToString(), True, 0.0),
            connection.text(orjson.dumps({"jsonrpc": "2.0", "method": "small", "params": {"a": "x" * 99}}), True, 0.0),
        ):
            assert isinstance(event, Received)
            assert reasons(event.decoded) == ["more than 100 bytes"]
