"""What every adapter of the port to jobs does (cluster/ports/jobs.py)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest
from pydantic import SecretStr
from redis.asyncio import Redis

from cluster.adapters.memory.jobs import MemoryJobs
from cluster.adapters.redis.connection import connect
from cluster.adapters.redis.jobs import RedisJobs
from cluster.errors import RateLimited, Unavailable
from cluster.ports.jobs import LONGEST_STEP, MOST_OPEN, MOST_STEPS, JobRecord, JobStep, JobStore
from cluster.settings import RedisSettings
from tests.servers import free_port

KEEP = 3


@dataclass
class Rig:
    """`lapse` ends all leases."""

    store: JobStore
    lapse: Callable[[], Awaitable[None]]


@pytest.fixture
async def client(valkey_url: str) -> AsyncIterator[Redis]:
    client = connect(RedisSettings(url=SecretStr(valkey_url)), "contract")
    yield client
    await client.aclose()


@pytest.fixture(params=["memory", "redis"])
def rig(request: pytest.FixtureRequest, namespace: str) -> Rig:
    if request.param == "memory":
        now = [1_000.0]

        async def later() -> None:
            now[0] += 3_600.0

        return Rig(MemoryJobs(lambda: now[0]), later)
    client: Redis = request.getfixturevalue("client")

    async def lapse() -> None:
        for member in await client.zrange(f"{namespace}:jobs-open", 0, -1):
            await client.zadd(f"{namespace}:jobs-open", {member: 1})  # type: ignore[type-var]

    return Rig(RedisJobs(client, namespace), lapse)


def job(number: int = 1, **more: Any) -> JobRecord:
    made = JobRecord(
        id=f"job_{number:016x}",
        operation="zones.split",
        params={"zone": "meadow", "deep": {"list": [1, 2.5, None]}},
        operator="operator:ada",
        role=2,
        via="console",
        address="203.0.113.7",
        created_at=1_700_000_000.25 + number,
    )
    return replace(made, **more)


async def claimed(rig: Rig, owner: str = "one") -> JobRecord:
    found = await rig.store.claim(owner, 60.0)
    assert found is not None
    return found


class TestOrdered:
    async def test_nothing(self, rig: Rig) -> None:
        assert await rig.store.get("job_1") is None
        assert await rig.store.newest(0, 10) == (0, [])
        assert await rig.store.claim("one", 60.0) is None
        assert await rig.store.cancel("job_1", 1.0) is None
        assert not await rig.store.cancelling("job_1")

    async def test_it_is_there_as_it_was_given(self, rig: Rig) -> None:
        await rig.store.add(job())
        assert await rig.store.get(job().id) == job()
        assert await rig.store.newest(0, 10) == (1, [job()])

    async def test_the_newest_first_and_in_pages(self, rig: Rig) -> None:
        for number in range(5):
            await rig.store.add(job(number))
        total, page = await rig.store.newest(1, 2)
        assert (total, [each.id for each in page]) == (5, [job(3).id, job(2).id])
        assert (await rig.store.newest(9, 2)) == (5, [])
        assert (await rig.store.newest(0, 0)) == (5, [])

    async def test_the_same_again_is_fine(self, rig: Rig) -> None:
        await rig.store.add(job())
        await claimed(rig)
        await rig.store.add(job())
        assert (await rig.store.newest(0, 10))[0] == 1
        assert await rig.store.claim("two", 60.0) is None

    async def test_so_many_are_open_and_no_more(self, rig: Rig) -> None:
        for number in range(MOST_OPEN):
            await rig.store.add(job(number))
        with pytest.raises(RateLimited, match="too many jobs"):
            await rig.store.add(job(MOST_OPEN))
        first = await claimed(rig)
        assert await rig.store.save(replace(first, state="done"), "one", MOST_OPEN)
        await rig.store.add(job(MOST_OPEN))


class TestCarriedOut:
    async def test_the_oldest_goes_first(self, rig: Rig) -> None:
        for number in (3, 1, 2):
            await rig.store.add(job(number))
        assert [(await claimed(rig)).id for _ in range(3)] == [job(n).id for n in (3, 1, 2)]
        assert await rig.store.claim("one", 60.0) is None

    async def test_one_has_it_and_no_other(self, rig: Rig) -> None:
        await rig.store.add(job())
        found = await asyncio.gather(*(rig.store.claim(f"console-{n}", 60.0) for n in range(10)))
        assert len([each for each in found if each is not None]) == 1

    async def test_it_runs(self, rig: Rig) -> None:
        await rig.store.add(job())
        found = await claimed(rig)
        assert (found.state, found.runs) == ("running", 1)
        assert await rig.store.get(found.id) == found

    async def test_what_it_tells_is_kept(self, rig: Rig) -> None:
        await rig.store.add(job())
        said = replace(await claimed(rig), steps=(JobStep(1.5, "one – ä"), JobStep(2.5, "two")), done=0.5)
        assert await rig.store.save(said, "one", KEEP)
        assert await rig.store.get(said.id) == said

    async def test_steps_are_bounded(self, rig: Rig) -> None:
        await rig.store.add(job())
        steps = tuple(JobStep(float(n), str(n) * 400) for n in range(MOST_STEPS + 10))
        await rig.store.save(replace(await claimed(rig), steps=steps), "one", KEEP)
        kept = await rig.store.get(job().id)
        assert kept is not None
        assert len(kept.steps) == MOST_STEPS
        assert kept.steps[-1].at == MOST_STEPS + 9
        assert max(len(step.text) for step in kept.steps) <= LONGEST_STEP

    async def test_it_ends(self, rig: Rig) -> None:
        await rig.store.add(job())
        ended = replace(
            await claimed(rig), state="done", done=1.0, result={"outcome": "split", "zones": ["a", "b"]}, ended_at=9.5
        )
        assert await rig.store.save(ended, "one", KEEP)
        assert await rig.store.get(ended.id) == ended
        await rig.lapse()
        assert await rig.store.claim("two", 60.0) is None
        assert not await rig.store.renew(ended.id, "one", 60.0)
        assert not await rig.store.save(replace(ended, state="failed"), "one", KEEP), "it has ended"

    async def test_of_those_that_have_ended_the_newest_are_remembered(self, rig: Rig) -> None:
        for number in range(KEEP + 4):
            await rig.store.add(job(number))
        open_one = await claimed(rig)
        for _ in range(KEEP + 2):
            await rig.store.save(replace(await claimed(rig), state="failed", error="no"), "one", KEEP)
        total, found = await rig.store.newest(0, 50)
        assert total == len(found) == KEEP + 2
        assert [each.state for each in found] == ["planned", *["failed"] * KEEP, "running"]
        assert found[-1].id == open_one.id, "one that is open is never forgotten"
        assert await rig.store.get(job(1).id) is None


class TestLeases:
    async def test_whoever_is_silent_loses_it(self, rig: Rig) -> None:
        await rig.store.add(job())
        first = await claimed(rig)
        await rig.lapse()
        assert await rig.store.renew(first.id, "one", 60.0), "nobody else has it"
        await rig.lapse()
        second = await claimed(rig, "two")
        assert (second.id, second.state, second.runs) == (first.id, "running", 2)
        assert not await rig.store.renew(first.id, "one", 60.0)
        assert not await rig.store.save(replace(first, state="done"), "one", KEEP)
        assert await rig.store.save(replace(second, done=0.5), "two", KEEP)

    async def test_it_is_renewed(self, rig: Rig) -> None:
        await rig.store.add(job())
        found = await claimed(rig)
        await rig.lapse()
        assert await rig.store.renew(found.id, "one", 60.0)
        assert await rig.store.claim("two", 60.0) is None

    async def test_who_goes_on_knows_what_was_told(self, rig: Rig) -> None:
        await rig.store.add(job())
        said = replace(await claimed(rig), steps=(JobStep(1.0, "begun"),), done=0.25)
        await rig.store.save(said, "one", KEEP)
        await rig.lapse()
        assert (await claimed(rig, "two")) == replace(said, runs=2)


class TestCancelled:
    async def test_before_it_was_begun_it_has_ended(self, rig: Rig) -> None:
        await rig.store.add(job())
        cancelled = await rig.store.cancel(job().id, 7.5)
        assert cancelled is not None
        assert (cancelled.state, cancelled.ended_at) == ("cancelled", 7.5)
        assert await rig.store.get(job().id) == cancelled
        assert await rig.store.claim("one", 60.0) is None

    async def test_while_it_runs_it_is_asked_to_end(self, rig: Rig) -> None:
        await rig.store.add(job())
        found = await claimed(rig)
        asked = await rig.store.cancel(found.id, 7.5)
        assert asked is not None
        assert (asked.state, asked.cancelling, asked.ended_at) == ("running", True, 0.0)
        assert await rig.store.cancelling(found.id)
        await rig.store.save(replace(found, done=0.5), "one", KEEP)
        kept = await rig.store.get(found.id)
        assert kept is not None
        assert kept.cancelling, "what runs does not forget it"

    async def test_one_that_was_just_begun_goes_on_if_only_a_waiting_one_is_meant(self, rig: Rig) -> None:
        await rig.store.add(job())
        found = await claimed(rig)
        assert await rig.store.cancel(found.id, 7.5, running=False) == found
        assert not await rig.store.cancelling(found.id)
        await rig.store.add(job(2))
        waiting = await rig.store.cancel(job(2).id, 7.5, running=False)
        assert waiting is not None
        assert waiting.state == "cancelled"

    async def test_one_that_has_ended_stays_as_it_is(self, rig: Rig) -> None:
        await rig.store.add(job())
        ended = replace(await claimed(rig), state="done", ended_at=3.0)
        await rig.store.save(ended, "one", KEEP)
        assert await rig.store.cancel(job().id, 7.5) == ended


async def test_a_server_that_is_away(namespace: str) -> None:
    settings = RedisSettings(url=SecretStr(f"redis://127.0.0.1:{free_port()}/0"), timeout_s=0.2)
    client = connect(settings, "contract")
    store = RedisJobs(client, namespace)
    for call in (
        store.add(job()),
        store.get("x"),
        store.newest(0, 1),
        store.claim("one", 1.0),
        store.renew("x", "one", 1.0),
        store.save(job(), "one", KEEP),
        store.cancelling("x"),
        store.cancel("x", 1.0),
    ):
        with pytest.raises(Unavailable):
            await call
    await client.aclose()
