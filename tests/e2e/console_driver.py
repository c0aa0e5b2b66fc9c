"""Drives the console's page in a real browser: what its tests have in common. Playwright's sync API, as page_driver.py."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]
from playwright.sync_api import Page, expect

from tests.e2e.console_accounts import CODE, PASSWORD
from tests.e2e.console_server import ConsoleServer

DEADLINE_MS = 10_000
POLL_MS = 30
PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True}

# What is cut off: controls and texts that reach beyond the window or beyond what holds them and cannot be scrolled.
_CUT = """() => {
  const wide = document.documentElement.scrollWidth > innerWidth || document.querySelector("#main").scrollWidth > innerWidth;
  const scrolls = (each) => {
    for (let at = each.parentElement; at; at = at.parentElement) {
      const { overflowX } = getComputedStyle(at);
      if ((overflowX === "auto" || overflowX === "scroll") && at.id !== "main" && at.id !== "nav") return true;
    }
    return false;
  };
  const shown = [...document.querySelectorAll("#shell button, #shell input, #shell select, #shell h2, #shell dd, #shell a")]
    .filter((each) => each.checkVisibility({ visibilityProperty: true }) && each.id !== "skip"
      && !each.closest(".hidden-label, .segments") && !scrolls(each));
  const outside = shown.filter((each) => {
    const box = each.getBoundingClientRect();
    return box.width > 0 && (box.left < -1 || box.right > innerWidth + 1);
  }).map((each) => each.outerHTML.slice(0, 80));
  const buttons = shown.filter((each) => each.matches("button, input, select")).map((each) => [each, each.getBoundingClientRect()]);
  const overlaps = [];
  buttons.forEach(([one, a], index) => buttons.slice(index + 1).forEach(([other, b]) => {
    if (one.contains(other) || other.contains(one)) return;
    if (a.left < b.right - 1 && b.left < a.right - 1 && a.top < b.bottom - 1 && b.top < a.bottom - 1) {
      overlaps.push(`${one.outerHTML.slice(0, 60)} ${other.outerHTML.slice(0, 60)}`);
    }
  }));
  const panels = [...document.querySelectorAll(".panel, .tile, .table")].filter((each) => each.checkVisibility());
  const empty = panels.filter((each) => each.innerText.trim() === "").map((each) => each.outerHTML.slice(0, 80));
  return { wide, outside, overlaps, empty };
}"""


def log_in(page: Page, server: ConsoleServer, name: str = "ada", path: str = "") -> None:
    """From nothing to the view at `path`."""
    page.goto(f"{server.url}/console/#/{path}")
    page.fill("#name", name)
    page.fill("#password", PASSWORD)
    page.click("#gate button[type=submit]")
    page.fill("#code", CODE)
    page.click("#gate button[type=submit]")
    page.wait_for_selector("#shell:not([hidden])", timeout=DEADLINE_MS)
    expect(page.locator("#feed")).to_have_text("Live", timeout=DEADLINE_MS)


def go(page: Page, path: str, heading: str) -> None:
    """To another view, up to its heading."""
    page.evaluate("(path) => { location.hash = `#/${path}`; }", path)
    expect(page.locator("#heading")).to_have_text(heading, timeout=DEADLINE_MS)


def wait_until(page: Page, condition: Callable[[], object], what: str) -> None:
    """Raises TimeoutError that says `what` did not happen."""
    until = time.monotonic() + DEADLINE_MS / 1000
    while not condition():
        if time.monotonic() > until:
            raise TimeoutError(f"{what}: not within {DEADLINE_MS} ms")
        page.wait_for_timeout(POLL_MS)


def confirm(page: Page, *, typed: str = "") -> None:
    """Through a plan and its progress to the result: the dialog stays open."""
    expect(page.locator("dialog .plan li").first).to_be_visible(timeout=DEADLINE_MS)
    if typed:
        page.fill("#confirm-name", typed)
    page.click("dialog footer button:has-text('Carry out')")
    expect(page.locator("dialog .job-state")).to_have_text("Done", timeout=DEADLINE_MS)


def close_dialog(page: Page) -> None:
    page.click("dialog footer button:has-text('Close')")
    expect(page.locator("dialog")).to_have_count(0)


def faults(page: Page) -> dict[str, Any]:
    """What of the page is cut off, lies over something else or is empty."""
    found: dict[str, Any] = page.evaluate(_CUT)
    return {kind: what for kind, what in found.items() if what}


def barriers(page: Page) -> list[str]:
    """What axe finds serious or critical."""
    found = Axe().run(page, options={"resultTypes": ["violations"]}).response["violations"]
    return [
        f"{each['id']}: {[node['html'][:120] for node in each['nodes'][:3]]}"
        for each in found
        if each["impact"] in ("serious", "critical")
    ]
