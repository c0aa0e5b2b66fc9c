"""Views as the gateway writes them, against the schema, against the zone that made them, and against the client that reads them."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
import orjson
import pytest
from google.protobuf.descriptor import FieldDescriptor
from hypothesis import given
from hypothesis import strategies as st

from actors.zone.arrivals import Arrival
from actors.zone.rows import MOVE_OUT
from actors.zone.zone import Zone
from cluster.settings import Settings
from rayrealm_client import codec
from rayrealm_client import view as client_view
from realm_proto import internal_pb2
from realm_proto import realtime_pb2 as pb
from serve_apps.gateway import json_framing, views
from serve_apps.gateway.varint import varint
from serve_apps.gateway.views import ROW, PendingView, View, split

uint32 = st.integers(0, 0xFFFFFFFF)
rows = st.binary(min_size=ROW, max_size=ROW)
states = st.builds(
    lambda number, entity_id, properties: pb.EntityState(
        number=number,
        entity_id=entity_id,
        entity_type="player",
        name="é",
        version=3,
        properties_json=orjson.dumps(properties).decode() if properties else "",
    ).SerializeToString(),
    st.integers(0, 0xFFFF),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
    st.dictionaries(st.text(st.characters(exclude_categories=["Cs"]), max_size=4), st.integers(0, 9), max_size=2),
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
    st.lists(rows, max_size=40).map(b"".join),
    st.lists(states, max_size=4),
    st.lists(st.integers(0, 0xFFFF), max_size=4),
    st.none() | st.builds(pb.ViewReset, zone_id=st.just("zon_a"), epoch=st.integers(0, 2**53)),
    st.just(b"") | corrections,
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
            (views.STATES, pb.ViewFrame, "states"),
            (views.VIEW, pb.WebSocketMessage, "view"),
        ],
    )
    def test_tags_are_the_schemas(self, tag: bytes, message: Any, name: str) -> None:
        assert tag == field_tag(message, name)

    def test_a_row_is_what_the_protocol_says(self) -> None:
        assert ROW == 18
        offsets = {name: MOVE_OUT.fields[name][1] for name in MOVE_OUT.names or ()}  # type: ignore[index]
        assert offsets == {"number": 0, "sequence": 2, "x": 4, "y": 8, "z": 12, "yaw": 16}

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
        assert [state.SerializeToString() for state in frame.states] == view.states
        assert list(frame.leaves) == view.leaves
        assert frame.HasField("reset") == (view.reset is not None)
        if view.reset is not None:
            assert frame.reset == view.reset
        assert frame.HasField("correction") == bool(view.correction)
        assert frame.correction.SerializeToString() == view.correction

    @given(some_views.filter(lambda view: np.isfinite(np.frombuffer(view.moves, MOVE_OUT)["x"]).all()))
    def test_json_says_the_same_as_protobuf(self, view: View) -> None:
        moves = np.frombuffer(view.moves, MOVE_OUT).copy()
        for axis in "yz":
            moves[axis] = np.nan_to_num(moves[axis])
        view.moves = moves.tobytes()
        (binary,) = codec.decode(view.to_proto())
        (text,) = codec.decode(json_framing.encode_notification("world.view", view.to_json()).decode())
        assert text == binary

    def test_the_members_that_are_always_there(self) -> None:
        assert orjson.loads(View(b"\1\0\0\0", b"\2\0\0\0", b"").to_json()) == {"tick": 1, "ack": 2, "moves": []}


def output(viewers: dict[int, list[int]], table: list[bytes], **members: Any) -> internal_pb2.ZoneOutput:
    """A ZoneOutput in which each viewer sees these rows of the table."""
    seen = list(viewers.values())
    ends = np.cumsum([len(indexes) for indexes in seen])
    return internal_pb2.ZoneOutput(
        zone_id="zon_a",
        epoch=4,
        tick=9,
        moves=b"".join(table),
        viewers=np.array(list(viewers), "<u2").tobytes(),
        acks=np.arange(len(viewers)).astype("<u4").tobytes(),
        move_end=ends.astype("<u4").tobytes(),
        move_index=np.array([i for indexes in seen for i in indexes], "<u4").tobytes(),
        **members,
    )


def row(number: int, x: float = 0.0) -> bytes:
    return struct.pack("<HHfffH", number, 1, x, 0, 0, 0)


class TestSplit:
    def test_each_viewer_gets_the_rows_it_sees_in_order(self) -> None:
        table = [row(n) for n in range(4)]
        made = dict(split(output({10: [0, 2], 11: [], 12: [3, 1, 0]}, table)))
        assert {viewer: view.moves for viewer, view in made.items()} == {
            10: table[0] + table[2],
            11: b"",
            12: table[3] + table[1] + table[0],
        }
        assert [view.ack for view in made.values()] == [b"\0\0\0\0", b"\1\0\0\0", b"\2\0\0\0"]
        assert {view.tick for view in made.values()} == {b"\x09\0\0\0"}

    def test_events_go_to_their_viewer(self) -> None:
        out = output({10: [], 11: []}, [], states=[b"zero", b"one"])
        out.events.add(viewer=11, states=[1, 0], leaves=[5, 6], reset=True, correction=b"c")
        plain, told = (view for _, view in split(out))
        assert (plain.states, plain.leaves, plain.reset, plain.correction) == ([], [], None, b"")
        assert (told.states, told.leaves, told.correction) == ([b"one", b"zero"], [5, 6], b"c")
        assert told.reset == pb.ViewReset(zone_id="zon_a", epoch=4)

    def test_nothing(self) -> None:
        assert list(split(output({}, []))) == []


class TestAgainstTheZone:
    """Two walkers in a real zone: what the gateway makes of its output is what the client sees."""

    @pytest.mark.parametrize("text", [True, False])
    def test_the_client_sees_where_they_are(self, text: bool) -> None:
        world = Settings(realm="t").world
        zone = Zone(world.zones[0], world, epoch=3)
        for name, x in (("a", 50.0), ("b", 60.0), ("far", 190.0)):
            zone.enter(Arrival(f"ent_{name}", name, f"ses_{name}", "usr", f"chr_{name}", "gtw_1", 1, x, 0, 50, 0), 0.0)
        seen: dict[int, dict[int, client_view.Entity]] = {}
        from actors.zone.rows import pack_move_in

        for tick in range(5):
            now = 1.0 + tick / 20
            zone.take_input("gtw_1", pack_move_in(1, tick + 1, 60.0 - 0.2 * tick, 0, 50, 1.0))
            for _, data in zone.tick(now):
                for viewer, view in split(internal_pb2.ZoneOutput.FromString(data)):
                    frame = json_framing.encode_notification("world.view", view.to_json())
                    (item,) = codec.decode(frame.decode() if text else view.to_proto())
                    assert isinstance(item, client_view.View)
                    client_view.apply(item, seen.setdefault(viewer, {}))
        assert {viewer: sorted(entities) for viewer, entities in seen.items()} == {0: [1], 1: [0], 2: []}
        other = seen[0][1]
        assert (other.name, other.sequence) == ("b", 5)
        assert other.position == pytest.approx((59.2, 0, 50), abs=1e-5)
        assert other.yaw == pytest.approx(1.0, abs=1e-4)


def a_view(moves: bytes = b"", tick: int = 1, **rest: Any) -> View:
    return View(tick.to_bytes(4, "little"), tick.to_bytes(4, "little"), moves, **rest)


def state(number: int, version: int = 1) -> bytes:
    return pb.EntityState(number=number, entity_id=f"ent_{number}", version=version).SerializeToString()


class TestPending:
    """The rules one by one; that merged views mean the same as all of them is in test_outgoing.py."""

    def taken(self, *added: View) -> View:
        pending = PendingView()
        for view in added:
            pending.add(view)
        taken = pending.take()
        assert taken is not None
        return taken

    def test_nothing_gives_nothing(self) -> None:
        pending = PendingView()
        assert pending.take() is None
        assert not pending

    def test_taking_empties_it(self) -> None:
        pending = PendingView()
        pending.add(a_view(row(1), states=[state(1)], leaves=[2], correction=b"c"))
        assert pending
        assert pending.merged == 1
        pending.take()
        assert not pending
        pending.add(a_view(tick=2))
        assert pending.take() == a_view(tick=2)

    def test_the_newest_move_wins(self) -> None:
        merged = self.taken(a_view(row(1, 1.0) + row(2, 1.0)), a_view(row(1, 2.0), tick=2))
        assert (merged.moves, merged.tick) == (row(1, 2.0) + row(2, 1.0), b"\2\0\0\0")

    def test_a_leave_takes_the_moves_and_states_with_it(self) -> None:
        merged = self.taken(a_view(row(1), states=[state(1)]), a_view(leaves=[1]))
        assert (merged.moves, merged.states, merged.leaves) == (b"", [], [1])

    def test_who_comes_back_is_new(self) -> None:
        merged = self.taken(a_view(row(1, 1.0)), a_view(leaves=[1]), a_view(row(1, 2.0), states=[state(1, 5)]))
        assert (merged.moves, merged.states, merged.leaves) == (row(1, 2.0), [state(1, 5)], [1])

    def test_states_newest_wins(self) -> None:
        assert self.taken(a_view(states=[state(1, 1)]), a_view(states=[state(1, 2)])).states == [state(1, 2)]

    def test_a_reset_forgets_what_was_seen_but_not_a_correction(self) -> None:
        reset = pb.ViewReset(zone_id="z", epoch=2)
        before = a_view(row(1), states=[state(1)], leaves=[2], correction=b"c")
        merged = self.taken(before, a_view(row(3), states=[state(3)], reset=reset))
        assert (merged.moves, merged.states, merged.leaves) == (row(3), [state(3)], [])
        assert (merged.reset, merged.correction) == (reset, b"c")

    def test_it_stays_as_large_as_what_can_be_seen(self) -> None:
        pending = PendingView()
        for tick in range(500):
            pending.add(a_view(b"".join(row(n, tick) for n in range(20)), tick, states=[state(tick % 20, tick)]))
        view = pending.take()
        assert view is not None
        assert len(view.moves) == 20 * ROW
        assert len(view.states) == 20
