"""The play page walks from one zone of a land into the next: nothing changes but the zone's name (row 7.2). Over the mock realm."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from playwright.sync_api import Page, expect

from tests.e2e.page_driver import DEADLINE_S, register_and_enter, state, wait_for_state, walk
from tests.e2e.play_server import PlayServer

# Watches every drawn frame: how far the player and each of the others were moved, and who was drawn.
WATCH = """
  () => {
    const seen = [];
    const look = () => {
      const { me, entities, zone, zoneName, playhead, guessed, steppedAt } = window.rayrealm.state();
      const others = entities.map(({ name, x, z }) => [name, x, z]);
      seen.push({ playhead, guessed, steppedAt, zone, zoneName, me: [me.x, me.z], others });
      window.watching = requestAnimationFrame(look);
    };
    window.watched = seen;
    window.watching = requestAnimationFrame(look);
  }
"""


def watched(page: Page) -> list[dict[str, Any]]:
    frames: list[dict[str, Any]] = page.evaluate(
        "() => { cancelAnimationFrame(window.watching); return window.watched; }"
    )
    return frames


def test_over_the_border_and_back(page: Page, play_server: PlayServer) -> None:
    world = play_server.world
    world.joined, world.spawn = True, (196.0, 100.0)
    for body in world.bodies.values():  # about where the border is, and never out of sight
        assert body.orbit is not None
        body.orbit = (4.0 + 2.0 * body.number, body.orbit[1], body.orbit[2])
    world.middle = (200.0, 100.0)
    register_and_enter(page, play_server.url, "marlow", "Marlow")
    everyone = {body.name for body in world.bodies.values() if body.orbit}
    before = wait_for_state(page, lambda s: {e["name"] for e in s["entities"]} == everyone, "seeing everyone")
    expect(page.locator("#zone-name")).to_have_text("Meadow")
    assert before["land"] == {"min_x": 0, "min_z": 0, "max_x": 400, "max_z": 200}
    assert [zone["zone"] for zone in before["zones"]] == ["zon_meadow", "zon_harbour"]

    page.evaluate(WATCH)
    there = walk(page, "d", lambda s: s["me"]["x"] > 206, "walking east")
    expect(page.locator("#zone-name")).to_have_text("Harbour", timeout=DEADLINE_S * 1000)
    back = walk(page, "a", lambda s: s["me"]["x"] < 194, "walking back")
    expect(page.locator("#zone-name")).to_have_text("Meadow", timeout=DEADLINE_S * 1000)
    frames = watched(page)

    assert (there["zone"], back["zone"]) == ("zon_harbour", "zon_meadow")
    assert there["me"]["number"] != before["me"]["number"] == back["me"]["number"]
    body = play_server.body("Marlow")
    assert body.refused == 0
    assert all(b.sequence == a.sequence + 1 for a, b in pairwise(body.judged))
    zones = [frame["zone"] for frame in frames]
    assert [a for a, b in pairwise([*zones, ""]) if a != b] == ["zon_meadow", "zon_harbour", "zon_meadow"]
    for a, b in pairwise(frames):
        walked, drawn = (
            b["steppedAt"] - a["steppedAt"],
            b["playhead"] - a["playhead"],
        )  # by the page's clock, the zone's
        assert {name for name, _, _ in b["others"]} == everyone, "nobody is missing in any frame"
        assert len(b["others"]) == len(everyone), "nobody is there twice"
        known = drawn + a["guessed"]  # what was guessed while views were late is put right when they come
        where = {name: (x, z) for name, x, z in a["others"]}
        for name, x, z in b["others"]:
            gone = ((x - where[name][0]) ** 2 + (z - where[name][1]) ** 2) ** 0.5
            assert gone < 12.0 * known + 0.25, f"{name} jumps {gone:.2f} m in {known * 1_000:.0f} ms"
        mine = ((b["me"][0] - a["me"][0]) ** 2 + (b["me"][1] - a["me"][1]) ** 2) ** 0.5
        assert mine < 8.0 * walked + 0.25, f"the player jumps {mine:.2f} m in {walked * 1_000:.0f} ms"


def test_the_wall_is_where_the_land_ends(page: Page, play_server: PlayServer) -> None:
    play_server.world.joined, play_server.world.spawn = True, (397.0, 100.0)
    register_and_enter(page, play_server.url, "marlow", "Marlow")
    walk(page, "d", lambda s: s["me"]["x"] >= 399.59, "reaching the wall")
    page.wait_for_timeout(300)
    assert state(page)["me"]["x"] <= 399.61
    assert play_server.body("Marlow").refused == 0


def test_the_own_state_reaches_the_page(page: Page, play_server: PlayServer) -> None:
    register_and_enter(page, play_server.url, "marlow", "Marlow")
    first = wait_for_state(page, lambda s: s["own"], "the own state")
    assert (first["own"]["name"], first["own"]["properties"]) == ("Marlow", {})
    assert "Marlow" not in {entity["name"] for entity in first["entities"]}

    async def change() -> None:
        play_server.body("Marlow").change(wood=3)

    play_server.run(change)
    after = wait_for_state(page, lambda s: s["own"]["properties"], "the change of it")
    assert (after["own"]["properties"], after["own"]["version"]) == ({"wood": 3}, 2)
