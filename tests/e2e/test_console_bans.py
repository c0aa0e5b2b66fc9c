"""Bans, and what the watch on abuse does, in the console (rows 6.3 and 7.8)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.conftest import OpenPage
from tests.e2e.console_folk import HOSTILE
from tests.e2e.console_parts import Refusal
from tests.e2e.console_people import ConsolePeople
from tests.e2e.console_server import ConsoleServer
from tests.e2e.console_stage import confirm, hit, look_at, people_server, submit, visit

Stage = tuple[ConsoleServer, ConsolePeople]


@pytest.fixture
def stage() -> Iterator[Stage]:
    with people_server(60) as made:
        yield made


ROWS = ".table .tspace .tr"


def test_bans_of_users_and_networks(page: Page, stage: Stage) -> None:
    server, people = stage
    visit(page, server, "bans")
    expect(page.locator(ROWS)).to_have_count(4)
    expect(page.locator(ROWS).nth(1)).to_contain_text(HOSTILE)
    expect(page.locator(ROWS).nth(1)).to_contain_text("Lifted by hand")
    expect(page.locator(ROWS).nth(2)).to_contain_text("203.0.113.0/24")
    page.select_option("[aria-label=Kind]", "network")
    expect(page.locator(ROWS)).to_have_count(2)
    page.fill("input[type=search]", "floods")
    expect(page.locator(ROWS)).to_have_count(1)
    page.fill("input[type=search]", "")
    page.select_option("[aria-label=Kind]", "")

    page.get_by_role("button", name="Ban a network").click()
    submit(page, network="198.51.100.0/24", for_s="900", reason="floods")
    expect(page.locator("dialog .warnings")).to_contain_text("2 players are there.")
    confirm(page)
    assert server.acted("network.ban") == [{"network": "198.51.100.0/24", "for_s": 900, "reason": "floods"}]
    expect(page.locator(ROWS)).to_have_count(5)
    page.get_by_role("button", name="Ban a user").click()
    submit(page, user="usr_000009", for_s="")
    confirm(page)
    assert server.acted("user.ban") == [{"user": "usr_000009", "for_s": None, "reason": ""}]
    expect(page.locator(ROWS)).to_have_count(6)

    page.get_by_role("button", name="Lift the ban of 203.0.113.0/24").click()
    confirm(page)
    page.get_by_role("button", name="Lift the ban of fenn17").click()
    confirm(page)
    assert server.acted("network.unban") == [{"network": "203.0.113.0/24"}]
    assert server.acted("user.unban") == [{"user": "usr_000017"}]
    expect(page.locator(ROWS)).to_have_count(4)
    assert "203.0.113.0/24" not in people.bans
    assert not hit(page)


def test_what_cannot_be_banned_is_said(page: Page, stage: Stage) -> None:
    server, _ = stage
    server.refusing["user.ban"] = Refusal(404, "not_found", "no such user: 'nobody'")
    visit(page, server, "bans")
    page.get_by_role("button", name="Ban a user").click()
    submit(page, user="nobody")
    expect(page.locator("dialog .problem")).to_have_text("No such user: 'nobody'")
    page.keyboard.press("Escape")
    assert server.done == []


def test_what_the_watch_does(page: Page, stage: Stage) -> None:
    server, people = stage
    visit(page, server, "abuse")
    rows = page.locator(".plain tbody tr")
    expect(rows).to_have_count(3)
    expect(rows.nth(1)).to_contain_text("block")
    expect(rows.nth(1)).to_contain_text("41 of 20")
    page.get_by_role("button", name="usr_000033", exact=True).click()
    expect(page.locator("dialog")).to_contain_text("4,812")
    page.locator("dialog footer").get_by_role("button", name="Lift").click()
    confirm(page)
    assert server.acted("abuse.lift") == [{"subject": "usr_000033"}]
    expect(rows).to_have_count(2)
    page.get_by_role("button", name="Lift what holds against 198.51.100.7").click()
    confirm(page)
    expect(rows).to_have_count(1)
    page.fill("[aria-label='User or address']", "198.51.100.99")
    page.wait_for_timeout(300)  # it is read as one types
    page.get_by_role("button", name="Look up").click()
    expect(page.locator("dialog")).to_contain_text("Nothing was counted.")
    page.keyboard.press("Escape")
    people.measures.clear()
    expect(page.locator(".empty-line")).to_have_text("The watch holds nothing against anybody.", timeout=10_000)


def test_a_viewer_only_looks(page: Page, stage: Stage) -> None:
    server, _ = stage
    visit(page, server, "bans", "vera")
    expect(page.locator(ROWS)).to_have_count(4)
    assert page.locator("#view button").count() == 0


def test_everybody_can_use_them(open_context_page: OpenPage, stage: Stage) -> None:
    assert look_at(open_context_page, stage[0], "bans", "abuse") == []


def test_nobody_is_banned(page: Page, stage: Stage) -> None:
    server, people = stage
    people.bans.clear()
    visit(page, server, "bans")
    note = page.locator(".empty-line")
    expect(note).to_have_text("Nobody is banned.")
    inside, box = note.bounding_box(), page.locator(".table").bounding_box()
    assert inside is not None
    assert box is not None
    assert box["y"] < inside["y"]
    assert inside["y"] + inside["height"] < box["y"] + box["height"]
