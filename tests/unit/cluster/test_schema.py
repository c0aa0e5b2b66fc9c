"""Versions of stored documents: older ones are brought up, newer ones are read as far as they allow it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from cluster.schema import Format, TooNew, as_it_was, known


def renamed(document: dict[str, Any]) -> dict[str, Any]:
    return {"colour": document["color"], "size": document.get("size", 1)}


def doubled(document: dict[str, Any]) -> dict[str, Any]:
    return {**document, "size": 2 * document["size"]}


HATS = Format("hat", version=3, readable_by=2, upgrades={1: renamed, 2: doubled})


@dataclass
class Hat:
    colour: str
    size: int


def test_the_present_version_is_read_as_it_was_written() -> None:
    hat = {"colour": "red", "size": 4}
    assert HATS.stamped(hat) == {"v": [3, 2], **hat}
    assert HATS.read(HATS.stamped(hat)) == hat


@pytest.mark.parametrize(
    ("stored", "hat"),
    [
        ({"color": "red"}, {"colour": "red", "size": 2}),
        ({"v": [1, 1], "color": "red", "size": 3}, {"colour": "red", "size": 6}),
        ({"v": [2, 1], "colour": "red", "size": 3}, {"colour": "red", "size": 6}),
    ],
)
def test_older_ones_are_brought_up_step_by_step(stored: dict[str, Any], hat: dict[str, Any]) -> None:
    before = dict(stored)
    assert HATS.read(stored) == hat
    assert stored == before


def test_a_newer_one_that_allows_it() -> None:
    read = HATS.read({"v": [9, 3], "colour": "red", "size": 1, "feather": True})
    assert Hat(**known(Hat, read)) == Hat("red", 1)


def test_a_newer_one_that_does_not() -> None:
    with pytest.raises(TooNew, match="hat of version 9, which code before version 4 cannot read"):
        HATS.read({"v": [9, 4], "colour": "red"})


@pytest.mark.parametrize("stamp", [None, 3, "3", [], [1], [1, 2, 3], ["a", "b"], {}])
def test_what_is_no_version(stamp: object) -> None:
    with pytest.raises(ValueError, match="hat"):
        HATS.read({"v": stamp})


@pytest.mark.parametrize(
    ("version", "readable_by", "upgrades"), [(2, 1, {}), (3, 1, {1: as_it_was}), (1, 2, {}), (1, 0, {})]
)
def test_a_format_that_cannot_be(version: int, readable_by: int, upgrades: dict[int, Any]) -> None:
    with pytest.raises(ValueError, match="format hat"):
        Format("hat", version, readable_by, upgrades)
