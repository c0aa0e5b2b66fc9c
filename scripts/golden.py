"""Writes proto/golden/: frames, and what they say, for every client to be tested against (see scripts/generate-golden).

Bytes are made by protobuf's reference implementation, what they say is written down here by hand: nothing of the gateway or of
a client takes part. A view that is `unheld` can be read, and is refused by a client that holds nobody: it is about somebody
whom the client was never told of, or where.
"""

from __future__ import annotations

import base64
import json
import sys
import zlib
from pathlib import Path

from golden_frames import (
    Vector,
    a_move,
    a_notification,
    a_request,
    batch,
    binary,
    message,
    notification,
    packed,
    request,
    text,
    told_text,
    update,
)
from golden_signing import signing
from golden_views import no_views, not_held, text_view, views

from realm_proto import realtime_pb2 as pb

FOLDER = Path(__file__).parents[1] / "proto" / "golden"
PING = "system.ping"
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
        binary(
            "view in a compressed batch",
            message(batch=batch(pb.WebSocketMessage(view=views()[-1][1]), told, stored=True)),
            items=[views()[-1][2], said[2]],
            batch=True,
        ),
        *no_views(),
        *not_held(),
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


def deflated() -> pb.WebSocketMessage:
    """Four times the same notification, really compressed."""
    plain = batch(*[notification("m")] * 4).SerializeToString(deterministic=True)
    payload = bytes.fromhex(DEFLATED)
    assert zlib.decompress(payload) == plain, zlib.compress(plain, 9).hex()  # noqa: S101
    return message(batch=pb.BatchMessage(compressed=True, original_size=len(plain), payload=payload))


def files() -> dict[str, str]:
    """What each file of the folder holds."""
    made = {"to_server.json": to_server(), "to_client.json": to_client(), "signing.json": signing()}
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
