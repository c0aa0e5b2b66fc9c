"""Writes proto/golden/: frames, and what they say, for every client to be tested against (see scripts/generate-golden).

Bytes are made by protobuf's reference implementation, what they say is written down here by hand: nothing of the gateway or of
a client takes part.
"""

from __future__ import annotations

import base64
import json
import math
import struct
import sys
import zlib
from pathlib import Path
from typing import Any

from google.protobuf import any_pb2, struct_pb2
from google.protobuf.message import Message

from realm_proto import realtime_pb2 as pb

FOLDER = Path(__file__).parents[1] / "proto" / "golden"
Vector = dict[str, Any]
Item = dict[str, Any]
TURN = math.tau / 65_536
PING = "system.ping"


def binary(name: str, message: Message | bytes, **says: Any) -> Vector:
    data = message if isinstance(message, bytes) else message.SerializeToString(deterministic=True)
    return {"name": name, "hex": data.hex(), **says}


def text(name: str, frame: Any, **says: Any) -> Vector:
    said = frame if isinstance(frame, str) else json.dumps(frame, ensure_ascii=False, separators=(",", ":"))
    return {"name": name, "text": said, **says}


def packed(value: Any) -> any_pb2.Any:
    """Plain JSON, or a message."""
    made = any_pb2.Any()
    if isinstance(value, Message):
        made.Pack(value, deterministic=True)
    else:
        plain = struct_pb2.Struct()
        plain.update(value)
        made.Pack(plain, deterministic=True)
    return made


def message(**members: Any) -> pb.WebSocketMessage:
    return pb.WebSocketMessage(jsonrpc="2.0", **members)


def request(method: str, params: Any = None, **request_id: Any) -> pb.WebSocketMessage:
    body = pb.Request(method=method)
    if params is not None:
        body.params.CopyFrom(packed(params))
    return message(request=body, **request_id)


def notification(method: str, params: Any = None, seq: int = 0) -> pb.WebSocketMessage:
    body = pb.Notification(method=method, seq=seq)
    if params is not None:
        body.params.CopyFrom(packed(params))
    return message(notification=body)


def batch(*messages: pb.WebSocketMessage, stored: bool = False, size: int | None = None) -> pb.BatchMessage:
    """`stored`: as a zlib stream without compression, which every zlib writes alike."""
    plain = pb.BatchMessage(messages=messages)
    if not stored:
        return plain
    data = plain.SerializeToString(deterministic=True)
    return pb.BatchMessage(
        compressed=True, original_size=len(data) if size is None else size, payload=zlib.compress(data, 0)
    )


def update(x: float, y: float, z: float, yaw: float, sequence: int) -> pb.PositionUpdate:
    position, rotation = pb.Vector3(x=x, y=y, z=z), pb.Rotation(yaw=yaw)
    return pb.PositionUpdate(position=position, rotation=rotation, sequence=sequence)


def a_request(request_id: Any, method: str, params: Any = None) -> Item:
    return {"kind": "request", "id": request_id, "method": method, "params": params or {}}


def a_notification(method: str, params: Any = None, seq: int | None = None) -> Item:
    """`seq`: of a reliable one."""
    said = {"kind": "notification", "method": method, "params": params or {}}
    return said if seq is None else {**said, "seq": seq}


def a_move(x: float, y: float, z: float, yaw: float, sequence: int) -> Item:
    return {"kind": "move", "x": x, "y": y, "z": z, "yaw": yaw, "sequence": sequence}


PLAIN = {"list": [1, -2.5, "é", None, True, []], "nested": {"deeper": {"x": 0.125}}, "nothing": {}}
PLACE = (1.5, 0.0, -2.25, 0.5, 7)
PLACE_JSON = {"position": {"x": 1.5, "y": 0.0, "z": -2.25}, "rotation": {"yaw": 0.5}, "sequence": 7}
# The batch of "deflated batch", compressed once and for all: how well a zlib compresses is its own affair.
DEFLATED = "78dae3e2e26236d2333062e662cce522820d007e480579"


def to_server() -> list[Vector]:
    ping = request(PING, {"echo": "hi"}, id_number=7)
    typed = {
        "@type": "type.googleapis.com/rayrealm.v1.PositionUpdate",
        "value": base64.b64encode(update(*PLACE).SerializeToString(deterministic=True)).decode(),
    }
    leave = notification("world.leave")
    said = [a_request(7, PING, {"echo": "hi"}), a_notification("world.leave"), a_move(*PLACE)]
    three = (ping, leave, pb.WebSocketMessage(move=update(*PLACE)))
    return [
        binary("request", ping, items=said[:1]),
        binary("request without params", request("world.zones", id_string="a"), items=[a_request("a", "world.zones")]),
        binary("id 0", request(PING, id_number=0), items=[a_request(0, PING)]),
        binary("negative id", request(PING, id_number=-1), items=[a_request(-1, PING)]),
        binary("largest id", request(PING, id_number=2**53 - 1), items=[a_request(2**53 - 1, PING)]),
        binary("empty id", request(PING, id_string=""), items=[a_request("", PING)]),
        binary("plain json", request(PING, {"echo": PLAIN}, id_number=1), items=[a_request(1, PING, {"echo": PLAIN})]),
        binary("notification", leave, items=said[1:2]),
        binary("acknowledgement", notification("session.ack", {"seq": 5}), items=[a_notification("session.ack", {"seq": 5})]),
        binary("move", three[2], items=said[2:]),
        binary(
            "largest sequence",
            pb.WebSocketMessage(move=update(0, 0, 0, 0, 2**32 - 1)),
            items=[a_move(0.0, 0.0, 0.0, 0.0, 2**32 - 1)],
        ),
        binary("typed move", notification("world.position.update", update(*PLACE)), items=said[2:]),
        binary("batch", pb.WebSocketMessage(batch=batch(*three)), items=said, batch=True),
        binary("compressed batch", pb.WebSocketMessage(batch=batch(*three, stored=True)), items=said, batch=True),
        binary("not protobuf", b"\xff\xff\xff", code=-32700),
        binary("cut off", ping.SerializeToString(deterministic=True)[:-1], code=-32700),
        binary("nothing", b"", code=-32600),
        binary("wrong version", pb.WebSocketMessage(jsonrpc="1.0", id_number=3, request=ping.request), code=-32600, id=3),
        binary("request without an id", message(request=ping.request), code=-32600),
        binary("unknown type", request(PING, pb.Vector3(x=1), id_string="b"), code=-32602, id="b"),
        binary("empty batch", pb.WebSocketMessage(batch=pb.BatchMessage()), code=-32600),
        binary("size of a batch that is a lie", pb.WebSocketMessage(batch=batch(ping, stored=True, size=9)), code=-32600),
        text("text request", {"jsonrpc": "2.0", "id": 7, "method": PING, "params": {"echo": "hi"}}, items=said[:1]),
        text("text request without params", {"jsonrpc": "2.0", "id": "a", "method": PING}, items=[a_request("a", PING)]),
        text("text notification", {"jsonrpc": "2.0", "method": "world.leave"}, items=said[1:2]),
        text(
            "text acknowledgement",
            {"jsonrpc": "2.0", "method": "session.ack", "params": {"seq": 5}},
            items=[a_notification("session.ack", {"seq": 5})],
        ),
        text("text move", {"jsonrpc": "2.0", "method": "world.position.update", "params": PLACE_JSON}, items=said[2:]),
        text("typed text move", {"jsonrpc": "2.0", "method": "world.position.update", "params": typed}, items=said[2:]),
        text(
            "text batch",
            [
                {"jsonrpc": "2.0", "id": 7, "method": PING, "params": {"echo": "hi"}},
                {"jsonrpc": "2.0", "method": "world.leave"},
            ],
            items=said[:2],
            batch=True,
        ),
        text("no json", '{"jsonrpc":"2.0",', code=-32700),
        text("empty text batch", "[]", code=-32600),
        text("wrong text version", {"jsonrpc": "1.0", "id": 3, "method": PING}, code=-32600, id=3),
        text("params by position", {"jsonrpc": "2.0", "id": 3, "method": PING, "params": [1]}, code=-32602, id=3),
    ]  # fmt: skip


def a_view(tick: int, ack: int, **members: Any) -> Item:
    empty: Item = {"moves": [], "states": [], "leaves": [], "reset": None, "correction": None}
    return {"kind": "view", "tick": tick, "ack": ack, **empty, **members}


ROWS = [(0, 0, 0.0, 0.0, 0.0, 0), (65_535, 65_535, 1.5, -1_000.0, 399.75, 65_535), (258, 772, 0.25, 2.0, 3.0, 16_384)]
MOVES = [{"number": n, "sequence": s, "x": x, "y": y, "z": z, "yaw": turns * TURN} for n, s, x, y, z, turns in ROWS]
STATES: list[dict[str, Any]] = [
    {"number": 258, "entity_id": "ent_1", "entity_type": "player", "name": "Ann é", "version": 3, "properties": {"hp": 5}},
    {"number": 0, "entity_id": "ent_0", "entity_type": "player", "name": "", "version": 1, "properties": {}},
    {"number": 7, "entity_id": "ent_7", "entity_type": "player", "name": "Bo", "version": 2, "properties": {}, "link_dead": True},
]  # fmt: skip
RESET = {"zone": "zon_meadow", "epoch": 2**32 + 1}
CORRECTION = {"sequence": 9, "position": {"x": 1.0, "y": 0.0, "z": 2.5}, "reason": "too_fast", "yaw": 0.25}


def frame(**members: Any) -> pb.ViewFrame:
    return pb.ViewFrame(tick=4_000_000_000, ack=9, **members)


def views() -> list[tuple[str, pb.ViewFrame, Item]]:
    moves = b"".join(struct.pack("<HHfffH", *row) for row in ROWS)
    states = [
        pb.EntityState(
            **{name: value for name, value in state.items() if name != "properties"},
            properties_json=json.dumps(state["properties"]) if state["properties"] else "",
        )
        for state in STATES
    ]
    reset = pb.ViewReset(zone_id="zon_meadow", epoch=2**32 + 1)
    correction = pb.Correction(sequence=9, position=pb.Vector3(x=1, y=0, z=2.5), reason="too_fast", yaw=0.25)
    parts: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
        "moves": ({"moves": moves}, {"moves": MOVES}),
        "states": ({"states": states}, {"states": STATES}),
        "leaves": ({"leaves": [0, 300, 65_535]}, {"leaves": [0, 300, 65_535]}),
        "reset": ({"reset": reset}, {"reset": RESET}),
        "correction": ({"correction": correction}, {"correction": CORRECTION}),
    }
    whole: tuple[dict[str, Any], dict[str, Any]] = ({}, {})
    for members, says in parts.values():
        whole[0].update(members)
        whole[1].update(says)
    parts = {"nothing new": ({}, {}), **parts, "everything": whole}
    return [
        (f"view: {name}", frame(**members), a_view(4_000_000_000, 9, **says)) for name, (members, says) in parts.items()
    ]


def text_view(view: Item) -> dict[str, Any]:
    """The notification; what is empty may be absent, and is here."""
    params = {name: value for name, value in view.items() if name != "kind" and value not in ([], None)}
    return {"jsonrpc": "2.0", "method": "world.view", "params": params}


def to_client() -> list[Vector]:
    result = pb.Response(result=packed({"echo": PLAIN}))
    data = {"state": "authenticated", "reason": "wrong_state"}
    refusal = pb.Response(error=pb.Error(code=-32003, message="Invalid state", data=packed(data)))
    unread = pb.Response(error=pb.Error(code=-32700, message="Parse error"))
    a_result = {"kind": "result", "id": 7, "value": {"echo": PLAIN}}
    an_error = {"kind": "error", "id": "a", "code": -32003, "message": "Invalid state", "data": data}
    no_id = {"kind": "error", "id": None, "code": -32700, "message": "Parse error", "data": None}
    topic = {"topic": "news", "data": {"x": [1]}}
    told = notification("system.topic", topic)
    answers = (message(id_number=7, response=result), message(id_string="a", response=refusal), told)
    said = [a_result, an_error, a_notification("system.topic", topic)]
    numbered, largest = (
        notification("system.topic", topic, 70_000),
        notification("session.gap", {"topic": "news"}, 2**53 - 1),
    )
    counted = a_notification("system.topic", topic, 70_000), a_notification("session.gap", {"topic": "news"}, 2**53 - 1)
    ready = {"stream": "s", "seq": 5}
    result_json = {"jsonrpc": "2.0", "id": 7, "result": {"echo": PLAIN}}
    error_json = {"code": -32003, "message": "Invalid state", "data": data}
    return [
        binary("result", answers[0], items=said[:1]),
        binary("error", answers[1], items=said[1:2]),
        binary("error without an id", message(response=unread), items=[no_id]),
        binary("notification", told, items=said[2:]),
        binary("numbered notification", numbered, items=[counted[0]]),
        binary("largest number", largest, items=[counted[1]]),
        binary("first number, nothing else", notification("m", {}, 1), items=[a_notification("m", {}, 1)]),
        binary(
            "a seq that is no number of the message",
            notification("session.ready", ready),
            items=[a_notification("session.ready", ready)],
        ),
        binary("numbered batch", message(batch=batch(numbered, answers[0])), items=[counted[0], said[0]], batch=True),
        binary("number too large", notification("m", {}, 2**53), refused=True),
        binary("batch", message(batch=batch(*answers)), items=said, batch=True),
        binary("compressed batch", message(batch=batch(*answers, stored=True)), items=said, batch=True),
        binary("deflated batch", deflated(), items=[a_notification("m", {})] * 4, batch=True),
        *(binary(name, pb.WebSocketMessage(view=made), items=[says]) for name, made, says in views()),
        binary("view: rows that are torn", pb.WebSocketMessage(view=frame(moves=bytes(17))), refused=True),
        binary(
            "view: properties that are no object",
            pb.WebSocketMessage(view=frame(states=[pb.EntityState(number=1, properties_json="[1]")])),
            refused=True,
        ),
        text(
            "text view: link_dead that is neither true nor false",
            told_text("world.view", {"tick": 1, "ack": 1, "states": [{**STATES[1], "link_dead": 1}]}),
            refused=True,
        ),
        binary("not protobuf", b"\xff\xff\xff", refused=True),
        binary("wrong version", pb.WebSocketMessage(jsonrpc="1.0", notification=told.notification), refused=True),
        binary("size of a batch that is a lie", message(batch=batch(told, stored=True, size=9)), refused=True),
        binary("batch in a batch", message(batch=batch(message(batch=batch(told)))), refused=True),
        text("text result", result_json, items=said[:1]),
        text("text error", {"jsonrpc": "2.0", "id": "a", "error": error_json}, items=said[1:2]),
        text(
            "text error without an id",
            {"jsonrpc": "2.0", "id": None, "error": {"code": -32700, "message": "Parse error"}},
            items=[no_id],
        ),
        text("text notification", {"jsonrpc": "2.0", "method": "system.topic", "params": topic}, items=said[2:]),
        text("text numbered notification", told_text("system.topic", {**topic, "seq": 70_000}), items=[counted[0]]),
        text("text largest number", told_text("session.gap", {"topic": "news", "seq": 2**53 - 1}), items=[counted[1]]),
        text("text first number, nothing else", told_text("m", {"seq": 1}), items=[a_notification("m", {}, 1)]),
        text(
            "text: a seq that is no number of the message",
            told_text("session.ready", ready),
            items=[a_notification("session.ready", ready)],
        ),
        text(
            "text numbered batch",
            [told_text("system.topic", {**topic, "seq": 70_000}), result_json],
            items=[counted[0], said[0]],
            batch=True,
        ),
        *(
            text(f"text number {bad!r}", told_text("m", {"seq": bad}), refused=True)
            for bad in (0, -1, 1.5, "1", True, None, 2**53)
        ),
        text(
            "text batch",
            [result_json, {"jsonrpc": "2.0", "method": "system.topic", "params": topic}],
            items=[said[0], said[2]],
            batch=True,
        ),
        *(text(f"text {name}", text_view(says), items=[says]) for name, _, says in views()),
        text("no json", "{", refused=True),
        text("wrong text version", {"jsonrpc": "1.0", "id": 7, "result": {}}, refused=True),
    ]


def told_text(method: str, params: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "method": method, "params": params}


def deflated() -> pb.WebSocketMessage:
    """Four times the same notification, really compressed."""
    plain = batch(*[notification("m")] * 4).SerializeToString(deterministic=True)
    payload = bytes.fromhex(DEFLATED)
    assert zlib.decompress(payload) == plain, zlib.compress(plain, 9).hex()  # noqa: S101
    return message(batch=pb.BatchMessage(compressed=True, original_size=len(plain), payload=payload))


def files() -> dict[str, str]:
    """What each file of the folder holds."""
    made = {"to_server.json": to_server(), "to_client.json": to_client()}
    return {name: json.dumps(vectors, indent=1, ensure_ascii=False) + "\n" for name, vectors in made.items()}


def main() -> int:
    check = sys.argv[1:] == ["--check"]
    stale = [name for name, content in files().items() if (FOLDER / name).read_text() != content] if check else []
    for name in stale:
        print(f"out of date: {name}; run scripts/generate-golden", file=sys.stderr)
    if not check:
        FOLDER.mkdir(exist_ok=True)
        for name, content in files().items():
            (FOLDER / name).write_text(content)
    return len(stale)


if __name__ == "__main__":
    sys.exit(main())
