"""Every action of the console's world views over a mock, in real Chromium: plan, confirmation, progress, result, failure."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.console_driver import close_dialog, confirm, go, log_in, wait_until
from tests.e2e.console_parts import Refusal
from tests.e2e.console_server import ConsoleServer
from tests.e2e.console_world import ConsoleWorld, node_id


@pytest.fixture
def world() -> ConsoleWorld:
    return ConsoleWorld(12)


@pytest.fixture
def console(world: ConsoleWorld) -> Iterator[ConsoleServer]:
    server = ConsoleServer(world)
    server.start()
    yield server
    server.stop()


def act(page: Page, operation: str) -> None:
    page.locator(f"[data-action='{operation}']").first.click()


def test_a_zone_is_split_by_its_plan(page: Page, console: ConsoleServer, world: ConsoleWorld) -> None:
    log_in(page, console, "olga", "zones/zon_0002")
    act(page, "zones.split")
    expect(page.locator("dialog h2")).to_have_text("Split Old Forest")
    expect(page.locator("dialog .plan li")).to_have_text(
        ["Save zon_0002", "Start two halves", "Hand its players over", "Publish the new map"]
    )
    expect(page.locator("dialog .warnings")).to_contain_text("players wait for up to 200 ms")
    assert console.acted("zones.split") == []
    confirm(page)
    expect(page.locator("dialog .steps li")).to_have_count(4)
    expect(page.locator("dialog .outcome")).to_contain_text("zon_0002_1, zon_0002_2")
    assert console.acted("zones.split") == [{"zone": "zon_0002"}]
    close_dialog(page)
    expect(page.locator("#view")).to_contain_text("This zone is no more")


def test_a_zone_is_merged_with_a_neighbour(page: Page, console: ConsoleServer) -> None:
    log_in(page, console, "olga", "zones/zon_0000")
    act(page, "zones.merge")
    offered = page.locator("dialog option")
    expect(offered).to_have_text(["Harbour (zon_0001)", "Saltmarsh (zon_0004)"])
    page.select_option("dialog select", "zon_0001")
    page.click("dialog button[type=submit]")
    confirm(page)
    assert console.acted("zones.merge") == [{"zone": "zon_0000", "other": "zon_0001"}]


def test_a_zone_is_moved_to_another_node(page: Page, console: ConsoleServer, world: ConsoleWorld) -> None:
    world.draining = [node_id(3)]
    log_in(page, console, "olga", "zones/zon_0000")
    act(page, "zones.move")
    expect(page.locator("dialog option")).to_have_text(["node-2 (10.0.0.2)"])  # not where it is, not what drains
    page.click("dialog button[type=submit]")
    confirm(page)
    close_dialog(page)
    assert console.acted("zones.move") == [{"zone": "zon_0000", "node": node_id(2)}]
    expect(page.locator(".facts a")).to_have_text("node-2")


def test_a_standby_is_started(page: Page, console: ConsoleServer, world: ConsoleWorld) -> None:
    log_in(page, console, "olga", "zones/zon_0001")
    expect(page.locator("[data-action='zones.standby']")).to_have_text("Start standby")
    act(page, "zones.standby")
    confirm(page)
    close_dialog(page)
    assert console.acted("zones.standby") == [{"zone": "zon_0001", "on": True}]
    expect(page.locator("[data-action='zones.standby']")).to_have_text("Stop standby")


def test_a_zone_is_added_from_a_template(page: Page, console: ConsoleServer, world: ConsoleWorld) -> None:
    log_in(page, console, "olga", "zones/zon_0000")
    act(page, "zones.add")
    offered = page.locator("dialog select[name=template] option")
    expect(offered).to_have_text(["Annex (annex), 100 × 100 m", "Meadow (meadow), 200 × 200 m"])
    page.select_option("dialog select[name=template]", "meadow")
    page.select_option("dialog select[name=side]", "south")
    page.fill("dialog input[name=name]", "Jetty")
    page.click("dialog button[type=submit]")
    confirm(page)
    close_dialog(page)
    wanted = {"beside": "zon_0000", "template": "meadow", "side": "south", "name": "Jetty"}
    assert console.acted("zones.add") == [wanted]
    go(page, "zones?q=jetty", "Zones")
    expect(page.locator(".tspace .tr")).to_have_count(1)


def test_a_dangerous_action_wants_the_name_typed(page: Page, console: ConsoleServer) -> None:
    log_in(page, console, "olga", "zones/zon_0001")
    act(page, "zones.restart")
    button = page.locator("dialog footer button.danger")
    expect(button).to_be_disabled()
    page.fill("#confirm-name", "zon_0002")
    expect(button).to_be_disabled()
    page.fill("#confirm-name", "zon_0001")
    expect(button).to_be_enabled()
    page.keyboard.press("Enter")
    expect(page.locator("dialog .job-state")).to_have_text("Done")
    assert console.acted("zones.restart") == [{"zone": "zon_0001"}]


def test_a_node_is_drained_and_taken_back(page: Page, console: ConsoleServer, world: ConsoleWorld) -> None:
    log_in(page, console, "olga", "nodes")
    card = page.locator(f"[data-node='{node_id(2)}']")
    card.locator("[data-action='nodes.drain']").click()
    confirm(page, typed="node-2")
    close_dialog(page)
    assert console.acted("nodes.drain") == [{"node": node_id(2)}]
    expect(card).to_contain_text("Draining")
    expect(card).to_contain_text("0 zones")
    card.locator("[data-action='nodes.undrain']").click()
    confirm(page)
    close_dialog(page)
    expect(card).to_contain_text("Takes zones")


def test_a_gateway_is_drained(page: Page, console: ConsoleServer) -> None:
    log_in(page, console, "olga", "gateways")
    row = page.locator("[data-gateway='gateway-2']")
    row.locator("[data-action]").click()
    confirm(page, typed="gateway-2")
    close_dialog(page)
    assert console.acted("gateways.drain") == [{"gateways": ["gateway-2"]}]
    expect(row).to_contain_text("Draining")
    expect(row.locator("[data-action]")).to_have_count(0)


def test_gateways_are_scaled(page: Page, console: ConsoleServer) -> None:
    log_in(page, console, "olga", "gateways")
    expect(page.locator("[data-gateway]")).to_have_count(4)
    act(page, "gateways.scale")
    page.fill("dialog input[name=count]", "6")
    page.click("dialog button[type=submit]")
    confirm(page)
    close_dialog(page)
    assert console.acted("gateways.scale") == [{"count": 6}]
    expect(page.locator("[data-gateway]")).to_have_count(6)


def test_an_action_is_cancelled_while_it_runs(page: Page, console: ConsoleServer) -> None:
    log_in(page, console, "olga", "zones/zon_0002")
    console.hold()
    act(page, "zones.split")
    page.click("dialog footer button:has-text('Carry out')")
    expect(page.locator("dialog .job-state")).to_have_text("Under way")
    page.click("dialog button:has-text('Cancel it')")
    expect(page.locator("dialog .job-state")).to_have_text("Cancelled")
    expect(page.locator("dialog button:has-text('Cancel it')")).to_have_count(0)
    console.release()
    assert console.acted("zones.split") == []


def test_what_cannot_be_cancelled_does_not_offer_it(page: Page, console: ConsoleServer) -> None:
    log_in(page, console, "olga", "zones/zon_0002")
    console.hold()
    act(page, "zones.restart")
    page.fill("#confirm-name", "zon_0002")
    page.click("dialog footer button.danger")
    expect(page.locator("dialog .job-state")).to_have_text("Under way")
    expect(page.locator("dialog button:has-text('Cancel it')")).to_have_count(0)
    console.release()
    expect(page.locator("dialog .job-state")).to_have_text("Done")


def test_a_closed_dialog_is_found_again_in_jobs(page: Page, console: ConsoleServer) -> None:
    log_in(page, console, "olga", "zones/zon_0002")
    console.hold()
    act(page, "zones.split")
    page.click("dialog footer button:has-text('Carry out')")
    expect(page.locator("dialog .job-state")).to_have_text("Under way")
    close_dialog(page)
    expect(page.locator("[data-action='zones.split']")).to_be_focused()
    go(page, "jobs", "Jobs")
    page.click("#view button:has-text('Show')")
    expect(page.locator("dialog .job-state")).to_have_text("Under way")
    console.release()
    expect(page.locator("dialog .job-state")).to_have_text("Done")
    expect(page.locator("dialog .steps li")).to_have_count(4)
    close_dialog(page)
    expect(page.locator("#view tbody tr")).to_contain_text(["Done"])


def test_why_it_failed_is_said(page: Page, console: ConsoleServer) -> None:
    console.failing["zones.split"] = "the zone is too small to be split"
    log_in(page, console, "olga", "zones/zon_0002")
    act(page, "zones.split")
    page.click("dialog footer button:has-text('Carry out')")
    expect(page.locator("dialog .job-state")).to_have_text("It failed")
    expect(page.locator("dialog [role=alert]")).to_have_text("the zone is too small to be split")


def test_a_plan_that_is_refused_can_be_asked_for_again(page: Page, console: ConsoleServer) -> None:
    console.refusing["zones.split"] = Refusal(409, "busy", "another plan is being carried out")
    log_in(page, console, "olga", "zones/zon_0002")
    act(page, "zones.split")
    expect(page.locator("dialog [role=alert]")).to_have_text("Another plan is being carried out")
    console.refusing.clear()
    page.click("dialog button:has-text('Try again')")
    confirm(page)


def test_a_job_is_followed_while_the_feed_is_away(page: Page, console: ConsoleServer) -> None:
    log_in(page, console, "olga", "zones/zon_0002")
    console.hold()
    act(page, "zones.split")
    page.click("dialog footer button:has-text('Carry out')")
    expect(page.locator("dialog .job-state")).to_have_text("Under way")
    console.feed_away = True
    wait_until(page, lambda: console.followers == 0, "the feed going away")
    console.release()
    expect(page.locator("dialog .job-state")).to_have_text("Done", timeout=10_000)
