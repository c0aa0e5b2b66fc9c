"""Jobs that have a plan carried out: told step by step, once for a job, and cancelled as long as that can be."""

from __future__ import annotations

from typing import Any

import pytest

from cluster.errors import Conflict, InvalidInput, InvalidState, NotFound, Ours
from cluster.operations import plans
from cluster.operations.conduct import Cancelled
from tests.unit.cluster.operations.world_rig import Rig, RigJob, map_zone, zone_beat

EVERY: list[tuple[str, dict[str, Any], list[str]]] = [
    ("split", {"zone": "zon_a"}, ["zon_a"]),
    ("merge", {"zone": "zon_a", "other": "zon_b"}, ["zon_a", "zon_b"]),
    ("move", {"zone": "zon_a", "node": "east"}, ["zon_a", "east"]),
    ("restart", {"zone": "zon_a"}, ["zon_a"]),
    ("add", {"template": "meadow", "beside": "zon_a", "side": "east"}, ["meadow", "zon_a", "east", ""]),
    ("add", {"template": "t", "beside": "zon_a", "side": "west", "name": "Hill"}, ["t", "zon_a", "west", "Hill"]),
    ("remove", {"zone": "zon_a"}, ["zon_a"]),
]


@pytest.mark.parametrize(("kind", "params", "args"), EVERY)
async def test_carried_out(kind: str, params: dict[str, Any], args: list[str]) -> None:
    rig, job = Rig(), RigJob()
    done = await rig.act(f"zones.{kind}", job, **params)
    assert rig.supervisor.begun == [(kind, args)]
    assert done == {"outcome": "done", "why": "", "zones": args[:1]}
    assert job.said[1:] == [f"done: {step}" for step in rig.supervisor.steps]
    assert [progress for _, progress in job.steps[1:]] == sorted(progress for _, progress in job.steps[1:])
    assert job.steps[-1][1] == 1.0
    assert [entry.result for entry in await rig.audit.newest(10)] == ["done", "begun"]


@pytest.mark.parametrize(("kind", "params", "args"), EVERY)
async def test_previewed(kind: str, params: dict[str, Any], args: list[str]) -> None:
    rig = Rig()
    preview = await rig.plan(f"zones.{kind}", **params)
    assert preview.steps == (f"{kind} {args[0]}", *rig.supervisor.steps)
    assert rig.supervisor.begun == []
    assert await rig.audit.newest(10) == []


async def test_under_one_id_it_is_done_once() -> None:
    rig, job = Rig(), RigJob()
    first = await rig.act("zones.split", job, zone="zon_a")
    again = await rig.act("zones.split", RigJob(id=job.id), zone="zon_a")
    assert first == again
    assert len(rig.supervisor.begun) == 1
    await rig.act("zones.split", RigJob(), zone="zon_a")
    assert len(rig.supervisor.begun) == 2


async def test_refused_and_rolled_back() -> None:
    rig = Rig()
    rig.supervisor.refusal = Conflict("another_plan_runs")
    with pytest.raises(Conflict):
        await rig.act("zones.split", zone="zon_a")
    rig.supervisor.refusal = None
    rig.supervisor.outcome, rig.supervisor.why = "rolled back", "it does not start"
    with pytest.raises(Ours, match="rolled back: it does not start"):
        await rig.act("zones.split", zone="zon_a")
    assert [entry.details.get("why") for entry in await rig.audit.newest(1)] == ["rolled back: it does not start"]


async def test_a_plan_that_nobody_knows_any_more() -> None:
    rig = Rig()
    rig.supervisor.forgets = True
    with pytest.raises(Ours, match="is not there any more"):
        await rig.act("zones.split", zone="zon_a")
    assert rig.at < 100.0 + plans.FORGOTTEN_S + 5.0


@pytest.mark.parametrize("wrong", [{"zone": ""}, {}, {"zone": "zon_a", "more": 1}])
async def test_params_that_are_wrong(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        await Rig().act("zones.split", **wrong)


class TestCancelling:
    async def test_asked_until_it_is_rolled_back(self) -> None:
        rig = Rig()
        rig.supervisor.looks = 1_000
        with pytest.raises(Cancelled):
            await rig.act("zones.split", RigJob(cancel_at="done:"), zone="zon_a")
        assert rig.supervisor.cancels == 3  # begun, rolled back, and known
        assert [entry.result for entry in await rig.audit.newest(1)] == ["cancelled"]

    async def test_before_it_has_begun(self) -> None:
        rig = Rig()
        with pytest.raises(Cancelled):
            await rig.act("zones.split", RigJob(cancel_at="split"), zone="zon_a")
        assert rig.supervisor.begun == []

    async def test_too_late_it_goes_on(self) -> None:
        rig = Rig()
        rig.supervisor.too_late = True
        done = await rig.act("zones.split", RigJob(cancel_at="done:"), zone="zon_a")
        assert done["outcome"] == "done"

    async def test_by_the_console_while_the_job_looks_on(self) -> None:
        """It learns from how the plan ended that it was cancelled."""
        rig, job = Rig(), RigJob()
        rig.supervisor.outcome, rig.supervisor.cancelled = "rolled back", True
        with pytest.raises(Cancelled):
            await rig.act("zones.split", job, zone="zon_a")

    async def test_what_the_console_is_told(self) -> None:
        rig, job = Rig(), RigJob()
        await rig.cancel("zones.split", job.id, zone="zon_a")  # it has not begun
        await rig.act("zones.split", job, zone="zon_a")
        with pytest.raises(InvalidState):
            await rig.cancel("zones.split", job.id, zone="zon_a")


class TestStandby:
    async def test_until_it_follows(self) -> None:
        rig, job = Rig(), RigJob()
        rig.supervisor.zones = [map_zone("zon_a", standby=True)]
        rig.hear(zone_beat("zon_a"))
        pauses = iter(range(1_000))

        def it_comes() -> None:
            if next(pauses) == 8:
                rig.hear(zone_beat("zon_a", 1, pid=2, role="following", standby=True))

        rig.on_pause = it_comes
        await rig.act("zones.standby", job, zone="zon_a", on=True)
        assert rig.supervisor.begun == [("standby", ["zon_a", "on"])]
        assert job.said[-1] == "wait until it follows"
        assert rig.beats.knows("zone/zon_a/1")

    async def test_it_does_not_come(self) -> None:
        rig = Rig()
        rig.supervisor.zones = [map_zone("zon_a", standby=True)]
        with pytest.raises(Ours, match="no standby follows zon_a"):
            await rig.act("zones.standby", zone="zon_a", on=True)

    async def test_off_and_it_cannot_be_cancelled(self) -> None:
        rig = Rig()
        await rig.act("zones.standby", zone="zon_a", on=False)
        assert rig.supervisor.begun == [("standby", ["zon_a", "off"])]
        preview = await rig.plan("zones.standby", zone="zon_a", on=False)
        assert preview.warnings
        with pytest.raises(AssertionError):
            await rig.cancel("zones.standby", "job_1", zone="zon_a", on=False)


async def test_unknown_zone_is_the_supervisor_s_word() -> None:
    rig = Rig()
    rig.supervisor.refusal = NotFound("no_such_zone", "no zone 'zon_x' is there")
    with pytest.raises(NotFound, match="zon_x"):
        await rig.plan("zones.split", zone="zon_x")
