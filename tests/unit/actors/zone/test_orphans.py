"""Entities that nobody speaks for any more: who is taken out, and who only looks lost (row 1.9)."""

from __future__ import annotations

import random
from typing import Any

import pytest
from structlog.testing import capture_logs

from actors.zone.arrivals import Standing
from actors.zone.orphans import Orphans
from actors.zone.zone import Zone
from cluster.adapters.memory.characters import MemoryCharacters
from cluster.adapters.memory.epochs import MemoryEpochStore
from cluster.adapters.memory.sessions import MemorySessionStore
from cluster.adapters.memory.zones import MemoryZoneStore
from cluster.errors import Unavailable
from cluster.ports.accounts import Character
from cluster.ports.sessions import SessionRecord
from tests.unit.actors.zone_model import SPEC, arrival, make_zone

OTHER = "zon_other"


class Stage:
    """A zone whose players have session records, characters, and a place in the zones' store, as far as a test gives them any."""

    def __init__(self) -> None:
        epochs = MemoryEpochStore()
        self.zone: Zone = make_zone()
        self.sessions = MemorySessionStore(epochs)
        self.store = MemoryZoneStore(epochs)
        self.characters = MemoryCharacters(lambda session_id: session_id in self.sessions._records)
        self.gone: list[str] = []
        self.told: list[list[str]] = []
        self.orphans = Orphans(
            self.zone, self.store, self.sessions, self.characters, self._leave, lambda ids: self.told.append(list(ids))
        )

    async def _leave(self, session_id: str) -> Standing | None:
        standing = self.zone.leave(session_id)
        self.gone.append(session_id.removeprefix("ses_"))
        return standing

    async def enter(self, name: str, *, record: str | None = SPEC.id, kept: str | None = SPEC.id) -> None:
        """`record`: the zone that the session's record names, None for no record. `kept`: the zone that the store has it in."""
        character = Character(f"chr_{name}", f"usr_{name}", name, "", 0.0, 0.0, 0.0, 0.0, 0.0)
        await self.characters.create(character, 8)
        self.sessions._records[f"ses_{name}"] = self.record(name, record or "")
        await self.characters.claim(f"chr_{name}", f"usr_{name}", f"ses_{name}")
        self.zone.enter(arrival(name, 40, 60), 0.0)
        if record is None:
            del self.sessions._records[f"ses_{name}"]
        if kept is not None:
            self.store._zone_of[f"ses_{name}"] = kept

    @staticmethod
    def record(name: str, zone_id: str) -> SessionRecord:
        return SessionRecord(f"ses_{name}", f"usr_{name}", "sessions/0", "in_world", zone_id=zone_id)

    async def character(self, name: str) -> Character:
        found = await self.characters.get(f"chr_{name}")
        assert found is not None
        return found


@pytest.fixture
def stage() -> Stage:
    return Stage()


async def test_who_has_a_session_that_says_so_stays(stage: Stage) -> None:
    await stage.enter("ann")
    stage.zone.spawn("ent_tree", "npc", "Tree", (1.0, 0.0, 1.0, 0.0), {})
    for _ in range(3):
        await stage.orphans.sweep()
    assert (stage.gone, stage.zone.own) == ([], 2)


async def test_one_whose_session_ended_is_taken_out_at_once_and_its_place_kept(stage: Stage) -> None:
    await stage.enter("ann", record=None)
    await stage.orphans.sweep()
    assert stage.gone == ["ann"]
    ann = await stage.character("ann")
    assert (ann.zone, ann.x, ann.z, ann.session) == (SPEC.id, 40.0, 60.0, "")


async def test_a_character_that_was_deleted_meanwhile(stage: Stage) -> None:
    await stage.enter("ann", record=None)
    del stage.characters._characters["chr_ann"]
    with capture_logs() as logs:
        await stage.orphans.sweep()
    assert "character_gone" in [line["event"] for line in logs]
    assert stage.gone == ["ann"]


@pytest.mark.parametrize(("record", "kept"), [("", SPEC.id), (SPEC.id, OTHER), (OTHER, OTHER)])
async def test_a_stray_is_one_when_it_looks_so_twice(stage: Stage, record: str, kept: str) -> None:
    """The session's record is written after the entry: it may not be there yet."""
    await stage.enter("ann", record=record, kept=kept)
    await stage.orphans.sweep()
    assert stage.gone == []
    with capture_logs() as logs:
        await stage.orphans.sweep()
    assert stage.gone == ["ann"]
    assert [line["event"] for line in logs] == ["stray_removed"]
    ann = await stage.character("ann")
    assert (ann.zone, ann.session) == ("", "ses_ann"), "where a stray stood counts for nothing"


async def test_one_that_walked_here_while_its_session_was_not_told(stage: Stage) -> None:
    """The record names the zone before this one, but the zones' store knows better: it is told until it says so, too."""
    await stage.enter("ann", record=OTHER)
    await stage.enter("bob")
    await stage.orphans.sweep()
    assert stage.told == [], "the message may be on its way"
    for _ in range(2):
        await stage.orphans.sweep()
    assert stage.told == [["ses_ann"], ["ses_ann"]]
    stage.sessions._records["ses_ann"] = stage.record("ann", SPEC.id)
    await stage.orphans.sweep()
    stage.sessions._records["ses_ann"] = stage.record("ann", OTHER)
    await stage.orphans.sweep()
    assert len(stage.told) == 2, "seen once since"
    assert stage.gone == []


@pytest.mark.parametrize(("record", "kept"), [("", SPEC.id), (OTHER, OTHER)])
async def test_of_one_that_is_not_here_nobody_says_that_it_is(stage: Stage, record: str, kept: str) -> None:
    await stage.enter("ann", record=record, kept=kept)
    for _ in range(2):
        await stage.orphans.sweep()
    assert (stage.gone, stage.told) == (["ann"], [])


async def test_one_that_walks_on_while_the_stores_are_asked(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    await stage.enter("ann", record=OTHER)
    await stage.orphans.sweep()
    zones_of = stage.store.zones_of

    async def slowly(session_ids: Any) -> dict[str, str]:
        stage.zone.leave("ses_ann")
        return await zones_of(session_ids)

    monkeypatch.setattr(stage.store, "zones_of", slowly)
    await stage.orphans.sweep()
    assert stage.told == []


async def test_one_that_looked_lost_and_was_found(stage: Stage) -> None:
    await stage.enter("ann", record="")
    await stage.orphans.sweep()
    stage.sessions._records["ses_ann"] = stage.record("ann", SPEC.id)
    await stage.orphans.sweep()
    stage.sessions._records["ses_ann"] = stage.record("ann", "")
    await stage.orphans.sweep()
    assert stage.gone == []


async def test_another_entity_of_the_same_session_is_seen_for_the_first_time(stage: Stage) -> None:
    await stage.enter("ann", record="")
    await stage.orphans.sweep()
    stage.zone.leave("ses_ann")
    stage.zone.enter(arrival("ann", 40, 60), 0.0)
    await stage.orphans.sweep()
    assert stage.gone == []
    await stage.orphans.sweep()
    assert stage.gone == ["ann"]


async def test_one_that_goes_while_the_stores_are_asked(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    await stage.enter("ann", record=None)
    zones_of = stage.store.zones_of

    async def slowly(session_ids: Any) -> dict[str, str]:
        stage.zone.leave("ses_ann")
        return await zones_of(session_ids)

    monkeypatch.setattr(stage.store, "zones_of", slowly)
    await stage.orphans.sweep()
    assert stage.gone == []


async def test_one_that_is_being_handed_over_is_the_next_owner_s(stage: Stage) -> None:
    await stage.enter("ann", record=None)
    stage.zone.pack([stage.zone.of_session("ses_ann").number], 0.0, 0.0)
    await stage.orphans.sweep()
    assert stage.gone == []
    assert (await stage.character("ann")).session == "ses_ann", "not let go, for it is still in the world"


async def test_ghosts_are_nobody_s_orphans_here(stage: Stage) -> None:
    await stage.enter("ann", record=None)
    ann = stage.zone.of_session("ses_ann")
    ann.owner = OTHER
    stage.zone.table.own(ann.number)
    for _ in range(3):
        await stage.orphans.sweep()
    assert (stage.gone, stage.zone.ghosts) == ([], 1)


async def test_nobody_is_an_orphan_because_a_store_is_away(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    await stage.enter("ann", record=None)

    async def away(session_ids: Any) -> dict[str, str]:
        raise Unavailable("redis")

    monkeypatch.setattr(stage.store, "zones_of", away)
    with pytest.raises(Unavailable):
        await stage.orphans.sweep()
    assert stage.gone == []


async def test_of_many_only_the_lost_ones_go(stage: Stage) -> None:
    rng, lost = random.Random(3), []
    for n in range(12):
        ends = rng.random() < 0.5
        await stage.enter(f"p{n}", record=None if ends else SPEC.id)
        if ends:
            lost.append(f"p{n}")
    await stage.orphans.sweep()
    assert sorted(stage.gone) == sorted(lost)
    assert stage.zone.own == 12 - len(lost)
