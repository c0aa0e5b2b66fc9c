"""Nodes by their addresses, not by Ray's ids, in what operators read."""

from __future__ import annotations

from tests.unit.cluster.operations.world_rig import EAST, Rig, RigJob, node

OTHER = "0f" * 28  # a node that has gone


def rig() -> Rig:
    made = Rig()
    made.supervisor.nodes = [node(EAST, "east", address="10.0.0.1")]
    made.supervisor.steps = [f"start it on {EAST}", f"not on {OTHER}"]
    return made


async def test_steps_of_a_plan() -> None:
    preview = await rig().plan("zones.restart", zone="zon_a")
    assert preview.steps[1:] == ("start it on east (10.0.0.1)", "not on 0f0f0f0f")


async def test_what_a_job_tells() -> None:
    job = RigJob()
    await rig().act("zones.move", job, zone="zon_a", node=EAST)
    assert "move zon_a east (10.0.0.1)" in job.said
    assert "done: start it on east (10.0.0.1)" in job.said
    assert not any(EAST in said or OTHER in said for said in job.said)


async def test_a_drain() -> None:
    preview = await rig().plan("nodes.drain", node="10.0.0.1")
    assert preview.steps[0] == "bring no zone to east (10.0.0.1)"
