"""Zones that are added and removed, standbys, and plans that are cancelled or asked for twice: from the command to the world."""

from __future__ import annotations

import asyncio

import pytest

from actors.world import telling
from actors.world.record import REMEMBERED, Finished, WorldRecord
from cluster.errors import Conflict, InvalidInput, InvalidState, NotFound, Unavailable
from cluster.ports.actors import ANYWHERE, ActorKind, Place
from cluster.worldmap import WorldMap
from tests.unit.actors.world.lands import A, B
from tests.unit.actors.world.stage import FakeZone, opened


class TestPlans:
    async def test_added_and_removed(self) -> None:
        stage = await opened()
        assert await stage.do("add", "annex", A, "north", "Hill") == "done"
        new = next(zone for zone in stage.ledger.record.map if zone.template)
        assert (new.id, new.name) == ("zon_annex_2", "Hill")
        assert "zone/zon_annex_2" in stage.names()
        await stage.restart()  # nobody declares it: it stays all the same
        assert stage.ledger.record.map.find(new.id) is not None
        stage.entities[new.id] = [(10.0, 110.0)]
        with pytest.raises(Conflict):
            await stage.do("remove", new.id)
        stage.entities[new.id] = []
        assert await stage.do("remove", new.id) == "done"
        assert stage.names() == ["zone/zon_a", "zone/zon_b"]
        assert await stage.do("add", "annex", A, "north", "") == "done"
        assert {zone.id for zone in stage.ledger.record.map} == {A, B, "zon_annex_4"}  # a name of its own

    async def test_on_a_node_of_its_own(self) -> None:
        stage = await opened(nodes=True)
        await stage.do("add", "annex", A, "north", "")
        zone = stage.ledger.record.map.find("zon_annex_2")
        assert zone is not None
        assert zone.node in {node.id for node in stage.hosts.there if not node.head}

    async def test_a_standby_follows_and_ends(self) -> None:
        stage = await opened()
        assert await stage.do("standby", A, "on") == "done"
        await stage.crew.check()
        await stage.crew.check()
        assert "zone/zon_a/1" in stage.names()
        await stage.restart()
        await stage.crew.check()
        assert "zone/zon_a/1" in stage.names()
        assert await stage.do("standby", A, "off") == "done"
        await stage.crew.check()
        assert "zone/zon_a/1" not in stage.names()

    @pytest.mark.parametrize(
        ("kind", "args"),
        [("standby", (A, "perhaps")), ("add", ("annex", A, "up", "")), ("add", ("annex", A)), ("remove", ())],
    )
    async def test_nonsense(self, kind: str, args: tuple[str, ...]) -> None:
        stage = await opened()
        with pytest.raises(InvalidInput):
            await stage.director.plan(kind, args)

    async def test_a_template_that_is_not_there(self) -> None:
        stage = await opened()
        with pytest.raises(NotFound):
            await stage.director.plan("add", ("castle", A, "north", ""))


class TestCancelling:
    async def test_while_nothing_is_committed(self) -> None:
        stage = await opened()
        make = stage.hosts.make

        async def never(kind: ActorKind, name: str, place: Place = ANYWHERE) -> None:
            if name in stage.actors:
                await make(kind, name, place)

        stage.hosts.make = never  # type: ignore[method-assign]
        await stage.director.execute(await stage.director.plan("split", (A,), plan_id="pln_1"))
        await asyncio.sleep(0)
        assert stage.director.cancel("pln_1") == ""
        assert stage.director.cancel("pln_1") == ""  # said again
        assert await stage.ended() == "rolled back"
        assert stage.director.cancel("pln_1") == "rolled back"
        last = stage.ledger.record.last
        assert last is not None
        assert last.cancelled
        assert stage.ledger.record.map.version == 1

    async def test_afterwards_it_is_too_late_and_others_are_not_meant(self) -> None:
        stage = await opened()
        await stage.do("split", A, plan_id="pln_1")
        assert stage.director.cancel("pln_1") == "done"
        with pytest.raises(NotFound):
            stage.director.cancel("pln_2")

    async def test_a_plan_whose_map_is_committed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        stage = await opened()
        remap = FakeZone.remap

        async def away(_zone: FakeZone, _map: bytes) -> None:
            raise Unavailable("zone")

        monkeypatch.setattr(FakeZone, "remap", away)
        await stage.director.execute(await stage.director.plan("split", (A,), plan_id="pln_1"))
        await stage.until(lambda: stage.ledger.record.map.version == 2)
        with pytest.raises(InvalidState):
            stage.director.cancel("pln_1")
        monkeypatch.setattr(FakeZone, "remap", remap)
        assert await stage.ended() == "done"


class TestRemembering:
    async def test_how_plans_ended_survives_the_supervisor(self) -> None:
        stage = await opened()
        await stage.do("split", A, plan_id="pln_1")
        await stage.do("restart", A, plan_id="pln_2")
        await stage.restart()
        found = stage.ledger.record.how_ended("pln_1")
        assert found is not None
        assert (found.outcome, found.zones, found.cancelled) == ("done", (A, "zon_a_2"), False)
        assert telling.finished(found) == {
            "id": "pln_1",
            "what": found.what,
            "outcome": "done",
            "why": "",
            "at": found.at,
            "zones": [A, "zon_a_2"],
            "cancelled": False,
        }
        assert stage.ledger.record.how_ended("pln_3") is None

    def test_the_oldest_are_forgotten(self) -> None:
        record = WorldRecord(WorldMap(1, ()))
        for number in range(REMEMBERED + 5):
            record = record.finished(Finished(f"pln_{number}", "what", "done", "", float(number)))
        assert len(record.ended) == REMEMBERED
        assert record.how_ended("pln_4") is None
        assert record.how_ended("pln_5") is not None
        assert record.last == record.ended[-1]
        assert WorldRecord.load(*record.dump()) == record


class TestTelling:
    async def test_the_world_costs_no_question(self) -> None:
        stage = await opened(nodes=True)
        await stage.do("standby", A, "on")
        stage.actors.clear()  # nobody could answer
        said = telling.world(stage.ledger.record, stage.crew, ("quiet",))
        assert [(zone["zone"], zone["standby"]) for zone in said["zones"]] == [(A, True), (B, False)]
        assert [node["host"] for node in said["nodes"]] == ["head", "east", "west"]
        assert (said["map_version"], said["policy"], said["plan"]) == (2, ["quiet"], None)
