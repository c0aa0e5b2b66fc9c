"""Views that a slow client gets merged mean the same as all of them, whenever it reads (row 1.4)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st

from rayrealm_client import codec
from rayrealm_client import view as client_view
from rayrealm_client.scene import Scene
from realm_proto import realtime_pb2 as pb
from serve_apps.gateway.messages import Framing
from serve_apps.gateway.outgoing import Frame, Outgoing, Priority
from serve_apps.gateway.views import View
from tests.unit.actors.showing_model import MOVE_ROW, PLACE_ROW


def outgoing(framing: Framing) -> Outgoing:
    return Outgoing(framing, 10**9, 10.0)


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
        always, sometimes = outgoing(framing), outgoing(framing)
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
