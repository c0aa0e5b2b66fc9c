"""The codec against the schema itself, and against itself for anything that can be said."""

from __future__ import annotations

import json
import math
import struct
import zlib
from typing import Any

import pytest
from google.protobuf import any_pb2, json_format, struct_pb2
from hypothesis import given
from hypothesis import strategies as st

from rayrealm_client import codec
from rayrealm_client.codec import Failure, Framing, Notification, OwnMove, Request, Result, decode, encode
from rayrealm_client.errors import CodecError
from rayrealm_client.view import Correction, Move, Place, Position, Reset, State, View
from realm_proto import realtime_pb2 as pb

float32 = st.floats(width=32, allow_nan=False, allow_infinity=False)
uint16 = st.integers(0, 0xFFFF)
uint32 = st.integers(0, 0xFFFFFFFF)
text = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=8,
)
params = st.dictionaries(text.filter(lambda key: key not in ("@type", "seq")), plain, max_size=4)
ids = st.integers(0, 2**63 - 1) | text.filter(bool)
methods = text.filter(lambda name: name not in {codec.VIEW_METHOD, codec.MOVE_METHOD, *codec.UNNUMBERED})
seqs = st.none() | st.integers(1, codec.MAX_SEQ)
yaws = uint16.map(lambda turns: turns / 65_536 * math.tau)
cm = st.integers(-(2**31), 2**31 - 1)
step = st.integers(-127, 127)
none = st.just("")
views = st.builds(
    View,
    uint32,
    uint32,
    st.lists(st.builds(Place, uint16, uint16, cm, cm, cm, yaws), max_size=4).map(tuple),
    st.lists(st.builds(Move, uint16, st.integers(0, 255), step, step, step, yaws), max_size=4).map(tuple),
    st.lists(
        st.builds(State, uint16, text, text, text, uint32, params, st.booleans())
        | st.builds(State, uint16, none, none, none, uint32, params, st.booleans(), st.just(value=True)),
        max_size=3,
    ).map(tuple),
    st.lists(uint16, max_size=3).map(tuple),
    st.none() | st.builds(Reset, text, st.integers(0, 2**64 - 1), uint16),
    st.none() | st.builds(Correction, uint32, st.builds(Position, float32, float32, float32), text, float32),
)
items = (
    st.builds(Request, ids, text, params)
    | st.builds(Notification, methods, params, seqs)
    | st.builds(Result, ids, params)
    | st.builds(Failure, st.none() | ids, st.integers(-(2**31), 2**31 - 1), text, st.none() | params)
    | st.builds(OwnMove, float32, float32, float32, float32, uint32)
    | views
)


def same(left: Any, right: Any) -> bool:
    """Equal; yaws, known in steps of 1/65536 turn, may differ in the last bit of the float."""
    if isinstance(left, View) and isinstance(right, View):
        pairs = [*zip(left.places, right.places, strict=True), *zip(left.moves, right.moves, strict=True)]
        near = [a[:5] == b[:5] and math.isclose(a.yaw, b.yaw) for a, b in pairs]
        rest = ("tick", "ack", "states", "leaves", "reset", "correction")
        return all(near) and all(getattr(left, name) == getattr(right, name) for name in rest)
    return bool(left == right)


class TestRoundTrips:
    @given(items, st.sampled_from(["proto", "json"]))
    def test_one(self, item: codec.Item, framing: Framing) -> None:
        frame = encode(item, framing)
        assert isinstance(frame, str) == (framing == "json")
        (back,) = decode(frame)
        assert same(back, item)

    @given(st.lists(items, min_size=1, max_size=4), st.sampled_from(["proto", "json", "compressed"]))
    def test_batches(self, several: list[codec.Item], how: str) -> None:
        framing: Framing = "json" if how == "json" else "proto"
        back = decode(codec.encode_batch(several, framing, compress=how == "compressed"))
        assert len(back) == len(several)
        assert all(map(same, back, several))


class TestAgainstTheSchema:
    def test_a_move_is_the_short_form(self) -> None:
        message = pb.WebSocketMessage.FromString(encode(OwnMove(1.5, 0.25, -2.0, 0.75, 70_000), "proto"))
        assert message.WhichOneof("message_type") == "move"
        assert message.move == pb.PositionUpdate(
            position=pb.Vector3(x=1.5, y=0.25, z=-2.0), rotation=pb.Rotation(yaw=0.75), sequence=70_000
        )

    def test_a_move_in_json_is_a_notification(self) -> None:
        assert json.loads(encode(OwnMove(1.5, 0, -2, 0.75, 7), "json")) == {
            "jsonrpc": "2.0",
            "method": "world.position.update",
            "params": {"position": {"x": 1.5, "y": 0, "z": -2}, "rotation": {"yaw": 0.75}, "sequence": 7},
        }

    def test_a_request_carries_a_struct(self) -> None:
        message = pb.WebSocketMessage.FromString(encode(Request(7, "a.b", {"n": 1, "l": [None, "x"]}), "proto"))
        assert (message.jsonrpc, message.id_number, message.request.method) == ("2.0", 7, "a.b")
        holder = struct_pb2.Struct()
        assert message.request.params.Unpack(holder)
        assert json_format.MessageToDict(holder) == {"n": 1.0, "l": [None, "x"]}

    def test_a_request_may_carry_a_message(self) -> None:
        update = pb.PresenceUpdate(status=pb.PRESENCE_STATUS_BUSY)
        message = pb.WebSocketMessage.FromString(encode(Request("q", "presence.update", update), "proto"))
        back = pb.PresenceUpdate()
        assert message.request.params.Unpack(back)
        assert back == update
        tagged = json.loads(encode(Request("q", "presence.update", update), "json"))["params"]
        assert tagged == {"@type": "type.googleapis.com/rayrealm.v1.PresenceUpdate", "value": "GAM="}

    def test_a_view(self) -> None:
        place = struct.pack("<HHiiiH", 9, 65_535, 100, -200, 2**31 - 1, 16_384)
        row = struct.pack("<HBbbbH", 9, 255, -128, 127, 0, 32_768)
        frame = pb.ViewFrame(tick=3, ack=70_001, places=place, moves=row + row, leaves=[4])
        frame.states.add(
            number=9,
            entity_id="ent_9",
            entity_type="player",
            name="N",
            version=2,
            properties_json='{"hp": 5}',
        )
        frame.states.add(number=5, version=3, properties_json='{"bag": null}', change=True)
        frame.reset.zone_id, frame.reset.epoch, frame.reset.number = "zon_a", 2**63, 5
        (view,) = decode(pb.WebSocketMessage(view=frame).SerializeToString())
        where = Place(9, 65_535, 100, -200, 2**31 - 1, math.pi / 2)
        move = Move(9, 255, -128, 127, 0, math.pi)
        states = (State(9, "ent_9", "player", "N", 2, {"hp": 5}), State(5, "", "", "", 3, {"bag": None}, change=True))
        assert view == View(3, 70_001, (where,), (move, move), states, (4,), Reset("zon_a", 2**63, 5), None)

    def test_a_move_that_no_row_can_say_becomes_several(self) -> None:
        view = View(1, 0, moves=(Move(7, 1, 300, -128, 0, 0.0),))
        (back,) = decode(encode(view, "proto"))
        assert isinstance(back, View)
        assert [(m.dx, m.dy, m.dz) for m in back.moves] == [(127, -127, 0), (127, -1, 0), (46, 0, 0)]

    @pytest.mark.parametrize(
        "view", [View(1, 0, (Place(7, 1, 2**31, 0, 0, 0.0),)), View(1, 0, (Place(-1, 1, 0, 0, 0, 0.0),))]
    )
    def test_what_no_row_can_say_at_all(self, view: View) -> None:
        with pytest.raises(CodecError, match="no row"):
            encode(view, "proto")

    def test_a_view_in_json_is_in_metres(self) -> None:
        view = View(1, 0, (Place(7, 1, 150, -1, 0, 0.0),), (Move(7, 2, 100, -1, 0, 0.0),))
        params = json.loads(encode(view, "json"))["params"]
        assert params["places"] == [{"number": 7, "sequence": 1, "x": 1.5, "y": -0.01, "z": 0.0, "yaw": 0.0}]
        assert params["moves"] == [{"number": 7, "sequence": 2, "dx": 1.0, "dy": -0.01, "dz": 0.0, "yaw": 0.0}]

    def test_a_view_in_json_may_leave_members_out(self) -> None:
        frame = '{"jsonrpc":"2.0","method":"world.view","params":{"tick":5,"ack":6,"leaves":[1]}}'
        assert decode(frame) == [View(5, 6, leaves=(1,))]

    @pytest.mark.parametrize("framing", ["proto", "json"])
    def test_typed_params_come_out_plain(self, framing: str) -> None:
        update = pb.PresenceUpdate(user_id="usr_1", status=pb.PRESENCE_STATUS_AWAY, zone_id="zon_a")
        if framing == "proto":
            holder = any_pb2.Any()
            holder.Pack(update)
            message = pb.WebSocketMessage(jsonrpc="2.0")
            message.notification.method = "presence.changed"
            message.notification.params.CopyFrom(holder)
            frame: str | bytes = message.SerializeToString()
        else:
            frame = encode(Notification("presence.changed", update), "json")
        expected = {"user_id": "usr_1", "status": "away", "zone": "zon_a", "character_id": None}
        assert decode(frame) == [Notification("presence.changed", expected)]

    def test_an_error_without_an_id(self) -> None:
        frame = '{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"parse error"}}'
        assert decode(frame) == [Failure(None, -32700, "parse error")]
        message = pb.WebSocketMessage(jsonrpc="2.0")
        message.response.error.code = -32700
        assert decode(message.SerializeToString()) == [Failure(None, -32700, "")]


class TestNumbers:
    def test_json_has_the_number_among_the_params_and_protobuf_beside_them(self) -> None:
        told = Notification("chat.message", {"text": "hi"}, 7)
        assert json.loads(encode(told, "json"))["params"] == {"text": "hi", "seq": 7}
        message = pb.WebSocketMessage.FromString(encode(told, "proto"))
        assert message.notification.seq == 7
        (back,) = decode(message.SerializeToString())
        assert back == told

    def test_a_typed_message_may_be_numbered(self) -> None:
        told = Notification("presence.changed", pb.PresenceUpdate(user_id="usr_1"), 3)
        for framing in ("json", "proto"):
            (back,) = decode(encode(told, framing))
            assert isinstance(back, Notification)
            assert back.seq == 3
            assert isinstance(back.params, dict)
            assert back.params["user_id"] == "usr_1"

    @pytest.mark.parametrize("method", ["session.ready", "session.ack"])
    def test_some_have_a_seq_that_is_not_theirs(self, method: str) -> None:
        told = Notification(method, {"seq": 0})
        assert [decode(encode(told, framing)) for framing in ("json", "proto")] == [[told], [told]]

    @pytest.mark.parametrize(
        "told",
        [
            Notification("a", {"seq": 1}, 2),
            Notification("session.ack", {}, 2),
            Notification("a", {}, 0),
            Notification("a", {}, True),
            Notification("a", {}, codec.MAX_SEQ + 1),
        ],
    )
    def test_what_cannot_be_said(self, told: Notification) -> None:
        with pytest.raises(CodecError):
            encode(told, "json")


def batch(**fields: Any) -> bytes:
    return pb.WebSocketMessage(batch=pb.BatchMessage(**fields)).SerializeToString()


INNER = pb.BatchMessage(messages=[pb.WebSocketMessage(move=pb.PositionUpdate(sequence=1))]).SerializeToString()
BOMB = zlib.compress(bytes(16 * 1024 * 1024))


@pytest.mark.parametrize(
    "frame",
    [
        "",
        "nonsense",
        "5",
        "null",
        "[]",
        "[1]",
        '{"method":"a"}',
        '{"jsonrpc":"1.0","method":"a"}',
        '{"jsonrpc":"2.0","method":5}',
        '{"jsonrpc":"2.0","method":"a","params":[1]}',
        '{"jsonrpc":"2.0","method":"a","id":null}',
        '{"jsonrpc":"2.0","method":"a","id":true}',
        '{"jsonrpc":"2.0","method":"a","params":{"n":NaN}}',
        '{"jsonrpc":"2.0","method":"a","params":{"@type":"rayrealm.v1.Nothing","value":""}}',
        '{"jsonrpc":"2.0","method":"a","params":{"@type":"rayrealm.v1.Vector3","value":"*"}}',
        '{"jsonrpc":"2.0","method":"world.view","params":{"tick":1}}',
        '{"jsonrpc":"2.0","method":"world.view","params":{"tick":1,"ack":1,"moves":[{}]}}',
        '{"jsonrpc":"2.0","method":"world.position.update","params":{}}',
        '{"jsonrpc":"2.0","method":"a","params":{"seq":0}}',
        '{"jsonrpc":"2.0","method":"a","params":{"seq":"1"}}',
        '{"jsonrpc":"2.0","method":"a","params":{"seq":1.0}}',
        '{"jsonrpc":"2.0","method":"a","params":{"seq":true}}',
        '{"jsonrpc":"2.0","result":1}',
        '{"jsonrpc":"2.0","id":1,"error":{"code":"x"}}',
        "[" * 100_000,
        b"",
        b"\xff\xff\xff",
        pb.WebSocketMessage(id_number=1).SerializeToString(),
        pb.WebSocketMessage(jsonrpc="2.0", request=pb.Request(method="a")).SerializeToString(),
        pb.WebSocketMessage(notification=pb.Notification(method="a")).SerializeToString(),
        pb.WebSocketMessage(jsonrpc="2.0", notification=pb.Notification(method="a", seq=2**53)).SerializeToString(),
        pb.WebSocketMessage(view=pb.ViewFrame(moves=b"x" * 17)).SerializeToString(),
        pb.WebSocketMessage(view=pb.ViewFrame(places=b"x" * 17)).SerializeToString(),
        *(
            '{"jsonrpc":"2.0","method":"world.view","params":{"tick":1,"ack":1,"places":[{"number":1,"sequence":1,'
            f'"x":{x},"y":0,"z":0}}]}}}}'
            for x in ('"1"', "true", "null", "1e999", "21474836.48", "-21474836.49")
        ),
        '{"jsonrpc":"2.0","method":"world.view","params":{"tick":1,"ack":1,"moves":[{"number":1,"sequence":1,"dx":0,"dy":0}]}}',
        '{"jsonrpc":"2.0","method":"world.view","params":{"tick":1,"ack":1,"reset":{"zone":"z","epoch":1}}}',
        pb.WebSocketMessage(view=pb.ViewFrame(states=[{"properties_json": "[1]"}])).SerializeToString(),
        batch(),
        batch(messages=[pb.WebSocketMessage(batch=pb.BatchMessage())]),
        batch(compressed=True, original_size=5, payload=b"no zlib"),
        batch(compressed=True, original_size=len(INNER) + 1, payload=zlib.compress(INNER)),
        batch(compressed=True, original_size=len(INNER) - 1, payload=zlib.compress(INNER)),
        batch(compressed=True, original_size=len(INNER), payload=zlib.compress(INNER) + b"more"),
        batch(compressed=True, original_size=len(INNER), payload=zlib.compress(INNER)[:-1]),
        batch(compressed=True, original_size=11 * 1024 * 1024, payload=BOMB),
        batch(compressed=True, original_size=1024, payload=BOMB),
    ],
    ids=lambda frame: repr(frame[:40]),
)
def test_what_is_no_message_is_refused(frame: str | bytes) -> None:
    with pytest.raises(CodecError):
        decode(frame)


@given(st.binary(max_size=200) | st.text(max_size=200))
def test_arbitrary_frames_decode_or_are_refused(frame: str | bytes) -> None:
    try:
        decode(frame)
    except CodecError:
        return


@pytest.mark.parametrize("value", [math.nan, math.inf, b"bytes", object(), {1: 2}, 2**53 + 1, {"a": [math.nan]}])
def test_what_is_no_json_is_not_sent(value: Any) -> None:
    with pytest.raises(CodecError):
        encode(Request(1, "a", {"v": value}), "proto")


@pytest.mark.parametrize("value", [math.nan, math.inf, b"bytes", object()])
def test_what_is_no_json_is_not_sent_as_text(value: Any) -> None:
    with pytest.raises(CodecError):
        encode(Request(1, "a", {"v": value}), "json")


def test_a_batch_has_something_in_it() -> None:
    with pytest.raises(CodecError):
        codec.encode_batch([], "proto")


def test_the_cap_holds_before_anything_is_inflated() -> None:
    with pytest.raises(CodecError, match="more than 100 bytes"):
        codec.inflate(b"not even zlib", 101, cap=100)
