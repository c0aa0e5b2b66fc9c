"""Operators' operations on the world, gateways and processes (row 7.8), over real sockets, Valkey and NATS. No Ray."""

from __future__ import annotations

import asyncio
import dataclasses
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from cluster.errors import Conflict, InvalidState, NotFound, Ours, Unauthorized
from cluster.operations import plans
from cluster.operations.conduct import Cancelled
from cluster.operator_settings import ConsoleSettings
from cluster.ports.actors import ANYWHERE, ActorKind, Place
from cluster.ports.calls import SUPERVISOR, zone_actor
from tests.integration.operations_rig import Operations, TestJob, operations
from tests.integration.test_crossing_local import Walker
from tests.local_realm import LocalActors, LocalRealm, local_realm

MEADOW = "zon_meadow"
GROUND = {"min_x": 0, "min_z": 0, "max_x": 200, "max_z": 200}
WORLD: dict[str, Any] = {
    "zones": [{"id": MEADOW, "name": "Meadow", "bounds": GROUND}],
    "spawn_zone": MEADOW,
    "policy": {"enabled": False},
}
DEADLINE_S = 20.0
PAUSE_S = 0.05


@pytest.fixture
async def realm(valkey_url: str, nats_url: str, nats_token: str, namespace: str) -> AsyncIterator[LocalRealm]:
    console = ConsoleSettings(chaos=True)
    telemetry = {"beat_s": 0.2}
    async with local_realm(
        valkey_url, nats_url, nats_token, namespace, world=WORLD, console=console, telemetry=telemetry
    ) as running:
        yield running


@pytest.fixture
async def desk(realm: LocalRealm) -> AsyncIterator[Operations]:
    async with operations(realm) as made:
        await until(lambda: knows(made, zone_actor(MEADOW)), "the zone was heard")
        yield made


async def knows(made: Operations, process: str) -> bool:
    return made.desk.beats.knows(process)


async def until(true: Callable[[], Awaitable[bool]], what: str) -> None:
    try:
        async with asyncio.timeout(DEADLINE_S):
            while not await true():  # noqa: ASYNC110 - of another process's state
                await asyncio.sleep(PAUSE_S)
    except TimeoutError:
        raise AssertionError(what) from None


async def zones(desk: Operations) -> dict[str, dict[str, Any]]:
    return {zone["zone"]: zone for zone in (await desk.look("world.map"))["zones"]}


class TestLooks:
    async def test_the_map_says_what_the_zones_say(self, realm: LocalRealm, desk: Operations) -> None:
        walker = await Walker.come(realm, "usr_ann", 10.0)  # and z = 100

        async def counted() -> bool:
            return bool((await zones(desk))[MEADOW]["population"] == 1)

        await until(counted, "she is counted")
        seen = await desk.look("world.map")
        (meadow,) = seen["zones"]
        assert (seen["version"], seen["plan"], seen["maintenance"], seen["draining"]) == (1, None, None, [])
        assert (meadow["bounds"], meadow["role"], meadow["epoch"], meadow["slot"]) == (GROUND, "owner", 1, 0)
        assert (meadow["restarts"], meadow["standby"], meadow["follows"], meadow["template"]) == (0, False, False, "")
        assert (await desk.look("world.heat"))["zones"] == {MEADOW: [[16 * 8, 1]]}
        await walker.leave()

    async def test_nobody_asks_the_zones(self, realm: LocalRealm, desk: Operations) -> None:
        """So that it costs the same with a thousand of them: the answer comes from beats and the supervisor's own record."""
        asked: list[str] = []
        call = realm.calls.call

        async def counting(actor: str, method: str, *args: Any, **named: Any) -> Any:
            task = asyncio.current_task()
            asked.append(f"{actor} {method} {task.get_name() if task else ''}")
            return await call(actor, method, *args, **named)

        realm.actors[SUPERVISOR]._crew.check = _nothing  # it asks them every two seconds
        await asyncio.sleep(0)
        realm.calls.call = counting  # type: ignore[method-assign]
        for name in ("world.map", "world.heat", "zones.list", "nodes.list", "processes.list", "gateways.list"):
            await desk.look(name)
        realm.calls.call = call  # type: ignore[method-assign]
        assert [said for said in asked if " positions " in said or "zone/" in said] == []

    async def test_one_zone_and_what_was_done_to_it(self, desk: Operations) -> None:
        await desk.act("zones.restart", zone=MEADOW)

        async def heard() -> bool:
            return bool((await zones(desk))[MEADOW]["slot"] == 1)

        await until(heard, "the other actor owns it")
        shown = await desk.look("zones.show", zone=MEADOW)
        assert shown["zone"]["restarts"] == 1
        assert {entry["action"] for entry in shown["audit"]} == {"zones.restart"}
        assert zone_actor(MEADOW, 1) in {process["name"] for process in shown["processes"]}
        with pytest.raises(NotFound):
            await desk.look("zones.show", zone="zon_x")

    async def test_zones_are_searched_and_paged(self, desk: Operations) -> None:
        await desk.act("zones.split", zone=MEADOW)
        everything = await desk.look("zones.list", sort="zone", descending=True)
        assert everything["total"] == 2
        first, last = (zone["zone"] for zone in everything["zones"])
        assert first > last
        page = await desk.look("zones.list", sort="zone", descending=True, offset=1, limit=1)
        assert (page["total"], [zone["zone"] for zone in page["zones"]]) == (2, [last])
        assert (await desk.look("zones.list", q="harbour"))["zones"] == []
        assert (await desk.look("zones.list", q="MEAD"))["total"] == 2

    async def test_gateways_and_processes(self, realm: LocalRealm, desk: Operations) -> None:
        async def heard() -> bool:
            return bool((await desk.look("gateways.list"))["gateways"])

        await until(heard, "the gateway was heard")
        (gateway,) = (await desk.look("gateways.list"))["gateways"]
        assert (gateway["sockets"], gateway["draining"], gateway["capacity"] > 0) == (0, False, True)
        kinds = {process["kind"] for process in (await desk.look("processes.list"))["processes"]}
        assert {"zone", "sessions", "presence", "supervisor", "gateway"} <= kinds
        only = (await desk.look("processes.list", kind="zone"))["processes"]
        assert [process["name"] for process in only] == [zone_actor(MEADOW)]


async def _nothing() -> None:
    return None


class TestPlans:
    async def test_split_and_merge(self, desk: Operations) -> None:
        preview = await desk.plan("zones.split", zone=MEADOW)
        assert "cut zon_meadow at" in preview.steps[0]
        job = TestJob()
        done = await desk.act("zones.split", job, zone=MEADOW)
        new = next(zone for zone in done["zones"] if zone != MEADOW)
        assert (done["outcome"], len(await zones(desk))) == ("done", 2)
        assert sum(step.startswith("done: ") for step in job.steps) >= 4
        await desk.act("zones.merge", zone=MEADOW, other=new)
        assert [zone["bounds"] for zone in (await zones(desk)).values()] == [GROUND]
        entries = await desk.audit("zones.split")
        assert [(entry.target, entry.result) for entry in entries] == [(MEADOW, "begun"), (MEADOW, "done")]

    async def test_a_job_that_is_run_again_does_its_work_once(self, desk: Operations) -> None:
        job_id = f"job_{secrets.token_hex(8)}"
        first = await desk.act("zones.split", TestJob(id=job_id), zone=MEADOW)
        new = next(zone for zone in first["zones"] if zone != MEADOW)
        await desk.act("zones.restart", zone=new)  # another plan has ended since
        again = await desk.act("zones.split", TestJob(id=job_id), zone=MEADOW)
        assert again == first
        assert len(await zones(desk)) == 2

    async def test_a_job_whose_process_died_is_gone_on_with(self, realm: LocalRealm, desk: Operations) -> None:
        with hung(realm) as go_on:
            job = TestJob()
            running = asyncio.create_task(desk.act("zones.split", job, zone=MEADOW))
            await until(lambda: told(job, "done: start"), "the new actor was ordered")
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            again = asyncio.create_task(desk.act("zones.split", TestJob(id=job.id), zone=MEADOW))
            go_on()
            assert (await again)["outcome"] == "done"
        assert len(await zones(desk)) == 2
        assert (await desk.look("zones.plan"))["map_version"] == 2

    async def test_what_is_refused(self, desk: Operations) -> None:
        for name, params, error in (
            ("zones.split", {"zone": "zon_x"}, NotFound),
            ("zones.merge", {"zone": MEADOW, "other": "zon_x"}, NotFound),
            ("zones.move", {"zone": MEADOW, "node": "nowhere"}, NotFound),
            ("zones.add", {"template": "castle", "beside": MEADOW, "side": "east"}, NotFound),
            ("zones.remove", {"zone": MEADOW}, Conflict),
            ("nodes.drain", {"node": "nowhere"}, NotFound),
        ):
            with pytest.raises(error):
                await desk.plan(name, **params)
            with pytest.raises(error):
                await desk.act(name, **params)
        assert (await desk.look("zones.plan"))["map_version"] == 1


class TestCancelling:
    async def test_before_the_map_changes(self, realm: LocalRealm, desk: Operations) -> None:
        with hung(realm):
            job = TestJob()
            running = asyncio.create_task(desk.act("zones.split", job, zone=MEADOW))
            await until(lambda: told(job, "done: start"), "the new actor was ordered")
            await plans.cancel(desk.desk, job.id)
            with pytest.raises(Cancelled):
                await running
        state = await desk.look("zones.plan")
        assert (state["plan"], state["map_version"], state["last"]["outcome"]) == (None, 1, "rolled back")
        assert [entry.result for entry in await desk.audit("zones.split")] == ["begun", "cancelled"]
        assert (await desk.act("zones.split", zone=MEADOW))["outcome"] == "done"

    async def test_a_supervisor_that_dies_forgets_it_and_is_told_again(
        self, realm: LocalRealm, desk: Operations
    ) -> None:
        with hung(realm):
            job = TestJob()
            running = asyncio.create_task(desk.act("zones.split", job, zone=MEADOW))
            await until(lambda: told(job, "done: start"), "the new actor was ordered")
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            await realm.kill(SUPERVISOR)
            await realm.supervise()
            with pytest.raises(Cancelled):  # as the console's next process would find it
                await desk.act("zones.split", TestJob(id=job.id, cancelled=True), zone=MEADOW)
        state = await desk.look("zones.plan")
        assert (state["plan"], state["map_version"], state["last"]["outcome"]) == (None, 1, "rolled back")

    async def test_afterwards_it_is_too_late(self, desk: Operations) -> None:
        job = TestJob()
        await desk.act("zones.split", job, zone=MEADOW)
        with pytest.raises(InvalidState):
            await plans.cancel(desk.desk, job.id)
        late = await desk.act("zones.split", TestJob(id=job.id, cancelled=True), zone=MEADOW)
        assert late["outcome"] == "done"
        await plans.cancel(desk.desk, "job_0000000000000000")  # one that never began


class TestZones:
    async def test_a_zone_is_added_walked_into_and_removed(self, realm: LocalRealm, desk: Operations) -> None:
        walker = await Walker.come(realm, "usr_ann", 198.0)
        done = await desk.act("zones.add", template="meadow", beside=MEADOW, side="east", name="East End")
        (new,) = done["zones"]
        added = (await zones(desk))[new]
        ground = {"min_x": 200, "min_z": 0, "max_x": 400, "max_z": 200}
        assert (added["name"], added["bounds"], added["template"]) == ("East End", ground, "meadow")
        with pytest.raises(Conflict, match=r"ground.is.taken"):
            await desk.act("zones.add", template="meadow", beside=MEADOW, side="east")
        await walker.walk_to(204.0)
        await walker.until(lambda: walker.zones[-1] == new)

        async def counted() -> bool:
            found = await zones(desk)
            return bool(found[new]["population"] == 1 and found[MEADOW]["population"] == 0)

        await until(counted, "she is counted there")
        assert (await zones(desk))[new]["admitted"] == 1
        with pytest.raises(Conflict, match=r"not.empty"):
            await desk.act("zones.remove", zone=new)
        await walker.walk_to(195.0)
        await walker.until(lambda: walker.zones[-1] == MEADOW)
        await desk.act("zones.remove", zone=new)
        assert (await zones(desk)).keys() == {MEADOW}
        assert not [name for name in realm.actors if new in name]
        sequence = await walker.move(walker.x - 0.3, 100.0)
        await walker.until(lambda: walker.ack >= sequence)  # and she plays on
        await walker.leave()

    async def test_an_addition_is_cancelled(self, realm: LocalRealm, desk: Operations) -> None:
        with hung(realm):
            job = TestJob()
            params = {"template": "meadow", "beside": MEADOW, "side": "north"}
            running = asyncio.create_task(desk.act("zones.add", job, **params))
            await until(lambda: told(job, "done: start"), "its actor was ordered")
            await plans.cancel(desk.desk, job.id)
            with pytest.raises(Cancelled):
                await running
        assert (await zones(desk)).keys() == {MEADOW}
        assert {name for name in realm.actors if name.startswith("zone/")} == {zone_actor(MEADOW)}

    async def test_a_standby_comes_stays_and_goes(self, realm: LocalRealm, desk: Operations) -> None:
        done = await desk.act("zones.standby", zone=MEADOW, on=True)
        assert done["zones"] == [MEADOW]
        assert (await zones(desk))[MEADOW]["follows"]
        await realm.kill(SUPERVISOR)
        await realm.supervise()  # the settings say that there is none
        assert (await zones(desk))[MEADOW]["standby"]
        with pytest.raises(Conflict):
            await desk.act("zones.standby", zone=MEADOW, on=True)
        await desk.act("zones.standby", zone=MEADOW, on=False)
        assert not (await zones(desk))[MEADOW]["follows"]
        assert zone_actor(MEADOW, 1) not in realm.actors


class TestKilling:
    async def test_a_process_dies_and_comes_back(self, realm: LocalRealm, desk: Operations) -> None:
        brave = Operations(dataclasses.replace(desk.desk, settings=ConsoleSettings(chaos=True)))
        killed = await brave.act("processes.kill", name="presence/0")
        assert killed["name"] == "presence/0"
        assert "presence/0" not in realm.actors

    async def test_not_without_chaos_and_nobody_who_is_not_there(self, desk: Operations) -> None:
        with pytest.raises(Unauthorized):
            await desk.act("processes.kill", name="presence/0")
        brave = Operations(dataclasses.replace(desk.desk, settings=ConsoleSettings(chaos=True)))
        with pytest.raises(NotFound):
            await brave.act("processes.kill", name="presence/7")


class TestGateways:
    async def test_the_last_one_keeps_its_clients_unless_it_is_forced(
        self, realm: LocalRealm, desk: Operations
    ) -> None:
        walker = await Walker.come(realm, "usr_ann", 100.0)

        async def counted() -> bool:
            found = (await desk.look("gateways.list"))["gateways"]
            return [gateway["sockets"] for gateway in found] == [1]

        await until(counted, "her socket is counted")
        (gateway,) = (await desk.look("gateways.list"))["gateways"]
        with pytest.raises(Conflict):
            await desk.act("gateways.drain", gateways=[gateway["gateway"]])
        with pytest.raises(NotFound):
            await desk.act("gateways.drain", gateways=["gtw_x"])
        done = await desk.act("gateways.drain", gateways=[gateway["gateway"]], force=True, deadline_s=1.0)
        (result,) = done["gateways"]
        assert (result["sockets"], result["left"]) == (1, 0)
        assert await walker.closed() == 1012

    async def test_scaling_needs_serve(self, desk: Operations) -> None:
        with pytest.raises(Ours):
            await desk.act("gateways.scale", count=2)


class hung:  # noqa: N801 - reads as what it does
    """Zones' actors that are ordered meanwhile do not come to be, until the function that it gives is called."""

    def __init__(self, realm: LocalRealm) -> None:
        self._realm = realm
        self._make = LocalActors.make

    def __enter__(self) -> Callable[[], None]:
        async def nothing(actors: LocalActors, kind: ActorKind, name: str, place: Place = ANYWHERE) -> None:
            if kind != "zone" or name in self._realm.actors:
                await self._make(actors, kind, name, place)

        setattr(LocalActors, "make", nothing)  # noqa: B010 - mypy takes no other method
        return self._restore

    def _restore(self) -> None:
        setattr(LocalActors, "make", self._make)  # noqa: B010

    def __exit__(self, *_: object) -> None:
        self._restore()


async def told(job: TestJob, beginning: str) -> bool:
    return any(step.startswith(beginning) for step in job.steps)
