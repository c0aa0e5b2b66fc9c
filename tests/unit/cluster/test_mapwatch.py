"""The newest map that a process has heard of."""

from __future__ import annotations

import pytest
from structlog.testing import capture_logs

from cluster.mapwatch import MapWatch
from cluster.world_settings import Bounds, WorldSettings
from cluster.worldmap import MapZone, WorldMap

FIRST = WorldMap.declared(WorldSettings())


def another(version: int) -> WorldMap:
    return WorldMap(version, (MapZone("zon_a", "A", Bounds(min_x=0, min_z=0, max_x=version, max_z=1), "zon_a"),))


def test_it_begins_with_what_it_was_given() -> None:
    watch = MapWatch(FIRST)
    watch.take(b"")  # the store has none yet
    assert watch.map == FIRST


def test_a_newer_one_takes_its_place_as_a_whole() -> None:
    watch = MapWatch(FIRST)
    watch.take(another(4).dump())
    assert watch.map == another(4)
    assert watch.map.find("zon_meadow") is None


@pytest.mark.parametrize("version", [0, 3, 4])
def test_one_that_is_not_newer_changes_nothing(version: int) -> None:
    watch = MapWatch(another(4))
    late = WorldMap(version, FIRST.zones)
    watch.take(late.dump())
    assert watch.map == another(4)


@pytest.mark.parametrize("data", [b"{", b"null", b"[]", b'{"version": 9}', b'{"version": 9, "zones": [{}]}', b"\xff"])
def test_what_is_no_map_is_logged_and_changes_nothing(data: bytes) -> None:
    watch = MapWatch(FIRST)
    with capture_logs() as logs:
        watch.take(data)
    assert [line["event"] for line in logs] == ["map_unreadable"]
    assert watch.map == FIRST
    watch.take(another(2).dump())
    assert watch.map == another(2)
