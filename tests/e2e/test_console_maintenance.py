"""Maintenance and broadcasts in the console (row 7.8)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.conftest import OpenPage
from tests.e2e.console_folk import HOSTILE
from tests.e2e.console_people import ConsolePeople
from tests.e2e.console_server import ConsoleServer
from tests.e2e.console_stage import confirm, hit, look_at, people_server, submit, visit

Stage = tuple[ConsoleServer, ConsolePeople]


@pytest.fixture
def stage() -> Iterator[Stage]:
    with people_server(60) as made:
        yield made


def test_close_change_and_open(page: Page, stage: Stage) -> None:
    server, _ = stage
    visit(page, server, "maintenance")
    expect(page.locator("#view")).to_contain_text("Open to everybody")
    page.get_by_role("button", name="Close for maintenance").click()
    submit(page, reason=HOSTILE, close_after_s="60", for_s="600", allow="olga, marlow1")
    confirm(page, "on")
    params = {"on": True, "reason": HOSTILE, "close_after_s": 60, "for_s": 600, "allow": ["olga", "marlow1"]}
    assert server.acted("realm.maintenance") == [params]
    for text in ("Closed to players", "operator:ada", HOSTILE, "olga, marlow1"):
        expect(page.locator("#view .facts, #view .badge").filter(has_text=text).first).to_be_visible()
    expect(page.locator("#bar-maintenance")).to_be_visible()
    assert not hit(page)
    page.get_by_role("button", name="Change", exact=True).click()
    submit(page, reason="", close_after_s="", for_s="", allow="")
    confirm(page, "on")
    assert server.acted("realm.maintenance")[-1] == {
        "on": True, "reason": "", "close_after_s": None, "for_s": None, "allow": [],
    }  # fmt: skip
    expect(page.locator("#view")).to_contain_text("They may stay")
    page.get_by_role("button", name="Open again").click()
    confirm(page, "off")
    assert server.acted("realm.maintenance")[-1] == {"on": False}
    expect(page.locator("#view")).to_contain_text("Open to everybody")
    expect(page.locator("#bar-maintenance")).to_be_hidden()


def test_a_broadcast_to_all_and_to_a_zone(page: Page, stage: Stage) -> None:
    server, _ = stage
    visit(page, server, "maintenance")
    page.get_by_label("Text for the players").fill("The sea rises.\nRun.")
    page.get_by_role("button", name="Broadcast").click()
    confirm(page)
    expect(page.get_by_label("Text for the players")).to_have_value("")
    page.get_by_label("Text for the players").fill("Here, too.")
    page.get_by_label("Zone").fill("zon_0003")
    page.get_by_role("button", name="Broadcast").click()
    confirm(page)
    assert server.acted("realm.broadcast") == [
        {"text": "The sea rises.\nRun.", "zone": None},
        {"text": "Here, too.", "zone": "zon_0003"},
    ]


def test_a_viewer_sees_how_it_is(page: Page, stage: Stage) -> None:
    server, _ = stage
    visit(page, server, "maintenance", "vera")
    expect(page.locator("#view")).to_contain_text("Open to everybody")
    assert page.locator("#view button").count() == 0


def test_everybody_can_use_it(open_context_page: OpenPage, stage: Stage) -> None:
    assert look_at(open_context_page, stage[0], "maintenance") == []
