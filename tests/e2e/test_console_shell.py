"""The console's frame over a mock of its API, in real Chromium: logins, invitations, navigation, roles, the feed, themes, keys."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.console_accounts import CODE, PASSWORD
from tests.e2e.console_driver import DEADLINE_MS, PHONE, barriers, faults, go, log_in, wait_until
from tests.e2e.console_parts import Refusal
from tests.e2e.console_server import ConsoleServer
from tests.e2e.console_world import ConsoleWorld

OpenPage = Callable[..., Page]
VIEWS = {
    "": "Overview",
    "map": "Map",
    "zones": "Zones",
    "zones/zon_0000": "Meadow",
    "gateways": "Gateways",
    "nodes": "Nodes",
    "jobs": "Jobs",
}


@pytest.fixture
def world() -> ConsoleWorld:
    return ConsoleWorld(12)


@pytest.fixture
def console(world: ConsoleWorld) -> Iterator[ConsoleServer]:
    server = ConsoleServer(world)
    server.start()
    yield server
    server.stop()


def test_a_login_needs_the_password_and_the_code(page: Page, console: ConsoleServer) -> None:
    page.goto(f"{console.url}/console/")
    page.fill("#name", "ada")
    page.fill("#password", "a short walk home")
    page.click("#gate button[type=submit]")
    expect(page.locator("#gate-problem")).to_have_text("The name or the password is wrong")
    page.fill("#password", PASSWORD)
    page.click("#gate button[type=submit]")
    page.fill("#code", "000000")
    page.click("#gate button[type=submit]")
    expect(page.locator("#gate-problem")).to_have_text("The code is wrong, or was used before")
    assert barriers(page) == []
    page.fill("#code", CODE)
    page.click("#gate button[type=submit]")
    expect(page.locator("#heading")).to_have_text("Overview")
    expect(page.locator("#me-name")).to_have_text("ada")
    page.reload()
    expect(page.locator("#me-name")).to_have_text("ada")
    page.click("#logout")
    expect(page.locator("#gate h1")).to_have_text("Log in")
    assert console.logins.by_cookie == {}


def test_an_invitation_is_accepted_once(page: Page, console: ConsoleServer) -> None:
    page.goto(f"{console.url}/console/#/invitation/token-of-ivy")
    expect(page.locator("#gate h1")).to_have_text("Welcome, ivy")
    qr = page.locator(".qr svg").bounding_box()
    assert qr is not None
    assert qr["width"] > 150
    assert barriers(page) == []
    page.fill("#password", "river and stone")
    page.fill("#password-again", "river and stones")
    page.fill("#code", CODE)
    page.click("#gate button[type=submit]")
    expect(page.locator("#gate-problem")).to_have_text("The two passwords differ.")
    page.fill("#password-again", "river and stone")
    page.click("#gate button[type=submit]")
    expect(page.locator(".codes li")).to_have_count(10)
    assert barriers(page) == []
    page.click("#gate button[type=submit]")
    expect(page.locator("#me-role")).to_have_text("operator")
    assert "token-of-ivy" not in page.url
    page.goto(f"{console.url}/console/")
    page.goto(f"{console.url}/console/#/invitation/token-of-ivy")
    page.reload()
    expect(page.locator("#gate [role=alert]")).to_contain_text("used already")


def test_a_viewer_is_offered_no_action(page: Page, console: ConsoleServer) -> None:
    log_in(page, console, "vera", "zones/zon_0000")
    expect(page.locator("#heading")).to_have_text("Meadow")
    expect(page.locator("[data-action]")).to_have_count(0)
    for path in ("gateways", "nodes"):
        go(page, path, VIEWS[path])
        expect(page.locator("[data-gateway], [data-node]").first).to_be_visible()
        expect(page.locator("[data-action]")).to_have_count(0)
    expect(page.locator("#nav a[data-place=processes]")).to_have_count(0)
    go(page, "processes", "Processes")
    expect(page.locator("#view [role=alert]")).to_contain_text("Your role, viewer, may not see this")


def test_a_view_that_cannot_be_loaded_leaves_the_page_working(page: Page, console: ConsoleServer) -> None:
    page.route("**/views/nodes.js", lambda route: route.abort())
    log_in(page, console)
    go(page, "nodes", "Nodes")
    expect(page.locator("#view [role=alert]")).to_contain_text("could not be shown")
    go(page, "zones", "Zones")
    expect(page.locator(".table [role=row]").nth(3)).to_be_visible()


def test_a_refused_look_says_why_and_can_be_tried_again(page: Page, console: ConsoleServer) -> None:
    console.refusing["zones.show"] = Refusal(503, "unavailable", "the supervisor is away")
    log_in(page, console, path="zones/zon_0001")
    expect(page.locator("#view [role=alert]")).to_contain_text("The supervisor is away")
    console.refusing.clear()
    page.click("#view button:has-text('Try again')")
    expect(page.locator("#heading")).to_have_text("Harbour")


def test_what_is_shown_is_said_to_be_old_while_the_feed_is_away(page: Page, console: ConsoleServer) -> None:
    log_in(page, console)
    players = page.locator(".tile").first.locator("dd").first
    before = players.inner_text()
    console.feed_away = True
    console.cut()
    expect(page.locator("#bar-away")).to_be_visible()
    expect(page.locator("#bar-away")).to_contain_text("What is shown is from")
    expect(page.locator("#feed")).to_have_text("Away")
    assert players.inner_text() == before
    assert barriers(page) == []
    parts = console.parts[0]
    assert isinstance(parts, ConsoleWorld)
    parts.zones["zon_0001"]["population"] += 5_000
    console.feed_away = False
    expect(page.locator("#bar-away")).to_be_hidden(timeout=15_000)
    expect(page.locator("#feed")).to_have_text("Live")
    expect(players).not_to_have_text(before)


def test_an_ended_session_leads_to_the_login(page: Page, console: ConsoleServer) -> None:
    log_in(page, console, path="zones/zon_0000")
    expect(page.locator("[data-action='zones.split']")).to_be_enabled()
    console.log_out_all()
    # Whichever is first: the feed's end may have led there by now, and then there is no button any more.
    page.evaluate("""() => document.querySelector("[data-action='zones.split']")?.click()""")
    expect(page.locator("#gate h1")).to_have_text("Log in")
    expect(page.locator("dialog")).to_have_count(0)


def test_maintenance_and_problems_come_first(page: Page, console: ConsoleServer, world: ConsoleWorld) -> None:
    log_in(page, console)
    expect(page.locator(".problems")).to_contain_text("No problems are known")
    expect(page.locator("#bar-maintenance")).to_be_hidden()
    world.problems = [{"severity": "critical", "text": "the zone Ridge is away", "link": "zones/zon_0003"}]
    world.maintenance = {"on": True, "since": world.began, "by": "olga", "reason": "new disks", "until": None}
    expect(page.locator("#bar-maintenance")).to_contain_text("by olga: new disks")
    first = page.locator("#view [role=region], #view section").first
    expect(first).to_contain_text("Critical: the zone Ridge is away")
    page.click(".problems a")
    expect(page.locator("#heading")).to_have_text("Ridge")


def test_themes_are_kept(page: Page, console: ConsoleServer) -> None:
    page.emulate_media(color_scheme="light")
    log_in(page, console)
    ground = "() => getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(ground)
    page.click("#theme")
    page.click("#theme")
    assert page.evaluate("() => document.documentElement.dataset.theme") == "dark"
    page.wait_for_function(f"(light) => ({ground})() !== light", arg=light)
    page.reload()
    expect(page.locator("#theme")).to_have_attribute("aria-label", "Dark theme. Change")
    page.click("#theme")
    page.wait_for_function(f"(light) => ({ground})() === light", arg=light)
    page.emulate_media(color_scheme="dark")
    page.wait_for_function(f"(light) => ({ground})() !== light", arg=light)


def test_keys(page: Page, console: ConsoleServer) -> None:
    log_in(page, console)
    expect(page.locator("#main")).to_be_focused()
    page.reload()
    expect(page.locator("#feed")).to_have_text("Live")
    page.keyboard.press("Tab")
    expect(page.locator("#skip")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#main")).to_be_focused()
    page.keyboard.press("g")
    page.keyboard.press("z")
    expect(page.locator("#heading")).to_have_text("Zones")
    expect(page.locator(".tspace .tr").first).to_be_visible()
    page.keyboard.press("/")
    expect(page.locator("input[type=search]")).to_be_focused()
    page.keyboard.type("harbour")
    expect(page.locator(".count-line")).to_have_text("2 rows")
    page.keyboard.press("ArrowDown")
    expect(page.locator(".table")).to_be_focused()
    page.keyboard.press("ArrowDown")
    expect(page.locator(".tr.current")).to_contain_text("Harbour 2")
    page.keyboard.press("Enter")
    expect(page.locator("#heading")).to_have_text("Harbour 2")
    page.keyboard.press("?")
    expect(page.locator("dialog h2")).to_have_text("Keys")
    for _ in range(6):
        page.keyboard.press("Tab")
        assert page.evaluate(
            "() => document.activeElement.closest('dialog') !== null || document.activeElement === document.body"
        )
    page.keyboard.press("Escape")
    expect(page.locator("dialog")).to_have_count(0)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious_in_any_view(
    open_context_page: OpenPage, console: ConsoleServer, scheme: str
) -> None:
    page = open_context_page(color_scheme=scheme)
    world = console.parts[0]
    assert isinstance(world, ConsoleWorld)
    world.lose("zon_0005")
    world.draining = [list(world.nodes)[1]]
    world.problems = [
        {"severity": level, "text": "something", "link": "nodes"} for level in ("critical", "warning", "info")
    ]
    log_in(page, console)
    found = {}
    for path, heading in VIEWS.items():
        go(page, path, heading)
        page.wait_for_timeout(200)
        found[path] = barriers(page)
    go(page, "zones/zon_0000", "Meadow")
    page.click("[data-action='zones.restart']")
    expect(page.locator("#confirm-name")).to_be_visible()
    found["dialog"] = barriers(page)
    assert {path: what for path, what in found.items() if what} == {}


@pytest.mark.parametrize("options", [{}, PHONE], ids=["desktop", "phone"])
def test_nothing_is_cut_off_or_overlaps(
    open_context_page: OpenPage, console: ConsoleServer, options: dict[str, object]
) -> None:
    page = open_context_page(**options)
    log_in(page, console)
    found = {}
    for path, heading in VIEWS.items():
        go(page, path, heading)
        page.wait_for_timeout(250)
        found[path] = faults(page)
    assert {path: what for path, what in found.items() if what} == {}


def test_the_menu_of_a_phone(open_context_page: OpenPage, console: ConsoleServer) -> None:
    page = open_context_page(**PHONE)
    log_in(page, console)
    expect(page.locator("#nav")).not_to_be_visible()
    page.tap("#menu")
    expect(page.locator("#nav a").first).to_be_focused()
    assert barriers(page) == []
    page.tap("#nav a[data-place=zones]")
    expect(page.locator("#heading")).to_have_text("Zones")
    expect(page.locator("#nav")).not_to_be_visible()


def test_nothing_is_asked_of_a_third_party_and_the_policy_is_kept(page: Page, console: ConsoleServer) -> None:
    asked: list[str] = []
    refused: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on(
        "console", lambda message: refused.append(message.text) if "Content Security Policy" in message.text else None
    )
    log_in(page, console)
    for path, heading in VIEWS.items():
        go(page, path, heading)
        page.wait_for_timeout(100)
    assert [url for url in asked if not url.startswith((console.url, console.url.replace("http", "ws")))] == []
    assert refused == []
    wait_until(page, lambda: console.followers == 1, "one socket for the whole page")
    expect(page.locator("#feed")).to_have_text("Live", timeout=DEADLINE_MS)
