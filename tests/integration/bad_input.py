"""What clients must not send, and the code that each gets for it (PROTOCOL.md). Data for the tests of it."""

from __future__ import annotations

import base64
import math
import zlib
from typing import Any

import orjson
from google.protobuf import any_pb2, struct_pb2
from google.protobuf.message import Message

from realm_proto import realtime_pb2 as pb
from serve_apps.gateway.typed import to_any
from tests.wire import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, close, frame, text

JSON, PROTO = "rayrealm.v1+json", "rayrealm.v1+proto"
URL = "type.googleapis.com/rayrealm.v1."


def request(method: str, request_id: Any = 1, **params: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": request_id, "method": method, "params": params}


def typed(message: Message, name: str = "PositionUpdate") -> dict[str, Any]:
    return {"@type": URL + name, "value": base64.b64encode(message.SerializeToString()).decode()}


def position(x: float) -> pb.PositionUpdate:
    return pb.PositionUpdate(position=pb.Vector3(x=x, y=0, z=100), sequence=1)


# name -> (text frame, code of the error, its id)
DEEP = b'{"jsonrpc":"2.0","id":1,"method":"system.ping","params":{"echo":' + b"[" * 300 + b"]" * 300 + b"}}"
MESSAGES: dict[str, tuple[bytes, int, Any]] = {
    "malformed": (b'{"jsonrpc":"2.0",', -32700, None),
    "empty": (b"", -32700, None),
    "brackets": (b"[" * 4_000, -32700, None),
    "more brackets": (b"[" * 60_000, -32600, None),
    "nan": (b'{"jsonrpc":"2.0","id":1,"method":"system.ping","params":{"echo":NaN}}', -32700, None),
    "infinite": (b'{"jsonrpc":"2.0","id":1,"method":"system.ping","params":{"echo":1e999}}', -32700, None),
    "half a character": (b'{"jsonrpc":"2.0","id":1,"method":"\\ud800"}', -32700, None),
    "wrong version": (orjson.dumps({**request("system.ping"), "jsonrpc": "1.0"}), -32600, 1),
    "no version": (b'{"id":1,"method":"system.ping"}', -32600, 1),
    "unknown method": (orjson.dumps(request("world.destroy")), -32601, 1),
    "a misspelt param": (orjson.dumps(request("world.enter", character="chr_x")), -32602, 1),
    "params that are too long": (orjson.dumps(request("world.enter", character_id="chr_" + "x" * 5_000)), -32602, 1),
    "too many values": (orjson.dumps(request("system.ping", echo=[0] * 5_000)), -32600, None),
    "no params": (orjson.dumps(request("world.enter")), -32602, 1),
    "params of a wrong type": (orjson.dumps(request("system.subscribe", topics="news")), -32602, 1),
    "a topic that is a channel": (orjson.dumps(request("system.subscribe", topics=["chat:hall"])), -32602, 1),
    "too many topics": (orjson.dumps(request("system.subscribe", topics=[f"t{n}" for n in range(65)])), -32602, 1),
    "unknown type": (orjson.dumps(request("world.position.update", **{"@type": URL + "Teleport"})), -32602, 1),
    "wrong type": (orjson.dumps(request("world.enter", **typed(position(1)))), -32602, 1),
    "no base64": (orjson.dumps(request("state.sync.delta", **{"@type": URL + "StateSync", "value": "?"})), -32602, 1),
    "no message": (
        orjson.dumps(request("state.sync.delta", **{"@type": URL + "StateSync", "value": "////"})),
        -32602,
        1,
    ),
    "a typed nan": (orjson.dumps(request("world.position.update", **typed(position(math.nan)))), -32602, 1),
    "a typed infinity": (orjson.dumps(request("world.position.update", **typed(position(math.inf)))), -32602, 1),
    "a huge place": (
        orjson.dumps(request("world.position.update", position={"x": 1e300, "z": 0}, sequence=1)),
        -32602,
        1,
    ),
    "a huge sequence": (
        orjson.dumps(request("world.position.update", position={"x": 1, "z": 0}, sequence=2**32)),
        -32602,
        1,
    ),
    "too deep": (DEEP, -32602, 1),
    "an empty batch": (b"[]", -32600, None),
    "too large a batch": (orjson.dumps([request("system.ping", n) for n in range(51)]), -32600, None),
    "moving before entering": (
        orjson.dumps(request("world.position.update", position={"x": 1, "z": 0}, sequence=1)),
        -32003,
        1,
    ),
    "leaving before entering": (orjson.dumps(request("world.leave")), -32003, 1),
    "state before entering": (orjson.dumps(request("state.sync.request")), -32003, 1),
    "a character that does not exist": (orjson.dumps(request("world.enter", character_id="chr_x")), -32000, 1),
    "a message to nobody": (orjson.dumps(request("chat.message", channel="hall", text="hi")), -32003, 1),
    "nothing to say": (orjson.dumps(request("chat.message", channel="hall", text="\n\u202e")), -32602, 1),
    "too many friends": (
        orjson.dumps(request("presence.subscribe", user_ids=[f"usr_{n}" for n in range(201)])),
        -32004,
        1,
    ),
    "an unknown status": (orjson.dumps(request("presence.update", status="offline")), -32602, 1),
}


def binary_request(params: any_pb2.Any | None = None, method: str = "system.ping") -> pb.WebSocketMessage:
    message = pb.WebSocketMessage(jsonrpc="2.0", id_number=1)
    message.request.method = method
    if params is not None:
        message.request.params.CopyFrom(params)
    return message


def compressed(plain: bytes, size: int | None = None) -> pb.WebSocketMessage:
    batch = pb.BatchMessage(compressed=True, original_size=len(plain) if size is None else size)
    batch.payload = zlib.compress(plain, 9)
    return pb.WebSocketMessage(batch=batch)


NAN = struct_pb2.Struct(fields={"echo": struct_pb2.Value(number_value=math.nan)})
BOMB = compressed(bytes(40 * 1024 * 1024), 1024 * 1024)
# name -> (binary frame, code of the error)
BINARIES: dict[str, tuple[pb.WebSocketMessage | bytes, int]] = {
    "not protobuf": (b"\xff\xff\xff\xff", -32700),
    "text": (b'{"jsonrpc":"2.0","id":1,"method":"system.ping"}', -32700),
    "cut off": (binary_request().SerializeToString()[:-3], -32700),
    "empty": (b"", -32600),
    "an unknown type": (binary_request(any_pb2.Any(type_url="type.googleapis.com/x.Y")), -32602),
    "an answer as params": (binary_request(any_pb2.Any(type_url=URL + "WebSocketMessage")), -32602),
    "params that do not parse": (binary_request(any_pb2.Any(type_url=URL + "StateSync", value=b"\xff")), -32602),
    "a struct with nan": (
        binary_request(any_pb2.Any(type_url="type.googleapis.com/google.protobuf.Struct", value=NAN.SerializeToString())),
        -32602,
    ),
    "unknown method": (binary_request(to_any({}), "world.destroy"), -32601),
    "a view from a client": (pb.WebSocketMessage(jsonrpc="2.0", view=pb.ViewFrame(tick=1)), -32600),
    "a bomb": (BOMB, -32600),
    "a bomb that says so": (compressed(bytes(4 * 1024 * 1024)), -32600),
    "a bomb of empty messages": (compressed(b"\x0a\x00" * 500_000), -32600),
    "a bomb inside a bomb": (compressed(BOMB.batch.SerializeToString()), -32600),
    "no zlib": (pb.WebSocketMessage(batch=pb.BatchMessage(compressed=True, original_size=5, payload=b"hello")), -32600),
    "a batch of batches": (pb.WebSocketMessage(batch=pb.BatchMessage(messages=[BOMB])), -32600),
}  # fmt: skip

# name -> (subprotocol, bytes on the socket, close code)
MIB = 1024 * 1024
FRAMES: dict[str, tuple[str, bytes, int]] = {
    "binary in the json subprotocol": (JSON, frame(BINARY, binary_request().SerializeToString()), 1003),
    "text in the proto subprotocol": (PROTO, text(request("system.ping")), 1003),
    "a frame of 64 KiB and one byte": ("", frame(BINARY, bytes(65_537)), 1009),
    "a frame of 10 MiB": ("", frame(BINARY, bytes(10 * MIB)), 1009),
    "a text frame of 10 MiB": ("", frame(TEXT, b" " * (10 * MIB)), 1009),
    "10 MiB in fragments": (
        "",
        frame(TEXT, b" " * 65_536, fin=False) + frame(CONTINUATION, b" " * 65_536, fin=False) * 159,
        1009,
    ),
    "a frame that says it has 2 EiB": ("", b"\x82\xff" + (2**61).to_bytes(8, "big") + bytes(64), 1009),
    "a length with the sign bit": ("", b"\x82\xff" + b"\xff" * 8 + bytes(64), 1002),
    "a length in more bytes than needed": ("", b"\x82\xfe\x00\x05" + bytes(9), 1002),
    "text that is not utf-8": ("", frame(TEXT, b'{"a":"\xff"}'), 1007),
    "utf-8 that is cut off": ("", frame(TEXT, b'{"a":"\xc3'), 1007),
    "text that is not utf-8 in fragments": ("", frame(TEXT, b"\xc3", fin=False) + frame(CONTINUATION, b"\x28"), 1007),
    "a continuation of nothing": ("", frame(CONTINUATION, b"x"), 1002),
    "a message inside a message": ("", frame(TEXT, b"[", fin=False) + text([]), 1002),
    "reserved bit 1": ("", frame(TEXT, b"{}", reserved=0b100), 1002),
    "reserved bit 2": ("", frame(BINARY, b"", reserved=0b010), 1002),
    "reserved bit 3 of a ping": ("", frame(PING, b"", reserved=0b001), 1002),
    "a frame without a mask": ("", frame(TEXT, b"{}", mask=False), 1002),
    "an unknown opcode": ("", frame(0x3, b""), 1002),
    "an unknown control opcode": ("", frame(0xB, b""), 1002),
    "a ping of 126 bytes": ("", frame(PING, bytes(126)), 1002),
    "a pong of 126 bytes": ("", frame(PONG, bytes(126)), 1002),
    "a close of 126 bytes": ("", close(1000, bytes(124)), 1002),
    "a ping in fragments": ("", frame(PING, b"", fin=False), 1002),
    "close code 0": ("", close(0), 1002),
    "close code 999": ("", close(999), 1002),
    "close code 1004": ("", close(1004), 1002),
    "close code 1005": ("", close(1005), 1002),
    "close code 1006": ("", close(1006), 1002),
    "close code 1015": ("", close(1015), 1002),
    "close code 2999": ("", close(2999), 1002),
    "close code 5000": ("", close(5000), 1002),
    "close code 65535": ("", close(65_535), 1002),
    "half a close code": ("", frame(CLOSE, b"\x03"), 1002),
    "a close reason that is not utf-8": ("", close(1000, b"\xff"), 1007),
    "a close without a code": ("", close(None), 1000),
    "a close with a code of one's own": ("", close(3123, "ça va".encode()), 3123),
    "a goodbye": ("", close(1001), 1001),
}
