"""The console's list of zones and a zone's own page over a mock, in real Chromium."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.console_driver import go, log_in, wait_until
from tests.e2e.console_server import ConsoleServer
from tests.e2e.console_world import ConsoleWorld

ROWS = ".tspace .tr"


@pytest.fixture
def world() -> ConsoleWorld:
    return ConsoleWorld(1_000)


@pytest.fixture
def console(world: ConsoleWorld) -> Iterator[ConsoleServer]:
    server = ConsoleServer(world)
    server.start()
    yield server
    server.stop()


def test_a_thousand_zones_are_a_few_elements(page: Page, console: ConsoleServer) -> None:
    log_in(page, console, path="zones")
    expect(page.locator(".count-line")).to_have_text("1,000 rows")
    assert page.locator(ROWS).count() < 60
    expect(page.locator(".table")).to_have_attribute("aria-rowcount", "1001")
    asked = sum(name == "zones.list" for name, _ in console.asked)
    assert asked <= 3
    page.focus(".table")
    page.keyboard.press("End")
    last = page.locator(".tr.current")
    expect(last).to_have_attribute("aria-rowindex", "1001")
    expect(last).to_contain_text("zon_0")
    assert page.locator(ROWS).count() < 60
    page.keyboard.press("PageUp")
    page.keyboard.press("Home")
    expect(page.locator(".tr.current")).to_have_attribute("aria-rowindex", "2")


def test_the_realm_searches_and_sorts(page: Page, console: ConsoleServer, world: ConsoleWorld) -> None:
    world.zones["zon_0500"].update(population=9_999)
    log_in(page, console, path="zones")
    page.click(".th button:has-text('Population')")
    expect(page.locator("[aria-sort=descending]")).to_contain_text("Population")
    expect(page.locator(f"{ROWS}[aria-rowindex='2']")).to_contain_text("9,999")
    page.click(".th button:has-text('Population')")
    expect(page.locator("[aria-sort=ascending]")).to_contain_text("Population")
    page.fill("input[type=search]", "harbour 5")
    expect(page.locator(".count-line")).to_have_text("11 rows")  # 5 and 50 to 59
    assert "q=harbour+5" in page.url
    name, params = console.asked[-1]
    assert (name, params["q"], params["sort"], params["descending"]) == (
        "zones.list",
        "harbour 5",
        "population",
        "false",
    )
    page.reload()
    expect(page.locator(".count-line")).to_have_text("11 rows")
    expect(page.locator("input[type=search]")).to_have_value("harbour 5")
    page.fill("input[type=search]", "nowhere")
    expect(page.locator(".empty-line")).to_have_text("No zone is called so.")


def test_rows_change_as_zones_do(page: Page, console: ConsoleServer, world: ConsoleWorld) -> None:
    log_in(page, console, path="zones?q=zon_0100")
    row = page.locator(ROWS)
    expect(row).to_have_count(1)
    world.zones["zon_0100"].update(population=777, epoch=41)
    expect(row).to_contain_text("777")
    expect(row).to_contain_text("41")
    world.lose("zon_0100")
    expect(row).to_contain_text("Away")
    expect(row).to_contain_text("–")


def test_a_zone_has_its_figures_process_and_history(page: Page, console: ConsoleServer, world: ConsoleWorld) -> None:
    world.zones["zon_0002"].update(population=123, epoch=7, restarts=2, overruns=19)
    log_in(page, console, path="zones?q=zon_0002")
    page.click(f"{ROWS} a")
    expect(page.locator("#heading")).to_have_text("Old Forest")
    tiles = page.locator(".tile dd:not(.more)")
    expect(tiles.nth(0)).to_have_text("123")
    expect(tiles.nth(2)).to_have_text("19")
    expect(tiles.nth(3)).to_have_text("7")
    expect(tiles.nth(4)).to_have_text("2")
    expect(page.locator(".facts")).to_contain_text("host-3.example")
    expect(page.locator(".facts")).to_contain_text("4002, slot 2")
    expect(page.locator(".steps")).to_contain_text("zones.move: done (olga)")
    expect(page.locator(".plot canvas")).to_have_count(2)
    world.zones["zon_0002"].update(population=124)
    expect(tiles.nth(0)).to_have_text("124")
    page.click("#crumbs a")
    expect(page.locator("#heading")).to_have_text("Zones")


def test_a_zone_that_is_not_there(page: Page, console: ConsoleServer) -> None:
    log_in(page, console)
    go(page, "zones/zon_9999", ["Zones", "zon_9999"][1])
    expect(page.locator("#view [role=alert]")).to_contain_text("There is no zone zon_9999")
    wait_until(page, lambda: console.followers == 1, "the feed")
