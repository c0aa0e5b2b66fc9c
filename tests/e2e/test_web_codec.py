"""The browser library's codec, in real Chromium, against the reference implementation of protobuf."""

from __future__ import annotations

import math
import random
import re
import struct
import zlib
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import DecodeError, Message
from google.protobuf.struct_pb2 import Struct
from playwright.sync_api import Page

from realm_proto import realtime_pb2 as wire

PROTOCOL = Path(__file__).resolve().parents[2] / "proto" / "PROTOCOL.md"
TEXTS = ["", "a", "Wölfe & 龍", "x" * 200, "\x00\n", "🙂"]

# What the page answers: each message as plain JSON with the names of protobuf's JSON mapping, and as bytes again.
DECODE = """
async (frames) => {
  const { decodeMessage, encodeMessage } = await import("/play/rayrealm/messages.js");
  const plain = (value) => {
    if (value instanceof Uint8Array) return [...value];
    if (Array.isArray(value)) return value.map(plain);
    if (typeof value === "bigint") return String(value);
    if (typeof value === "number" && !Number.isSafeInteger(value)) return `float ${value}`;
    if (typeof value !== "object") return value;
    return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, plain(inner)]));
  };
  return frames.map((frame) => {
    try {
      const message = decodeMessage(new Uint8Array(frame));
      return { message: plain(message), again: [...encodeMessage(message)] };
    } catch (error) {
      return { error: error.name };
    }
  });
}
"""


def decode(library_page: Page, frames: list[bytes]) -> list[dict[str, Any]]:
    result: list[dict[str, Any]] = library_page.evaluate(DECODE, [list(frame) for frame in frames])
    return result


def random_scalar(kind: int, rng: random.Random) -> Any:
    match kind:
        case FieldDescriptor.TYPE_STRING:
            return rng.choice(TEXTS)
        case FieldDescriptor.TYPE_BYTES:
            return rng.randbytes(rng.choice([0, 1, 18, 300]))
        case FieldDescriptor.TYPE_BOOL:
            return rng.random() < 0.5
        case FieldDescriptor.TYPE_INT32:
            return rng.choice([0, 1, -1, 2**31 - 1, -(2**31), rng.randrange(1000)])
        case FieldDescriptor.TYPE_INT64:
            return rng.choice([0, 1, -1, 2**53 - 1, 2**53 + 1, 2**63 - 1, -(2**63), rng.randrange(-(2**63), 2**63)])
        case FieldDescriptor.TYPE_UINT64:
            return rng.choice([0, 1, 127, 128, 2**32, 2**53 - 1, 2**53 + 1, 2**64 - 1, rng.randrange(2**64)])
        case FieldDescriptor.TYPE_UINT32 | FieldDescriptor.TYPE_FIXED32:
            return rng.choice([0, 1, 127, 128, 2**31, 2**32 - 1, rng.randrange(2**32)])
        case FieldDescriptor.TYPE_FIXED64:
            return rng.choice([0, 1, 2**53 + 1, 2**64 - 1, rng.randrange(2**64)])
        case FieldDescriptor.TYPE_FLOAT:
            return struct.unpack("<f", struct.pack("<f", rng.choice([0.0, -0.0, 1.5, -3.25e8, 0.1, math.inf])))[0]
    raise AssertionError(f"no random value for type {kind}")


def fill(message: Message, rng: random.Random, depth: int = 0) -> None:
    """Random values in random fields; of a oneof the last one set counts."""
    fields = list(message.DESCRIPTOR.fields)
    rng.shuffle(fields)
    for field in fields:
        if rng.random() < 0.4 or (depth > 3 and field.message_type):
            continue
        if field.is_repeated:
            values = getattr(message, field.name)
            for _ in range(rng.randrange(4)):
                if field.message_type:
                    fill(values.add(), rng, depth + 1)
                else:
                    values.append(random_scalar(field.type, rng))
        elif field.message_type:
            inner = getattr(message, field.name)
            inner.SetInParent()
            fill(inner, rng, depth + 1)
        else:
            setattr(message, field.name, random_scalar(field.type, rng))


def plain(value: Any) -> Any:
    """The same as `plain` in the page."""
    if isinstance(value, Message):
        found = {}
        for field in value.DESCRIPTOR.fields:
            inner = getattr(value, field.name)
            if field.is_repeated:
                found[field.camelcase_name] = [plain(each) for each in inner]
            elif not (field.message_type or field.containing_oneof) or value.HasField(field.name):
                found[field.camelcase_name] = plain(inner)
        return found
    if isinstance(value, bytes):
        return list(value)
    if isinstance(value, float):
        if value.is_integer() and abs(value) < 2**53:
            return int(value)
        return f"float {value}"
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 2**53:
        return str(value)
    return value


def same(a: Any, b: Any) -> bool:
    """Equal, and floats to the last bit whatever their notation."""
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))
    if isinstance(a, str) and isinstance(b, str) and a.startswith("float ") and b.startswith("float "):
        return float(a[6:].replace("Infinity", "inf")) == float(b[6:].replace("Infinity", "inf"))
    return bool(a == b)


def random_messages(count: int, seed: int) -> list[wire.WebSocketMessage]:
    rng = random.Random(seed)
    messages = []
    for _ in range(count):
        message = wire.WebSocketMessage()
        fill(message, rng)
        messages.append(message)
    return messages


def test_random_messages_mean_the_same_in_both(library_page: Page) -> None:
    messages = random_messages(300, seed=7)
    kinds = {message.WhichOneof("message_type") for message in messages}
    assert kinds >= {"request", "response", "notification", "move", "view", "batch"}
    for message, answer in zip(messages, decode(library_page, [m.SerializeToString() for m in messages]), strict=True):
        assert same(answer["message"], plain(message)), message
        assert wire.WebSocketMessage.FromString(bytes(answer["again"])) == message


def test_unknown_fields_are_skipped_and_parts_are_merged(library_page: Page) -> None:
    view = wire.WebSocketMessage(view=wire.ViewFrame(tick=5, leaves=[1, 2]))
    more = wire.WebSocketMessage(view=wire.ViewFrame(ack=9, leaves=[300], correction=wire.Correction(sequence=4)))
    group = b"\xa3\x06" + b"\xab\x06\x08\x01\xac\x06" + b"\xa4\x06"  # 100 { 101 { 1: 1 } }
    unknown = b"\xa0\x06\xff\x01" + b"\xa1\x06" + bytes(8) + b"\xa2\x06\x03abc" + b"\xa5\x06" + bytes(4) + group
    unpacked = b"\x42\x04\x28\x07\x28\x08"  # view { leaves: 7, leaves: 8 }, not packed
    wrong_type = b"\x0d" + bytes(4)  # jsonrpc as a fixed32
    frame = view.SerializeToString() + unknown + more.SerializeToString() + unpacked + wrong_type
    expected = wire.WebSocketMessage.FromString(frame)
    assert list(expected.view.leaves) == [1, 2, 300, 7, 8]
    request = wire.WebSocketMessage(id_string="a", request=wire.Request(method="m")).SerializeToString()
    replaced = wire.WebSocketMessage(id_number=0, response=wire.Response()).SerializeToString()
    answers = decode(library_page, [frame, request + replaced])
    assert same(answers[0]["message"], plain(expected))
    last = {"jsonrpc": "", "idNumber": 0, "response": {}, "traceparent": ""}
    assert answers[1]["message"] == last, "of a oneof the last one counts"


def test_cut_and_broken_bytes_get_the_verdict_of_the_reference(library_page: Page) -> None:
    rng = random.Random(11)
    frames: list[bytes] = []
    for message in random_messages(40, seed=3):
        data = message.SerializeToString()
        frames += [data[:end] for end in range(0, len(data), max(1, len(data) // 25))]
        for _ in range(10):
            broken = bytearray(data)
            for _ in range(rng.randrange(1, 4)):
                if broken:
                    broken[rng.randrange(len(broken))] = rng.randrange(256)
            frames.append(bytes(broken))
    deep = b""
    for _ in range(130):  # a batch in a batch in a batch ...
        inner = wire.WebSocketMessage.DESCRIPTOR.fields_by_name["batch"].number * 8 + 2
        deep = bytes([10]) + varint(len(deep)) + deep
        deep = bytes([inner]) + varint(len(deep)) + deep
    frames += [deep, b"\x80" * 11, b"\x0a\xff\xff\xff\xff\x0f", b"\x00", b"\x0b", b"\x0c", b"\x0f"]
    errors = 0
    for frame, answer in zip(frames, decode(library_page, frames), strict=True):
        try:
            expected = wire.WebSocketMessage.FromString(frame)
        except DecodeError:
            errors += 1
            assert answer == {"error": "WireError"}, frame.hex()
        else:
            assert "message" in answer, frame.hex()
            assert wire.WebSocketMessage.FromString(bytes(answer["again"])).view.tick == expected.view.tick
    assert errors > 200


def varint(value: int) -> bytes:
    out = b""
    while value > 0x7F:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])


def test_what_the_page_sends_is_what_python_reads(library_page: Page) -> None:
    frames = library_page.evaluate("""
        async () => {
          const { encodeMove, encodeNotification, encodeRequest } = await import("/play/rayrealm/messages.js");
          const params = { text: "Wölfe", n: 1.5, list: [1, null, true, { deep: "er" }], nothing: undefined, __proto__x: {} };
          return [
            encodeRequest(7, "chat.message", params),
            encodeNotification("world.leave"),
            encodeMove({ position: { x: 1.25, y: 0, z: -3 }, rotation: { yaw: 0.5 }, sequence: 4_000_000_000 }),
          ].map((bytes) => [...bytes]);
        }
    """)
    request, notification, move = (wire.WebSocketMessage.FromString(bytes(frame)) for frame in frames)
    assert (request.jsonrpc, request.id_number, request.request.method) == ("2.0", 7, "chat.message")
    params = Struct()
    assert request.request.params.Unpack(params)
    expected = {"text": "Wölfe", "n": 1.5, "list": [1.0, None, True, {"deep": "er"}], "__proto__x": {}}
    assert MessageToDict(params) == expected
    assert notification.notification.method == "world.leave"
    assert notification.WhichOneof("id_type") is None
    position = wire.Vector3(x=1.25, z=-3)
    assert move.move == wire.PositionUpdate(position=position, rotation=wire.Rotation(yaw=0.5), sequence=4_000_000_000)


def test_view_frames_apply_in_the_prescribed_order(library_page: Page) -> None:
    place, move = struct.Struct("<HHiiiH"), struct.Struct("<HBbbbH")
    state = wire.EntityState(number=7, entity_id="ent_7", entity_type="player", name="Dagna", version=1)
    changed = wire.EntityState(
        number=7, version=2, properties_json='{"hp": 5, "__proto__": 1}', link_dead=True, change=True
    )
    fewer = wire.EntityState(number=7, version=3, properties_json='{"hp": null}', change=True)
    own = wire.EntityState(number=3, entity_id="ent_me", name="Me", version=1, properties_json='{"bag": 1}')
    own_changed = wire.EntityState(number=3, version=2, properties_json='{"bag": null}', change=True)
    frames = [
        wire.ViewFrame(tick=1, states=[state], places=place.pack(7, 65535, 150, 0, -200, 16384)),
        wire.ViewFrame(tick=2, states=[changed], moves=move.pack(7, 0, 100, -1, 0, 0) + move.pack(7, 1, 1, 0, 0, 0)),
        wire.ViewFrame(tick=3, leaves=[7], states=[state], places=place.pack(7, 1, 0, 0, 0, 0)),  # left and came back
        wire.ViewFrame(tick=4, states=[fewer], leaves=[9]),
        wire.ViewFrame(
            tick=5,
            reset=wire.ViewReset(zone_id="zon_b", epoch=2**60 + 1, number=3),
            states=[wire.EntityState(number=70, entity_id="ent_7", name="Dagna", version=4), own],
            places=place.pack(70, 1, 5, 0, 0, 0),
        ),
        wire.ViewFrame(tick=6, states=[own_changed]),
    ]
    told = library_page.evaluate(
        """
        async (frames) => {
          const { ViewFrameMessage } = await import("/play/rayrealm/messages.js");
          const { View } = await import("/play/rayrealm/view.js");
          const view = new View();
          const told = [];
          for (const frame of frames) {
            const changes = view.apply(ViewFrameMessage.decode(new Uint8Array(frame)));
            told.push([changes.reset, changes.zoneChanged, changes.own, changes.left.map((e) => e.entityId),
              changes.entered.map((e) => e.number),
              changes.changed.map((e) => [e.number, e.version, JSON.stringify(e.properties), e.linkDead]),
              [...changes.moved].map((e) => [e.x, e.y, e.z, e.yaw, e.sequence])]);
          }
          const empty = ViewFrameMessage.create();
          const torn = [{ moves: new Uint8Array(7) }, { places: new Uint8Array(16) }, { moves: new Uint8Array(8) }].map((rows) => {
            try { view.apply({ ...empty, ...rows }); } catch (error) { return error.name; }
          });
          return [told, view.zoneId, String(view.epoch), view.number, [...view.entities.keys()], view.own, view.tick, torn];
        }
        """,
        [list(frame.SerializeToString()) for frame in frames],
    )
    nothing: list[Any] = []
    assert told[0] == [
        [False, False, False, [], [7], [], [[1.5, 0, -2, pytest.approx(math.pi / 2), 65535]]],
        [False, False, False, [], [], [[7, 2, '{"hp":5,"__proto__":1}', True]], [[2.51, -0.01, -2, 0, 1]]],
        [False, False, False, ["ent_7"], [7], [], [[0, 0, 0, 0, 1]]],
        [False, False, False, [], [], [[7, 3, "{}", False]], nothing],
        [True, True, True, [], [], [[70, 4, "{}", False]], [[0.05, 0, 0, 0, 1]]],
        [False, False, True, [], [], [], nothing],
    ]
    own_now = {"number": 3, "entityId": "ent_me", "entityType": "", "name": "Me", "version": 2, "properties": {}}
    assert told[1:] == [
        "zon_b", str(2**60 + 1), 3, [70], own_now | {"linkDead": False}, 6, ["WireError"] * 3
    ]  # fmt: skip


def test_batches_open_only_within_bounds(library_page: Page) -> None:
    inner = wire.BatchMessage(messages=random_messages(5, seed=1))
    for message in inner.messages:
        if message.HasField("batch"):
            message.ClearField("batch")
    data = inner.SerializeToString()
    zeros = b"\x0a\x02\x0a\x00" * 4_000_000  # 16 MB of small messages in 16 kB
    nested = wire.BatchMessage(messages=[wire.WebSocketMessage(batch=inner)]).SerializeToString()

    def compressed(plain_bytes: bytes, size: int | None = None) -> list[int]:
        size = len(plain_bytes) if size is None else size
        batch = wire.BatchMessage(compressed=True, original_size=size, payload=zlib.compress(plain_bytes))
        return list(batch.SerializeToString())

    garbage = wire.BatchMessage(compressed=True, original_size=9, payload=b"no zlib at all").SerializeToString()
    cut = wire.BatchMessage(compressed=True, original_size=len(data), payload=zlib.compress(data)[:-6])
    cases = [
        list(inner.SerializeToString()),
        compressed(data),
        compressed(zeros),
        compressed(zeros, 1000),
        compressed(data, len(data) + 1),
        compressed(data, len(data) - 1),
        compressed(nested),
        list(garbage),
        list(cut.SerializeToString()),
    ]
    results = library_page.evaluate(
        """
        async (cases) => {
          const { BatchMessageMessage } = await import("/play/rayrealm/messages.js");
          const { openBatch } = await import("/play/rayrealm/batch.js");
          const results = [];
          for (const bytes of cases) {
            try {
              results.push((await openBatch(BatchMessageMessage.decode(new Uint8Array(bytes)))).length);
            } catch (error) {
              results.push(`${error.name}: ${error.message}`);
            }
          }
          return results;
        }
        """,
        cases,
    )
    assert results[:2] == [5, 5]
    assert all(result.startswith("WireError") for result in results[2:])
    assert "16000000 bytes, over" in results[2]
    assert "inflates to more than 1000 bytes" in results[3], "stops in the middle"


def test_close_codes_are_those_of_the_protocol(library_page: Page) -> None:
    rows = re.findall(r"^\| (\d{4}) \| ([^|]+) \| ([^|]+) \|$", PROTOCOL.read_text(), re.MULTILINE)
    assert len(rows) >= 17
    table = library_page.evaluate(
        'async () => Object.fromEntries((await import("/play/rayrealm/close_codes.js")).CLOSE_CODES.entries())'
    )
    assert {code: rule["name"] for code, rule in table.items()} == {code: name for code, name, _ in rows}
    for code, _, advice in rows:
        action = table[code]["action"]
        if 4000 <= int(code) < 4500 or advice.startswith("reconnect"):
            assert action in ("reconnect", "at_once", "afresh", "sleep")
        elif "then connect" in advice:
            assert action == "renew"
        else:
            assert action == "stop"
    unknown = library_page.evaluate(
        'async () => { const { closeRule } = await import("/play/rayrealm/close_codes.js");'
        " return [1006, 4321, 4777, 3000].map((code) => closeRule(code).action); }"
    )
    assert unknown == ["reconnect", "reconnect", "stop", "reconnect"]
