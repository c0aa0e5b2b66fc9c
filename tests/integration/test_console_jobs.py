"""Jobs of the console over real Valkey: progress, cancelling, and a console that dies in the middle of one (row 7.8)."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from cluster.adapters.redis.audit import RedisAuditLog
from cluster.errors import InvalidState
from cluster.operations.desk import Desk
from cluster.operations.model import Action, Job, Params, Preview, Registry, Result
from cluster.telemetry.scrape import collect_one
from tests.integration.console_rig import ConsoleRig, Visitor, console, console_rig
from tests.integration.identity_rig import eventually

LEASE_S = 0.6


class What(Params):
    name: str


class Built(Result):
    name: str
    runs: int


@dataclass
class Works:
    """Builds things in three steps, and waits before the second while `closed`."""

    opened: asyncio.Event = field(default_factory=asyncio.Event)
    began: list[str] = field(default_factory=list)
    built: list[str] = field(default_factory=list)
    at_once: int = 0
    most_at_once: int = 0
    stopped: set[str] = field(default_factory=set)

    async def plan(self, _: Desk, params: What) -> Preview:
        return Preview((f"{params.name} is built.",), ("It is slow.",))

    async def run(self, _: Desk, params: What, job: Job) -> Built:
        self.began.append(job.id)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            await job.tell("the ground", 0.3)
            while not self.opened.is_set():
                await asyncio.sleep(0.01)
                if job.id in self.stopped:
                    await job.tell("never told")
            if params.name == "broken":
                raise InvalidState("it_is_broken", "broken")
            if params.name == "bug":
                raise ZeroDivisionError
            await job.tell("the walls", 0.6)
            if params.name not in self.built:  # looks at what is true already
                self.built.append(params.name)
            return Built(name=params.name, runs=self.began.count(job.id))
        finally:
            self.at_once -= 1

    async def cancel(self, _: Desk, params: What, job_id: str) -> None:
        if params.name == "too late":
            raise InvalidState("too_late", "walls")
        self.stopped.add(job_id)

    def registry(self) -> Registry:
        made = Registry()
        action = Action("works.build", "Build it", What, Built, self.plan, self.run, lambda p: p.name, "works build")
        made.add(dataclasses.replace(action, cancel=self.cancel))
        made.add(dataclasses.replace(action, name="works.force"))  # which cannot be cancelled
        return made


@dataclass
class Scene:
    rig: ConsoleRig
    works: Works
    ada: Visitor

    async def order(self, name: str, action: str = "works.build") -> str:
        answer = await self.ada.post(f"actions/{action}", {"name": name})
        assert answer.status_code == 202, answer.text
        job_id: str = answer.json()["id"]
        return job_id

    async def job(self, job_id: str) -> dict[str, Any]:
        found: dict[str, Any] = (await self.ada.get(f"jobs/{job_id}")).json()
        return found

    async def until(self, job_id: str, state: str, ada: Visitor | None = None) -> dict[str, Any]:
        async def there() -> bool:
            return bool((await (ada or self.ada).get(f"jobs/{job_id}")).json()["state"] == state)

        await eventually(there, 15.0)
        return (await (ada or self.ada).get(f"jobs/{job_id}")).json()  # type: ignore[no-any-return]

    async def audit(self) -> list[tuple[str, str, str, str]]:
        runtime = self.rig.realm.gateway._runtime
        log = RedisAuditLog(runtime.redis, self.rig.realm.settings.namespace, 1_000)
        found = [each for each in await log.newest(100) if each.action.startswith("works.")]
        return [(each.actor, each.action, each.target, each.result) for each in found][::-1]


@pytest.fixture
async def scene(valkey_url: str, nats_url: str, nats_token: str) -> AsyncIterator[Scene]:
    works = Works()
    async with console_rig(valkey_url, nats_url, nats_token, operations=works.registry()) as rig:
        yield Scene(rig, works, await rig.operator("ada"))
        works.opened.set()


async def test_from_its_plan_to_its_result(scene: Scene) -> None:
    plan = (await scene.ada.post("actions/works.build/plan", {"name": "mill"})).json()
    assert plan == {
        "action": "works.build",
        "summary": "Build it",
        "target": "mill",
        "steps": ["mill is built."],
        "warnings": ["It is slow."],
        "dangerous": False,
        "cancellable": True,
    }
    assert scene.works.began == [], "a plan changes nothing"
    job_id = await scene.order("mill")
    running = await scene.until(job_id, "running")
    scene.works.opened.set()
    done = await scene.until(job_id, "done")
    assert running["cancellable"]
    assert [step["text"] for step in done["steps"]] == ["the ground", "the walls"]
    assert (done["result"], done["done"], done["error"]) == ({"name": "mill", "runs": 1}, 1.0, "")
    assert (done["operator"], done["target"], done["action"], done["cancellable"]) == (
        "ada",
        "mill",
        "works.build",
        False,
    )
    assert done["created_at"] <= done["ended_at"]
    listed = (await scene.ada.get("jobs")).json()
    assert listed == {"total": 1, "jobs": [done]}
    assert [entry[1:] for entry in await scene.audit()] == [
        ("works.build", "mill", "begun"),
        ("works.build", "mill", "done"),
    ]


@pytest.mark.parametrize(("name", "error"), [("broken", "it is broken"), ("bug", "something went wrong here (err_")])
async def test_it_fails(scene: Scene, name: str, error: str) -> None:
    scene.works.opened.set()
    job = await scene.until(await scene.order(name), "failed")
    assert job["error"].startswith(error)
    assert (await scene.audit())[-1] == ("operator:ada", "works.build", name, "failed")


async def test_cancelled_while_it_runs(scene: Scene) -> None:
    job_id = await scene.order("mill")
    await scene.until(job_id, "running")
    answer = await scene.ada.post(f"jobs/{job_id}/cancel")
    assert (answer.status_code, answer.json()["state"]) == (200, "cancelling")
    job = await scene.until(job_id, "cancelled")
    assert (job["result"], scene.works.built) == (None, [])
    assert [step["text"] for step in job["steps"]] == ["the ground"]
    assert (await scene.audit())[-1] == ("operator:ada", "works.build", "mill", "cancelled")
    again = await scene.ada.post(f"jobs/{job_id}/cancel")
    assert (again.status_code, again.json()["reason"], again.json()["state"]) == (409, "job_has_ended", "cancelled")


async def test_what_cannot_be_cancelled_is_not(scene: Scene) -> None:
    forced, late = await scene.order("mill", "works.force"), await scene.order("too late")
    for job_id, reason in ((forced, "job_cannot_be_cancelled"), (late, "too_late")):
        await scene.until(job_id, "running")
        answer = await scene.ada.post(f"jobs/{job_id}/cancel")
        assert (answer.status_code, answer.json()["reason"]) == (409, reason)
    scene.works.opened.set()
    for job_id in (forced, late):
        await scene.until(job_id, "done")


async def test_viewers_see_jobs_and_cancel_none(scene: Scene) -> None:
    eve = await scene.rig.operator("eve", "viewer")
    job_id = await scene.order("mill")
    assert (await eve.get(f"jobs/{job_id}")).status_code == 200
    answer = await eve.post(f"jobs/{job_id}/cancel")
    assert (answer.status_code, answer.json()["reason"]) == (403, "role_too_low")


async def test_so_many_at_once(scene: Scene) -> None:
    ordered = [await scene.order(f"mill {n}") for n in range(12)]
    await eventually(lambda: _true(scene.works.at_once == 8))
    waiting = (await scene.job(ordered[-1]))["state"]
    cancelled = (await scene.ada.post(f"jobs/{ordered[-1]}/cancel")).json()
    assert (waiting, cancelled["state"]) == ("waiting", "cancelled")
    scene.works.opened.set()
    for job_id in ordered[:-1]:
        await scene.until(job_id, "done")
    assert scene.works.most_at_once == 8
    assert len(scene.works.built) == 11


async def test_the_next_console_carries_on_what_a_dead_one_left(
    valkey_url: str, nats_url: str, nats_token: str, namespace: str
) -> None:
    works = Works()
    async with console_rig(valkey_url, nats_url, nats_token, namespace, works.registry()) as rig:
        scene = Scene(rig, works, await rig.operator("ada"))
        job_id = await scene.order("mill")
        await scene.until(job_id, "running")
        jobs = rig.app.state.deps.jobs
        for task in [jobs._looking, *jobs._running.values()]:  # as when the process is killed: nobody tells anybody
            task.cancel()
        await asyncio.gather(*jobs._running.values(), return_exceptions=True)
        assert (await scene.job(job_id))["state"] == "running"
        works.opened.set()
        async with console(rig.realm, works.registry(), lease_s=LEASE_S, poll_s=0.1):
            done = await scene.until(job_id, "done")
        assert works.began == [job_id, job_id], "from its start, under the same id"
        assert works.built == ["mill"]
        assert [step["text"] for step in done["steps"]] == [
            "the ground",
            "carried on by another console",
            "the ground",
            "the walls",
        ]
        assert done["result"] == {"name": "mill", "runs": 2}


async def test_two_consoles_carry_out_nothing_twice(
    valkey_url: str, nats_url: str, nats_token: str, namespace: str
) -> None:
    works = Works()
    works.opened.set()
    async with (
        console_rig(valkey_url, nats_url, nats_token, namespace, works.registry()) as rig,
        console(rig.realm, works.registry(), lease_s=LEASE_S, poll_s=0.05),
    ):
        scene = Scene(rig, works, await rig.operator("ada"))
        ordered = [await scene.order(f"mill {n}") for n in range(20)]
        for job_id in ordered:
            await scene.until(job_id, "done")
        assert sorted(works.began) == sorted(ordered)


async def _true(value: bool) -> bool:
    return value


async def test_the_console_tells_prometheus_what_it_does(scene: Scene) -> None:
    scene.works.opened.set()
    await scene.until(await scene.order("mill"), "done")
    await scene.until(await scene.order("broken"), "failed")
    assert (await scene.ada.get("nowhere")).status_code == 404
    runtime = scene.rig.realm.gateway._runtime
    page = (await collect_one(runtime.bus, runtime.subjects, "console")).decode()
    for line in (
        "rayrealm_console_jobs_begun_total 2.0",
        'rayrealm_console_jobs_ended_total{outcome="done"} 1.0',
        'rayrealm_console_jobs_ended_total{outcome="failed"} 1.0',
        "rayrealm_console_jobs_running 0.0",
        'rayrealm_console_requests_total{status="404"} 1.0',
        'rayrealm_console_requests_total{status="202"} 2.0',
    ):
        assert line in page.splitlines(), line
