"""One's own login at the console's page (row 7.8): password, second factor, recovery codes, other logins, tokens."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.conftest import OpenPage
from tests.e2e.console_accounts import CODE, PASSWORD
from tests.e2e.console_own_login import NEW_CODE
from tests.e2e.console_people import ConsolePeople
from tests.e2e.console_server import ConsoleServer
from tests.e2e.console_stage import confirm, look_at, people_server, submit, troubles, visit

Stage = tuple[ConsoleServer, ConsolePeople]
OTHER = " another long walk "  # as it was typed


@pytest.fixture
def stage() -> Iterator[Stage]:
    with people_server(60) as made:
        yield made


def press(page: Page, name: str) -> None:
    page.get_by_role("button", name=name, exact=True).click()


def problem(page: Page) -> str:
    found = page.locator("dialog form [role=alert]")
    expect(found).not_to_be_empty()
    return found.inner_text()


def shown(page: Page) -> str:
    """The secret of the dialog, which is closed."""
    value = page.locator("dialog .secret-text").input_value()
    page.locator("dialog footer").get_by_role("button", name="Close").click()
    expect(page.locator("dialog")).to_have_count(0)
    return value


@pytest.mark.parametrize("role", ["vera", "ada"])
def test_another_password(page: Page, stage: Stage, role: str) -> None:
    server, _ = stage
    server.logins.by_cookie["elsewhere"] = role
    visit(page, server, "account", role)
    press(page, "Change password")
    submit(page, password="wrong", new=OTHER, again=OTHER)
    assert problem(page) == "Password: is wrong"
    submit(page, password=PASSWORD, new=OTHER, again=f"{OTHER}!")
    expect(page.locator("dialog form [role=alert]")).to_have_text("The two new ones differ.")
    submit(page, password=PASSWORD, new=OTHER, again=OTHER)
    expect(page.locator("dialog")).to_have_count(0)
    assert server.logins.accounts[role].password == OTHER
    assert list(server.logins.by_cookie.values()) == [role], "other logins have ended"
    expect(page.locator("#me-name")).to_have_text(role)
    press(page, "New token")  # with the new CSRF token
    submit(page, label="backup", password=OTHER)
    assert shown(page) == f"rrop.{role}.secret"
    assert OTHER not in page.content()


def test_a_new_authenticator(page: Page, stage: Stage) -> None:
    server, _ = stage
    visit(page, server, "account", "vera")
    press(page, "New authenticator")
    submit(page, password=PASSWORD, code="000000")
    assert problem(page) == "Code: is wrong, or was used before"
    submit(page, password=PASSWORD, code=CODE)
    expect(page.locator("dialog .qr svg")).to_be_visible()
    expect(page.locator("dialog .secret")).to_have_text("KRSXG5CTMVRXEZLU")
    assert troubles(page) == []
    assert server.logins.accounts["vera"].code == CODE, "the old one holds"
    submit(page, code="000000")
    assert problem(page).startswith("Code: is wrong")
    submit(page, code=NEW_CODE)
    expect(page.locator("dialog")).to_have_count(0)
    assert server.logins.accounts["vera"].code == NEW_CODE
    assert "KRSXG5CTMVRXEZLU" not in page.content()


def test_new_recovery_codes(page: Page, stage: Stage) -> None:
    server, _ = stage
    server.logins.accounts["vera"].recovery_left = 2
    visit(page, server, "account", "vera")
    expect(page.locator("#view .problem")).to_have_text("2 left")
    press(page, "New recovery codes")
    submit(page, password=PASSWORD, code=CODE)
    assert shown(page).splitlines() == [f"aaaaa-bbbbb-{n:05d}" for n in range(10)]
    expect(page.locator("#view")).to_contain_text("10 left")


def test_other_logins_are_listed_and_ended(page: Page, stage: Stage) -> None:
    server, _ = stage
    server.logins.by_cookie |= {"one": "vera", "two": "vera", "three": "vera", "not hers": "ada"}
    visit(page, server, "account", "vera")
    expect(page.locator(".rows li")).to_have_count(4)
    press(page, "End the login from 192.0.2.2")
    expect(page.locator(".rows li")).to_have_count(3)
    assert "two" not in server.logins.by_cookie
    press(page, "End all others")
    expect(page.locator(".rows li")).to_have_count(1)
    expect(page.locator(".rows li")).to_contain_text("This one")
    assert sorted(server.logins.by_cookie.values()) == ["ada", "vera"]


def test_ones_own_tokens(page: Page, stage: Stage) -> None:
    server, _ = stage
    visit(page, server, "account", "olga")
    press(page, "New token")
    assert page.locator("dialog select[name=role] option").all_inner_texts() == ["viewer", "operator"]
    submit(page, label="backup", role="operator", days="7", password=PASSWORD)
    assert shown(page) == "rrop.olga.secret"
    (made,) = server.logins.accounts["olga"].tokens
    assert (made["label"], made["role"]) == ("backup", "operator")
    expect(page.locator("#view")).to_contain_text("backup")
    assert "rrop.olga.secret" not in page.content()
    press(page, "End the token backup")
    expect(page.get_by_role("button", name="End the token backup")).to_have_count(0)
    assert server.logins.accounts["olga"].tokens == []


def test_everybody_can_use_it(open_context_page: OpenPage, stage: Stage) -> None:
    assert look_at(open_context_page, stage[0], "account") == []


def test_another_tab_goes_on_after_a_new_password(page: Page, stage: Stage) -> None:
    server, _ = stage
    visit(page, server, "account")
    other = page.context.new_page()
    visit(other, server, "maintenance")
    expect(other.locator("#feed")).to_have_text("Live")
    press(page, "Change password")
    submit(page, password=PASSWORD, new=OTHER, again=OTHER)
    expect(page.locator("dialog")).to_have_count(0)
    other.fill("textarea", "hello")
    press(other, "Broadcast")
    confirm(other)
    assert [said["text"] for said in server.acted("realm.broadcast")] == ["hello"]


def test_another_tab_does_not_act_as_somebody_else(page: Page, stage: Stage) -> None:
    server, _ = stage
    visit(page, server, "maintenance")
    server.logins.csrf = "of-another-session"
    server.logins.by_cookie["cookie-of-ada"] = "olga"
    page.fill("textarea", "hello")
    press(page, "Broadcast")
    expect(page.locator("#gate #name")).to_be_visible()
    assert server.acted("realm.broadcast") == []
