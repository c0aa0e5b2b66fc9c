"""Processes: what runs where, and killing one."""

from __future__ import annotations

import pytest

from cluster.errors import NotFound, Unauthorized, Unavailable
from cluster.operations import conduct
from cluster.operations.all import registry
from cluster.operations.model import Operator, Role
from cluster.process_control import ProcessControl
from tests.unit.cluster.operations.world_rig import SUBJECTS, WEST, Rig, RigJob, beat


async def process(rig: Rig, name: str, chaos: bool = True) -> list[str]:
    """One that answers; who of them has died."""
    died: list[str] = []
    control = ProcessControl(name, chaos, lambda: None, lambda: died.append(name))
    await rig.bus.respond(SUBJECTS.process_control(), control.respond)
    return died


async def test_of_one_kind_or_all() -> None:
    rig = Rig()
    rig.hear(beat("zone", "zone/zon_a", pid=1), beat("gateway", "gtw_a", WEST, pid=2, sockets=3))
    everything = (await rig.look("processes.list"))["processes"]
    assert [row["name"] for row in everything] == ["gtw_a", "zone/zon_a"]
    assert "values" not in everything[0]
    assert (everything[0]["host"], everything[0]["node"], everything[0]["rss"]) == ("west", WEST, 1_000_000)
    assert [row["pid"] for row in (await rig.look("processes.list", kind="zone"))["processes"]] == [1]


class TestKill:
    async def test_until_it_is_silent(self) -> None:
        rig, job = Rig(chaos=True), RigJob()
        rig.hear(beat("zone", "zone/zon_a", WEST, pid=7), beat("zone", "zone/zon_b", pid=8))
        await process(rig, "zone/zon_b")
        died = await process(rig, "zone/zon_a")
        killed = await rig.act("processes.kill", job, name="zone/zon_a")
        assert killed == {"name": "zone/zon_a", "pid": 7, "host": "west"}
        assert rig.at > 106.0  # three beats were missing
        assert job.said == ["kill -9 zone/zon_a: pid 7 on west"]
        assert died == []  # it answers first: cluster/process_control.py ends it a moment later

    async def test_the_next_one_of_that_name_is_left_alone_by_the_same_job(self) -> None:
        rig = Rig(chaos=True)
        rig.hear(beat("zone", "zone/zon_a", pid=7))  # it has started at 507
        killed = await rig.act("processes.kill", RigJob(began_at=506.0), name="zone/zon_a")
        assert killed["pid"] == 7  # nobody was asked: nobody is there who would answer

    async def test_one_that_neither_answers_nor_ends(self) -> None:
        rig = Rig(chaos=True)
        rig.hear(beat("zone", "zone/zon_a", pid=7))
        with pytest.raises(Unavailable):
            await rig.act("processes.kill", name="zone/zon_a")
        await process(rig, "zone/zon_a")
        rig.on_pause = lambda: rig.hear(beat("zone", "zone/zon_a", pid=7))
        with pytest.raises(Unavailable, match="says that it ends"):
            await rig.act("processes.kill", name="zone/zon_a")

    async def test_only_with_chaos_and_only_those_that_are_there(self) -> None:
        rig = Rig()
        rig.hear(beat("zone", "zone/zon_a", pid=7))
        with pytest.raises(Unauthorized):
            await rig.plan("processes.kill", name="zone/zon_a")
        brave = Rig(chaos=True)
        with pytest.raises(NotFound):
            await brave.plan("processes.kill", name="zone/zon_a")

    def test_it_is_for_admins(self) -> None:
        with pytest.raises(Unauthorized):
            conduct.action(registry(), "processes.kill", Operator("operator:bob", Role.OPERATOR, "console"))
        assert conduct.action(registry(), "processes.kill", Operator("operator:bob", Role.ADMIN, "console")).dangerous
