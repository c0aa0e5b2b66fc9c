"""Operators, one's own account, and the page of all operations (row 7.8)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Locator, Page, expect

from cluster.operations.all import registry
from tests.e2e.conftest import OpenPage
from tests.e2e.console_people import ConsolePeople
from tests.e2e.console_server import ConsoleServer
from tests.e2e.console_stage import confirm, look_at, people_server, submit, troubles, visit, visit_place

Stage = tuple[ConsoleServer, ConsolePeople]


@pytest.fixture
def stage() -> Iterator[Stage]:
    with people_server(60) as made:
        yield made


def row(page: Page, name: str) -> Locator:
    return page.locator(".plain tbody tr").filter(has=page.get_by_role("rowheader", name=name))


def link_shown(page: Page) -> str:
    value = page.locator("dialog .secret-text").input_value()
    page.locator("dialog footer").get_by_role("button", name="Close").click()
    expect(page.locator("dialog")).to_have_count(0)
    return value


def test_invite_change_reset_and_remove(page: Page, stage: Stage) -> None:
    server, people = stage
    visit(page, server, "operators")
    expect(page.locator(".plain tbody tr")).to_have_count(4)
    expect(row(page, "pim")).to_contain_text("invited")
    page.get_by_role("button", name="Invite an operator").click()
    submit(page, name="iris", role="operator")
    page.locator("dialog footer").get_by_role("button", name="Carry out").click()
    expect(page.locator("dialog .job-state")).to_have_text("Done")
    expect(page.locator("dialog .outcome")).to_contain_text("iris")
    assert "rrin.iris" not in page.content(), "secrets are for the dialog that is made for them"
    page.locator("dialog footer").get_by_role("button", name="Close").click()
    assert link_shown(page) == f"{server.url}/console/#/invitation/rrin.iris.secret-1"
    assert server.acted("operators.invite") == [{"name": "iris", "role": "operator"}]
    expect(row(page, "iris")).to_contain_text("invited")
    page.get_by_role("button", name="Change the role of olga").click()
    submit(page, role="viewer")
    confirm(page)
    expect(row(page, "olga")).to_contain_text("viewer")
    page.get_by_role("button", name="Reset vera").click()
    confirm(page, "vera")
    assert "/#/invitation/rrin.vera." in link_shown(page)
    expect(row(page, "vera")).to_contain_text("invited")
    page.get_by_role("button", name="Remove pim").click()
    confirm(page, "pim")
    expect(row(page, "pim")).to_have_count(0)
    assert "pim" not in people.operators.known


def test_a_link_can_be_copied(open_context_page: OpenPage, stage: Stage) -> None:
    server, _ = stage
    page = open_context_page(permissions=["clipboard-read", "clipboard-write"])
    visit(page, server, "operators")
    page.get_by_role("button", name="Reset olga").click()
    confirm(page, "olga")
    page.get_by_role("button", name="Copy").click()
    expect(page.locator("dialog [role=status]")).to_have_text("Copied.")
    assert "/#/invitation/rrin.olga." in page.evaluate("() => navigator.clipboard.readText()")
    assert troubles(page) == []


def test_who_is_no_admin_does_not_see_them(page: Page, stage: Stage) -> None:
    server, _ = stage
    visit_place(page, server, "operators", "vera")
    expect(page.get_by_text("Your role, viewer, may not see this.")).to_be_visible()


def test_every_operation_with_its_command_and_route(page: Page, stage: Stage) -> None:
    server, _ = stage
    there = registry().operations
    visit(page, server, "operations")
    expect(page.locator(".operations > li")).to_have_count(len(there))
    ban = page.locator("[id='op-user.ban']")
    expect(ban.locator("pre")).to_have_text(
        f"$ rayrealm {there['user.ban'].command}\nPOST /console/api/v1/actions/user.ban", use_inner_text=True
    )
    expect(ban).to_contain_text("operator")
    ban.locator("summary").click()
    expect(ban.locator("dl")).to_contain_text("Seconds; null: until it is lifted")
    page.fill("input[type=search]", "audit.list")
    expect(page.locator(".operations > li")).to_have_count(1)
    expect(page.locator(".operations pre")).to_contain_text("GET /console/api/v1/audit/list")
    page.fill("input[type=search]", "")
    page.select_option("[aria-label=Role]", "admin")
    admins = [name for name, operation in there.items() if operation.role.name == "ADMIN"]
    expect(page.locator(".operations > li")).to_have_count(len(admins))


def test_everybody_can_use_them(open_context_page: OpenPage, stage: Stage) -> None:
    assert look_at(open_context_page, stage[0], "operators", "operations") == []
