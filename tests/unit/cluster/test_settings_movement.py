"""The settings of movement: obstacles, limits of types, heights (row 7.1)."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from cluster.errors import SettingsError
from cluster.settings import load
from cluster.world_settings import EntityTypeSettings, MovementSettings, WorldSettings


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Neither the developer's variables nor a realm.toml in the working directory."""
    for name in os.environ:
        if name.startswith("RAYREALM_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def problems() -> dict[str, str]:
    with pytest.raises(SettingsError) as caught:
        load()
    return dict(caught.value.problems)


def test_obstacles_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "realm.toml").write_text(
        "[[world.obstacles]]\nrect = [10, 20, 15.5, 40]\n"
        "[[world.obstacles]]\npolygon = [[0, 0], [4, 0], [4.0, 4], [0, 4]]\n"
    )
    house, field = load().world.obstacles
    assert (house.rect, house.polygon) == ((10.0, 20.0, 15.5, 40.0), None)
    assert (field.rect, field.polygon) == (None, ((0.0, 0.0), (4.0, 0.0), (4.0, 4.0), (0.0, 4.0)))


@pytest.mark.parametrize(
    ("obstacle", "name", "reason"),
    [
        ("", "", "either rect or polygon"),
        ("rect = [0, 0, 1, 1]\npolygon = [[0, 0], [1, 0], [0, 1]]", "", "either rect or polygon"),
        ("rect = [0, 0, 0, 1]", "", "min_x < max_x"),
        ("rect = [0, 2, 1, 1]", "", "min_z < max_z"),
        ("rect = [0, 0, 1]", ".rect.3", "required"),
        ("rect = [0, 0, nan, 1]", ".rect.2", "finite"),
        ("rect = [0, -inf, 1, 1]", ".rect.1", "finite"),
        ("rect = [0, 0, 1, 1000001]", ".rect.3", "less than or equal to 1000000"),
        ("polygon = [[0, 0], [1, 0]]", "", "at least 3 corners"),
        ("polygon = [[0, 0], [1, 0], [inf, 1]]", ".polygon.2.0", "finite"),
        ("polygon = [[0, 0], [1, 0], [1]]", ".polygon.2.1", "required"),
        ("polygon = [[0, 0], [4, 4], [4, 0], [0, 4]]", "", "(0, 0) and from (4, 0) cross or touch"),
        ("circle = 3", ".circle", "no such setting"),
    ],
)
def test_obstacles_that_are_none(tmp_path: Path, obstacle: str, name: str, reason: str) -> None:
    (tmp_path / "realm.toml").write_text(f"[[world.obstacles]]\nrect = [0, 0, 1, 1]\n[[world.obstacles]]\n{obstacle}\n")
    assert reason in problems()[f"world.obstacles.1{name}"]


def test_too_many(tmp_path: Path) -> None:
    file, one = tmp_path / "realm.toml", "[[world.obstacles]]\nrect = [0, 0, 1, 1]\n"
    file.write_text(one * 10_000)
    assert len(load().world.obstacles) == 10_000
    file.write_text(one * 10_001)
    assert "at most 10000 items" in problems()["world.obstacles"]
    ring = ", ".join(f"[{n}, {n * n}]" for n in range(1_001))
    file.write_text(f"[[world.obstacles]]\npolygon = [{ring}]\n")
    assert "at most 1000 items" in problems()["world.obstacles.0.polygon"]


@pytest.mark.parametrize(
    ("toml", "name", "reason"),
    [
        ("[world.movement]\nmin_y = 5\nmax_y = 5", "world.movement", "min_y < max_y"),
        ("[world.movement]\nmin_y = nan", "world.movement.min_y", "finite"),
        ("[world.types.npc]\nmax_speed = 0", "world.types.npc.max_speed", "greater than 0"),
        ("[world.types.npc]\nmax_speed = nan", "world.types.npc.max_speed", "less than or equal"),
        ("[world.types.npc]\nmax_acceleration = inf", "world.types.npc.max_acceleration", "less than or equal"),
        (
            '[world.types.npc]\nvisibility = {hp = "friends"}',
            "world.types.npc.visibility.hp",
            "'owner', 'near' or 'all'",
        ),
        ("[world.types.Npc]\nmax_speed = 1", "world.types.Npc.[key]", "pattern"),
    ],
)
def test_limits(tmp_path: Path, toml: str, name: str, reason: str) -> None:
    (tmp_path / "realm.toml").write_text(toml)
    assert reason in problems()[name]


def test_who_may_do_what() -> None:
    world = WorldSettings(movement=MovementSettings(max_speed=5.0), types={"npc": EntityTypeSettings(max_speed=2.0)})
    assert world.limits("player") == EntityTypeSettings(max_speed=5.0)
    assert world.limits("npc").max_speed == 2.0
    assert world.limits("dragon") == EntityTypeSettings()
    world = WorldSettings(types={"player": EntityTypeSettings(max_acceleration=9.0)})
    assert world.limits("player") == EntityTypeSettings(max_acceleration=9.0)
