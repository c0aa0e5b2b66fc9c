"""From the console, under 150 walking bots: their zone is split, its half moved, and that half's node drained and removed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.e2e.console_cluster import CONFIG, VIEW_MS, Seat
from tests.e2e.crowd import Crowd, Told, crowd
from tests.three_nodes import three_nodes

pytestmark = [pytest.mark.realm, pytest.mark.slow]

BOTS = 150
SEED = 77
MISSED_S = 0.5
ENTER_S, SETTLE_MS, CALM_MS = 120.0, 3_000, 8_000
ZONE = "zon_land"
LAND = f"""
spawn_zone = "{ZONE}"

[[world.zones]]
id = "{ZONE}"
name = "Land"
bounds = {{ min_x = 0.0, min_z = 0.0, max_x = 400.0, max_z = 400.0 }}
"""


def test_a_zone_is_split_moved_and_its_node_removed_under_150_bots(browser: Browser, tmp_path: Path) -> None:
    config = (
        CONFIG.replace('game = "actors.games.homestead:Homestead"\n', LAND.partition("[[")[0])
        + LAND[LAND.index("[[") :]
    )
    figures: dict[str, Told] = {}
    with three_nodes(config=config) as realm, crowd(realm.url, BOTS, SEED, tmp_path / "crowd.log") as bots:
        seat = Seat(browser, realm)
        page = seat.page
        seat.until(lambda: bots.ask().walking == BOTS, f"{BOTS} bots that walk", ENTER_S)
        before = _told(seat, bots, CALM_MS)
        figures["calm"] = before

        seat.visit(f"zones/{ZONE}")
        seat.button("zones.split").click()
        seat.confirm()
        figures["split"] = _told(seat, bots)
        (half,) = set(seat.zones()) - {ZONE}

        there = seat.zones()[half]["node"]
        to = next(node for node in seat.nodes().values() if not node["head"] and node["node"] != there)
        seat.visit(f"zones/{half}")
        seat.button("zones.move").click()
        seat.fill(node=to["node"])
        seat.confirm()
        figures["move"] = _told(seat, bots)
        assert seat.zones()[half]["node"] == to["node"]

        seat.visit("nodes")
        page.locator(f"[data-node='{to['node']}'] [data-action='nodes.drain']").click()
        seat.confirm()
        figures["drain"] = _told(seat, bots)
        assert all(zone["node"] not in ("", to["node"]) for zone in seat.zones().values())

        name = next(name for name, address in realm.nodes.items() if address == to["address"])
        realm.remove_node(name)
        figures["remove"] = _told(seat, bots)
        expect(page.locator("[data-node]")).to_have_count(2, timeout=3 * VIEW_MS)
        assert seat.troubles == []
        seat.close()
    said = {step: _worst(told) for step, told in figures.items()}
    (tmp_path / "figures.json").write_text(json.dumps(said))
    for step, told in figures.items():
        assert told.walking == BOTS, said
        assert told.logins == BOTS, (step, said)
        assert max(told.gaps_s, default=0.0) <= MISSED_S, (step, said)


def _told(seat: Seat, bots: Crowd, wait_ms: int = SETTLE_MS) -> Told:
    """What they lived through since the last time, and for a while after it."""
    if wait_ms == CALM_MS:
        bots.ask()
    seat.page.wait_for_timeout(wait_ms)
    return bots.ask()


def _worst(told: Told) -> dict[str, float]:
    return {
        "walking": told.walking,
        "logins": told.logins,
        "reconnects": told.reconnects,
        "gaps": len(told.gaps_s),
        "worst_s": max(told.gaps_s, default=0.0),
        "late_s": told.late_s,
    }
