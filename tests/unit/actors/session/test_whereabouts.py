"""Which zone has a session's entity, when its session was told last of another one (row 7.2)."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from actors.session.whereabouts import Whereabouts
from cluster.adapters.memory.calls import MemoryCalls
from cluster.errors import Conflict, Elsewhere, InvalidState, RateLimited, RealmError, Unavailable
from cluster.mapwatch import MapWatch
from cluster.ports.calls import zone_actor
from cluster.world_settings import Bounds
from cluster.worldmap import MapZone, WorldMap
from cluster.zone_calls import ZoneOwners
from tests.unit.actors.zone.writer_rig import in_virtual_time

ANN = "ses_ann"
ZONES = ("zon_a", "zon_b", "zon_c")
DEADLINE_S = 2.0
GROUND = Bounds(min_x=0, min_z=0, max_x=1, max_z=1)


class FakeZone:
    """`says`: what it answers, in order; the last one for ever. An error is raised."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.says: list[object] = [InvalidState("not_in_zone", "authenticated")]
        self.asked = 0
        self.takes_s = 0.0

    async def attach(self, session_id: str) -> object:
        assert session_id == ANN
        self.asked += 1
        await asyncio.sleep(self.takes_s)
        said = self.says.pop(0) if len(self.says) > 1 else self.says[0]
        if isinstance(said, RealmError):
            raise said
        return said


class Stage:
    """Zones A, B and C, and a store that knows where she is."""

    def __init__(self, *names: str) -> None:
        names = names or ZONES
        self.zones = {name: FakeZone(name) for name in names}
        self.kept = ""
        self.store_away = False
        self.looked = 0
        self.map = WorldMap(1, tuple(MapZone(name, name, GROUND, name) for name in names))
        calls = MemoryCalls({zone_actor(name): zone for name, zone in self.zones.items()}, seed=1)
        self.where = Whereabouts(
            ZoneOwners(calls, seed=1, clock=time.monotonic),
            self._zones_of,
            MapWatch(self.map),
            time.monotonic,
            random.Random(1),
        )

    async def _zones_of(self, session_ids: Sequence[str]) -> dict[str, str]:
        self.looked += 1
        if self.store_away:
            raise Unavailable("redis")
        return dict.fromkeys(session_ids, self.kept) if self.kept else {}

    def asked(self) -> list[int]:
        return [zone.asked for zone in self.zones.values()]

    async def ask(self, zone_id: str = "zon_a") -> tuple[str, Any]:
        return await self.where.ask(ANN, zone_id, "attach", ANN, deadline_s=DEADLINE_S)


@in_virtual_time
async def test_where_it_is_believed_to_be() -> None:
    stage = Stage()
    stage.zones["zon_a"].says = ["here"]
    assert await stage.ask() == ("zon_a", "here")
    assert (stage.asked(), stage.looked) == ([1, 0, 0], 0), "nobody else is bothered"


@in_virtual_time
async def test_one_that_was_handed_over_is_followed() -> None:
    stage = Stage()
    stage.zones["zon_a"].says = [Elsewhere("zon_b")]
    stage.zones["zon_b"].says = [Elsewhere("zon_c")]
    stage.zones["zon_c"].says = ["here"]
    assert await stage.ask() == ("zon_c", "here")
    assert (stage.asked(), stage.looked) == ([1, 1, 1], 0)


@in_virtual_time
async def test_in_the_middle_of_a_hand_over_the_store_knows() -> None:
    """The zone does not know yet whether it has given it away."""
    stage = Stage()
    stage.kept = "zon_b"
    stage.zones["zon_a"].says = [Elsewhere("")]
    stage.zones["zon_b"].says = ["here"]
    assert await stage.ask() == ("zon_b", "here")


@in_virtual_time
async def test_a_zone_that_has_forgotten_whom_it_gave_away() -> None:
    stage = Stage()
    stage.kept = "zon_c"
    stage.zones["zon_c"].says = ["here"]
    assert await stage.ask() == ("zon_c", "here")
    assert stage.asked() == [1, 0, 1]


@in_virtual_time
async def test_two_that_name_each_other_are_asked_until_one_has_it() -> None:
    stage = Stage()
    stage.zones["zon_a"].says = [Elsewhere("zon_b")] * 4 + ["here"]
    stage.zones["zon_b"].says = [Elsewhere("zon_a")]
    began = time.monotonic()
    assert await stage.ask() == ("zon_a", "here")
    assert time.monotonic() - began > 0.2, "with pauses"


@in_virtual_time
async def test_one_that_is_nowhere() -> None:
    stage = Stage()
    for kept in ("", "zon_a"):  # the second: the zone cannot read what the store has
        stage.kept = kept
        with pytest.raises(InvalidState) as refused:
            await stage.ask()
        assert refused.value.reason == "not_in_zone"
    assert stage.asked() == [2, 0, 0]


@in_virtual_time
async def test_a_zone_that_was_merged_is_not_asked() -> None:
    stage = Stage("zon_b", "zon_c")
    stage.kept = "zon_c"
    stage.zones["zon_c"].says = ["here"]
    assert await stage.ask("zon_gone") == ("zon_c", "here")
    assert stage.asked() == [0, 1]


@pytest.mark.parametrize(
    "error",
    [
        lambda: Conflict("newer_attach"),
        lambda: RateLimited("zone_full", 5.0),
        lambda: InvalidState("other_character_in_world", "in_world"),
    ],
)
@in_virtual_time
async def test_what_a_zone_refuses_is_its_last_word(error: Callable[[], RealmError]) -> None:
    stage = Stage()
    stage.zones["zon_a"].says = [error()]
    with pytest.raises(type(error())) as refused:
        await stage.ask()
    assert str(refused.value) == str(error())
    assert (stage.asked(), stage.looked) == ([1, 0, 0], 0)


@in_virtual_time
async def test_it_ends_with_the_deadline() -> None:
    stage = Stage()
    stage.zones["zon_a"].says = [Elsewhere("zon_b")]
    stage.zones["zon_b"].says = [Elsewhere("zon_a")]
    began = time.monotonic()
    with pytest.raises(Unavailable):
        await stage.ask()
    assert time.monotonic() - began == pytest.approx(DEADLINE_S, abs=0.01)
    assert sum(stage.asked()) < 30, "not as fast as it can"


@in_virtual_time
async def test_also_when_a_zone_does_not_answer() -> None:
    stage = Stage()
    stage.zones["zon_a"].takes_s = 60.0
    began = time.monotonic()
    with pytest.raises(Unavailable):
        await stage.ask()
    assert time.monotonic() - began == pytest.approx(DEADLINE_S, abs=0.05)


@in_virtual_time
async def test_without_the_store_nobody_is_called_lost() -> None:
    """That it is nowhere would make its session enter anew."""
    stage = Stage()
    stage.store_away = True
    with pytest.raises(Unavailable):
        await stage.ask()


@in_virtual_time
async def test_another_zone_that_has_it_after_all() -> None:
    stage = Stage()
    assert await stage.where.last(ANN, "zon_a") == ""
    stage.kept = "zon_a"
    assert await stage.where.last(ANN, "zon_a") == ""
    stage.kept = "zon_b"
    assert await stage.where.last(ANN, "zon_a") == "zon_b"
