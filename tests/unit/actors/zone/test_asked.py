"""What operators ask a zone's actor: what a player sees."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from actors.zone.arrivals import Arrival
from actors.zone.asked import methods, seen
from actors.zone.zone import Zone
from cluster.errors import InvalidState, NotFound
from cluster.world_settings import Bounds, WorldSettings
from cluster.worldmap import MapZone, WorldMap

GROUND = MapZone("zon_test", "Test", Bounds(min_x=0, min_z=0, max_x=200, max_z=200), "zon_test")


def arrival(name: str, x: float) -> Arrival:
    ids = f"chr_{name}", name, f"ses_{name}", f"usr_{name}", f"chr_{name}"
    return Arrival(*ids, "gtw_a", 1, x, 0.0, 100.0, 0.0)


@pytest.fixture
def zone() -> Zone:
    made = Zone(GROUND, WorldSettings(), 1)
    made.remap(WorldMap(1, (GROUND,)))
    for name, x in (("ann", 50.0), ("bob", 55.0), ("far", 190.0)):
        made.enter(arrival(name, x), 0.0)
    made.spawn("ent_cat", "cat", "Cat", (52.0, 0.0, 100.0, 0.0), {"mood": "good"})
    made.tick(0.05)
    return made


def test_the_same_as_its_client_would_be_told(zone: Zone) -> None:
    view = seen(zone, "ses_ann")
    told = zone.snapshot("ses_ann")
    assert [{k: v for k, v in each.items() if k != "kind"} for each in view["entities"]] == told["entities"]
    assert {(each["name"], each["kind"]) for each in view["entities"]} == {
        ("ann", "player"), ("bob", "player"), ("Cat", "thing"),
    }  # fmt: skip
    assert view["entities"][0]["number"] == view["number"]
    assert (view["zone"], view["tick"], view["radius"]) == ("zon_test", 1, zone.world.interest.radius)
    assert view["link_dead"] is False


def test_nothing_changes_in_the_zone(zone: Zone) -> None:
    writes = zone.writes
    for _ in range(3):
        seen(zone, "ses_ann")
    assert (zone.writes, zone.ticks) == (writes, 1)
    assert zone.tick(0.1).outputs is not None


def test_who_is_not_here(zone: Zone) -> None:
    with pytest.raises(NotFound):
        seen(zone, "ses_gone")


async def test_only_the_owner_answers(zone: Zone) -> None:
    roles: Any = SimpleNamespace(owner=None, role="following")
    asked = methods(roles)
    with pytest.raises(InvalidState) as caught:
        await asked["view"]("ses_ann")
    assert (caught.value.reason, caught.value.state) == ("not_owner", "following")
    roles.owner = SimpleNamespace(zone=zone)
    assert (await asked["view"]("ses_ann"))["zone"] == "zon_test"
