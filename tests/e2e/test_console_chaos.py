"""Killing processes from the console, and seeing how the realm bears it (row 7.8)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.conftest import OpenPage
from tests.e2e.console_people import ConsolePeople
from tests.e2e.console_server import ConsoleServer
from tests.e2e.console_stage import confirm, look_at, people_server, troubles, visit, visit_place

Stage = tuple[ConsoleServer, ConsolePeople]


@pytest.fixture
def stage() -> Iterator[Stage]:
    with people_server(60) as made:
        yield made


ROWS = ".table .tspace .tr"


def test_kill_one_and_see_it_come_back(page: Page, stage: Stage) -> None:
    server, people = stage
    visit(page, server, "chaos")
    expect(page.locator(ROWS)).to_have_count(12)
    page.select_option("[aria-label=Kind]", "gateway")
    expect(page.locator(ROWS)).to_have_count(2)
    people.world.gateways["gateway-1"]["sockets"] = 500
    page.wait_for_timeout(600)  # the figures before
    page.get_by_role("button", name="Kill gateway:1").click()
    expect(page.locator("dialog")).to_contain_text("Send SIGKILL to gateway:1")
    confirm(page, "gateway:1")
    people.world.gateways["gateway-1"]["sockets"] = 100
    assert server.acted("processes.kill") == [{"name": "gateway:1"}]
    drill = page.get_by_role("region", name="Recoveries").locator(".panel")
    expect(drill).to_contain_text("gateway:1 was killed at")
    expect(drill).to_contain_text("nobody logs in again")
    expect(drill.locator(".took")).to_contain_text("after 1.4 s")
    expect(drill).to_contain_text("pid 14101 on host1")
    expect(drill).to_contain_text("1,580 before, 1,180 at the least")
    expect(page.locator(ROWS).nth(1)).to_contain_text("14101")


def test_until_it_is_back(page: Page, stage: Stage) -> None:
    server, people = stage
    people.stays_away = True
    visit(page, server, "chaos")
    page.fill("input[type=search]", "watch")
    expect(page.locator(ROWS)).to_have_count(1)
    page.get_by_role("button", name="Kill watch:0").click()
    confirm(page, "watch:0")
    drill = page.get_by_role("region", name="Recoveries").locator(".panel")
    expect(drill).to_contain_text("not yet, for")
    expect(drill).to_contain_text("nobody is watched for abuse")
    expect(page.locator(".empty-line")).to_have_text("No process fits.")
    assert troubles(page) == []


def test_only_where_the_server_allows_it_and_to_admins(open_context_page: OpenPage, stage: Stage) -> None:
    server, _ = stage
    page = open_context_page()
    visit_place(page, server, "chaos", "olga")
    expect(page.get_by_text("Your role, operator, may not see this.")).to_be_visible()
    expect(page.locator("#nav a[data-place=chaos]")).to_have_count(0)
    with people_server(10, chaos=False) as (calm, _):
        visit(page, calm, "operators")
        expect(page.locator("#nav a[data-place=operators]")).to_be_visible()
        expect(page.locator("#nav a[data-place=chaos]")).to_have_count(0)


def test_everybody_can_use_it(open_context_page: OpenPage, stage: Stage) -> None:
    assert look_at(open_context_page, stage[0], "chaos") == []
