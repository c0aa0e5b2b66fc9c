"""What waits for a client: order, windows, bounds, and views of which only the newest counts."""

from __future__ import annotations

import orjson
import pytest

from rayrealm_client import codec
from rayrealm_client import view as client_view
from realm_proto import realtime_pb2 as pb
from serve_apps.gateway.messages import Framing
from serve_apps.gateway.outgoing import MAX_BATCH_BYTES, MAX_BATCH_COUNT, Frame, Outgoing, Priority
from serve_apps.gateway.shrinking import MIN_BYTES
from serve_apps.gateway.views import View
from tests.unit.actors.showing_model import MOVE_ROW

LIMIT, PATIENCE = 1_000, 10.0


def outgoing(framing: Framing = Framing.JSON, limit: int = LIMIT) -> Outgoing:
    return Outgoing(framing, limit, PATIENCE)


def methods(frames: list[Frame]) -> list[list[str]]:
    """The methods of the notifications in each frame; an answer is []."""
    said: list[list[str]] = []
    for data, framing in frames:
        if data.startswith(b"answer"):
            said.append([])
            continue
        items = codec.decode(data if framing is Framing.PROTO else data.decode())
        said.append([item.method for item in items if isinstance(item, codec.Notification)])
    return said


def tell(out: Outgoing, method: str, now: float, priority: Priority = Priority.NORMAL) -> list[Frame]:
    return out.notice(method, b"{}", priority, now)


class TestWindows:
    def test_an_immediate_notice_goes_at_once(self) -> None:
        assert methods(tell(outgoing(), "a", 0.0, Priority.IMMEDIATE)) == [["a"]]

    @pytest.mark.parametrize(("priority", "window"), [(Priority.NORMAL, 0.050), (Priority.LOW, 0.250)])
    def test_others_wait_for_their_window(self, priority: Priority, window: float) -> None:
        out = outgoing()
        assert tell(out, "a", 1.0, priority) == []
        assert out.pulse(1.0 + window - 0.001) == []
        assert methods(out.pulse(1.0 + window)) == [["a"]]
        assert out.pulse(100.0) == []

    @pytest.mark.parametrize("framing", list(Framing))
    def test_what_falls_into_one_window_is_one_frame_in_order(self, framing: Framing) -> None:
        out = outgoing(framing)
        for at, method in enumerate("abc"):
            tell(out, method, at / 100)
        frames = out.pulse(0.05)
        assert methods(frames) == [["a", "b", "c"]]
        assert frames[0][1] is framing

    def test_a_window_is_as_long_as_the_most_urgent_notice_in_it(self) -> None:
        out = outgoing()
        tell(out, "low", 0.0, Priority.LOW)
        tell(out, "normal", 0.1)
        assert methods(out.pulse(0.151)) == [["low", "normal"]]
        tell(out, "low", 1.0, Priority.LOW)
        assert out.pulse(1.06) == []

    def test_later_notices_do_not_make_the_first_wait_longer(self) -> None:
        out = outgoing()
        for at in range(5):
            tell(out, "a", at * 0.01)
        assert methods(out.pulse(0.05)) == [["a"] * 5]

    def test_an_immediate_one_takes_the_waiting_ones_along_before_it(self) -> None:
        out = outgoing()
        tell(out, "first", 0.0)
        assert methods(tell(out, "now", 0.0, Priority.IMMEDIATE)) == [["first"], ["now"]]

    def test_an_answer_too(self) -> None:
        out = outgoing()
        tell(out, "first", 0.0)
        assert methods(out.frame(b"answer", 0.0)) == [["first"], []]

    def test_a_batch_has_a_largest_count(self) -> None:
        out = outgoing()
        frames = [frame for _ in range(MAX_BATCH_COUNT) for frame in tell(out, "a", 0.0)]
        assert methods(frames) == [["a"] * MAX_BATCH_COUNT]
        assert out.queued_bytes == 0

    @pytest.mark.parametrize("framing", list(Framing))
    def test_and_a_largest_size(self, framing: Framing) -> None:
        out = outgoing(framing)
        text = orjson.dumps({"text": "x" * 10_000})
        frames: list[Frame] = []
        for _ in range(14):
            frames += out.notice("chat.message", text, Priority.NORMAL, 0.0)
        frames += out.flush(0.0, force=True)
        assert [len(names) for names in methods(frames)] == [7, 7]
        assert all(len(data) < MAX_BATCH_BYTES + 11_000 for data, _ in frames)


class TestBlocked:
    def test_everything_waits_in_order_and_the_view_is_last(self) -> None:
        out = outgoing()
        out.block(0.0)
        assert out.frame(b"answer 1", 0.0) == []
        assert out.view(View(b"\1\0\0\0", bytes(4), b"")) is None
        assert tell(out, "a", 0.0) == []
        assert out.frame(b"answer 2", 0.0) == []
        assert out.pulse(1.0) == []
        frames = out.unblock()
        assert [data[:8] for data, _ in frames][::2] == [b"answer 1", b"answer 2"]
        assert methods(frames[1:2]) == [["a"]]
        assert b"world.view" in frames[3][0]
        assert out.queued_bytes == 0
        assert out.unblock() == []

    def test_a_notice_whose_window_ends_meanwhile_waits_too(self) -> None:
        out = outgoing()
        tell(out, "a", 0.0)
        out.block(0.01)
        assert out.pulse(0.06) == []
        assert methods(out.unblock()) == [["a"]]

    def test_a_notice_whose_window_is_open_keeps_it(self) -> None:
        out = outgoing()
        out.block(0.0)
        tell(out, "a", 0.0)
        assert out.unblock() == []
        assert methods(out.pulse(0.05)) == [["a"]]

    def test_views_are_merged_and_counted(self) -> None:
        out = outgoing()
        assert out.view(View(b"\1\0\0\0", bytes(4), b"")) is not None
        out.block(0.0)
        for tick in range(2, 6):
            out.view(View(tick.to_bytes(4, "little"), bytes(4), b""))
        ((data, _),) = out.unblock()
        assert orjson.loads(data)["params"]["tick"] == 5
        assert out.merged_views == 4

    def test_it_is_blocked_since_the_first_time(self) -> None:
        out = outgoing()
        out.block(1.0)
        out.block(5.0)
        assert out.blocked_since == 1.0


class TestSlowConsumers:
    def test_one_that_reads_is_not_slow(self) -> None:
        out = outgoing()
        out.frame(b"x" * 10 * LIMIT, 0.0)
        out.notice("a", orjson.dumps("x" * 2 * LIMIT), Priority.NORMAL, 0.0)
        assert not out.too_slow(1e9)
        assert not out.overfull

    def test_over_the_bound_it_is_at_once(self) -> None:
        out = outgoing()
        out.block(0.0)
        out.frame(b"x" * LIMIT, 0.0)
        assert not out.too_slow(0.0)
        out.frame(b"x", 0.0)
        assert out.overfull
        assert out.too_slow(0.0)

    def test_notices_count(self) -> None:
        out = outgoing()
        out.block(0.0)
        out.notice("a", orjson.dumps("x" * LIMIT), Priority.NORMAL, 0.0)
        assert out.overfull

    def test_views_do_not(self) -> None:
        out = outgoing()
        out.block(0.0)
        for number in range(1_000):
            out.view(View(bytes(4), bytes(4), MOVE_ROW.pack(number, 0, 0, 0, 0, 0)))
        assert out.queued_bytes == 0
        assert not out.overfull

    def test_patience_ends(self) -> None:
        out = outgoing()
        out.block(5.0)
        assert not out.too_slow(15.0)
        assert out.too_slow(15.1)
        out.unblock()
        assert not out.too_slow(1e9)


class TestShrinking:
    """What a compressed frame is, is in test_shrinking.py."""

    def large(self) -> View:
        states = [
            pb.EntityState(number=n, entity_id=f"ent_{n}", name="somebody").SerializeToString() for n in range(300)
        ]
        return View(bytes(4), bytes(4), b"", states)

    def crowd(self) -> View:
        return View(bytes(4), bytes(4), MOVE_ROW.pack(1, 0, 0, 0, 0, 0) * 1_000)

    @pytest.mark.parametrize("blocked", [False, True])
    def test_a_large_view_is_compressed_in_protobuf(self, blocked: bool) -> None:
        out = outgoing(Framing.PROTO)
        if blocked:
            out.block(0.0)
            out.view(self.large())
            ((frame, _),) = out.unblock()
        else:
            found = out.view(self.large())
            assert found is not None
            frame = found
        assert pb.WebSocketMessage.FromString(frame).batch.compressed
        (item,) = codec.decode(frame)
        assert isinstance(item, client_view.View)
        assert len(item.states) == 300

    def test_not_in_json(self) -> None:
        frame = outgoing(Framing.JSON).view(self.large())
        assert frame is not None
        assert len(orjson.loads(frame)["params"]["states"]) == 300

    def test_nor_one_that_is_large_by_its_steps(self) -> None:
        frame = outgoing(Framing.PROTO).view(self.crowd())
        assert frame is not None
        assert frame == self.crowd().to_proto()

    def test_a_large_answer_and_large_notices(self) -> None:
        out = outgoing(Framing.PROTO)
        text = orjson.dumps({"text": "x" * MIN_BYTES})
        (frame, _), *_ = out.notice("one", text, Priority.IMMEDIATE, 0.0)
        assert len(frame) < MIN_BYTES
        assert methods([(frame, Framing.PROTO)]) == [["one"]]
        for method in ("two", "three"):
            out.notice(method, text, Priority.NORMAL, 0.0)
        frames = out.pulse(1.0)
        assert len(frames[0][0]) < MIN_BYTES
        assert methods(frames) == [["two", "three"]]


class TestSpeaking:
    def test_what_waits_stays_as_it_was_encoded(self) -> None:
        out = outgoing(Framing.JSON)
        tell(out, "a", 0.0)
        before = out.speak(Framing.PROTO, 0.0)
        assert [framing for _, framing in before] == [Framing.JSON]
        tell(out, "b", 0.0)
        after = out.pulse(1.0)
        assert [framing for _, framing in after] == [Framing.PROTO]
        assert methods(before + after) == [["a"], ["b"]]

    def test_the_same_framing_changes_nothing(self) -> None:
        out = outgoing()
        tell(out, "a", 0.0)
        assert out.speak(Framing.JSON, 0.0) == []
        assert methods(out.pulse(1.0)) == [["a"]]

    def test_while_blocked_each_frame_keeps_its_own(self) -> None:
        out = outgoing(Framing.JSON)
        out.block(0.0)
        out.frame(b"answer", 0.0)
        assert out.speak(Framing.PROTO, 0.0) == []
        out.frame(b"answer", 0.0)
        assert [framing for _, framing in out.unblock()] == [Framing.JSON, Framing.PROTO]
