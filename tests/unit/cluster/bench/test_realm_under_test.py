"""The generated realm.toml is one that the settings accept, and lets the crowd in."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from cluster import settings
from cluster.bench.load import middle
from cluster.bench.plan import side_of
from cluster.bench.realm_under_test import Member, crowd_config, limits, told_kinds
from cluster.settings import Settings
from rayrealm_client.models import Bounds


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
