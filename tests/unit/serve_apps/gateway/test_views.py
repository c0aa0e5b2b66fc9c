"""Views as the gateway writes them, against the schema, against the zone that made them, and against the client that reads them."""

from __future__ import annotations

from typing import Any

import numpy as np
import orjson
import pytest
from google.protobuf.descriptor import FieldDescriptor
from hypothesis import given
from hypothesis import strategies as st

from rayrealm_client import codec
from rayrealm_client import view as client_view
from rayrealm_client.scene import Scene
from realm_proto import internal_pb2
from realm_proto import realtime_pb2 as pb
from serve_apps.gateway import json_framing, views
from serve_apps.gateway.varint import varint
from serve_apps.gateway.views import View, split
from tests.unit.actors.showing_model import MOVE_ROW, PLACE_ROW, Stage

uint32 = st.integers(0, 0xFFFFFFFF)
cm, step, turn = st.integers(-(2**31) + 1, 2**31 - 1), st.integers(-127, 127), st.integers(0, 0xFFFF)
moves = st.builds(MOVE_ROW.pack, turn, st.integers(0, 255), step, step, step, turn)
places = st.builds(PLACE_ROW.pack, turn, turn, cm, cm, cm, turn)
states = st.builds(
    lambda number, change, entity_id, properties: pb.EntityState(
        number=number,
        entity_id="" if change else entity_id,
        entity_type="" if change else "player",
        name="" if change else "é",
        version=3,
        properties_json=orjson.dumps(properties).decode() if properties else "",
        change=change,
        link_dead=number % 2 == 1,
    ).SerializeToString(),
    st.integers(0, 0xFFFF),
    st.booleans(),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
    st.dictionaries(
        st.text(st.characters(exclude_categories=["Cs"]), max_size=4), st.none() | st.integers(0, 9), max_size=2
    ),
)
corrections = st.builds(
    lambda sequence, x: pb.Correction(
        sequence=sequence, position=pb.Vector3(x=x, y=0, z=1), reason="too_fast", yaw=1.5
    ).SerializeToString(),
    uint32,
    st.floats(width=32, allow_nan=False, allow_infinity=False),
)
some_views = st.builds(
    View,
    uint32.map(lambda n: n.to_bytes(4, "little")),
    uint32.map(lambda n: n.to_bytes(4, "little")),
    st.lists(moves, max_size=40).map(b"".join),
    st.lists(states, max_size=4),
    st.lists(st.integers(0, 0xFFFF), max_size=4),
    st.none() | st.builds(pb.ViewReset, zone_id=st.just("zon_a"), epoch=st.integers(0, 2**53), number=turn),
    st.just(b"") | corrections,
    st.just(0),
    st.lists(places, max_size=40).map(b"".join),
)


def field_tag(message: Any, name: str) -> bytes:
    kinds = {FieldDescriptor.TYPE_FIXED32: 5, FieldDescriptor.TYPE_BYTES: 2, FieldDescriptor.TYPE_MESSAGE: 2}
    found = message.DESCRIPTOR.fields_by_name[name]
    return varint(found.number << 3 | kinds[found.type])


class TestTheSchema:
    @pytest.mark.parametrize(
        ("tag", "message", "name"),
        [
            (views.TICK, pb.ViewFrame, "tick"),
            (views.ACK, pb.ViewFrame, "ack"),
            (views.MOVES, pb.ViewFrame, "moves"),
            (views.PLACES, pb.ViewFrame, "places"),
            (views.STATES, pb.ViewFrame, "states"),
            (views.VIEW, pb.WebSocketMessage, "view"),
        ],
    )
    def test_tags_are_the_schemas(self, tag: bytes, message: Any, name: str) -> None:
        assert tag == field_tag(message, name)

    @given(st.integers(0, 2**64 - 1))
    def test_a_varint_is_protobufs(self, value: int) -> None:
        made = internal_pb2.ZoneOutput(epoch=value).SerializeToString()
        assert made == (b"\x10" + varint(value) if value else b"")

    @pytest.mark.parametrize("length", [0, 1, 127, 128, 16_383, 16_384, 70_000])
    def test_a_length_is_a_varint(self, length: int) -> None:
        assert views._length(length) == varint(length)


class TestEncoding:
    @given(some_views)
    def test_protobuf_reads_what_was_put_together_by_hand(self, view: View) -> None:
        message = pb.WebSocketMessage.FromString(view.to_proto())
        assert message.WhichOneof("message_type") == "view"
        frame = message.view
        assert frame.tick.to_bytes(4, "little") == view.tick
        assert frame.ack.to_bytes(4, "little") == view.ack
        assert frame.moves == view.moves
        assert frame.places == view.places
        assert [state.SerializeToString() for state in frame.states] == view.states
        assert list(frame.leaves) == view.leaves
        assert frame.HasField("reset") == (view.reset is not None)
        if view.reset is not None:
            assert frame.reset == view.reset
        assert frame.HasField("correction") == bool(view.correction)
        assert frame.correction.SerializeToString() == view.correction

    @given(some_views)
    def test_json_says_the_same_as_protobuf(self, view: View) -> None:
        (binary,) = codec.decode(view.to_proto())
        (text,) = codec.decode(json_framing.encode_notification("world.view", view.to_json()).decode())
        assert text == binary

    def test_the_members_that_are_always_there(self) -> None:
        assert orjson.loads(View(b"\1\0\0\0", b"\2\0\0\0", b"").to_json()) == {"tick": 1, "ack": 2}


Seen = dict[int, list[int]]


def table(rows: list[bytes], seen: Seen) -> tuple[bytes, bytes, bytes]:
    """The table, the ends and the indexes."""
    ends = np.cumsum([len(indexes) for indexes in seen.values()])
    index = np.array([i for indexes in seen.values() for i in indexes], "<u4")
    return b"".join(rows), ends.astype("<u4").tobytes(), index.tobytes()


def output(viewers: Seen, steps: list[bytes], places: Seen | None = None, **members: Any) -> internal_pb2.ZoneOutput:
    """A ZoneOutput in which each viewer sees these of the steps, and these of four places."""
    out = internal_pb2.ZoneOutput(zone_id="zon_a", epoch=4, tick=9, **members)
    out.viewers = np.array(list(viewers), "<u2").tobytes()
    out.acks = np.arange(len(viewers)).astype("<u4").tobytes()
    out.moves, out.move_end, out.move_index = table(steps, viewers)
    if places is not None:
        out.places, out.place_end, out.place_index = table([place_row(n) for n in range(4)], places)
    return out


def move_row(number: int) -> bytes:
    return MOVE_ROW.pack(number, 1, number, 0, 0, 0)


def place_row(number: int) -> bytes:
    return PLACE_ROW.pack(number, 1, 100 * number, 0, 0, 0)


class TestSplit:
    def test_each_viewer_gets_the_rows_it_sees_in_order(self) -> None:
        steps = [move_row(n) for n in range(4)]
        made = dict(split(output({10: [0, 2], 11: [], 12: [3, 1, 0]}, steps)))
        assert {viewer: view.moves for viewer, view in made.items()} == {
            10: steps[0] + steps[2],
            11: b"",
            12: steps[3] + steps[1] + steps[0],
        }
        assert {view.places for view in made.values()} == {b""}
        assert [view.ack for view in made.values()] == [b"\0\0\0\0", b"\1\0\0\0", b"\2\0\0\0"]
        assert {view.tick for view in made.values()} == {b"\x09\0\0\0"}

    def test_places_have_indexes_of_their_own(self) -> None:
        out = output({10: [0], 11: [], 12: [1]}, [move_row(5), move_row(6)], {10: [], 11: [1, 3], 12: [0]})
        assert {viewer: (view.moves, view.places) for viewer, view in split(out)} == {
            10: (move_row(5), b""),
            11: (b"", place_row(1) + place_row(3)),
            12: (move_row(6), place_row(0)),
        }

    def test_events_go_to_their_viewer(self) -> None:
        out = output({10: [], 11: []}, [], states=[b"zero", b"one"])
        out.events.add(viewer=11, states=[1, 0], leaves=[5, 6], reset=True, correction=b"c", attach_epoch=3)
        plain, told = (view for _, view in split(out))
        assert plain == View(b"\x09\0\0\0", b"\0\0\0\0", b"")
        assert (told.states, told.leaves, told.correction) == ([b"one", b"zero"], [5, 6], b"c")
        assert told.reset == pb.ViewReset(zone_id="zon_a", epoch=4, number=11)
        assert (told.attach_epoch, told.session_id, told.transfer) == (3, "", 0)

    def test_a_hand_over_says_whose_views_they_are(self) -> None:
        out = output({10: []}, [])
        out.events.add(viewer=10, reset=True, attach_epoch=3, session_id="ses_a", transfer=2)
        ((_, view),) = split(out)
        assert (view.attach_epoch, view.session_id, view.transfer) == (3, "ses_a", 2)

    def test_nothing(self) -> None:
        assert list(split(output({}, []))) == []


class TestAgainstTheZone:
    """Two walkers and what a zone shows them: what the gateway makes of it is what the client sees."""

    @pytest.mark.parametrize("text", [True, False])
    def test_the_client_sees_where_they_are(self, text: bool) -> None:
        stage = Stage(radius=50.0)
        for x in (50.0, 60.0, 190.0):
            stage.add(x)
        seen: dict[int, Scene] = {}
        for _ in range(5):
            stage.walk(1, -0.2, yaw=1.0)
            for _, data in stage.messages():
                for viewer, view in split(internal_pb2.ZoneOutput.FromString(data)):
                    frame = json_framing.encode_notification("world.view", view.to_json())
                    (item,) = codec.decode(frame.decode() if text else view.to_proto())
                    assert isinstance(item, client_view.View)
                    seen.setdefault(viewer, Scene()).apply(item)
        assert {viewer: sorted(scene.entities) for viewer, scene in seen.items()} == {0: [1], 1: [0], 2: []}
        assert [scene.number for scene in seen.values()] == [0, 1, 2]
        other = seen[0].entities[1]
        assert (other.name, other.sequence) == ("player2", 5)
        assert other.position == pytest.approx((59.0, 0, 50), abs=1e-9)
        assert other.yaw == pytest.approx(1.0, abs=1e-4)
