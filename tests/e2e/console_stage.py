"""The mock console with its people for tests of the page, and how they get there, look around and confirm actions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]
from playwright.sync_api import Page, expect

from tests.e2e.console_people import ConsolePeople
from tests.e2e.console_server import ConsoleServer
from tests.e2e.console_world import ConsoleWorld

PHONE: dict[str, Any] = {
    "viewport": {"width": 390, "height": 844},
    "has_touch": True,
    "is_mobile": True,
    "device_scale_factor": 2,
}
BAD = ("serious", "critical")


@contextmanager
def people_server(sessions: int = 400, *, chaos: bool = True) -> Iterator[tuple[ConsoleServer, ConsolePeople]]:
    world = ConsoleWorld(24)
    people = ConsolePeople(world, sessions, chaos=chaos)
    server = ConsoleServer(people, world)
    server.start()
    try:
        yield server, people
    finally:
        server.stop()


def visit(page: Page, server: ConsoleServer, path: str, name: str = "ada") -> None:
    """As an operator who is logged in already, up to a view."""
    visit_place(page, server, path, name)
    page.wait_for_selector("#view .view", state="attached")


def visit_place(page: Page, server: ConsoleServer, path: str, name: str = "ada") -> None:
    """The same, where there may be no view."""
    cookie = f"cookie-of-{name}"
    server.logins.by_cookie[cookie] = name
    page.context.add_cookies([{"name": "console", "value": cookie, "domain": "127.0.0.1", "path": "/console"}])
    page.goto("about:blank")
    page.goto(f"{server.url}/console/#/{path}")


def submit(page: Page, **values: str) -> None:
    """Fills the dialog that asks for values, by their names, and goes on to the plan."""
    for name, value in values.items():
        field = page.locator(f"dialog form [name={name}]")
        if field.evaluate("(field) => field.localName") == "select":
            field.select_option(value)
        else:
            field.fill(value)
    page.locator("dialog footer button.primary").click()


def confirm(page: Page, target: str = "") -> None:
    """Carries out what the dialog plans, after its target was typed if it is dangerous, and closes it when it is done."""
    go = page.locator("dialog footer").get_by_role("button", name="Carry out")
    expect(go).to_be_visible()
    if target:
        expect(go).to_be_disabled()
        page.fill("#confirm-name", target)
    go.click()
    expect(page.locator("dialog .job-state")).to_have_text("Done")
    page.locator("dialog footer").get_by_role("button", name="Close").click()


def hit(page: Page) -> bool:
    """Whether something that a player wrote was run."""
    return bool(page.evaluate("() => window.hit === 1 || document.querySelector('#view img, #view script') !== null"))


def troubles(page: Page) -> list[str]:
    """What axe finds serious or critical."""
    found = Axe().run(page).response["violations"]
    return [
        f"{each['id']}: {node['target']} {node['failureSummary']}"
        for each in found
        if each["impact"] in BAD
        for node in each["nodes"]
    ]


def look_at(make: Callable[..., Page], server: ConsoleServer, *paths: str) -> list[str]:
    """What is wrong with these places, in light on a desk and in dark on a phone: contrast is one's matter, width the other's."""
    wrong: list[str] = []
    for scheme, options in (("light", {}), ("dark", PHONE)):
        page = make(color_scheme=scheme, **options)
        for path in paths:
            visit(page, server, path)
            page.wait_for_load_state("networkidle")
            wrong += [f"{path}, {scheme}, {options}: {each}" for each in (*troubles(page), *too_wide(page))]
    return wrong


def too_wide(page: Page) -> list[str]:
    """Whether the page scrolls sideways, and controls that are cut off at the side of the window."""
    found: list[str] = page.evaluate(
        """() => {
          const cut = [...document.querySelectorAll("#view button, #view input, #view select, #view h2, #view a, dialog button")]
            .filter((each) => each.checkVisibility() && !each.closest(".table, .plain-box, pre, .log"))
            .filter((each) => { const box = each.getBoundingClientRect(); return box.left < -1 || box.right > innerWidth + 1; })
            .map((each) => each.id || each.textContent);
          const main = document.querySelector("#main");
          if (main.scrollWidth > main.clientWidth + 1) cut.push(`main is ${main.scrollWidth} px wide`);
          return cut;
        }"""
    )
    return found
