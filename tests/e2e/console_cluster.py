"""The console of a real realm on three Ray nodes: how an operator gets in, looks at views, and has actions carried out."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pyotp
from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect

from tests.e2e.conftest import EXPECTED_NOISE
from tests.three_nodes import ThreeNodes

PASSWORD = "tall-lantern-83-orchard"
DEADLINE_S = 60.0
VIEW_MS = 20_000
JOB_MS = 180_000
POLL_MS = 200
NO_TLS = "The Cross-Origin-Opener-Policy header has been ignored"  # an address of the network, without a certificate
CONFIG = """
[gateway]
capacity = 500

[world]
game = "actors.games.homestead:Homestead"

[world.policy]
enabled = false

[console]
chaos = true
"""


# The view that is left is marked, so that the next one can be waited for; a place that one is at already stays.
_LEAVE = """(path) => {
  const there = `#/${path}`;
  if (location.hash === there || (location.hash === "" && path === "")) return;
  document.querySelector("#view .view")?.setAttribute("data-left", "");
  location.hash = there;
}"""


class Seat:
    """An operator at a browser: `page` is a desk's window; `troubles` is what any of the pages said was wrong."""

    def __init__(self, browser: Browser, realm: ThreeNodes, name: str = "ivy", role: str = "admin") -> None:
        self.realm = realm
        self.troubles: list[str] = []
        self._browser = browser
        self._contexts: list[BrowserContext] = []
        self._state: Any = None
        self.page = self.open()
        self._enrol(name, role)
        self._state = self.page.context.storage_state()

    def open(self, **options: object) -> Page:
        """Another window, of the same operator once there is one. `options`: of Playwright's `new_context`."""
        wanted: dict[str, Any] = {"viewport": {"width": 1280, "height": 800}, "storage_state": self._state, **options}
        context = self._browser.new_context(**wanted)
        self._contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: self._note(message.type, message.text))
        page.on("pageerror", lambda error: self._note("error", str(error)))
        return page

    def close(self) -> None:
        for context in self._contexts:
            context.close()

    def _note(self, kind: str, text: str) -> None:
        if kind == "error" and not text.startswith((*EXPECTED_NOISE, NO_TLS)):
            self.troubles.append(text)

    def _enrol(self, name: str, role: str) -> None:
        """From the invitation, made by command, to the overview; with a password and a second factor."""
        page = self.page
        page.goto(
            f"{self.realm.url}/console/#/invitation/{said(self.realm, 'operators', 'invite', name, '--role', role)['token']}"
        )
        expect(page.locator("#gate h1")).to_have_text(f"Welcome, {name}", timeout=VIEW_MS)
        page.fill("#password", PASSWORD)
        page.fill("#password-again", PASSWORD)
        page.fill("#code", pyotp.TOTP(page.locator(".secret").inner_text()).now())
        page.click("#gate button[type=submit]")
        expect(page.locator(".codes li").first).to_be_visible(timeout=VIEW_MS)
        page.click("#gate button[type=submit]")
        expect(page.locator("#me-name")).to_have_text(name)
        expect(page.locator("#feed")).to_have_text("Live", timeout=VIEW_MS)

    # --- where one goes, and what one asks ---------------------------------------------------------------------

    def visit(self, path: str, page: Page | None = None) -> Page:
        """To the place at `path`, up to its heading and what it has to load."""
        page = page or self.page
        if not page.url.startswith(self.realm.url):
            page.goto(f"{self.realm.url}/console/#/{path}")
        else:
            page.evaluate(_LEAVE, path)
        page.wait_for_selector("#view .view:not([data-left])", state="attached", timeout=VIEW_MS)
        expect(page.locator("#feed")).to_have_text("Live", timeout=VIEW_MS)
        return page

    def look(self, name: str, **params: str | int) -> dict[str, Any]:
        """What the console's API says, with the operator's cookie."""
        address = f"{self.realm.url}/console/api/v1/{name.replace('.', '/')}"
        answer = self.page.context.request.get(address, params=cast(Any, params))
        assert answer.ok, answer.text()
        found: dict[str, Any] = answer.json()
        return found

    def zones(self) -> dict[str, dict[str, Any]]:
        return {zone["zone"]: zone for zone in self.look("world.map")["zones"]}

    def nodes(self) -> dict[str, dict[str, Any]]:
        """By the node's address."""
        return {node["address"]: node for node in self.look("nodes.list")["nodes"]}

    def until(self, condition: Callable[[], object], what: str, deadline_s: float = DEADLINE_S) -> None:
        """Raises TimeoutError that says `what` did not happen."""
        end = time.monotonic() + deadline_s
        while not condition():
            if time.monotonic() > end:
                raise TimeoutError(f"{what}: not within {deadline_s:.0f} s")
            self.page.wait_for_timeout(POLL_MS)

    # --- actions -----------------------------------------------------------------------------------------------

    def button(self, operation: str) -> Locator:
        return self.page.locator(f"[data-action='{operation}']").first

    def fill(self, **values: str) -> None:
        """A form's dialog, and on to the plan."""
        for name, value in values.items():
            field = self.page.locator(f"dialog [name={name}]")
            if field.evaluate("(field) => field.localName") == "select":
                field.select_option(value)
            else:
                field.fill(value)
        self.page.locator("dialog footer button.primary").click()

    def confirm(self, deadline_ms: float = JOB_MS) -> str:
        """Reads the plan, types what a dangerous one wants, carries it out to its end and closes. What the dialog said at last."""
        page = self.page
        go = page.locator("dialog footer").get_by_role("button", name="Carry out")
        expect(go).to_be_visible(timeout=VIEW_MS)
        expect(page.locator("dialog .plan li").first).to_be_visible()
        if page.locator("#confirm-name").count():
            expect(go).to_be_disabled()
            page.fill("#confirm-name", page.locator("dialog label[for=confirm-name] code").inner_text())
        go.click()
        state = page.locator("dialog .job-state")
        ended = page.locator(
            "dialog .job-state:is([data-state=done], [data-state=failed], [data-state=cancelled]), dialog [role=alert]"
        )
        expect(ended.first).to_be_visible(timeout=deadline_ms)
        text = page.locator("dialog .dialog-body").inner_text()
        expect(state).to_have_text("Done")
        page.locator("dialog footer").get_by_role("button", name="Close").click()
        return text

    def plan(self) -> list[str]:
        """The plan's steps; it is not carried out."""
        steps = self.page.locator("dialog .plan li")
        expect(steps.first).to_be_visible(timeout=VIEW_MS)
        found = steps.all_inner_texts()
        self.page.locator("dialog footer").get_by_role("button", name="Cancel").click()
        return found


def said(realm: ThreeNodes, *arguments: str) -> Any:
    """What `rayrealm ARGUMENTS --json` on the head says."""
    done = realm.command(*arguments, "--json")
    assert done.returncode == 0, done.stderr + done.stdout
    return json.loads(done.stdout)


def shoot(page: Page, folder: Path, name: str) -> None:
    page.screenshot(path=str(folder / f"{name}.png"))
