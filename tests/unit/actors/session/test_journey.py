"""A session's character in the world: how it comes in, comes back to its views, and goes out, wherever it is by now (row 7.2).

The zones are real ones, without ticks; `walk` hands an entity over, as their owners do.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from structlog.testing import capture_logs

from actors.session.journey import UNDO_DEADLINE_S, Journey
from actors.zone.arrivals import Arrival, Standing
from actors.zone.zone import Zone
from cluster.adapters.memory.calls import MemoryCalls
from cluster.adapters.memory.characters import MemoryCharacters
from cluster.errors import Conflict, NotFound, Unavailable
from cluster.ports.accounts import Character
from cluster.ports.calls import zone_actor
from cluster.ports.sessions import SessionRecord
from cluster.settings import Settings
from cluster.world_settings import Bounds, WorldSettings, ZoneSpec
from cluster.worldmap import WorldMap
from tests.journeys import journey
from tests.unit.actors.zone.writer_rig import in_virtual_time

WEST, EAST = "zon_west", "zon_east"
SPECS = (
    ZoneSpec(id=WEST, name="West", bounds=Bounds(min_x=0, min_z=0, max_x=100, max_z=100)),
    ZoneSpec(id=EAST, name="East", bounds=Bounds(min_x=100, min_z=0, max_x=200, max_z=100)),
)
ANN = "ses_ann"


class ZoneActor:
    """The control lane of a zone."""

    def __init__(self, stage: Stage, spec: ZoneSpec) -> None:
        self.zone = Zone(spec, stage.settings.world, 1)
        self.zone.remap(WorldMap.declared(stage.settings.world))
        self.called: list[str] = []
        self.away = False
        self._stage = stage

    def _call(self, name: str) -> None:
        self.called.append(name)
        if self.away:
            raise Unavailable("redis")

    def enter(self, who: Arrival) -> Standing:
        self._call("enter")
        standing = self.zone.enter(who, 0.0)
        self._stage.kept[who.session_id] = self.zone.id
        return standing

    def attach(self, session_id: str, gateway_id: str, attach_epoch: int, instead_of: int = 0) -> Standing:
        self._call("attach")
        return self.zone.attach(session_id, gateway_id, attach_epoch, instead_of)

    def detach(self, session_id: str, attach_epoch: int, instead_of: int = 0) -> bool:
        self._call("detach")
        self.zone.detach(session_id, attach_epoch, instead_of)
        return session_id in self.zone.table.by_session

    def leave(self, session_id: str) -> Standing | None:
        self._call("leave")
        standing = self.zone.leave(session_id)
        if standing is not None:
            del self._stage.kept[session_id]
        return standing


class Stage:
    def __init__(self) -> None:
        self.settings = Settings(realm="test", world=WorldSettings(zones=SPECS, spawn_zone=WEST))
        self.kept: dict[str, str] = {}
        self.zones = {spec.id: ZoneActor(self, spec) for spec in SPECS}
        calls = MemoryCalls({zone_actor(zone_id): actor for zone_id, actor in self.zones.items()}, seed=1)
        self.characters = MemoryCharacters(lambda session_id: session_id == ANN)
        self.journey: Journey = journey(self.settings, calls, self.characters, 0.0, self._zones_of)
        self.record = SessionRecord(
            ANN,
            "usr_ann",
            "sessions/0",
            "in_world",
            character_id="chr_ann",
            character_name="Ann",
            zone_id=WEST,
            gateway_id="gtw_a",
            attach_epoch=1,
        )

    async def _zones_of(self, session_ids: Sequence[str]) -> dict[str, str]:
        return {session_id: self.kept[session_id] for session_id in session_ids if session_id in self.kept}

    @classmethod
    async def make(cls, x: float = 0.0) -> Stage:
        """With a character; `x`: where it was last, 0 for nowhere yet."""
        stage = cls()
        where = (WEST, x, 50.0) if x else ("", 0.0, 0.0)
        await stage.characters.create(
            Character("chr_ann", "usr_ann", "Ann", where[0], where[1], 0.0, where[2], 0.5 if x else 0.0, 0.0), 8
        )
        await stage.characters.claim("chr_ann", "usr_ann", ANN)
        return stage

    async def enter(self) -> dict[str, Any]:
        hero = await self.hero()
        world = await self.journey.enter(self.record, self.journey.spawn_zone(hero, ""))
        self.record = replace(self.record, zone_id=world["zone"])
        return world

    def walk(self, sender: str, to: str, x: float) -> None:
        zone, other = self.zones[sender].zone, self.zones[to].zone
        number = zone.of_session(ANN).number
        zone.table.position[number, 0] = x
        parcels = zone.pack([number], 0.0, 0.0)
        zone.depart(parcels, to, 0.0)
        other.admit({parcel.entity_id: parcel.record for parcel in parcels}, 0.0, 0.0)
        self.kept[ANN] = to

    def restart(self, zone_id: str) -> None:
        """It has forgotten whom it gave away."""
        actor, spec = self.zones[zone_id], next(spec for spec in SPECS if spec.id == zone_id)
        actor.zone = Zone(spec, self.settings.world, 2)

    async def hero(self) -> Character:
        hero = await self.characters.get("chr_ann")
        assert hero is not None
        return hero

    def holders(self) -> list[str]:
        return [zone_id for zone_id, actor in self.zones.items() if ANN in actor.zone.table.by_session]


class TestEnter:
    @in_virtual_time
    async def test_where_the_character_was(self) -> None:
        stage = await Stage.make(20.0)
        world = await stage.enter()
        assert (world["zone"], world["position"]["x"], world["yaw"], world["entity_id"]) == (WEST, 20.0, 0.5, "ent_ann")
        assert stage.holders() == [WEST]

    @in_virtual_time
    async def test_the_ground_where_it_was_may_have_another_zone_by_now(self) -> None:
        stage = await Stage.make(150.0)
        assert (await stage.enter())["zone"] == EAST

    @in_virtual_time
    async def test_one_that_was_nowhere_comes_in_at_the_spawn_zone(self) -> None:
        stage = await Stage.make()
        world = await stage.enter()
        assert world["zone"] == WEST
        assert 45.0 < world["position"]["x"] < 55.0

    @in_virtual_time
    async def test_asked_again_it_is_the_same_entity_wherever_it_walked_meanwhile(self) -> None:
        stage = await Stage.make(99.0)
        first = await stage.enter()
        stage.walk(WEST, EAST, 103.0)
        again = await stage.journey.enter(replace(stage.record, zone_id=WEST), (WEST, 99.0, 0.0, 50.0, 0.0))
        assert (again["zone"], again["entity_id"]) == (EAST, first["entity_id"])
        assert stage.holders() == [EAST]


class TestRejoin:
    @in_virtual_time
    async def test_it_gets_its_views_where_it_is(self) -> None:
        stage = await Stage.make(97.0)
        await stage.enter()
        stage.walk(WEST, EAST, 103.0)
        world = await stage.journey.rejoin(replace(stage.record, gateway_id="gtw_b", attach_epoch=2))
        assert (world["zone"], world["position"]["x"]) == (EAST, 103.0)
        entity = stage.zones[EAST].zone.of_session(ANN)
        assert (entity.gateway_id, entity.attach_epoch, entity.number) == ("gtw_b", 2, world["number"])

    @in_virtual_time
    async def test_also_when_the_zone_before_has_forgotten(self) -> None:
        stage = await Stage.make(97.0)
        await stage.enter()
        stage.walk(WEST, EAST, 103.0)
        stage.restart(WEST)
        world = await stage.journey.rejoin(replace(stage.record, attach_epoch=2))
        assert world["zone"] == EAST
        assert stage.holders() == [EAST]

    @in_virtual_time
    async def test_if_no_zone_has_it_it_comes_in_again(self) -> None:
        stage = await Stage.make(20.0)
        await stage.enter()
        stage.zones[WEST].leave(ANN)
        world = await stage.journey.rejoin(replace(stage.record, attach_epoch=2))
        assert (world["zone"], world["position"]["x"]) == (WEST, 20.0)
        assert stage.zones[WEST].called[-2:] == ["attach", "enter"]

    @in_virtual_time
    async def test_an_older_attach_does_not(self) -> None:
        stage = await Stage.make(20.0)
        await stage.enter()
        stage.zones[WEST].attach(ANN, "gtw_c", 5)
        with pytest.raises(Conflict):
            await stage.journey.rejoin(replace(stage.record, attach_epoch=2))


class TestTakingBack:
    @in_virtual_time
    async def test_the_attach_before_holds_again(self) -> None:
        stage = await Stage.make(97.0)
        await stage.enter()
        await stage.journey.rejoin(replace(stage.record, gateway_id="gtw_b", attach_epoch=2))
        stage.walk(WEST, EAST, 103.0)
        await stage.journey.attach_again(stage.record, 2)
        entity = stage.zones[EAST].zone.of_session(ANN)
        assert (entity.gateway_id, entity.attach_epoch) == ("gtw_a", 1)

    @in_virtual_time
    async def test_one_that_had_no_socket_has_none_again(self) -> None:
        stage = await Stage.make(97.0)
        await stage.enter()
        await stage.journey.rejoin(replace(stage.record, gateway_id="gtw_b", attach_epoch=2))
        stage.walk(WEST, EAST, 103.0)
        await stage.journey.attach_again(replace(stage.record, gateway_id=""), 2)
        entity = stage.zones[EAST].zone.of_session(ANN)
        assert (entity.link_dead, entity.attach_epoch) == (True, 1)

    @in_virtual_time
    async def test_an_entry(self) -> None:
        stage = await Stage.make(97.0)
        await stage.enter()
        stage.walk(WEST, EAST, 103.0)
        await stage.journey.take_back(stage.record)
        assert stage.holders() == []

    @in_virtual_time
    async def test_what_cannot_be_taken_back_is_left_to_the_sweeps_soon(self) -> None:
        stage = await Stage.make(97.0)
        await stage.enter()
        stage.zones[WEST].away = True
        began = time.monotonic()
        with capture_logs() as logs:
            await stage.journey.take_back(stage.record)
        assert time.monotonic() - began <= UNDO_DEADLINE_S + 0.1
        assert [line["event"] for line in logs] == ["undo_failed"]


class TestDetach:
    @in_virtual_time
    async def test_it_stays_in_the_world_wherever_it_is(self) -> None:
        stage = await Stage.make(97.0)
        await stage.enter()
        stage.walk(WEST, EAST, 103.0)
        await stage.journey.detach(stage.record)
        assert stage.zones[EAST].zone.of_session(ANN).link_dead

    @in_virtual_time
    async def test_a_zone_that_has_forgotten_whom_it_gave_away(self) -> None:
        stage = await Stage.make(97.0)
        await stage.enter()
        stage.walk(WEST, EAST, 103.0)
        stage.restart(WEST)
        await stage.journey.detach(stage.record)
        assert stage.zones[EAST].zone.of_session(ANN).link_dead

    @in_virtual_time
    async def test_of_one_who_is_nowhere(self) -> None:
        stage = await Stage.make(97.0)
        await stage.journey.detach(stage.record)
        assert (stage.zones[WEST].called, stage.zones[EAST].called) == (["detach"], [])


class TestLeave:
    @pytest.mark.parametrize("forgotten", [False, True])
    @in_virtual_time
    async def test_it_is_out_and_its_place_kept(self, forgotten: bool) -> None:
        stage = await Stage.make(97.0)
        await stage.enter()
        stage.walk(WEST, EAST, 103.0)
        if forgotten:
            stage.restart(WEST)
        await stage.journey.leave(stage.record)
        assert stage.holders() == []
        hero = await stage.hero()
        assert (hero.zone, hero.x, hero.session) == (EAST, 103.0, "")

    @in_virtual_time
    async def test_twice_is_once(self) -> None:
        stage = await Stage.make(97.0)
        await stage.enter()
        await stage.journey.leave(stage.record)
        await stage.characters.save_place("chr_ann", EAST, 150.0, 0.0, 50.0, 0.0)
        await stage.journey.leave(stage.record)
        assert (await stage.hero()).x == 150.0, "one that found nothing saves nothing"

    @in_virtual_time
    async def test_a_character_that_was_deleted_meanwhile(self) -> None:
        stage = await Stage.make(97.0)
        await stage.enter()
        del stage.characters._characters["chr_ann"]
        with capture_logs() as logs:
            await stage.journey.leave(stage.record)
        assert stage.holders() == []
        assert [line["event"] for line in logs] == ["character_gone"]
        with pytest.raises(NotFound):
            await stage.characters.save_place("chr_ann", WEST, 0.0, 0.0, 0.0, 0.0)

    @in_virtual_time
    async def test_while_the_zone_cannot_keep_it_nothing_is_let_go(self) -> None:
        """The caller tries again: a character that is still in the world must not get into it twice."""
        stage = await Stage.make(97.0)
        await stage.enter()
        stage.zones[WEST].away = True
        with pytest.raises(Unavailable):
            await stage.journey.leave(stage.record)
        assert stage.holders() == [WEST]
        assert (await stage.hero()).session == ANN
