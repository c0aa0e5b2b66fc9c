"""Every rule of PROTOCOL.md about frames, sizes, heartbeat and idleness, without a socket and without a clock."""

from __future__ import annotations

import re
import zlib
from pathlib import Path

import numpy as np
import orjson
import pytest

from actors.zone.rows import MOVE_IN
from cluster.settings import GatewaySettings
from realm_proto import realtime_pb2 as pb
from serve_apps.gateway.connection import (
    ERROR_WINDOW_S,
    NOTHING,
    Close,
    Closing,
    Connection,
    Event,
    Moved,
    Ping,
    Received,
)
from serve_apps.gateway.messages import NO_ID, Call, Code, Fault, Framing

PROTOCOL = Path(__file__).parents[4] / "proto/PROTOCOL.md"
LIMITS = GatewaySettings(
    max_frame_bytes=1024,
    max_errors_per_minute=3,
    ping_interval_s=30.0,
    pong_deadline_s=10.0,
    idle_timeout_s=600.0,
)
PING = orjson.dumps({"jsonrpc": "2.0", "id": 1, "method": "system.ping"})


def connection(framing: Framing | None = None) -> Connection:
    return Connection(framing, LIMITS, 0.0)


def move(sequence: int = 5, **place: float) -> bytes:
    update = pb.PositionUpdate(
        position=pb.Vector3(**(place or {"x": 1.0, "y": 2.0, "z": 3.0})),
        rotation=pb.Rotation(yaw=0.5),
        sequence=sequence,
    )
    return pb.WebSocketMessage(move=update).SerializeToString()


def closing(event: object) -> Close:
    assert isinstance(event, Closing)
    assert event.reason
    return event.code


def only(event: Event) -> Call | Fault:
    assert isinstance(event, Received)
    (item,) = event.decoded.items
    return item


class TestFraming:
    def test_a_text_frame_is_json_and_a_binary_frame_protobuf(self) -> None:
        c = connection()
        assert only(c.text(PING, True, 0)) == Call("system.ping", {}, 1)
        assert c.framing.value == "rayrealm.v1+json"
        assert only(c.binary(move(), True, 0)) == Call(
            "world.position.update",
            {"position": {"x": 1, "y": 2, "z": 3}, "rotation": {"yaw": 0.5}, "sequence": 5},
            NO_ID,
        )
        assert c.framing.value == "rayrealm.v1+proto"

    def test_without_a_subprotocol_json_comes_first(self) -> None:
        assert connection().framing is Framing.JSON

    @pytest.mark.parametrize("framing", list(Framing))
    def test_the_wrong_kind_for_the_subprotocol_is_1003(self, framing: Framing) -> None:
        c = connection(framing)
        wrong = c.binary(move(), True, 0) if framing is Framing.JSON else c.text(PING, True, 0)
        assert closing(wrong) is Close.UNSUPPORTED_DATA
        assert c.framing is framing

    def test_the_right_kind_for_the_subprotocol_is_fine(self) -> None:
        assert only(connection(Framing.JSON).text(PING, True, 0)) == Call("system.ping", {}, 1)
        assert isinstance(connection(Framing.PROTO).binary(move(), True, 0), Received)

    @pytest.mark.parametrize("payload", [b"\xff", b'{"a":"\xc3\x28"}', b"\xed\xa0\x80", b"\xc0\xaf"])
    def test_text_that_is_not_utf8_is_1007(self, payload: bytes) -> None:
        assert closing(connection().text(payload, True, 0)) is Close.INVALID_TEXT

    def test_the_same_bytes_in_a_binary_frame_are_a_parse_error(self) -> None:
        item = only(connection().binary(b"\xff\xff\xff", True, 0))
        assert isinstance(item, Fault)
        assert item.code is Code.PARSE_ERROR


class TestSizes:
    @pytest.mark.parametrize("text", [True, False])
    def test_a_frame_up_to_the_cap_is_fine_and_one_byte_more_is_1009(self, text: bool) -> None:
        take = connection().text if text else connection().binary
        assert isinstance(take(b" " * 1024, True, 0), Received)
        assert closing(take(b" " * 1025, True, 0)) is Close.TOO_BIG

    def test_fragments_are_counted_together(self) -> None:
        c = connection()
        assert c.text(b" " * 1000, False, 0) is NOTHING
        assert c.continuation(b" " * 24, False, 0) is NOTHING
        assert closing(c.continuation(b" ", False, 0)) is Close.TOO_BIG

    def test_the_first_fragment_is_capped_too(self) -> None:
        assert closing(connection().text(b" " * 1025, False, 0)) is Close.TOO_BIG

    def test_empty_fragments_cost_no_memory(self) -> None:
        c = connection()
        c.text(b"{", False, 0)
        for _ in range(10_000):
            assert c.continuation(b"", False, 0) is NOTHING
        assert c._partial == bytearray(b"{")

    def test_a_compressed_batch_is_inflated_up_to_the_setting(self) -> None:
        limits = GatewaySettings(max_inflated_bytes=2048)
        for size, fine in ((2048, True), (2049, False)):
            filler = pb.WebSocketMessage(jsonrpc="2.0", id_string="x" * (size - 11))
            plain = pb.BatchMessage(messages=[filler]).SerializeToString()
            assert len(plain) == size
            batch = pb.BatchMessage(compressed=True, original_size=size, payload=zlib.compress(plain))
            frame = pb.WebSocketMessage(batch=batch).SerializeToString()
            event = Connection(None, limits, 0).binary(frame, True, 0)
            item = only(event)
            assert isinstance(item, Fault)
            assert (item.id is not None) is fine  # inflated, it is an invalid request that has an id


class TestFragments:
    def test_they_are_put_together(self) -> None:
        c = connection(Framing.JSON)
        assert c.text(PING[:10], False, 0) is NOTHING
        assert c.continuation(PING[10:20], False, 0) is NOTHING
        assert only(c.continuation(PING[20:], True, 0)) == Call("system.ping", {}, 1)
        assert only(c.text(PING, True, 0)) == Call("system.ping", {}, 1)

    def test_an_empty_first_fragment_begins_a_message(self) -> None:
        c = connection()
        assert c.text(b"", False, 0) is NOTHING
        assert only(c.continuation(PING, True, 0)) == Call("system.ping", {}, 1)

    def test_a_character_may_be_split(self) -> None:
        payload = '{"jsonrpc":"2.0","id":"é","method":"m"}'.encode()
        at = payload.index(b"\xc3") + 1
        c = connection()
        c.text(payload[:at], False, 0)
        assert only(c.continuation(payload[at:], True, 0)) == Call("m", {}, "é")

    def test_a_binary_message_in_fragments_is_binary(self) -> None:
        c = connection(Framing.PROTO)
        c.entity = 3
        data = move()
        c.binary(data[:3], False, 0)
        assert isinstance(c.continuation(data[3:], True, 0), Moved)

    def test_a_continuation_of_nothing_is_1002(self) -> None:
        assert closing(connection().continuation(b"x", True, 0)) is Close.PROTOCOL_ERROR

    def test_nor_after_the_last_one(self) -> None:
        c = connection()
        c.text(PING, False, 0)
        c.continuation(b"", True, 0)
        assert closing(c.continuation(b"", True, 0)) is Close.PROTOCOL_ERROR

    @pytest.mark.parametrize("fin", [True, False])
    def test_a_new_message_inside_a_fragmented_one_is_1002(self, fin: bool) -> None:
        c = connection()
        c.text(b"{", False, 0)
        assert closing(c.text(PING, fin, 0)) is Close.PROTOCOL_ERROR


class TestMoves:
    def test_a_move_in_the_world_is_a_row_for_the_zone(self) -> None:
        c = connection(Framing.PROTO)
        c.entity = 41
        event = c.binary(move(9), True, 0)
        assert isinstance(event, Moved)
        (row,) = np.frombuffer(event.row, MOVE_IN)
        assert row.tolist() == (41, 9, 1.0, 2.0, 3.0, 0.5)

    @pytest.mark.parametrize("x", [float("nan"), float("inf"), -float("inf"), 3e38])
    def test_what_is_not_a_place_is_the_zones_to_judge(self, x: float) -> None:
        c = connection(Framing.PROTO)
        c.entity = 1
        event = c.binary(move(1, x=x), True, 0)
        assert isinstance(event, Moved)
        (row,) = np.frombuffer(event.row, MOVE_IN)
        np.testing.assert_equal(row["x"], np.float32(x))

    def test_without_a_position_it_is_a_call_with_wrong_params(self) -> None:
        c = connection(Framing.PROTO)
        c.entity = 1
        frame = pb.WebSocketMessage(move=pb.PositionUpdate(sequence=4)).SerializeToString()
        assert only(c.binary(frame, True, 0)) == Call(
            "world.position.update", {"rotation": {"yaw": 0.0}, "sequence": 4}, NO_ID
        )


class TestHeartbeat:
    def test_a_silent_socket_is_pinged_and_closed_without_a_pong(self) -> None:
        c = connection()
        assert c.sweep(29.9) is None
        assert isinstance(c.sweep(30.0), Ping)
        assert c.sweep(40.0) is None
        assert closing(c.sweep(40.1)) is Close.HEARTBEAT_TIMEOUT

    def test_one_ping_at_a_time(self) -> None:
        c = connection()
        assert isinstance(c.sweep(30.0), Ping)
        assert [c.sweep(30.0 + s) for s in (1, 5, 10)] == [None] * 3

    def test_a_pong_in_time_starts_over(self) -> None:
        c = connection()
        c.sweep(30.0)
        c.alive(39.9)
        assert c.sweep(41.0) is None
        assert c.sweep(69.8) is None
        assert isinstance(c.sweep(69.9), Ping)

    def test_a_busy_socket_is_not_pinged(self) -> None:
        c = connection()
        c.entity = 1
        for second in range(0, 200, 10):
            c.binary(move(second), True, second)
            assert c.sweep(second + 9.0) is None

    def test_any_frame_counts_as_a_pong(self) -> None:
        c = connection()
        c.sweep(30.0)
        c.text(PING, True, 39.0)
        assert c.sweep(45.0) is None

    def test_half_a_frame_is_no_sign_of_life(self) -> None:
        """Bytes of a frame that is not whole never get here, and nothing else can come inside it."""
        c = connection()
        assert isinstance(c.sweep(30.0), Ping)
        assert closing(c.sweep(41.0)) is Close.HEARTBEAT_TIMEOUT

    def test_a_byte_a_second_does_not_keep_a_fragmented_message_open(self) -> None:
        c = connection()
        c.text(b"[", False, 5.0)
        ended = 0
        for second in range(6, 100):
            c.continuation(b" ", False, second)
            c.alive(second)
            if isinstance(event := c.sweep(second), Closing):
                assert event.code is Close.HEARTBEAT_TIMEOUT
                ended = second
                break
        assert ended == 46  # begun at 5, and given a ping interval and a pong deadline

    def test_a_message_that_became_whole_has_no_deadline(self) -> None:
        c = connection()
        c.text(PING[:5], False, 5.0)
        c.continuation(PING[5:], True, 40.0)
        assert c.sweep(60.0) is None


class TestIdleness:
    def test_a_client_that_only_answers_pings_is_idle(self) -> None:
        c = connection()
        for second in range(0, 600, 20):
            c.alive(second)
            assert not isinstance(c.sweep(second), Closing)
        c.alive(600.0)
        assert c.sweep(600.0) is None
        assert closing(c.sweep(600.1)) is Close.IDLE

    def test_a_message_makes_it_wait_again(self) -> None:
        c = connection()
        c.text(PING, True, 500.0)
        c.alive(1_095.0)
        assert c.sweep(1_100.0) is None
        assert closing(c.sweep(1_100.1)) is Close.IDLE

    def test_fragments_do_not(self) -> None:
        limits = LIMITS.model_copy(update={"idle_timeout_s": 20.0})
        c = Connection(None, limits, 0.0)
        c.text(b"[", False, 15.0)
        assert closing(c.sweep(20.1)) is Close.IDLE


class TestErrorBudget:
    def test_one_too_many_in_a_minute_is_4502(self) -> None:
        c = connection()
        for _ in range(3):
            assert isinstance(c.text(b"nonsense", True, 1.0), Received)
        assert closing(c.text(b"nonsense", True, 60.0)) is Close.TOO_MANY_ERRORS

    def test_the_next_minute_starts_over(self) -> None:
        c = connection()
        for _ in range(3):
            c.text(b"nonsense", True, 1.0)
        assert isinstance(c.text(b"nonsense", True, ERROR_WINDOW_S + 0.1), Received)

    def test_each_entry_of_a_batch_counts(self) -> None:
        assert isinstance(connection().text(b"[1,2,3]", True, 0), Received)
        assert closing(connection().text(b"[1,2,3,4]", True, 0)) is Close.TOO_MANY_ERRORS

    def test_good_messages_cost_nothing(self) -> None:
        c = connection()
        assert all(isinstance(c.text(PING, True, 0), Received) for _ in range(100))

    def test_errors_found_later_count_too(self) -> None:
        c = connection()
        assert [c.error(0.0) for _ in range(4)] == [False, False, False, True]


def test_counters() -> None:
    c = connection()
    c.text(PING, True, 0)
    c.text(PING[:4], False, 0)
    c.continuation(PING[4:], True, 0)
    c.alive(0)
    assert (c.messages_in, c.bytes_in) == (2, 2 * len(PING))


def test_close_codes_are_those_of_the_protocol() -> None:
    table = re.findall(r"^\| (\d{4}) \| ([a-z ]+) \|", PROTOCOL.read_text(), re.MULTILINE)
    assert {int(code): name.upper().replace(" ", "_") for code, name in table} == {c.value: c.name for c in Close}
