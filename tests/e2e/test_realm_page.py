"""Two players in real browsers, on a whole realm: what issue and README promise to somebody who tries it."""

from __future__ import annotations

import os
import secrets
from functools import partial
from pathlib import Path

import pytest

from tests.e2e.conftest import OpenPage
from tests.e2e.page_driver import State, pixels, register_and_enter, screenshot, wait_for_state, walk
from tests.real_realm import RealRealm

pytestmark = pytest.mark.realm


def draws(name: str, state: State) -> bool:
    """The page drew an entity of that name in its last frame."""
    return name in {drawn["name"] for drawn in state["drawn"]}


def test_each_player_sees_the_other_move(realm: RealRealm, open_context_page: OpenPage, tmp_path: Path) -> None:
    tag = secrets.token_hex(3)
    names = [f"Ayla {tag}", f"Borin {tag}"]
    pages = [open_context_page(), open_context_page()]
    for page, name in zip(pages, names, strict=True):
        register_and_enter(page, realm.url, f"player-{secrets.token_hex(5)}", name)
    for page, other in zip(pages, reversed(names), strict=True):
        wait_for_state(page, partial(draws, other), f"{other} is drawn")

    # The first walks, and the second sees where it went: on its canvas, not only in its data.
    before = next(e for e in wait_for_state(pages[1], bool, "a state")["entities"] if e["name"] == names[0])
    mine = walk(pages[0], "d", lambda s: s["me"]["x"] > before["x"] + 4, "walked 4 m to the east")
    seen = wait_for_state(
        pages[1],
        lambda s: any(e["name"] == names[0] and abs(e["x"] - mine["me"]["x"]) < 1.5 for e in s["entities"]),
        "the other's new place",
    )
    drawn = next(d for d in seen["drawn"] if d["name"] == names[0])
    assert len(set(pixels(pages[1], drawn["sx"], drawn["sy"], 24))) > 1, "nothing is drawn there"

    folder = Path(os.environ.get("PLAY_SCREENSHOTS", tmp_path))
    for number, page in enumerate(pages):
        screenshot(page, folder / f"realm-{number}.png")
