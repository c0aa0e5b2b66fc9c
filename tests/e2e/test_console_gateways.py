"""The console's gateways over a mock, in real Chromium."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.console_driver import log_in
from tests.e2e.console_server import ConsoleServer
from tests.e2e.console_world import ConsoleWorld


@pytest.fixture
def world() -> ConsoleWorld:
    return ConsoleWorld(4)


@pytest.fixture
def console(world: ConsoleWorld) -> Iterator[ConsoleServer]:
    server = ConsoleServer(world)
    server.start()
    yield server
    server.stop()


def test_each_gateway_says_how_it_is(page: Page, console: ConsoleServer, world: ConsoleWorld) -> None:
    log_in(page, console, path="gateways")
    row = page.locator("[data-gateway='gateway-3']")
    for said in ("gateway-3", "host-3.example", "Up", "360", "3,600/s", "14.4k/s", "2.6 MiB/s", "78.1 KiB", "17.6 KiB"):
        expect(row).to_contain_text(said)
    expect(page.locator("#gateway-count")).to_have_text("4 gateways, 1,200 sockets")
    expect(page.locator("[data-gateway='gateway-4']")).to_contain_text("Without redis")
    world.gateways["gateway-3"].update(sockets=4_990, queue_bytes=5 * 2**20)
    expect(row).to_contain_text("4,990")
    expect(row).to_contain_text("5 MiB")
    expect(row.locator(".meter")).to_have_class("meter bad")


def test_gateways_come_and_go(page: Page, console: ConsoleServer, world: ConsoleWorld) -> None:
    log_in(page, console, path="gateways")
    expect(page.locator("[data-gateway]")).to_have_count(4)
    world.scale(2)
    expect(page.locator("[data-gateway]")).to_have_count(2)
    expect(page.locator("#gateway-count")).to_contain_text("2 gateways")
    world.scale(5)
    expect(page.locator("[data-gateway]")).to_have_count(5)


def test_a_button_that_has_the_focus_keeps_it_while_figures_change(
    page: Page, console: ConsoleServer, world: ConsoleWorld
) -> None:
    log_in(page, console, path="gateways")
    button = page.locator("[data-gateway='gateway-1'] button")
    button.focus()
    world.gateways["gateway-1"].update(sockets=4_000)
    expect(page.locator("[data-gateway='gateway-1']")).to_contain_text("4,000")
    expect(button).to_be_focused()


def test_the_drain_buttons_stand_in_their_column(page: Page, console: ConsoleServer) -> None:
    log_in(page, console, path="gateways")
    cells = page.locator(".plain .acts")
    expect(cells).to_have_count(5)
    assert set(cells.evaluate_all("(all) => all.map((each) => getComputedStyle(each).display)")) == {"table-cell"}
