"""Jobs while their store is away, and when another console has taken one over (serve_apps/console/jobs.py)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
from pydantic import SecretStr

from cluster.adapters.memory.jobs import MemoryJobs
from cluster.errors import InvalidInput, InvalidState, NotFound, Unauthorized, Unavailable
from cluster.operations.desk import Desk
from cluster.operations.model import Action, Job, Operator, Params, Preview, Registry, Result, Role
from cluster.ports.jobs import MOST_RUNS, JobRecord
from serve_apps.console import jobs as module
from serve_apps.console.jobs import Jobs
from tests.unit.cluster.operations.world_rig import ADA, Rig

VIEWER = Operator("operator:eve", Role.VIEWER, "console")


class Name(Params):
    name: str


class Secret(Result):
    name: str
    token: SecretStr


class Store(MemoryJobs):
    """`away`: so many of the next calls fail."""

    def __init__(self) -> None:
        super().__init__(lambda: self.now)
        self.now, self.away, self.owner = 0.0, 0, ""
        self.stale: JobRecord | None = None  # what a reader still sees

    async def get(self, job_id: str) -> JobRecord | None:
        return self.stale or await super().get(job_id)

    async def save(self, job: JobRecord, owner: str, keep: int) -> bool:
        self._fail()
        return await super().save(job, owner, keep)

    async def cancelling(self, job_id: str) -> bool:
        self._fail()
        return await super().cancelling(job_id)

    def _fail(self) -> None:
        if self.away > 0:
            self.away -= 1
            raise Unavailable("redis")


class Scene:
    def __init__(self) -> None:
        self.rig, self.store = Rig(jobs=10), Store()
        self.opened, self.ended = asyncio.Event(), 0
        registry = Registry()
        registry.add(Action("a.b", "Do it", Name, Secret, self.plan, self.run, lambda p: p.name, "a b"))
        self.jobs = Jobs(self.rig.desk, registry, self.store, lease_s=0.09, poll_s=0.01)

    async def plan(self, _: Desk, __: Name) -> Preview:
        return Preview(())

    async def run(self, _: Desk, params: Name, job: Job) -> Secret:
        try:
            await job.tell("one", 0.5)
            await self.opened.wait()
            await job.tell("two", 0.2)
        finally:
            self.ended += 1
        return Secret(name=params.name, token=SecretStr("rrin.it"))

    async def until(self, job_id: str, state: str) -> JobRecord:
        async with asyncio.timeout(5.0):
            while True:
                found = await self.store.get(job_id)
                if found is not None and found.state == state:
                    return found
                await asyncio.sleep(0.005)


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    made = Scene()
    made.jobs.start()
    yield made
    await made.jobs.stop()


async def test_a_store_that_is_away_for_a_while_costs_nothing(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FIRST_PAUSE_S", 0.001)
    scene.store.away = 3
    scene.opened.set()
    job = await scene.jobs.order(ADA, "a.b", {"name": "x"})
    done = await scene.until(job.id, "done")
    assert [step.text for step in done.steps] == ["one", "two"]
    assert done.done == 1.0


async def test_secrets_are_for_who_ordered_it_and_in_no_record(scene: Scene) -> None:
    scene.opened.set()
    job = await scene.until((await scene.jobs.order(ADA, "a.b", {"name": "x"})).id, "done")
    assert job.result == {"name": "x", "token": "**********"}
    assert scene.jobs.result(job, ADA) == {"name": "x", "token": "rrin.it"}
    assert scene.jobs.result(job, VIEWER) == job.result
    assert scene.jobs.secrets(job) == ["token"], "so that no page shows it by the way"
    token_of_hers = replace(ADA, role=Role.VIEWER, via="api")
    assert scene.jobs.result(job, token_of_hers) == job.result, "a token of a lower role reads no admin's secrets"


async def test_one_that_is_begun_while_it_is_cancelled_is_not_cut_short(scene: Scene) -> None:
    """What cannot be cancelled is carried out whole, even if it waited when the operator looked."""
    job = await scene.jobs.order(ADA, "a.b", {"name": "x"})
    await scene.until(job.id, "running")
    scene.store.stale = job
    with pytest.raises(InvalidState, match="cannot be cancelled"):
        await scene.jobs.cancel(ADA, job.id)
    scene.store.stale = None
    assert not await scene.store.cancelling(job.id)
    scene.opened.set()
    await scene.until(job.id, "done")


async def test_one_that_ends_every_console_is_given_up(scene: Scene) -> None:
    job = await scene.jobs.order(ADA, "a.b", {"name": "x"})
    running = await scene.until(job.id, "running")
    await scene.store.add(replace(running, id="job_1", state="planned", runs=MOST_RUNS))
    ended = await scene.until("job_1", "failed")
    assert f"begun {MOST_RUNS} times" in ended.error


async def test_who_lost_the_lease_ends_and_writes_nothing(scene: Scene) -> None:
    job = await scene.jobs.order(ADA, "a.b", {"name": "x"})
    await scene.until(job.id, "running")
    scene.store.now += 3_600.0
    taken = await scene.store.claim("another console", 3_600.0)
    assert taken is not None
    async with asyncio.timeout(5.0):
        while scene.ended == 0:  # noqa: ASYNC110
            await asyncio.sleep(0.005)
    kept = await scene.store.get(job.id)
    assert kept is not None
    assert (kept.state, kept.runs) == ("running", 2)
    assert await scene.store.save(replace(kept, state="done"), "another console", 10)


async def test_what_another_version_ordered_fails(scene: Scene) -> None:
    job = await scene.jobs.order(ADA, "a.b", {"name": "x"})
    await scene.until(job.id, "running")
    for wrong in (replace(job, id="job_1", operation="no.such"), replace(job, id="job_2", params={"other": 1})):
        await scene.store.add(wrong)
        ended = await scene.until(wrong.id, "failed")
        assert ended.error
        assert scene.jobs.target(ended) == ""


@pytest.mark.parametrize(
    ("operator", "name", "given", "error"),
    [
        (VIEWER, "a.b", {"name": "x"}, Unauthorized),
        (ADA, "a.b", {}, InvalidInput),
        (ADA, "a.c", {}, NotFound),
    ],
)
async def test_what_is_not_ordered(
    scene: Scene, operator: Operator, name: str, given: dict[str, Any], error: type[Exception]
) -> None:
    with pytest.raises(error):
        await scene.jobs.order(operator, name, given)
    assert await scene.store.newest(0, 10) == (0, [])


async def test_what_became_of_jobs_is_counted(scene: Scene) -> None:
    job = await scene.jobs.order(ADA, "a.b", {"name": "x"})
    await scene.until(job.id, "running")
    assert (scene.jobs.begun, scene.jobs.running) == (1, 1)
    scene.opened.set()
    await scene.until(job.id, "done")
    async with asyncio.timeout(5.0):
        while scene.jobs.running:  # noqa: ASYNC110 - its task ends by itself
            await asyncio.sleep(0.005)
    assert (scene.jobs.begun, dict(scene.jobs.ended)) == (
        1,
        {"done": 1, "failed": 0, "cancelled": 0, "lost": 0, "not_kept": 0},
    )
