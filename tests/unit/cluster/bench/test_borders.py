"""The land that is walked, what the report says, and when the command falls short."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from cluster import settings
from cluster.bench import cli
from cluster.bench.border_checks import FAULTS, Watch
from cluster.bench.borders import Borders, borders_config, gap_figures, grounds_of
from cluster.bench.walker import Wanderer
from cluster.worldmap import WorldMap
from rayrealm_client.models import Bounds, Zone
from rayrealm_client.view import Reset, State, View


def zone(name: str, x: float, z: float) -> Zone:
    return Zone(name, name, Bounds(x, z, x + 100, z + 100), 0)


def test_four_zones_touch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "realm.toml"
    path.write_text(borders_config(200))
    monkeypatch.setenv("RAYREALM_CONFIG", str(path))
    made = settings.load().world
    assert (made.game, made.policy.enabled) == ("", False)
    world = WorldMap.declared(made)
    assert len(world.zones) == 4
    for each in world:
        assert len(world.near(each.id, 0.0)) == 3
    grounds = grounds_of([Zone(z.id, z.name, Bounds(**z.bounds.model_dump()), 0) for z in world])
    assert sorted(grounds) == sorted(each.id for each in world)


@pytest.mark.parametrize(
    "zones",
    [
        [],
        [zone("a", 0, 0)],
        [zone("a", 0, 0), zone("b", 101, 0)],
        [zone("a", 0, 0), zone("b", 100, 0), zone("c", 300, 0)],
    ],
)
def test_zones_that_are_no_land(zones: list[Zone]) -> None:
    with pytest.raises(ValueError, match="not one land"):
        grounds_of(zones)


def test_a_land_may_be_long() -> None:
    assert len(grounds_of([zone("c", 200, 0), zone("a", 0, 0), zone("d", 300, 0), zone("b", 100, 0)])) == 4


class TestTheWay:
    def test_straight_lines_at_an_even_pace(self) -> None:
        land = Bounds(0.0, 0.0, 240.0, 240.0)
        walker = Wanderer(land, 60.0, 60.0, 5.0, random.Random(3))
        halves, turns = set(), 0
        for _ in range(6_000):
            x, z, yaw = walker.x, walker.z, walker.yaw
            walker.step(0.1)
            gone = ((walker.x - x) ** 2 + (walker.z - z) ** 2) ** 0.5
            assert gone <= 0.5 + 1e-9
            turns += abs(walker.yaw - yaw) > 1e-6
            assert land.min_x < walker.x < land.max_x
            assert land.min_z < walker.z < land.max_z
            halves.add((walker.x > 120.0, walker.z > 120.0))
        assert len(halves) == 4
        assert 10 < turns < 60

    def test_the_same_dice_give_the_same_way(self) -> None:
        ways = []
        for _ in range(2):
            walker = Wanderer(Bounds(0, 0, 50, 50), 1.0, 1.0, 5.0, random.Random("7:1"))
            for _ in range(100):
                walker.step(0.1)
            ways.append((walker.x, walker.z))
        assert ways[0] == ways[1]


def test_right_after_a_stall_of_its_own_it_does_not_look() -> None:
    borders = Borders("http://127.0.0.1:9", 2, 1)
    borders._watch = Watch({}, 50.0, 5.0)
    borders._stalled_at = 10.0
    borders._look(10.5)
    borders._look(11.0)
    assert (borders._looks, borders._looks_left_out) == (1, 1)


def test_gaps() -> None:
    figures = gap_figures("view", [0.05] * 99 + [0.3])
    assert (figures["view_gap_p50_ms"], figures["view_gap_max_ms"]) == (50.0, 300.0)
    assert 50.0 < figures["view_gap_p99_ms"] < 60.0
    assert gap_figures("crossing", []) == {f"crossing_gap_{name}_ms": 0.0 for name in ("p50", "p99", "max")}


def test_the_report() -> None:
    borders = Borders("http://127.0.0.1:9", 2, 1)
    borders._watch = watch = Watch({"zon_a": Bounds(0, 0, 1, 1)}, 50.0, 5.0)
    first, second = (watch.add(f"bot {n}", f"ent_{n}", 0.0, 0.0, 0) for n in range(2))
    first.begin(0.0)
    for at, where in ((0.05, "zon_a"), (0.3, "zon_b"), (0.35, "zon_a")):
        first.saw(at, View(1, 0, states=(State(1, "ent_0", "player", "", 1, {}),), reset=Reset(where, 1, 1)))
    second.begin(0.0)
    second.saw(0.2, View(1, 0))
    told = borders._report(10.0, 2.5)
    assert (told["crossings"], told["bots_that_crossed"], told["disconnected"]) == (2, 1, 0)
    assert (told["view_gap_max_ms"], told["crossing_gap_max_ms"], told["crossing_gap_p50_ms"]) == (250.0, 250.0, 150.0)
    assert told["load_core"] == 0.25
    assert {name: told[name] for name in FAULTS} == dict.fromkeys(FAULTS, 0)


GOOD = {
    "looks": 100,
    "looks_left_out": 25,
    "crossings": 100,
    "view_gap_max_ms": 249.0,
    "disconnected": 0,
} | dict.fromkeys(FAULTS, 0)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({}, 0),
        ({"view_gap_max_ms": 250.5}, 1),
        ({"crossings": 0}, 1),
        ({"looks_left_out": 26}, 1),
        ({"disconnected": 1}, 1),
        *(({fault: 1}, 1) for fault in FAULTS),
    ],
)
def test_when_it_falls_short(changes: dict[str, Any], code: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli, "run_borders", lambda *args, **kwargs: GOOD | changes)
    assert cli.bench_borders(10, 1.0, as_json=True) == code
