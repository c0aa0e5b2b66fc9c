"""`rayrealm drain`: which gateways are meant, and when they are done."""

from __future__ import annotations

import asyncio
import math
from functools import partial

import pytest

from cluster.adapters.memory.bus import MemoryBus
from cluster.cli import drain as command
from cluster.cli.drain import Drained, Heartbeats, chosen, empty
from cluster.errors import StartRefused
from cluster.processes_here import Process
from cluster.subjects import Subjects
from realm_proto.internal_pb2 import GatewayAlive, GatewayControl

SUBJECTS = Subjects("rayrealm-realm")
PROCESSES = [
    Process("gateway", "gtw_a", 1, "east", True),
    Process("gateway", "gtw_b", 2, "west", None),
    Process("gateway", "gtw_c", 3, "west", None),
    Process("gateway", "gtw_ended", 4, "west", None),
]
LIVING = ["gtw_a", "gtw_b", "gtw_c"]


def test_gateways_by_name() -> None:
    assert chosen(LIVING, PROCESSES, ["gtw_b", "gtw_a", "gtw_b"], None) == ["gtw_a", "gtw_b"]


def test_gateways_of_a_node_that_live() -> None:
    assert chosen(LIVING, PROCESSES, [], "west") == ["gtw_b", "gtw_c"]


def test_what_is_not_there() -> None:
    with pytest.raises(StartRefused, match=r"no gateway gtw_ended is heard; there are: gtw_a, gtw_b, gtw_c"):
        chosen(LIVING, PROCESSES, ["gtw_a", "gtw_ended"], None)
    with pytest.raises(StartRefused, match=r"no gateway runs on north; there are: east, west"):
        chosen(LIVING, PROCESSES, [], "north")


class Realm:
    """Two gateways on a bus with a clock of its own, which runs faster than ours."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(command, "PAUSE_S", 0.0)
        self.now = 0.0
        self.bus = MemoryBus()
        self.heartbeats = Heartbeats(lambda: self.now)
        self.sockets = {"gtw_a": 30, "gtw_b": 4}
        self.draining: dict[str, float] = {}
        self.ended: set[str] = set()
        self.deaf = False

    async def start(self) -> None:
        await self.bus.subscribe(SUBJECTS.gateway_alive(), self.heartbeats.heard)
        for name in self.sockets:
            await self.bus.subscribe(SUBJECTS.gateway_control(name), partial(self._told, name))
        self.beat()
        await self.bus.flush(1.0)

    def _told(self, name: str, data: bytes) -> None:
        if not self.deaf:
            self.draining[name] = GatewayControl.FromString(data).drain.deadline_s

    def beat(self) -> None:
        for name in self.sockets.keys() - self.ended:
            if name in self.draining:
                self.sockets[name] = max(0, self.sockets[name] - 10)
            alive = GatewayAlive(gateway_id=name, sockets=self.sockets[name], draining=name in self.draining)
            self.bus.publish(SUBJECTS.gateway_alive(), alive.SerializeToString())

    async def empty(self, *targets: str, deadline_s: float | None) -> list[Drained]:
        async def pass_time() -> None:
            while True:
                self.now += 0.5
                self.beat()
                await asyncio.sleep(0)

        passing = asyncio.create_task(pass_time())
        try:
            async with asyncio.timeout(5.0):
                return await empty(self.bus, SUBJECTS, self.heartbeats, targets, deadline_s, lambda: self.now)
        finally:
            passing.cancel()


@pytest.fixture
async def realm(monkeypatch: pytest.MonkeyPatch) -> Realm:
    made = Realm(monkeypatch)
    await made.start()
    return made


async def test_it_waits_until_nobody_is_left(realm: Realm) -> None:
    (drained,) = await realm.empty("gtw_a", deadline_s=None)
    assert (drained.gateway, drained.sockets, drained.left) == ("gtw_a", 30, 0)
    assert 1.0 <= drained.seconds <= 4.0
    assert realm.draining == {"gtw_a": math.inf}
    assert realm.sockets["gtw_b"] == 4


async def test_several_at_once_with_a_deadline(realm: Realm) -> None:
    drained = await realm.empty("gtw_a", "gtw_b", deadline_s=12.0)
    assert [(one.gateway, one.left) for one in drained] == [("gtw_a", 0), ("gtw_b", 0)]
    assert realm.draining == {"gtw_a": 12.0, "gtw_b": 12.0}


async def test_a_gateway_that_ends_meanwhile_has_no_sockets(realm: Realm) -> None:
    realm.ended.add("gtw_b")
    (drained,) = await realm.empty("gtw_b", deadline_s=None)
    assert drained.left == 0


async def test_it_does_not_wait_for_ever(realm: Realm) -> None:
    realm.deaf = True
    (drained,) = await realm.empty("gtw_a", deadline_s=10.0)
    assert (drained.sockets, drained.left) == (30, 30)
    assert drained.seconds >= 15.0
