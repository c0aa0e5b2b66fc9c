"""The console's views of sessions and of who is online, over the mock, in real Chromium (row 7.8)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.conftest import OpenPage
from tests.e2e.console_folk import HOSTILE
from tests.e2e.console_people import SESSIONS, ConsolePeople
from tests.e2e.console_server import ConsoleServer
from tests.e2e.console_stage import hit, look_at, people_server, visit
from tests.e2e.page_driver import wait_until

Stage = tuple[ConsoleServer, ConsolePeople]
ROWS = ".table .tspace .tr"


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    with people_server(SESSIONS) as made:
        yield made


def asked(server: ConsoleServer, look: str) -> dict[str, str]:
    return next(params for name, params in reversed(server.asked) if name == look)


def test_fifty_thousand_sessions_in_one_list(page: Page, stage: Stage) -> None:
    server, _ = stage
    visit(page, server, "sessions")
    expect(page.locator(".count-line")).to_have_text("50,000 rows")
    expect(page.locator(ROWS).first).to_contain_text("marlow0")
    assert page.locator(ROWS).count() < 60
    grid = page.locator(".table")
    grid.focus()
    page.keyboard.press("End")
    expect(page.locator(f"{ROWS}[aria-rowindex='50001']")).to_contain_text("s ago")
    assert page.locator(ROWS).count() < 60
    assert int(asked(server, "sessions.search")["offset"]) >= 49_900
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Enter")
    expect(page.locator("#crumbs")).to_have_text("Sessions")
    assert "#/sessions/ses_" in page.url


def test_the_realm_searches_as_one_types(page: Page, stage: Stage) -> None:
    server, _ = stage
    visit(page, server, "sessions")
    expect(page.locator(ROWS).first).to_contain_text("marlow0")
    before = len(server.asked)
    page.locator("input[type=search]").press_sequentially("kestrel49990", delay=20)
    expect(page.locator(".count-line")).to_have_text("1 row")
    expect(page.locator(ROWS)).to_contain_text("kestrel49990")
    searches = [params for name, params in server.asked[before:] if name == "sessions.search"]
    assert len(searches) <= 3  # not one for each letter
    page.fill("input[type=search]", "")
    expect(page.locator(".count-line")).to_have_text("50,000 rows")

    page.fill("[aria-label=Zone]", "zon_0007")
    page.fill("[aria-label=Gateway]", "gwy_7")
    page.select_option("[aria-label=State]", "in_world")
    wait_until(page, lambda: asked(server, "sessions.search").get("gateway") == "gwy_7", "asking for the gateway")
    expect(page.locator(ROWS).first).to_contain_text("zon_0007")
    last = asked(server, "sessions.search")
    assert (last["zone"], last["gateway"], last["state"]) == ("zon_0007", "gwy_7", "in_world")
    assert "zone=zon_0007" in page.url
    page.reload()
    expect(page.locator("[aria-label=Zone]")).to_have_value("zon_0007")

    page.locator("[role=columnheader] button", has_text="Character").click()
    wait_until(page, lambda: asked(server, "sessions.search")["sort"] == "character", "sorting")
    expect(page.locator("[aria-sort=ascending]")).to_have_text("Character")
    page.fill("[aria-label=Zone]", "zon_nowhere")
    expect(page.locator(".empty-line")).to_have_text("No session fits.")


def test_presence_with_filters(page: Page, stage: Stage) -> None:
    server, _ = stage
    visit(page, server, "presence")
    expect(page.locator(ROWS).first).to_contain_text("marlow0")
    page.select_option("[aria-label=Status]", "away")
    expect(page.locator(ROWS).first).to_contain_text("tea by the lighthouse")
    page.fill("[aria-label=Zone]", "zon_0003")
    wait_until(page, lambda: asked(server, "presence.list").get("zone") == "zon_0003", "asking for the zone")
    page.select_option("[aria-label=Status]", "")
    page.fill("[aria-label=Zone]", "")
    page.fill("input[type=search]", "usr_000004")
    expect(page.locator(".count-line")).to_have_text("1 row")
    expect(page.locator(ROWS)).to_contain_text(HOSTILE)
    assert not hit(page)
    page.locator(ROWS).click()
    expect(page.locator("#heading")).to_have_text(HOSTILE)
    expect(page.locator("h2", has_text="Characters")).to_be_visible()
    assert not hit(page)


def test_everybody_can_use_them(open_context_page: OpenPage, stage: Stage) -> None:
    server, people = stage
    paths = ("sessions", "presence", f"sessions/{people.nth(1)}", "users/usr_000017")
    assert look_at(open_context_page, server, *paths) == []
