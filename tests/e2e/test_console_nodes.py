"""The console's nodes over a mock, in real Chromium."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.console_driver import log_in
from tests.e2e.console_server import ConsoleServer
from tests.e2e.console_world import GIB, ConsoleWorld, node_id


@pytest.fixture
def world() -> ConsoleWorld:
    return ConsoleWorld(12)


@pytest.fixture
def console(world: ConsoleWorld) -> Iterator[ConsoleServer]:
    server = ConsoleServer(world)
    server.start()
    yield server
    server.stop()


def test_each_node_says_how_it_is(page: Page, console: ConsoleServer, world: ConsoleWorld) -> None:
    log_in(page, console, path="nodes")
    cards = page.locator("[data-node]")
    expect(cards).to_have_count(3)
    first = cards.first
    for said in ("node-1", "Head", "10.0.0.1", "22 %", "3 GiB of 16 GiB", "4 zones, 2 gateways, 8 processes"):
        expect(first).to_contain_text(said)
    expect(cards.nth(1)).not_to_contain_text("Head")
    world.nodes[node_id(1)].update(cpu=97.0, memory_used=15 * GIB)
    expect(first.locator(".meter.bad")).to_have_count(2)
    expect(first.locator(".plot canvas")).to_have_count(1)


def test_nodes_come_and_go(page: Page, console: ConsoleServer, world: ConsoleWorld) -> None:
    log_in(page, console, path="nodes")
    expect(page.locator("[data-node]")).to_have_count(3)
    del world.nodes[node_id(3)]
    expect(page.locator("[data-node]")).to_have_count(2)
    del world.nodes[node_id(2)]
    expect(page.locator("[data-node]")).to_have_count(1)
    expect(page.locator("[data-action='nodes.drain']")).to_be_disabled()  # nothing else could take its zones
    world.nodes.clear()
    expect(page.locator("#view")).to_contain_text("There are no nodes")


def test_ids_of_nodes_are_short_in_jobs(page: Page, console: ConsoleServer, world: ConsoleWorld) -> None:
    gone = "ab" * 28
    console.jobs["job_1"] = {
        "id": "job_1",
        "action": "zones.move",
        "params": {"zone": "zon_0001", "node": node_id(2)},
        "target": "zon_0001",
        "operator": "ada",
        "state": "failed",
        "steps": [{"at": 1.0, "text": f"move zon_0001 to {node_id(2)}"}],
        "done": 0.5,
        "result": None,
        "secrets": [],
        "error": f"it came to run on node {gone}",
        "cancellable": False,
        "created_at": 1.0,
        "ended_at": 2.0,
    }
    log_in(page, console, path="jobs")
    row = page.locator(".plain tbody tr")
    expect(row).to_contain_text("zon_0001, 10.0.0.2")
    expect(row.locator(".node-id")).to_have_attribute("title", node_id(2))
    page.get_by_role("button", name="Show zones.move, zon_0001, 10.0.0.2").click()
    expect(page.locator("dialog .steps")).to_contain_text("move zon_0001 to 10.0.0.2")
    expect(page.locator("dialog .problem")).to_have_text("it came to run on node abababab")
    expect(page.locator("dialog .problem .node-id")).to_have_attribute("title", gone)
