"""The generated realm.toml is one that the settings accept, and lets the crowd in."""

from __future__ import annotations

import math
from itertools import combinations
from pathlib import Path

import pytest

from cluster import settings
from cluster.bench.load import apart, gap, middle
from cluster.bench.plan import largest, side_of
from cluster.bench.realm_under_test import Member, crowd_config, crowd_zones, limits, told_kinds
from cluster.settings import Settings
from rayrealm_client.models import Bounds, Zone


def load(text: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    path = folder / "realm.toml"
    path.write_text(text)
    monkeypatch.setenv("RAYREALM_CONFIG", str(path))
    return settings.load()


@pytest.mark.parametrize("clients", [2, 800, 20_000])
def test_the_zone_holds_the_crowd(clients: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = load(crowd_config(clients), tmp_path, monkeypatch)
    (zone,) = made.world.zones
    assert made.world.spawn_zone == zone.id
    bounds = Bounds(*(getattr(zone.bounds, name) for name in Bounds.__slots__))
    x, z = middle(bounds, side_of(clients))
    assert bounds.min_x < x < x + side_of(clients) < bounds.max_x
    assert bounds.min_z < z < z + side_of(clients) < bounds.max_z
    assert made.world.zone_capacity >= clients
    assert made.gateway.capacity >= clients
    assert made.session.sessions_per_actor >= clients
    # One leap from anywhere to anywhere, and no more than that beyond the default rule.
    rule = made.world.movement
    assert rule.max_speed == Settings.model_fields["world"].default.movement.max_speed
    diagonal = math.hypot(bounds.max_x - bounds.min_x, bounds.max_z - bounds.min_z)
    assert diagonal <= rule.max_speed * rule.tolerance * rule.budget_s <= diagonal + 20.0


@pytest.mark.parametrize("clients", [800, 801])
def test_zones_of_a_crowd_are_apart(clients: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = load(crowd_config(clients, 8), tmp_path, monkeypatch)
    assert [zone.id for zone in made.world.zones] == crowd_zones(8)
    assert made.world.spawn_zone == crowd_zones(8)[0]
    assert made.world.game == ""
    listed = [Zone(z.id, z.name, Bounds(**z.bounds.model_dump()), 0) for z in made.world.zones]
    side = side_of(largest(clients, 8))
    assert apart(listed, 8, side) == listed
    margin = made.world.interest.radius + made.world.interest.hysteresis + 5.0
    assert all(gap(a.bounds, b.bounds) > margin for a, b in combinations(listed, 2))
    with pytest.raises(ValueError, match="has 8 zones"):
        apart(listed, 9, side)
    with pytest.raises(ValueError, match="has 0 zones"):
        apart(listed, 8, 2 * side)


def test_zones_that_touch_are_not_apart() -> None:
    listed = [Zone(f"zon_{x}", "", Bounds(x, 0, x + 200, 200), 0) for x in (0, 200, 400)]
    assert [zone.zone for zone in apart(listed, 2, 100.0)] == ["zon_0", "zon_400"]


def test_the_limits_alone_are_settings_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = load(limits(2_000), tmp_path, monkeypatch)
    assert made.accounts.argon2_time_cost == 1
    assert len(made.world.zones) == 4


def test_a_zone_that_is_too_small_is_refused() -> None:
    with pytest.raises(ValueError, match="needs a zone of 560 by 560 m"):
        middle(Bounds(0, 0, 500, 900), 560.0)


def test_kinds_that_say_little_are_left_to_the_command_line() -> None:
    listed = [Member("zone", "zone/a", 1), Member("ray", "raylet", 2)]
    assert told_kinds(listed) == {1: "zone"}
