"""A zone, and beside it a plain model of PROTOCOL.md: one move after the other, every pair looked at.

How fast one may be by now is asked of acceleration.py, which has a property test of its own.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from actors.zone import records
from actors.zone.acceleration import Motion
from actors.zone.intake import ROWS_PER_ENTITY
from actors.zone.zone import Zone
from cluster.errors import Conflict, InvalidState, RateLimited
from tests.unit.actors.showing_model import ModelViewer
from tests.unit.actors.zone_model import HASTE, SPEC, arrival, change, make_world, move, views_of

RADIUS, HYSTERESIS = 10.0, 2.0
SPEED, CAP = 10.0, 10.0  # as make_world has them
LOW, HIGH = 0.0, 100.0
LATE_S = 1.0
ONE = np.array([0])

Place = tuple[float, float, float]


def in_cm(place: Place) -> tuple[int, int, int]:
    x, y, z = (round(value * 100) for value in place)
    return x, y, z


@dataclass
class Body:
    """An entity as the model knows it."""

    number: int
    incarnation: int
    place: Place
    yaw: float
    gateway: str
    attach_epoch: int
    sequence: int = 0
    budget: float = CAP
    budget_at: float = 0.0
    version: int = 1
    properties: dict[str, Any] = field(default_factory=dict)
    shown: int = 0  # the sequence of its last good move
    motion: Motion = field(default_factory=lambda: Motion(1))

    def judge(self, sequence: int, place: Place, yaw: float, now: float) -> str:
        limits = np.array([SPEED]), np.array([HASTE * 1.25])
        at_once = float(self.motion.allowance(ONE, *limits, LATE_S, now)[0])
        if sequence <= self.sequence:
            return "stale_sequence"
        self.sequence = sequence
        x, y, z = place
        if not all(map(math.isfinite, (*place, yaw))):
            return "not_finite"
        if not (LOW <= x <= HIGH and LOW <= z <= HIGH and -1000 <= y <= 1000):
            return "out_of_bounds"
        far = math.dist((0, 0, 0), [a - b for a, b in zip(place, self.place, strict=True)])
        full = max(CAP, self.budget)
        budget = min(full, self.budget + SPEED * max(now - self.budget_at, 0.0))
        self.budget, self.budget_at = budget, now
        if far > budget:
            return "too_fast"
        if far > at_once:
            return "too_sudden"
        self.motion.went(ONE, np.array([far]), *limits, LATE_S, now)
        self.budget, self.place, self.yaw = budget - far, place, yaw
        self.shown = sequence
        return "ok"


@dataclass
class Move:
    name: str
    gateway: str
    sequence: int
    place: Place
    yaw: float


class Twin:
    """A zone and its model. `names` are players; each has at most one entity."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.world = make_world(capacity, RADIUS, HYSTERESIS)
        self.epoch, self.now, self.incarnations, self.resting = 1, 1000.0, 0, 0
        self.zone = Zone(SPEC, self.world, self.epoch)
        self.bodies: dict[str, Body] = {}
        self.clients: dict[str, ModelViewer] = {}
        self.seen: dict[str, set[str]] = {}  # viewer -> who it sees
        self.gateways: set[str] = set()
        self.pending: list[Move] = []
        self.stored: dict[str, bytes] = {}
        self.places, self.places_at = b"", self.now
        self.checkpoint: dict[int, tuple[int, int, Place, float]] = {}  # number -> incarnation, sequence, place, yaw
        self.recorded: dict[str, tuple[int, Place, float]] = {}
        self.attaches: Counter[str] = Counter()
        self.sequences: Counter[str] = Counter()

    # --- who is here -------------------------------------------------------------------------------------------

    def join(self, name: str, gateway: str, x: float, y: float, z: float) -> None:
        self.attaches[name] += 1
        who = arrival(name, x, z, gateway, self.attaches[name], y=y)
        body = self.bodies.get(name)
        if body is None and len(self.bodies) + self.resting == self.capacity:
            with pytest.raises(RateLimited):
                self.zone.enter(who, self.now)
            return
        standing = self.zone.enter(who, self.now)
        if body is None:
            assert standing.number not in {b.number for b in self.bodies.values()}
            self.incarnations += 1
            place = (min(max(x, LOW), HIGH), y, min(max(z, LOW), HIGH))
            body = Body(
                standing.number, self.incarnations, place, 0.0, gateway, self.attaches[name], budget_at=self.now
            )
            self.bodies[name], self.sequences[name] = body, 65_530
        assert (standing.number, standing.sequence) == (body.number, body.sequence)
        assert (standing.x, standing.y, standing.z) == body.place
        self._connect(name, gateway)

    def attach(self, name: str, gateway: str, *, late: bool) -> None:
        if name not in self.bodies:
            with pytest.raises(InvalidState):
                self.zone.attach(f"ses_{name}", gateway, 1)
        elif late:
            with pytest.raises(Conflict):
                self.zone.attach(f"ses_{name}", gateway, self.bodies[name].attach_epoch - 1)
        else:
            self.attaches[name] += 1
            self.zone.attach(f"ses_{name}", gateway, self.attaches[name])
            self._connect(name, gateway)

    def _connect(self, name: str, gateway: str) -> None:
        body = self.bodies[name]
        body.gateway, body.attach_epoch = gateway, self.attaches[name]
        self.gateways.add(gateway)
        self.clients[name] = ModelViewer(body.number)
        self.seen[name] = set()
        self._store(name)

    def detach(self, name: str, *, late: bool) -> None:
        body = self.bodies.get(name)
        self.zone.detach(f"ses_{name}", body.attach_epoch - late if body else 1)
        if body is not None and not late:
            body.gateway = ""
            self.clients.pop(name, None)
            self.seen.pop(name, None)
            self._store(name)

    def leave(self, name: str) -> None:
        body, standing = self.bodies.pop(name, None), self.zone.leave(f"ses_{name}")
        if body is None:
            assert standing is None
            return
        assert standing is not None
        assert (standing.x, standing.y, standing.z) == body.place
        self.resting += 1
        self.clients.pop(name, None)
        self.seen.pop(name, None)
        del self.stored[name]

    def change(self, name: str, key: str, value: Any) -> None:
        body = self.bodies.get(name)
        if body is None:
            return
        assert change(self.zone, name, **{key: value}) == body.version + 1
        body.version += 1
        body.properties = {k: v for k, v in {**body.properties, key: value}.items() if v is not None}
        self._store(name)

    # --- moves -------------------------------------------------------------------------------------------------

    def move(self, name: str, gateway: str, place: Place, yaw: float, skip: int) -> None:
        """`gateway` "": its own. `skip`: how much the sequence grows; 0 repeats one."""
        body = self.bodies.get(name)
        if body is None:
            return
        self.sequences[name] += skip
        sent = gateway or body.gateway
        self.zone.take_input(sent, move(body.number, self.sequences[name], place[0], place[2], place[1], yaw))
        if sent in self.gateways:
            self.pending.append(Move(name, sent, self.sequences[name], place, yaw))

    def _judge(self) -> set[str]:
        """Who was refused a move."""
        mine = [m for m in self.pending if m.name in self.bodies and self.bodies[m.name].gateway == m.gateway]
        self.pending = []
        left = Counter(m.name for m in mine)
        refused = set[str]()
        for m in mine:
            left[m.name] -= 1
            if left[m.name] >= ROWS_PER_ENTITY:
                continue
            if self.bodies[m.name].judge(m.sequence, m.place, m.yaw, self.now) != "ok":
                refused.add(m.name)
        return refused

    # --- time --------------------------------------------------------------------------------------------------

    def tick(self, seconds: float) -> None:
        self.now += seconds
        messages = self.zone.tick(self.now).outputs
        refused = self._judge()
        self.resting = 0
        self._look()
        by_number = {body.number: name for name, body in self.bodies.items()}
        corrected = set()
        for gateway, views in views_of(messages).items():
            for number, view in views.items():
                name = by_number[number]
                client = self.clients[name]  # KeyError: a view for one who is detached
                assert self.bodies[name].gateway == gateway
                news = view.numbers or view.states or view.leaves or view.reset or view.correction
                assert news or view.ack != client.ack, "a view that says nothing"
                client.apply(view)
                if view.reset is not None:
                    assert view.reset == (SPEC.id, self.epoch, number)
                    assert view.attach_epoch == self.bodies[name].attach_epoch
                if view.session_id:  # only after a restart, until the gateway has said that it knows
                    assert (view.session_id, view.transfer) == (f"ses_{name}", 0)
                    self.zone.showing.shown(gateway, [number])
                if view.correction is not None:
                    corrected.add(name)
                    c, body = view.correction, self.bodies[name]
                    assert (c.position.x, c.position.y, c.position.z) == body.place
                    assert c.sequence == body.sequence
        assert corrected == refused
        self.check()

    def _look(self) -> None:
        """Every viewer at every other: seen within the radius, kept within the hysteresis."""
        for viewer, known in self.seen.items():
            x, _, z = self.bodies[viewer].place
            now = set()
            for name, body in self.bodies.items():
                key = f"{name}:{body.incarnation}"
                reach = RADIUS + HYSTERESIS if key in known else RADIUS
                gap_x, gap_z = body.place[0] - x, body.place[2] - z
                if name != viewer and gap_x * gap_x + gap_z * gap_z <= reach * reach:
                    now.add(key)
            self.seen[viewer] = now

    def check(self) -> None:
        """Each client knows what it should, and a fresh snapshot says the same."""
        for name, client in self.clients.items():
            body, told = self.bodies[name], set()
            assert client.ack == body.sequence
            for number, seen in client.entities.items():
                other = self.bodies[seen.name]
                assert (number, seen.entity_id) == (other.number, f"ent_{seen.name}")
                assert (seen.version, seen.properties) == (other.version, other.properties)
                assert seen.link_dead == (not other.gateway)
                if number == client.number:
                    continue
                told.add(f"{seen.name}:{other.incarnation}")
                assert seen.place == in_cm(other.place)
                off = abs(seen.yaw - other.yaw / math.tau * 65536) % 65536
                assert min(off, 65536 - off) <= 1
                assert (seen.sequence - other.shown) % 65536 <= other.sequence - other.shown, "older, or of no move"
            assert told == self.seen[name]
            snapshot = self.zone.snapshot(f"ses_{name}")["entities"]
            assert snapshot[0]["name"] == name
            assert {e["number"]: (e["version"], e["properties"], e["link_dead"]) for e in snapshot} == {
                n: (s.version, s.properties, s.link_dead) for n, s in client.entities.items()
            }
            assert {e["number"]: in_cm(tuple(e["position"].values())) for e in snapshot[1:]} == {
                n: s.place for n, s in client.entities.items() if n != client.number
            }

    # --- a process that dies -----------------------------------------------------------------------------------

    def _store(self, name: str) -> None:
        """As the actor does whenever an entity enters, changes hands, or changes its properties."""
        record = self.zone.record(f"ent_{name}")
        assert record is not None
        self.stored[name] = records.dump(record)
        body = self.bodies[name]
        self.recorded[name] = (body.sequence, body.place, body.yaw)

    def save_places(self) -> None:
        self.places, self.places_at = self.zone.places(), self.now
        self.checkpoint = {b.number: (b.incarnation, b.sequence, b.place, b.yaw) for b in self.bodies.values()}

    def restart(self, seconds: float) -> None:
        self.now += seconds
        self.epoch += 1
        self.zone = Zone(SPEC, self.world, self.epoch)
        entities = [records.load(data) for data in self.stored.values()]
        age = self.now - self.places_at if self.places else 0.0
        assert self.zone.restore(entities, self.places, age, self.now) == []
        self.pending, self.resting = [], 0
        self.gateways = {body.gateway for body in self.bodies.values() if body.gateway}
        rows = self.checkpoint.values()
        self.incarnations = max([b.incarnation for b in self.bodies.values()] + [row[0] for row in rows], default=0)
        for name, body in self.bodies.items():
            sequence, place, yaw = self.recorded[name]
            row = self.checkpoint.get(body.number)
            if row is not None and row[0] == body.incarnation and row[1] >= sequence:
                _, sequence, place, yaw = row
            body.sequence, body.place, body.yaw, body.shown = sequence, place, yaw, sequence
            body.budget, body.budget_at = CAP + SPEED * min(max(age, 0.0), 30.0), self.now
            body.motion = Motion(1)
        self.seen = {name: set() for name in self.seen}

    # --- outputs that are lost ---------------------------------------------------------------------------------

    def resync(self, gateway: str) -> None:
        self.zone.showing.resync(gateway)
        self._from_nothing({name for name in self.clients if self.bodies[name].gateway == gateway})

    def start_over(self) -> None:
        self.zone.showing.start_over()
        self._from_nothing(set(self.clients))

    def _from_nothing(self, names: set[str]) -> None:
        for name in names:
            self.seen[name] = set()
            self.clients[name] = ModelViewer(self.bodies[name].number)
