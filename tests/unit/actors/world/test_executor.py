"""Plans carried out, and the supervisor killed at every single thing that it does: the world always ends the same."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from actors.world import growing, planning
from actors.world.executor import STEP_DEADLINE_S, Executor
from actors.world.plans import Plan
from actors.world.record import Progress, WorldRecord
from cluster.errors import Fenced
from cluster.operator_settings import ZoneTemplate
from cluster.worldmap import WorldMap
from tests.unit.actors.world.lands import EAST, HEAD, NODES, WEST, A, Actor, B, C, Killed, Lands, crowd, row, seen, zone

WORLD = row(A, B, C)
CROWD = crowd(1, 90, 0.0, 300.0)
KINDS = ("split", "merge", "move", "restart", "move with a standby", "add", "remove", "standby")
EMPTY = "zon_empty"


def plan_of(kind: str) -> Plan:
    if kind == "split":
        return planning.split(WORLD, A, crowd(2, 60, 0, 100), plan_id="pln_1", new_id="zon_new", min_side=20, node=WEST)
    if kind == "merge":
        return planning.merge(WORLD, A, B, plan_id="pln_1", spawn_zone=A, populations={A: 30, B: 30}, capacity=100)
    if kind == "add":
        return growing.add(WORLD, ZoneTemplate(), "meadow", A, "north", plan_id="pln_1", new_id="zon_new", node=WEST)
    if kind == "remove":
        return growing.remove(world_of(kind), EMPTY, plan_id="pln_1", seen=seen(EMPTY))
    if kind == "standby":
        return growing.standby(WORLD, A, True, plan_id="pln_1")
    if kind == "restart":
        return planning.restart(WORLD, A, plan_id="pln_1", seen=seen(A))
    return planning.move(WORLD, A, WEST, plan_id="pln_1", nodes=NODES, seen=seen(A))


def world_of(kind: str) -> WorldMap:
    """With a zone where nobody is, if one is to be removed."""
    added = zone(EMPTY, 0, 100, 200, 300, template="meadow")
    return WorldMap(WORLD.version, (*WORLD.zones, added)) if kind == "remove" else WORLD


def lands_of(kind: str) -> Lands:
    lands = Lands.of(world_of(kind), CROWD, standbys="with a standby" in kind)
    lands.store = WorldRecord(world_of(kind), Progress(plan_of(kind))).dump()
    return lands


def executor(lands: Lands) -> Executor:
    return Executor(
        lands.record(), lands, margin=60.0, pause=lands.pause, clock=lambda: lands.at, now=lambda: 5.0, seed=1
    )


def ending(lands: Lands) -> tuple[object, ...]:
    """What must be the same however often the supervisor was killed."""
    record = lands.record()
    roles = {name: (actor.role, actor.node) for name, actor in lands.actors.items()}
    stray = {zone_id: lands.strays(zone_id) for zone_id in lands.maps}
    versions = {zone_id: world.version for zone_id, world in lands.maps.items() if zone_id in {A, B, "zon_new"}}
    return (record, roles, {z: lands.owners[z] for z, _ in lands.actors}, lands.population(), stray, versions)


async def undisturbed(kind: str) -> Lands:
    lands = lands_of(kind)
    await executor(lands).run()
    return lands


class TestWhatPlansDo:
    async def test_split(self) -> None:
        lands = await undisturbed("split")
        record = lands.record()
        assert record.progress is None
        assert record.last is not None
        assert (record.last.outcome, record.last.at) == ("done", 5.0)
        assert record.map.version == WORLD.version + 1
        assert lands.actors["zon_new", 0] == Actor(WEST, "owner")
        assert lands.population()["zon_new"] > 0
        assert sum(lands.population().values()) == 90
        assert not any(lands.strays(zone_id) for zone_id in lands.maps)

    async def test_merge(self) -> None:
        lands = await undisturbed("merge")
        record = lands.record()
        assert [zone.id for zone in record.map] == [A, C]
        assert record.map.version == WORLD.version + 2
        assert set(lands.actors) == {(A, 0), (C, 0)}
        assert lands.discarded == {B}
        assert sum(lands.population().values()) == 90

    @pytest.mark.parametrize(("kind", "node"), [("move", WEST), ("move with a standby", WEST), ("restart", EAST)])
    async def test_move_and_restart(self, kind: str, node: str) -> None:
        lands = await undisturbed(kind)
        assert lands.owners[A] == 1
        assert lands.actors[A, 1] == Actor(node, "owner")
        assert (A, 0) not in lands.actors
        assert lands.population()[A] == sum(x < 100 for x, _ in CROWD.tolist())

    async def test_add(self) -> None:
        lands = await undisturbed("add")
        record = lands.record()
        new = record.map.find("zon_new")
        assert new is not None
        assert (new.bounds.min_x, new.bounds.min_z, new.template) == (0.0, 100.0, "meadow")
        assert lands.actors["zon_new", 0] == Actor(WEST, "owner")
        assert {zone_id for zone_id, world in lands.maps.items() if world.version == record.map.version} >= {
            A,
            "zon_new",
        }
        assert sum(lands.population().values()) == 90

    async def test_remove(self) -> None:
        lands = await undisturbed("remove")
        assert [known.id for known in lands.record().map] == [A, B, C]
        assert EMPTY in lands.discarded
        assert set(lands.actors) == {(A, 0), (B, 0), (C, 0)}

    async def test_standby(self) -> None:
        lands = await undisturbed("standby")
        zone_a = lands.record().map.find(A)
        assert zone_a is not None
        assert (zone_a.standby, zone_a.ordered) == (True, True)

    async def test_neighbours_are_told_and_the_others_are_not(self) -> None:
        lands = Lands.of(row(A, B, C, "zon_d"), CROWD)
        world = row(A, B, C, "zon_d")
        plan = planning.split(world, A, CROWD[:9], plan_id="pln_1", new_id="zon_new", min_side=20)
        lands.store = WorldRecord(world, Progress(plan)).dump()
        await executor(lands).run()
        assert [what for what in lands.done if what.startswith("remap")] == [f"remap {z}" for z in (A, B, "zon_new")]


UNDISTURBED = {kind: asyncio.run(undisturbed(kind)) for kind in KINDS}
# Every thing that any plan's supervisor does, before and after its effect.
KILLS = [
    (kind, n, after) for kind in KINDS for n in range(1, len(UNDISTURBED[kind].done) + 1) for after in (False, True)
]


@pytest.mark.parametrize(("kind", "number", "after"), KILLS)
async def test_a_supervisor_killed_at_any_moment_goes_on(kind: str, number: int, after: bool) -> None:
    lands = lands_of(kind)
    lands.kill = (number, after)
    killed = False
    while lands.record().progress is not None:
        try:
            await executor(lands).run()
        except Killed:
            killed = True
            for _ in range(3):
                lands.tick()  # the zones play on meanwhile
    reads = ("info", "owner")
    assert killed or (after and lands.done[number - 1].startswith(reads)), "the kill did not happen"
    assert ending(lands) == ending(UNDISTURBED[kind])


@pytest.mark.parametrize("kind", KINDS)
async def test_killed_again_and_again(kind: str) -> None:
    lands = lands_of(kind)
    steps = 0
    while lands.record().progress is not None and steps < 1_000:
        steps += 1
        lands.kill = (len(lands.done) + 5, True)  # it never does more than five things
        try:
            await executor(lands).run()
        except Killed:
            lands.tick()
    assert ending(lands) == ending(UNDISTURBED[kind])


class TestNoWayForward:
    @pytest.mark.parametrize("broken", ["start", "info"])
    @pytest.mark.parametrize("kind", ["split", "move", "restart", "add"])
    async def test_before_the_map_changes_it_is_rolled_back(self, kind: str, broken: str) -> None:
        lands = lands_of(kind)
        before = ending(lands)
        lands.broken = {broken}
        record = await executor(lands).run()
        assert record.last is not None
        assert record.last.outcome == "rolled back"
        assert "not within 60 s" in record.last.why
        assert STEP_DEADLINE_S < lands.at < STEP_DEADLINE_S + 2
        assert record.map == WORLD
        assert ending(lands)[1:] == before[1:]

    @pytest.mark.parametrize("after", [False, True])
    @pytest.mark.parametrize("number", range(8))
    async def test_a_supervisor_killed_while_it_rolls_back(self, number: int, after: bool) -> None:
        whole = lands_of("split")
        whole.broken = {"info"}
        await executor(whole).run()
        lands = lands_of("split")
        lands.broken = {"info"}
        before = ending(lands)
        lands.kill = (len(whole.done) - number, after)  # the last things that it does
        with pytest.raises(Killed):
            await executor(lands).run()
        await executor(lands).run()
        assert lands.record().last is not None
        assert ending(lands)[1:] == before[1:]

    @pytest.mark.parametrize("broken", ["remap", "info", "promote", "stop", "retire", "save"])
    @pytest.mark.parametrize("kind", KINDS)
    async def test_after_it_has_changed_there_is_no_way_back(self, kind: str, broken: str) -> None:
        lands = lands_of(kind)
        pause = lands.pause

        async def repaired_after_an_hour(seconds: float) -> None:
            await pause(seconds)
            if lands.record().map.version > WORLD.version and lands.at < 3_600:
                lands.broken = {broken}
            if lands.at > 3_600:
                lands.broken = set()

        running = executor(lands)
        running._pause = repaired_after_an_hour
        lands.at = 1.0
        record = await running.run()
        assert record.last is not None
        assert record.last.outcome == "done"
        assert ending(lands) == ending(UNDISTURBED[kind])

    async def test_an_actor_that_comes_to_run_elsewhere(self) -> None:
        lands = lands_of("move")
        lands.where = {WEST: HEAD}
        record = await executor(lands).run()
        assert record.last is not None
        assert record.last.outcome == "rolled back"
        assert HEAD in record.last.why
        assert set(lands.actors) == {(A, 0), (B, 0), (C, 0)}

    async def test_the_owner_dies_while_the_other_one_starts(self) -> None:
        """The follower took over: it must not be ended, neither by the plan nor by its undoing."""
        lands = lands_of("move")
        pause = lands.pause

        async def dies(seconds: float) -> None:
            await pause(seconds)
            if (A, 1) in lands.actors:
                lands.owners[A], lands.actors[A, 0].role, lands.actors[A, 1].role = 1, "following", "owner"

        running = executor(lands)
        running._pause = dies
        record = await running.run()
        assert record.last is not None
        assert (record.last.outcome, record.last.why) == ("rolled back", "the owner has changed meanwhile")
        assert lands.actors[A, 1].role == "owner"

    async def test_a_standby_that_took_over_before_it_was_dismissed(self) -> None:
        lands = lands_of("move with a standby")
        lands.owners[A] = 1
        record = await executor(lands).run()
        assert record.last is not None
        assert record.last.outcome == "rolled back"
        assert (A, 1) in lands.actors

    async def test_the_old_one_takes_it_back_before_it_is_dismissed(self) -> None:
        lands = lands_of("move")
        takes = iter([True])
        owner = lands.owner

        async def owner_changes(zone_id: str) -> int:
            progress = lands.record().progress
            if progress is not None and progress.done == 6 and next(takes, False):
                lands.owners[A], lands.actors[A, 0].role, lands.actors[A, 1].role = 0, "owner", "following"
            return await owner(zone_id)

        lands.owner = owner_changes  # type: ignore[method-assign]
        await executor(lands).run()
        assert lands.owners[A] == 1
        assert set(lands.actors) == {(A, 1), (B, 0), (C, 0)}


async def test_a_supervisor_that_was_replaced_stops() -> None:
    lands = lands_of("split")
    old = executor(lands)
    lands.epoch = 2
    old._hands = replace_epoch(lands, 1)
    with pytest.raises(Fenced):
        await old.run()
    assert lands.record().progress is not None


def replace_epoch(lands: Lands, epoch: int) -> Lands:
    old = replace(lands)
    old.save = lambda record: lands.save_as(epoch, record)  # type: ignore[method-assign]
    return old


async def test_a_step_with_a_bug_is_rolled_back_and_told() -> None:
    lands = lands_of("split")

    async def bug(zone_id: str, slot: int, node: str) -> None:
        raise ZeroDivisionError("oh")

    lands.start = bug  # type: ignore[method-assign]
    record = await executor(lands).run()
    assert record.last is not None
    assert (record.last.outcome, record.last.why) == ("rolled back", "ZeroDivisionError: oh")


class TestCancelling:
    @pytest.mark.parametrize("kind", ["split", "move", "restart", "move with a standby", "add", "remove"])
    async def test_before_the_map_changes_all_is_as_it_was(self, kind: str) -> None:
        lands = lands_of(kind)
        before = ending(lands)
        running = executor(lands)
        commit = next(n for n, step in enumerate(plan_of(kind).steps) if step.name == "commit")
        done_before: list[int] = []

        save = lands.save

        async def cancel_at_the_last_moment(record: WorldRecord) -> None:
            await save(record)
            if record.progress is not None and record.progress.done == commit and not done_before:
                done_before.append(commit)
                assert running.cancel("pln_1", "because")

        lands.save = cancel_at_the_last_moment  # type: ignore[method-assign]
        record = await running.run()
        assert done_before
        assert record.last is not None
        assert (record.last.outcome, record.last.why) == ("rolled back", "because")
        for _ in range(3):
            lands.tick()
        after = ending(lands)
        if kind == "move with a standby":  # the old standby has ended; the supervisor makes it again
            assert lands.owners[A] == 0
        else:
            assert after[1:2] == before[1:2]
        assert record.map.version == WORLD.version
        assert after[3] == before[3]

    async def test_one_that_waits_for_an_actor_ends_at_once(self) -> None:
        lands = lands_of("split")
        lands.broken = {"info"}
        running = executor(lands)
        pause = lands.pause

        async def cancelled(seconds: float) -> None:
            await pause(seconds)
            assert running.cancel("pln_1", "because")

        running._pause = cancelled
        record = await running.run()
        assert record.last is not None
        assert record.last.why == "because"
        assert lands.at < 3.0
        assert ("zon_new", 0) not in lands.actors

    @pytest.mark.parametrize("kind", KINDS)
    async def test_once_the_commit_has_begun_it_goes_on(self, kind: str) -> None:
        lands = lands_of(kind)
        running = executor(lands)
        save, answers = lands.save, []

        async def cancel_at_the_commit(record: WorldRecord) -> None:
            if record.map.version > WORLD.version:
                answers.append(running.cancel("pln_1", "because"))
            await save(record)

        lands.save = cancel_at_the_commit  # type: ignore[method-assign]
        record = await running.run()
        assert not any(answers)
        assert answers
        assert record.last is not None
        assert record.last.outcome == "done"
        assert ending(lands) == ending(UNDISTURBED[kind])

    async def test_another_plan_is_not_meant(self) -> None:
        lands = lands_of("split")
        running = executor(lands)
        assert running.cancel("pln_2", "because")
        record = await running.run()
        assert record.last is not None
        assert record.last.outcome == "done"
