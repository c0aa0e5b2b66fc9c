"""Commands and the policy, from what they ask for to the world that comes of it; and supervisors that are replaced in between."""

from __future__ import annotations

import pytest

from actors.world import telling
from actors.world.record import WorldRecord
from cluster.errors import Conflict, Fenced, InvalidInput, NotFound, Unavailable
from cluster.ports.actors import Place
from cluster.worldmap import WorldMap
from tests.unit.actors.world.lands import EAST, WEST, A, B, C
from tests.unit.actors.world.stage import SUBJECTS, FakeZone, Stage, opened, settings


class TestStart:
    async def test_the_first_one_writes_the_map_and_makes_the_zones(self) -> None:
        stage = await opened()
        stored, _ = await stage.world.load()
        assert WorldMap.load(stored) == WorldMap.declared(stage.settings)
        assert stage.names() == ["zone/zon_a", "zone/zon_b"]
        assert sorted(stage.crew.seen) == [A, B]
        await stage.crew.ready(1.0)

    async def test_the_next_one_finds_the_world_as_it_was_left(self) -> None:
        stage = await opened()
        assert await stage.do("split", A) == "done"
        now = stage.ledger.record.map
        stage.settings = settings(A, B, C)
        await stage.restart()
        assert [zone.id for zone in stage.ledger.record.map] == [*(zone.id for zone in now), C]
        assert stage.ledger.record.map.version == now.version + 1
        assert len(stage.names()) == 4
        stage.settings = settings(B, C)
        await stage.restart()  # nobody declares zon_a any more: it stays
        assert stage.ledger.record.map.find(A) is not None

    async def test_every_part_that_holds_the_map_is_told(self) -> None:
        stage = await opened()
        heard: list[bytes] = []
        await stage.bus.subscribe(SUBJECTS.world_map(), heard.append)
        await stage.do("split", A)
        stage.ledger.announce()
        await stage.bus.flush(1.0)
        versions = [WorldMap.load(data).version for data in heard]
        assert versions == sorted(versions)
        assert set(versions) == {1, 2}

    async def test_a_store_that_is_away(self) -> None:
        stage = await opened()

        async def away() -> tuple[bytes, bytes]:
            raise Unavailable("redis")

        stage.world.load = away  # type: ignore[method-assign]
        with pytest.raises(Unavailable):
            await stage.start()

    async def test_zones_that_do_not_start(self) -> None:
        stage = await opened()
        del stage.actors["zone/zon_b"]
        with pytest.raises(Unavailable, match="zone/zon_b"):
            await stage.crew.ready(-1.0)


class TestCommands:
    async def test_split_and_merge_again(self) -> None:
        stage = await opened()
        assert await stage.do("split", A) == "done"
        new = next(zone.id for zone in stage.ledger.record.map if zone.id not in (A, B))
        assert new == "zon_a_2"
        assert abs(len(stage.entities[A]) - len(stage.entities[new])) <= 1
        assert "zone/zon_a_2" in stage.names()
        await stage.crew.check()
        assert await stage.do("merge", A, new) == "done"
        assert [zone.bounds for zone in stage.ledger.record.map] == [zone.bounds for zone in stage.settings.zones]
        assert stage.names() == ["zone/zon_a", "zone/zon_b"]
        assert len(stage.entities[A]) == 40

    async def test_move_by_a_name_and_back(self) -> None:
        stage = await opened(nodes=True)
        there = stage.actors["zone/zon_a"].node
        target = WEST if there == EAST else EAST
        assert await stage.do("move", A, target[:8]) == "done"
        assert stage.names() == ["zone/zon_a/1", "zone/zon_b"]
        assert stage.actors["zone/zon_a/1"].node == target
        await stage.crew.check()
        assert stage.crew.seen[A].slot == 1
        assert await stage.do("move", A, "east" if there == EAST else "west") == "done"
        assert stage.names() == ["zone/zon_a", "zone/zon_b"]

    async def test_restart_stays_where_it_is(self) -> None:
        stage = await opened(nodes=True)
        before = stage.actors["zone/zon_a"]
        assert await stage.do("restart", A) == "done"
        assert stage.actors["zone/zon_a/1"].node == before.node
        assert "zone/zon_a" not in stage.actors

    async def test_a_standby_is_made_again_after_a_move(self) -> None:
        stage = await opened(A, nodes=True, standby=True)
        await stage.crew.check()
        assert stage.names() == ["zone/zon_a", "zone/zon_a/1"]
        nodes = {name: zone.node for name, zone in stage.actors.items()}
        assert set(nodes.values()) == {EAST, WEST}
        assert await stage.do("move", A, nodes["zone/zon_a/1"]) == "done"
        await stage.crew.check()
        await stage.crew.check()
        assert {name: zone.node for name, zone in stage.actors.items()} == {
            "zone/zon_a/1": nodes["zone/zon_a/1"],
            "zone/zon_a": nodes["zone/zon_a"],
        }

    @pytest.mark.parametrize(
        ("kind", "args", "error", "reason"),
        [
            ("split", ("zon_x",), NotFound, "no_such_zone"),
            ("merge", (A, "zon_x"), NotFound, "no_such_zone"),
            ("merge", (A, C), Conflict, "no_common_edge"),
            ("move", (A, "nowhere"), NotFound, "no_such_node"),
            ("restart", ("zon_x",), NotFound, "no_such_zone"),
            ("burn", (A,), InvalidInput, "invalid_input"),
            ("split", (), InvalidInput, "invalid_input"),
            ("split", (A, B), InvalidInput, "invalid_input"),
            ("split", (7,), InvalidInput, "invalid_input"),
        ],
    )
    async def test_refused(self, kind: str, args: tuple[str, ...], error: type[Exception], reason: str) -> None:
        stage = await opened(A, B, C)
        before = stage.ledger.record
        with pytest.raises(error) as refused:
            await stage.director.plan(kind, args)
        assert refused.value.reason == reason  # type: ignore[attr-defined]
        assert stage.ledger.record == before

    async def test_a_zone_that_does_not_answer(self) -> None:
        stage = await opened()
        del stage.actors["zone/zon_a"]
        for kind, args in (("merge", (A, B)), ("restart", (A,))):
            with pytest.raises(Conflict, match="does not answer"):
                await stage.director.plan(kind, args)

    async def test_one_plan_at_a_time(self) -> None:
        stage = await opened()
        first = await stage.director.plan("split", [A])
        second = await stage.director.plan("split", [B])
        await stage.director.execute(first)
        with pytest.raises(Conflict, match="another plan runs"):
            await stage.director.execute(second)
        with pytest.raises(Conflict, match="another plan runs"):
            await stage.director.plan("split", [B])
        await stage.ended()
        with pytest.raises(Conflict, match="the map has changed"):
            await stage.director.execute(second)

    async def test_a_plan_that_fails_leaves_the_world_as_it_was(self) -> None:
        stage = await opened()
        make = stage.hosts.make

        async def broken(kind: str, name: str, place: Place = Place()) -> None:  # noqa: B008
            if name == "zone/zon_a_2":
                raise ZeroDivisionError
            await make(kind, name, place)  # type: ignore[arg-type]

        stage.hosts.make = broken  # type: ignore[method-assign, assignment]
        assert await stage.do("split", A) == "rolled back"
        assert stage.ledger.record.map == WorldMap.declared(stage.settings)
        assert stage.names() == ["zone/zon_a", "zone/zon_b"]


class TestReplaced:
    async def test_a_plan_goes_on_with_the_next_supervisor(self) -> None:
        stage = await opened()
        await stage.director.execute(await stage.director.plan("split", [A]))
        await stage.restart()
        assert await stage.ended() == "done"
        assert stage.ledger.record.map.find("zon_a_2") is not None

    @pytest.mark.parametrize("done", range(6))
    @pytest.mark.parametrize(("kind", "args"), [("split", (A,)), ("merge", (A, B)), ("restart", (A,))])
    async def test_after_the_whole_realm_was_stopped(self, kind: str, args: tuple[str, ...], done: int) -> None:
        """No actor is there any more: those that the plan needs are made."""
        stage = await opened()
        await stage.director.execute(await stage.director.plan(kind, args))
        await stage.until(lambda: (at := stage.ledger.record.progress) is None or at.done >= done)
        stage.stop()
        stage.actors.clear()
        await stage.start()
        if stage.ledger.record.progress is not None:
            await stage.ended()
        assert stage.ledger.record.last is not None
        assert stage.ledger.record.last.outcome == "done"
        await stage.crew.check()
        await stage.crew.check()
        await stage.crew.ready(1.0)
        assert sum(map(len, stage.entities.values())) == 40
        assert len(stage.actors) == len(stage.ledger.record.map.zones)

    async def test_the_old_one_is_fenced(self) -> None:
        stage = await opened()
        old = stage.director
        plan = await old.plan("split", [A])
        await stage.start()
        with pytest.raises(Fenced):
            await old.execute(plan)

    async def test_one_that_is_fenced_while_it_carries_out_a_plan_ends(self) -> None:
        stage = await opened()
        await stage.director.execute(await stage.director.plan("split", [A]))
        await stage.epochs.take("supervisor", "supervisor")
        await stage.until(lambda: bool(stage.fenced))
        assert stage.fenced == ["plan"]

    async def test_a_write_that_nobody_answered(self) -> None:
        """Whether the plan was written is not known: it is taken back, by the same supervisor."""
        stage = await opened()
        plan = await stage.director.plan("split", [A])
        save = stage.world.save

        async def lost(epoch: int, world_map: bytes, said: bytes) -> None:
            await save(epoch, world_map, said)
            raise Unavailable("redis")

        stage.world.save = lost  # type: ignore[method-assign]
        with pytest.raises(Unavailable):
            await stage.director.execute(plan)
        stage.world.save = save  # type: ignore[method-assign]
        assert WorldRecord.load(*await stage.world.load()).progress is not None
        with pytest.raises(Unavailable):
            await stage.ledger.drain(frozenset())
        await stage.crew.check()
        assert WorldRecord.load(*await stage.world.load()).progress is None
        assert await stage.do("split", A) == "done"


class TestCrew:
    async def test_who_does_not_answer_is_counted_and_made_again(self) -> None:
        stage = await opened()
        del stage.actors["zone/zon_a"]
        for _ in range(4):
            await stage.crew.check()
        assert ("zone/zon_a", False) in stage.checks
        assert "zone/zon_a" in stage.actors

    async def test_an_actor_that_cannot_be_made_is_tried_again(self) -> None:
        stage = Stage(settings(A))
        await stage.start()
        stage.actors.clear()
        stage.hosts.away = True
        with pytest.raises(Unavailable):
            await stage.crew.check()
        stage.hosts.away = False
        for _ in range(4):
            await stage.crew.check()
        assert stage.names() == ["zone/zon_a"]

    async def test_a_second_actor_that_nobody_wants_ends(self) -> None:
        stage = Stage(settings(A))
        stage.actors["zone/zon_a/1"] = FakeZone(stage, A, 1, "")
        await stage.start()
        assert stage.names() == ["zone/zon_a"]


class TestTelling:
    async def test_zones(self) -> None:
        stage = await opened(nodes=True)
        del stage.actors["zone/zon_b"]
        a, b = await telling.zones(stage.ledger.record, stage.crew, 1.0)
        assert (a["zone"], a["population"], a["role"], a["host"]) == (A, 40, "owner", stage.hosts.there[1].host)
        assert a["bounds"] == {"min_x": 0.0, "min_z": 0.0, "max_x": 100.0, "max_z": 100.0}
        assert (b["zone"], b["population"], b["role"], b["node"]) == (B, -1, "away", "")

    async def test_nodes(self) -> None:
        stage = await opened(nodes=True)
        await stage.director.drain("west")
        said = {node["host"]: (node["zones"], node["draining"]) for node in await telling.nodes(stage.crew)}
        assert said == {"head": (0, False), "east": (1, False), "west": (1, True)}

    async def test_the_plan_that_runs(self) -> None:
        stage = await opened()
        assert telling.state(stage.ledger.record, ())["plan"] is None
        plan = await stage.director.plan("split", [A], plan_id="pln_x")
        await stage.director.execute(plan)
        said = telling.state(stage.ledger.record, ("because",))
        assert (said["plan"]["id"], said["plan"]["done"], said["policy"]) == ("pln_x", 0, ["because"])
        assert len(said["plan"]["steps"]) == len(plan.steps)
        await stage.ended()
        said = telling.state(stage.ledger.record, ())
        assert (said["last"]["id"], said["last"]["outcome"], said["plan"]) == ("pln_x", "done", None)
