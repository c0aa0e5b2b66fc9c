"""The live log in the console (row 7.8)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.conftest import OpenPage
from tests.e2e.console_log import HOSTILE
from tests.e2e.console_people import ConsolePeople
from tests.e2e.console_server import ConsoleServer
from tests.e2e.console_stage import confirm, hit, look_at, people_server, submit, visit

Stage = tuple[ConsoleServer, ConsolePeople]


@pytest.fixture
def stage() -> Iterator[Stage]:
    with people_server(60) as made:
        yield made


LINES = ".log-line"


def test_lines_as_they_are_written(page: Page, stage: Stage) -> None:
    server, people = stage
    visit(page, server, "logs")
    expect(page.locator(".count-line")).to_have_text("300 lines")
    people.log.write("a_new_line", "warning", why="to be seen")
    expect(page.locator(LINES, has_text="a_new_line")).to_be_visible()
    expect(page.locator(".count-line")).to_have_text("301 lines")
    for n in range(2_500):
        people.log.write("many", n=n)
        if n % 400 == 399:
            page.wait_for_timeout(200)  # the feed sends 500 lines at most in one message
    expect(page.locator(LINES, has_text="n=2499")).to_be_visible()
    expect(page.locator(".count-line")).to_have_text("2,000 lines")
    assert page.locator(LINES).count() < 80


def test_pause_and_follow(page: Page, stage: Stage) -> None:
    server, people = stage
    visit(page, server, "logs")
    expect(page.locator(".count-line")).to_have_text("300 lines")
    page.get_by_role("button", name="Pause").click()
    people.log.write("while_paused")
    expect(page.locator(".count-line")).to_have_text("300 lines, paused, 1 more since")
    expect(page.locator(LINES, has_text="while_paused")).to_have_count(0)
    page.get_by_role("button", name="Go on").click()
    expect(page.locator(LINES, has_text="while_paused")).to_be_visible()

    follow = page.get_by_label("Follow")
    expect(follow).to_be_checked()
    page.locator(".log").hover()
    page.mouse.wheel(0, -2_000)
    expect(follow).not_to_be_checked()
    first = page.locator(LINES, has_text="session_attached").first.inner_text()
    top = page.locator(".log").evaluate("(log) => log.scrollTop")
    people.log.write("out_of_sight")
    expect(page.locator(".count-line")).to_have_text("302 lines")
    assert page.locator(".log").evaluate("(log) => log.scrollTop") == top
    assert page.locator(LINES, has_text="session_attached").first.inner_text() == first
    follow.check()
    expect(page.locator(LINES, has_text="out_of_sight")).to_be_visible()


def test_filters_and_what_is_found_is_marked(page: Page, stage: Stage) -> None:
    server, people = stage
    people.log.write(HOSTILE, "critical", said=HOSTILE)
    visit(page, server, "logs?level=error")
    expect(page.locator(LINES).last).to_contain_text(HOSTILE)
    assert page.locator(f"{LINES}[data-level=info]").count() == 0
    page.select_option("[aria-label='Least level']", "")
    page.select_option("[aria-label=Kind]", "zone")
    expect(page.locator(".count-line")).to_have_text("100 lines")
    page.fill("[aria-label=Process]", "zone:2")
    expect(page.locator(".count-line")).to_have_text("25 lines")
    page.fill("[aria-label=Process]", "")
    page.select_option("[aria-label=Kind]", "")
    page.fill("[aria-label=Find]", "window.hit")
    expect(page.locator(".count-line")).to_have_text("1 line")
    expect(page.locator("mark").first).to_have_text("window.hit")
    assert "q=window.hit" in page.url
    page.locator(".log-head").click()
    expect(page.locator(".log-fields")).to_contain_text(HOSTILE)
    expect(page.locator(".log-fields mark").first).to_have_text("window.hit")
    assert not hit(page)
    page.fill("[aria-label=Find]", "nothing has this")
    expect(page.locator(".empty-line")).to_have_text("No line fits.")


def test_by_keyboard(page: Page, stage: Stage) -> None:
    server, _ = stage
    visit(page, server, "logs")
    expect(page.locator(".count-line")).to_have_text("300 lines")
    page.locator(".log").focus()
    page.keyboard.press("Home")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page.locator(".log-fields")).to_contain_text("ses_00000001")
    page.keyboard.press("Enter")
    expect(page.locator(".log-fields")).to_have_count(0)


def test_after_a_break_no_line_is_there_twice(page: Page, stage: Stage) -> None:
    server, people = stage
    visit(page, server, "logs")
    expect(page.locator(".count-line")).to_have_text("300 lines")
    server.cut()
    expect(page.locator("#feed")).to_have_text("Live")
    people.log.write("after_the_break")
    expect(page.locator(LINES, has_text="after_the_break")).to_be_visible(timeout=15_000)
    expect(page.locator(".count-line")).to_have_text("301 lines")


def test_another_level(page: Page, stage: Stage) -> None:
    server, _ = stage
    visit(page, server, "logs")
    page.get_by_role("button", name="Change level").click()
    submit(page, level="debug", processes="gateway:1, zone:2", for_s="60")
    confirm(page)
    assert server.acted("logs.level") == [{"level": "debug", "processes": ["gateway:1", "zone:2"], "for_s": 60}]
    page.get_by_role("button", name="Change level").click()
    submit(page, level="warning", for_s="")
    confirm(page)
    assert server.acted("logs.level")[-1] == {"level": "warning", "processes": None, "for_s": None}


def test_everybody_can_use_it(open_context_page: OpenPage, stage: Stage) -> None:
    assert look_at(open_context_page, stage[0], "logs") == []
