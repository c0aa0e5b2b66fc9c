"""Entering and leaving the world."""

from __future__ import annotations

import asyncio

import pytest

from cluster.errors import Conflict, InvalidInput, InvalidState, Unauthorized
from tests.unit.actors.session.stage import FOREST, MEADOW, Stage
from tests.unit.actors.zone_model import move


class TestEnter:
    async def test_the_character_is_in_the_zone_and_in_the_record(self, stage: Stage) -> None:
        host = await stage.host()
        attached = await stage.attach(host)
        stage.told.clear()
        character_id = await stage.character(zone=MEADOW, x=20.0)
        world = await host.enter(attached.session_id, 1, "key", character_id, "")
        assert (world["zone"], world["entity_id"], world["character_id"], world["name"]) == (
            MEADOW,
            "ent_ann",
            "chr_ann",
            "Ann",
        )
        assert world["position"] == {"x": 20.0, "y": 0.0, "z": 20.0}
        entity = stage.zone().of_session(attached.session_id)
        assert (entity.number, entity.gateway_id, entity.attach_epoch) == (world["number"], "gtw_a", 1)
        record = await stage.record(attached.session_id)
        assert (record.state, record.character_id, record.character_name, record.zone_id) == (
            "in_world",
            "chr_ann",
            "Ann",
            MEADOW,
        )
        assert (await stage.hero()).session == attached.session_id
        assert [(p.zone_id, p.character_id) for p in stage.told] == [(MEADOW, "chr_ann")]

    async def test_a_repeated_call_gets_the_first_answer(self, stage: Stage) -> None:
        host = await stage.host()
        attached = await stage.attach(host)
        character_id = await stage.character()
        results = await asyncio.gather(*(host.enter(attached.session_id, 1, "key", character_id, "") for _ in range(5)))
        assert all(result == results[0] for result in results)
        assert len(stage.zone().table) == 1
        assert stage.zones[MEADOW].called == ["enter"]

    async def test_a_second_enter_is_refused(self, stage: Stage) -> None:
        host = await stage.host()
        attached = await stage.enter(host)
        await stage.character(name="Bob")
        for character_id in ("chr_ann", "chr_bob"):
            with pytest.raises(InvalidState) as refused:
                await host.enter(attached.session_id, 1, "second", character_id, "")
            assert refused.value.state == "in_world"
        assert (await stage.hero("chr_bob")).session == ""
        assert list(stage.zone().table.by_id) == ["ent_ann"]

    @pytest.mark.parametrize("character_id", ["chr_ann", "chr_none"])
    async def test_somebody_else_s_character_or_none(self, stage: Stage, character_id: str) -> None:
        host = await stage.host()
        attached = await stage.attach(host, "usr_b")
        await stage.character("usr_a")
        with pytest.raises(Unauthorized) as refused:
            await host.enter(attached.session_id, 1, "key", character_id, "")
        assert refused.value.reason == "character_not_yours"
        assert (await stage.record(attached.session_id)).state == "authenticated"
        assert len(stage.zone().table) == 0

    async def test_a_character_that_another_session_plays(self, stage: Stage) -> None:
        host = await stage.host()
        await stage.enter(host)
        second = await stage.attach(host, "usr_a", "gtw_b")
        with pytest.raises(Conflict) as refused:
            await host.enter(second.session_id, 1, "key", "chr_ann", "")
        assert refused.value.reason == "in_world"
        assert (await stage.record(second.session_id)).state == "authenticated"
        assert len(stage.zone().table) == 1

    async def test_a_zone_that_does_not_exist(self, stage: Stage) -> None:
        host = await stage.host()
        attached = await stage.attach(host)
        character_id = await stage.character()
        with pytest.raises(InvalidInput):
            await host.enter(attached.session_id, 1, "key", character_id, "zon_nowhere")
        assert (await stage.hero()).session == ""

    async def test_a_zone_one_wants(self, stage: Stage) -> None:
        host = await stage.host()
        attached = await stage.attach(host)
        character_id = await stage.character(zone=MEADOW, x=20.0)
        assert (await host.enter(attached.session_id, 1, "key", character_id, FOREST))["zone"] == FOREST
        assert attached.session_id in stage.zone(FOREST).table.by_session


class TestLeave:
    async def test_the_place_is_kept_and_the_character_free(self, stage: Stage) -> None:
        host = await stage.host()
        attached = await stage.enter(host)
        zone = stage.zone()
        zone.take_input("gtw_a", move(zone.of_session(attached.session_id).number, 1, 23.0, 24.0))
        zone.tick(1.0)
        stage.told.clear()
        await host.leave(attached.session_id, 1)
        record = await stage.record(attached.session_id)
        assert (record.state, record.character_id, record.character_name, record.zone_id) == (
            "authenticated",
            "",
            "",
            "",
        )
        hero = await stage.hero()
        assert (hero.zone, hero.x, hero.z, hero.session) == (MEADOW, 23.0, 24.0, "")
        assert len(zone.table) == 0
        assert [(p.zone_id, p.character_id, p.present) for p in stage.told] == [("", "", True)]

    async def test_and_in_again_where_it_was(self, stage: Stage) -> None:
        host = await stage.host()
        attached = await stage.enter(host)
        zone = stage.zone()
        zone.take_input("gtw_a", move(zone.of_session(attached.session_id).number, 1, 23.0, 24.0))
        zone.tick(1.0)
        await host.leave(attached.session_id, 1)
        world = await host.enter(attached.session_id, 1, "first", "chr_ann", "")
        assert world["position"] == {"x": 23.0, "y": 0.0, "z": 24.0}
        assert world["sequence"] == 0

    async def test_of_one_who_is_not_in_the_world(self, stage: Stage) -> None:
        host = await stage.host()
        attached = await stage.attach(host)
        with pytest.raises(InvalidState) as refused:
            await host.leave(attached.session_id, 1)
        assert refused.value.state == "authenticated"

    async def test_another_session_may_have_the_character_then(self, stage: Stage) -> None:
        host = await stage.host()
        first = await stage.enter(host)
        second = await stage.attach(host, "usr_a", "gtw_b")
        await host.leave(first.session_id, 1)
        await host.enter(second.session_id, 1, "key", "chr_ann", "")
        assert (await stage.hero()).session == second.session_id


class TestAfterARestart:
    async def test_an_entry_that_was_not_answered_is_answered_now(self, stage: Stage) -> None:
        """The actor died after the entry was stored; the gateway repeats its call to the next incarnation."""
        attached = await stage.enter(await stage.host())
        host = await stage.host()
        world = await host.enter(attached.session_id, 1, "first", "chr_ann", "")
        assert world["number"] == stage.zone().of_session(attached.session_id).number
        assert await host.enter(attached.session_id, 1, "first", "chr_ann", MEADOW) == world
        with pytest.raises(InvalidState):
            await host.enter(attached.session_id, 1, "other", "chr_ann", "")

    @pytest.mark.parametrize(("character_id", "zone"), [("chr_bob", ""), ("chr_ann", FOREST)])
    async def test_but_not_one_for_something_else(self, stage: Stage, character_id: str, zone: str) -> None:
        attached = await stage.enter(await stage.host())
        await stage.character(name="Bob")
        host = await stage.host()
        with pytest.raises(InvalidState):
            await host.enter(attached.session_id, 1, "key", character_id, zone)
