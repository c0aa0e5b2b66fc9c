"""The audit log in the console (row 7.8)."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.conftest import OpenPage
from tests.e2e.console_folk import HOSTILE
from tests.e2e.console_people import ConsolePeople
from tests.e2e.console_server import ConsoleServer
from tests.e2e.console_stage import hit, look_at, people_server, visit

Stage = tuple[ConsoleServer, ConsolePeople]


@pytest.fixture
def stage() -> Iterator[Stage]:
    with people_server(60) as made:
        yield made


ENTRIES = ".audit-list > li"


def test_newest_first_and_on_as_one_scrolls(page: Page, stage: Stage) -> None:
    server, people = stage
    visit(page, server, "audit")
    expect(page.locator(ENTRIES).first).to_contain_text("session.message")
    first = page.locator(ENTRIES).count()
    assert 50 <= first <= 150
    for _ in range(12):
        page.locator(".list-end").scroll_into_view_if_needed()
        page.wait_for_timeout(100)
    expect(page.locator(ENTRIES)).to_have_count(261)
    expect(page.locator("#view > [role=status], .view > [role=status]")).to_have_text("All 261 entries that are kept.")
    ids = page.locator(ENTRIES).evaluate_all("(items) => items.map((item) => item.dataset.id)")
    assert ids == sorted(ids, reverse=True)
    assert len(set(ids)) == 261
    people.note("operator:olga", "user.unban", "usr_000001", "a mistake")
    expect(page.locator(ENTRIES).first).to_contain_text("a mistake", timeout=10_000)


def test_filters_and_details(page: Page, stage: Stage) -> None:
    server, _ = stage
    visit(page, server, "audit?q=onerror")
    expect(page.locator(ENTRIES)).to_have_count(1)
    page.locator(f"{ENTRIES} summary").click()
    expect(page.locator(".audit .facts")).to_contain_text(HOSTILE)
    expect(page.locator(".audit .facts")).to_contain_text("job_")
    assert not hit(page)
    page.fill("[aria-label='Any text']", "")
    page.fill("[aria-label^=Actor]", "watch")
    page.fill("[aria-label^=Action]", "zones.")
    expect(page.locator(ENTRIES)).to_have_count(13)
    assert "actor=watch" in page.url
    page.fill("[aria-label^=Target]", "usr_000258")
    expect(page.locator(ENTRIES)).to_have_count(1)
    page.fill("[aria-label^=Target]", "nobody")
    expect(page.get_by_text("Nothing in the log fits.")).to_be_visible()


def test_what_is_shown_can_be_saved(page: Page, stage: Stage) -> None:
    server, _ = stage
    visit(page, server, "audit?target=usr_000258")
    expect(page.locator(ENTRIES)).to_have_count(1)
    with page.expect_download() as saved:
        page.get_by_role("button", name="Save what is shown").click()
    with saved.value.path().open() as file:
        (entry,) = json.load(file)
    assert entry["target"] == "usr_000258"


def test_everybody_can_use_it(open_context_page: OpenPage, stage: Stage) -> None:
    assert look_at(open_context_page, stage[0], "audit") == []
