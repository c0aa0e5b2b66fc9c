"""One session in the console: what is known, what can be done, and what its player sees (row 7.8)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.console_folk import HOSTILE
from tests.e2e.console_people import ConsolePeople
from tests.e2e.console_server import ConsoleServer
from tests.e2e.console_stage import confirm, hit, people_server, submit, troubles, visit
from tests.e2e.page_driver import wait_until

Stage = tuple[ConsoleServer, ConsolePeople]


@pytest.fixture
def stage() -> Iterator[Stage]:
    with people_server(60) as made:
        yield made


def act(page: Page, name: str) -> None:
    page.get_by_role("toolbar", name="Actions").get_by_role("button", name=name, exact=True).click()


def test_all_that_is_known(page: Page, stage: Stage) -> None:
    server, people = stage
    visit(page, server, f"sessions/{people.nth(0)}")
    for text in ("usr_000000", "gwy_0", "203.0.113.0", "23.4 ms", "chat:global, chat:zone, news", "12.5, 0.0, -48.3"):
        expect(page.locator("#view")).to_contain_text(text)
    expect(page.locator(".columns .facts dd", has_text=HOSTILE)).to_be_visible()
    history = page.locator(".audit-list > li")
    expect(history).to_have_count(2)
    history.first.locator("summary").click()
    expect(history.first.locator(".facts")).to_contain_text(HOSTILE)
    assert not hit(page)


def test_kick_then_it_has_ended(page: Page, stage: Stage) -> None:
    server, people = stage
    session = people.nth(2)
    visit(page, server, f"sessions/{session}")
    act(page, "Kick")
    submit(page, reason="too loud")
    confirm(page, session)
    assert server.acted("session.kick") == [{"session": session, "reason": "too loud"}]
    expect(page.locator(".notice")).to_contain_text("This session has ended")
    expect(page.get_by_role("button", name="Kick")).to_have_count(0)
    page.get_by_role("button", name="All sessions").click()
    expect(page.locator("#heading")).to_have_text("Sessions")


def test_message_ban_and_end_logins(page: Page, stage: Stage) -> None:
    server, people = stage
    session = people.nth(3)
    visit(page, server, f"sessions/{session}")
    act(page, "Message")
    submit(page, text=HOSTILE)
    confirm(page)
    assert server.acted("session.message") == [{"session": session, "text": HOSTILE}]
    act(page, "Ban")
    submit(page, for_s="604800", reason="sells gold")
    confirm(page)
    assert server.acted("user.ban") == [{"user": "usr_000003", "for_s": 604_800, "reason": "sells gold"}]
    act(page, "Ban")
    submit(page, for_s="")
    confirm(page)
    assert server.acted("user.ban")[-1] == {"user": "usr_000003", "for_s": None, "reason": ""}
    act(page, "End logins")
    confirm(page)
    assert server.acted("token.revoke") == [{"user": "usr_000003"}]
    page.get_by_role("link", name="User", exact=True).click()
    expect(page.locator(".notice.bad")).to_contain_text("Banned until it is lifted")
    act(page, "Lift the ban")
    confirm(page)
    expect(page.locator(".notice.bad")).to_have_count(0)
    assert server.acted("user.unban") == [{"user": "usr_000003"}]
    assert not hit(page)


def test_a_plan_that_is_not_confirmed_does_nothing(page: Page, stage: Stage) -> None:
    server, people = stage
    visit(page, server, f"sessions/{people.nth(3)}")
    act(page, "Kick")
    submit(page)
    expect(page.locator("dialog .plan")).to_contain_text("Close the socket")
    page.keyboard.press("Escape")
    expect(page.locator("dialog")).to_have_count(0)
    assert server.done == []


def test_export_is_a_file(page: Page, stage: Stage, tmp_path: Path) -> None:
    server, people = stage
    visit(page, server, f"sessions/{people.nth(5)}")
    with page.expect_download() as saved:
        act(page, "Export")
    assert saved.value.suggested_filename == "usr_000005.json"
    saved.value.save_as(tmp_path / "kept.json")
    assert json.loads((tmp_path / "kept.json").read_text())["messages"] == [HOSTILE]


def test_view_as_player_is_read_only(page: Page, stage: Stage) -> None:
    server, people = stage
    session = people.nth(1)
    visit(page, server, f"sessions/{session}")
    assert [name for name, _ in server.asked if name == "sessions.view"] == []
    act(page, "View as player")
    view = page.get_by_role("region", name="View as player")
    expect(view).to_contain_text("Read-only.")
    expect(view).to_contain_text("The audit log says that you look.")
    expect(view.locator(".seen-list li")).to_have_count(21)
    expect(view.locator(".seen-list li").first).to_contain_text("8.1 m")
    expect(view).to_contain_text("Briony 2")
    colours = "(canvas) => new Set(canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data).size"
    assert view.locator("canvas").evaluate(colours) > 8
    assert view.locator("input, select, textarea").count() == 0
    assert not hit(page)
    assert troubles(page) == []

    def looks() -> list[dict[str, str]]:
        return [params for name, params in server.asked if name == "sessions.view"]

    wait_until(page, lambda: len(looks()) >= 3, "looking once a second")
    assert looks()[-1] == {"session": session}
    view.get_by_role("button", name="Close").click()
    expect(view).to_have_count(0)
    seen = len(looks())
    page.wait_for_timeout(1_500)  # longer than it waits between two looks
    assert len(looks()) == seen
    assert server.done == []


def test_what_a_viewer_may(page: Page, stage: Stage) -> None:
    server, people = stage
    visit(page, server, f"sessions/{people.nth(1)}", "vera")
    expect(page.get_by_role("link", name="User", exact=True)).to_be_visible()
    assert page.get_by_role("toolbar", name="Actions").get_by_role("button").count() == 0
