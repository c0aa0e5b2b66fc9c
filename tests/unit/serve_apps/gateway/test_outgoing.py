"""What waits for a client: order, windows, bounds, and views of which only the newest counts."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rayrealm_client import codec
from rayrealm_client import view as client_view
from rayrealm_client.scene import Scene
from realm_proto import realtime_pb2 as pb
from serve_apps.gateway.messages import Framing
from serve_apps.gateway.outgoing import MAX_BATCH_BYTES, MAX_BATCH_COUNT, Frame, Outgoing, Priority
from serve_apps.gateway.shrinking import MIN_BYTES
from serve_apps.gateway.views import View
from tests.unit.actors.showing_model import MOVE_ROW, PLACE_ROW

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


@dataclass
class Reader:
    """A client: what it has seen and been told."""

    scene: Scene = field(default_factory=Scene)
    notices: list[Any] = field(default_factory=list)
    ack: int = 0
    tick: int = 0
    correction: Any = None
    reset: Any = None

    def read(self, frames: list[Frame]) -> None:
        for data, framing in frames:
            for item in codec.decode(data if framing is Framing.PROTO else data.decode()):
                if isinstance(item, client_view.View):
                    assert item.tick >= self.tick  # views never go back
                    self.scene.apply(item)
                    self.tick, self.ack = item.tick, item.ack
                    self.correction = item.correction or self.correction
                    self.reset = item.reset or self.reset
                else:
                    self.notices.append(item)

    def knows(self) -> Any:
        """Everything but when a place was told."""
        entities = {
            n: (e.entity_id, e.name, e.version, e.properties, e.cm, e.yaw, e.sequence, e.link_dead)
            for n, e in self.scene.entities.items()
        }
        own = self.scene.own
        return (
            entities,
            own and (own.version, own.properties),
            self.tick,
            self.ack,
            self.correction,
            self.reset,
            self.notices,
        )


OWN = 9


class Teller:
    """Views as a zone sends them: who is in view has a state and a place; nobody else moves, changes or leaves."""

    def __init__(self, draw: Any) -> None:
        self.draw = draw
        self.known: dict[int, int] = {}  # number -> version
        self.sequence = dict.fromkeys(range(6), 65_500)
        self.tick = 0
        self.lives = 0
        self.epoch = 0

    def state(self, number: int, change: bool) -> bytes:
        self.known[number] = self.known.get(number, 0) + 1
        values = st.none() | st.integers(0, 3) if change else st.integers(0, 3)
        properties = self.draw(st.dictionaries(st.sampled_from("abc"), values, max_size=2))
        if not change:
            self.lives += 1
        return pb.EntityState(
            number=number,
            entity_id="" if change else f"ent_{number}_{self.lives}",
            entity_type="" if change else "player",
            version=self.known[number],
            properties_json=orjson.dumps(properties).decode() if properties else "",
            link_dead=self.draw(st.booleans()),
            change=change,
        ).SerializeToString()

    def place(self, number: int) -> bytes:
        self.sequence[number] += self.draw(st.integers(0, 1_000))
        x = self.draw(st.integers(-(10**6), 10**6))
        return PLACE_ROW.pack(number, self.sequence[number] & 0xFFFF, x, 0, number, self.tick & 0xFFFF)

    def move(self, number: int) -> bytes:
        self.sequence[number] += self.draw(st.sampled_from([0, 1, 32]))
        dx, dz = (self.draw(st.sampled_from([-127, -1, 0, 2, 127])) for _ in "xz")
        return MOVE_ROW.pack(number, self.sequence[number] & 0xFF, dx, 0, dz, self.tick & 0xFFFF)

    def view(self) -> View:
        numbers = st.sets(st.integers(0, 5), max_size=3)
        self.tick += 1
        view = View(self.tick.to_bytes(4, "little"), (self.tick // 2).to_bytes(4, "little"), b"")
        states, leaves = [], []
        if self.tick == 1 or self.draw(st.integers(0, 9)) == 0:
            self.known.clear()
            self.epoch += 1
            view.reset = pb.ViewReset(zone_id="zon_a", epoch=self.epoch, number=OWN)
            states.append(self.state(OWN, change=False))
        elif self.draw(st.integers(0, 4)) == 0:
            states.append(self.state(OWN, change=self.draw(st.booleans())))
        for number in sorted(self.draw(numbers)):
            if number in self.known:
                del self.known[number]
                leaves.append(number)
        placed = set()
        for number in sorted(self.draw(numbers)):
            if number not in self.known:
                placed.add(number)
                states.append(self.state(number, change=False))
            else:
                states.append(self.state(number, change=True))
        there = set(self.known) - {OWN}
        placed |= self.draw(numbers) & there
        moving = self.draw(st.sets(st.integers(0, 5))) & there - placed
        view.states, view.leaves = states, leaves
        view.places = b"".join(self.place(number) for number in sorted(placed))
        view.moves = b"".join(self.move(number) for number in sorted(moving))
        if self.draw(st.integers(0, 4)) == 0:
            view.correction = pb.Correction(
                sequence=self.tick, position=pb.Vector3(x=self.tick), reason="too_fast"
            ).SerializeToString()
        return view


class TestMerging:
    @settings(max_examples=150)
    @given(st.data(), st.sampled_from(Framing))
    def test_a_slow_reader_ends_up_knowing_the_same(self, data: st.DataObject, framing: Framing) -> None:
        """No state, no leave and no notice is lost, whenever the client reads and whenever it does not."""
        teller = Teller(data.draw)
        fast, slow = Reader(), Reader()
        always, sometimes = outgoing(framing, 10**9), outgoing(framing, 10**9)
        for step in range(data.draw(st.integers(1, 25))):
            now = step / 20
            what = data.draw(st.sampled_from(["view", "view", "view", "notice", "block", "unblock", "pulse"]))
            if what == "block":
                sometimes.block(now)
            elif what == "unblock":
                slow.read(sometimes.unblock())
            for out, reader in ((always, fast), (sometimes, slow)):
                if what == "pulse":
                    reader.read(out.pulse(now))
                elif what == "notice":
                    reader.read(out.notice("n", orjson.dumps({"step": step}), Priority.NORMAL, now))
            if what == "view":
                view = teller.view()
                for out, reader in ((always, fast), (sometimes, slow)):
                    written = out.view(view)
                    if written is not None:
                        reader.read([(written, out.framing)])
        fast.read(always.pulse(1e9))
        slow.read(sometimes.unblock())
        slow.read(sometimes.pulse(1e9))
        assert slow.knows() == fast.knows()
