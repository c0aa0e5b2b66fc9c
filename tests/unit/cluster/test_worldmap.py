"""The map of the world: every point of the land has one owner, whatever was cut and joined."""

from __future__ import annotations

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster.world_settings import Bounds, WorldSettings, ZoneSpec
from cluster.worldmap import MapZone, WorldMap, retired


def ground(min_x: float, min_z: float, max_x: float, max_z: float) -> Bounds:
    return Bounds(min_x=min_x, min_z=min_z, max_x=max_x, max_z=max_z)


def zone(name: str, *edges: float, **more: str) -> MapZone:
    return MapZone(f"zon_{name}", name, ground(*edges), f"zon_{name}", **more)  # type: ignore[arg-type]


def world(*zones: MapZone) -> WorldMap:
    return WorldMap(1, zones)


FOUR = world(
    zone("a", 0, 0, 100, 100), zone("b", 100, 0, 200, 100), zone("c", 0, 100, 100, 200), zone("d", 100, 100, 200, 200)
)


def owner(world_map: WorldMap, x: float, z: float) -> str | None:
    found = world_map.at(x, z)
    return found.name if found else None


class TestAt:
    @pytest.mark.parametrize(
        ("x", "z", "whose"),
        [
            (50, 50, "a"),
            (0, 0, "a"),
            (100, 50, "b"),
            (50, 100, "c"),
            (100, 100, "d"),
            (200, 50, "b"),
            (50, 200, "c"),
            (200, 200, "d"),
            (200, 100, "d"),
            (100, 200, "d"),
            (0, 100, "c"),
            (100, 0, "b"),
            (-0.001, 50, None),
            (200.001, 50, None),
            (float("nan"), 50, None),
        ],
    )
    def test_edges_and_corners(self, x: float, z: float, whose: str | None) -> None:
        assert owner(FOUR, x, z) == whose
        assert owner(WorldMap(1, FOUR.zones[::-1]), x, z) == whose

    def test_the_inner_corner_of_a_land_that_is_no_rectangle(self) -> None:
        corner = world(zone("a", 0, 0, 200, 100), zone("b", 0, 100, 100, 200))
        assert owner(corner, 50, 100) == "b"
        assert owner(corner, 150, 100) == "a"  # nobody begins there
        assert owner(corner, 100, 100) in {"a", "b"}
        assert owner(corner, 100, 150) == "b"

    def test_grounds_that_touch_at_a_corner_alone(self) -> None:
        corner = world(zone("a", 0, 100, 100, 200), zone("b", 100, 0, 200, 100))
        assert owner(corner, 100, 100) == owner(WorldMap(1, corner.zones[::-1]), 100, 100)

    def test_a_zone_without_ground_owns_nothing(self) -> None:
        merged = world(zone("a", 0, 0, 200, 100), retired(zone("b", 100, 0, 200, 100), "zon_a"))
        assert {owner(merged, x, 50) for x in (0, 100, 150, 200)} == {"a"}


class TestNear:
    def test_who_has_ground_within_the_margin(self) -> None:
        row = world(zone("a", 0, 0, 100, 100), zone("b", 100, 0, 200, 100), zone("c", 250, 0, 300, 100))
        assert [z.name for z in row.near("zon_a", 0.0)] == ["b"]
        assert [z.name for z in row.near("zon_c", 50.0)] == ["b"]
        assert [z.name for z in row.near("zon_c", 150.0)] == ["a", "b"]
        assert row.near("zon_c", 49.0) == ()

    def test_across_a_corner(self) -> None:
        assert [z.name for z in FOUR.near("zon_a", 0.0)] == ["b", "c", "d"]

    def test_a_zone_that_goes_into_another_is_near_that_one_wherever_it_is(self) -> None:
        far = world(zone("a", 0, 0, 100, 100), retired(zone("b", 900, 0, 999, 100), "zon_a"))
        assert [z.name for z in far.near("zon_a", 1.0)] == ["b"]
        assert [z.name for z in far.near("zon_b", 1.0)] == ["a"]

    def test_an_unknown_zone_is_near_nobody(self) -> None:
        assert FOUR.near("zon_x", 1e6) == ()


class TestDump:
    def test_there_and_back(self) -> None:
        odd = world(zone("a", 0.1, -1e6, 1 / 3, 2), retired(zone("b", 1, 2, 3, 4, node="f00"), "zon_a"))
        assert WorldMap.load(odd.dump()) == odd

    @pytest.mark.parametrize(
        "data",
        [
            b"",
            b"[]",
            b"{}",
            b"nonsense",
            b'{"version":1}',
            b'{"version":1,"zones":[{"id":"zon_a"}]}',
            b'{"version":1,"zones":[{"id":"a","name":"a","declared":"a","bounds":{"min_x":1}}]}',
            b'{"version":"x","zones":[]}',
            b'{"version":1,"zones":[{"id":"a","name":"a","declared":"a","new":1,"bounds":{}}]}',
        ],
    )
    def test_what_is_no_map(self, data: bytes) -> None:
        with pytest.raises(ValueError, match=r"."):
            WorldMap.load(data)

    def test_it_is_plain_json(self) -> None:
        said = orjson.loads(world(zone("a", 0, 0, 1, 1)).dump())
        assert said["zones"][0]["bounds"] == {"min_x": 0, "min_z": 0, "max_x": 1, "max_z": 1}


class TestDeclared:
    SETTINGS = WorldSettings(
        zones=(
            ZoneSpec(id="zon_a", name="A", bounds=ground(0, 0, 100, 100), standby=True),
            ZoneSpec(id="zon_b", name="B", bounds=ground(100, 0, 200, 100)),
        ),
        spawn_zone="zon_a",
    )

    def test_the_first_map(self) -> None:
        first = WorldMap.declared(self.SETTINGS)
        assert first.version == 1
        assert [(z.id, z.declared, z.standby) for z in first] == [("zon_a", "zon_a", True), ("zon_b", "zon_b", False)]

    def test_nothing_new_is_no_change(self) -> None:
        first = WorldMap.declared(self.SETTINGS)
        assert first.with_declared(self.SETTINGS) is first

    def test_what_the_operator_added_and_renamed(self) -> None:
        old = world(zone("a", 0, 0, 50, 100), zone("old", 500, 0, 600, 100)).changed(
            MapZone("zon_a_2", "a", ground(50, 0, 100, 100), "zon_a")
        )
        new = old.with_declared(self.SETTINGS)
        assert new.version == old.version + 1
        assert {z.id: (z.name, z.standby) for z in new} == {
            "zon_a": ("A", True),
            "zon_a_2": ("A", True),
            "zon_old": ("old", False),
            "zon_b": ("B", False),
        }
        assert new.find("zon_a") is not None
        assert [z.bounds for z in new][:1] == [ground(0, 0, 50, 100)]

    def test_ground_that_is_taken_stays_taken(self) -> None:
        joined = world(zone("a", 0, 0, 200, 100))
        assert [z.id for z in joined.with_declared(self.SETTINGS)] == ["zon_a"]


@st.composite
def changes(draw: st.DrawFn) -> WorldMap:
    """Four zones, cut and joined at random."""
    now = FOUR
    for number in range(draw(st.integers(0, 12))):
        if draw(st.booleans()):
            old = draw(st.sampled_from(now.zones))
            b = old.bounds
            axis = draw(st.sampled_from("xz"))
            low, high = getattr(b, f"min_{axis}"), getattr(b, f"max_{axis}")
            at = low + (high - low) * draw(st.floats(0.1, 0.9))
            parts = [b.model_dump() | {f"max_{axis}": at}, b.model_dump() | {f"min_{axis}": at}]
            if not low < at < high:
                continue
            first = MapZone(old.id, old.name, Bounds(**parts[0]), old.declared)
            now = now.changed(first, MapZone(f"zon_{number}", str(number), Bounds(**parts[1]), old.declared))
        else:
            pairs = [
                (a, b)
                for a in now
                for b in now
                if (a.bounds.min_z, a.bounds.max_z, a.bounds.max_x) == (b.bounds.min_z, b.bounds.max_z, b.bounds.min_x)
            ]
            if pairs:
                a, b = draw(st.sampled_from(pairs))
                whole = Bounds(**{**a.bounds.model_dump(), "max_x": b.bounds.max_x})
                now = now.changed(MapZone(a.id, a.name, whole, a.declared), without=(b.id,))
    return now


@given(changes(), st.data())
def test_every_point_of_the_land_has_one_owner(now: WorldMap, data: st.DataObject) -> None:
    """That it is one follows from grounds that do not overlap; that there is one, and it has the point, is asked here."""
    edges_x = sorted({edge for zone in now for edge in (zone.bounds.min_x, zone.bounds.max_x)})
    edges_z = sorted({edge for zone in now for edge in (zone.bounds.min_z, zone.bounds.max_z)})
    coordinate = st.floats(0, 200)
    x = data.draw(st.one_of(st.sampled_from(edges_x), coordinate))
    z = data.draw(st.one_of(st.sampled_from(edges_z), coordinate))
    found = now.at(x, z)
    assert found is not None
    assert found.contains(x, z)
    inside = [zone for zone in now if zone.contains(x, z) and x < zone.bounds.max_x and z < zone.bounds.max_z]
    assert inside in ([], [found])
    assert now.at(x, z) == WorldMap(now.version, now.zones[::-1]).at(x, z)
    area = sum((b.max_x - b.min_x) * (b.max_z - b.min_z) for b in (zone.bounds for zone in now))
    assert area == pytest.approx(40_000)
    assert not any(a.bounds.overlaps(b.bounds) for a in now for b in now if a.id != b.id)
