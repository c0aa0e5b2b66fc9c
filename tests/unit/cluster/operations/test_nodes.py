"""Nodes that are emptied, and take zones again."""

from __future__ import annotations

import pytest

from cluster.errors import Conflict, InvalidState, NotFound, Ours
from cluster.operations.conduct import Cancelled
from realm_proto.internal_pb2 import GatewayControl
from tests.unit.cluster.operations.world_rig import EAST, SUBJECTS, WEST, Rig, RigJob, beat, node, zone_beat


def rig_with_both_on_east() -> Rig:
    rig = Rig()
    rig.hear(zone_beat("zon_a", pid=1), zone_beat("zon_b", pid=2))
    return rig


class TestDrain:
    async def test_until_its_zones_and_clients_are_elsewhere(self) -> None:
        rig, job = rig_with_both_on_east(), RigJob()
        orders: list[bytes] = []
        await rig.bus.subscribe(SUBJECTS.gateway_control("gtw_a"), orders.append)
        rig.hear(beat("gateway", "gtw_a", EAST, 3, sockets=2), beat("gateway", "gtw_b", WEST, 4, sockets=0))
        pauses = iter(range(1_000))

        def it_goes_on() -> None:
            step = next(pauses)
            rig.hear(zone_beat("zon_a", 1, WEST, pid=5, epoch=2) if step >= 1 else zone_beat("zon_a"))
            rig.hear(zone_beat("zon_b", 1, WEST, pid=6, epoch=2) if step >= 2 else zone_beat("zon_b", pid=2))
            rig.hear(beat("gateway", "gtw_a", EAST, 3, sockets=2 if step < 4 else 0, draining=True))

        rig.on_pause = it_goes_on
        done = await rig.act("nodes.drain", job, node="east")
        await rig.bus.flush(1.0)
        assert rig.supervisor.draining == [EAST]
        assert done == {"outcome": "done", "why": "", "zones": ["zon_a", "zon_b"]}
        assert [GatewayControl.FromString(data).HasField("drain") for data in orders] == [True]
        assert "1 zones and 2 sockets are left" in job.said
        assert job.said[-1] == "0 zones and 2 sockets are left"

    async def test_gateways_keep_their_clients_if_nobody_takes_them(self) -> None:
        rig, job = Rig(), RigJob()
        rig.supervisor.zones = []
        orders: list[bytes] = []
        await rig.bus.subscribe(SUBJECTS.gateway_control("gtw_a"), orders.append)
        rig.hear(beat("gateway", "gtw_a", EAST, 3, sockets=2))
        await rig.act("nodes.drain", job, node="east")
        await rig.bus.flush(1.0)
        assert orders == []
        assert any("no other gateway would take them" in said for said in job.said)
        assert "no other gateway would take them" in (await rig.plan("nodes.drain", node="east")).warnings[0]

    async def test_a_zone_that_is_away_may_be_there(self) -> None:
        rig = Rig()
        rig.on_pause = lambda: rig.hear(zone_beat("zon_a", 0, WEST))
        with pytest.raises(Ours, match="1 zones are still on east after 1800 s"):
            await rig.act("nodes.drain", node=EAST[:8], gateways=False)

    async def test_cancelled_it_takes_zones_again(self) -> None:
        rig, job = rig_with_both_on_east(), RigJob()
        rig.on_pause = lambda: rig.hear(zone_beat("zon_a"), zone_beat("zon_b", pid=2))
        job.cancel_at = "2 zones"
        with pytest.raises(Cancelled):
            await rig.act("nodes.drain", job, node="east")
        await rig.cancel("nodes.drain", job.id, node="east")
        assert rig.supervisor.draining == []

    async def test_undrained_by_somebody_meanwhile(self) -> None:
        rig = rig_with_both_on_east()

        def undone() -> None:
            rig.supervisor.draining.clear()
            rig.hear(zone_beat("zon_a"), zone_beat("zon_b", pid=2))

        rig.on_pause = undone
        with pytest.raises(InvalidState):
            await rig.act("nodes.drain", node="east")

    async def test_the_plan(self) -> None:
        rig = rig_with_both_on_east()
        rig.hear(beat("gateway", "gtw_a", EAST, 3, sockets=2), beat("gateway", "gtw_b", WEST, 4))
        preview = await rig.plan("nodes.drain", node="east")
        assert preview.steps == (
            "bring no zone to east",
            "move zon_a to another node",
            "move zon_b to another node",
            "have the 2 clients of gtw_a connect elsewhere",
        )
        rig.supervisor.nodes = [node(EAST, "east")]
        assert "no other node takes its zones" in (await rig.plan("nodes.drain", node="east")).warnings[-1]
        assert rig.supervisor.draining == []


class TestUndrain:
    async def test_it_takes_zones_again(self) -> None:
        rig = Rig()
        rig.supervisor.draining = [WEST]
        assert (await rig.plan("nodes.undrain", node="west")).steps == ("west takes zones again",)
        await rig.act("nodes.undrain", node="west")
        assert rig.supervisor.draining == []
        assert (await rig.plan("nodes.undrain", node="west")).warnings == ("west does not drain",)


class TestNames:
    @pytest.mark.parametrize("name", ["east", "10.0.0.2", "the-east", EAST, EAST[:4]])
    async def test_many_names_for_one(self, name: str) -> None:
        rig = Rig()
        rig.supervisor.nodes = [node(EAST, "east", address="10.0.0.2", name="the-east"), node(WEST, "west")]
        await rig.act("nodes.undrain", node=name)

    @pytest.mark.parametrize(("name", "error"), [("south", NotFound), (EAST[:3], NotFound), ("both", Conflict)])
    async def test_nobody_s_and_more_than_one_s(self, name: str, error: type[Exception]) -> None:
        rig = Rig()
        rig.supervisor.nodes = [node(EAST, "both"), node(WEST, "both")]
        with pytest.raises(error):
            await rig.plan("nodes.drain", node=name)
