"""The world's game is found by its name, or the start says why not (row 7.6)."""

from __future__ import annotations

from pathlib import Path

import pytest

from cluster.cli.up import up
from cluster.errors import SettingsError
from cluster.game_class import load_class


def test_none() -> None:
    assert load_class("") is None


def test_a_class() -> None:
    assert load_class("cluster.errors:SettingsError") is SettingsError


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("no_such_module:Game", "ModuleNotFoundError"),
        ("cluster.errors:NoSuchClass", "AttributeError"),
        ("cluster.game_class:load_class", "no class"),
    ],
)
def test_what_is_none(name: str, why: str) -> None:
    with pytest.raises(SettingsError, match=why):
        load_class(name)


def test_a_module_that_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my_broken_game.py").write_text("1 / 0\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(SettingsError, match="ZeroDivisionError"):
        load_class("my_broken_game:Game")


def test_the_start_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RAYREALM_WORLD__GAME", "no_such_module:Game")
    monkeypatch.setattr("cluster.cli.up.run", lambda settings: pytest.fail("it started"))
    with pytest.raises(SettingsError) as refused:
        up(data=tmp_path)
    assert [name for name, _ in refused.value.problems] == ["world.game"]
