"""A real browser for the tests of this folder.

The browser lives as long as one test module: Playwright's sync API keeps an event loop on the main thread while it is open, and
asynchronous tests of other modules could not run beside it. So modules here hold plain test functions only.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tests.e2e.page_driver import open_page
from tests.e2e.play_server import PlayServer

ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
# What the browser itself writes to the console about refused requests; everything else there fails a test.
EXPECTED_NOISE = ("Failed to load resource", "WebSocket connection to")

# The first is without the browser's own window, which nobody sees: 299 s for this folder instead of 446 s.
BROWSERS = ("chromium-headless-shell", "chromium")

OpenPage = Callable[..., Page]
RunScript = Callable[..., Any]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    if path is None:
        pytest.fail("these tests need a browser of Debian's: apt-get install -y chromium-headless-shell")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def open_context_page(browser: Browser) -> Iterator[OpenPage]:
    """Makes pages, each in a context of its own, from options of Playwright's `new_context`; an error on a page fails the test."""
    contexts = []
    troubles: list[str] = []

    def note(kind: str, text: str) -> None:
        if kind == "error" and not text.startswith(EXPECTED_NOISE):
            troubles.append(text)

    def make(**options: object) -> Page:
        context = browser.new_context(**{"viewport": {"width": 1280, "height": 800}, **options})  # type: ignore[arg-type]
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: note(message.type, message.text))
        page.on("pageerror", lambda error: note("error", str(error)))
        return page

    yield make
    for context in contexts:
        context.close()
    assert troubles == []


@pytest.fixture
def page(open_context_page: OpenPage) -> Page:
    """A page of 1280 by 800 pixels."""
    return open_context_page()


@pytest.fixture
def play_server() -> Iterator[PlayServer]:
    """A mock realm of its own for each test."""
    server = PlayServer()
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def library_page(browser: Browser) -> Iterator[Page]:
    """A page that can import the browser library, under the content security policy of the play page."""
    server = PlayServer(walkers=0)
    server.start()
    context = browser.new_context()
    page = context.new_page()
    open_page(page, server.url)
    yield page
    context.close()
    server.stop()


@pytest.fixture
def run_script(library_page: Page) -> RunScript:
    """`run_script(script, given=None)` runs the body of an async function in a page; `load(name)` there imports a library file."""
    load = "const load = (name) => import(`/play/rayrealm/${name}.js`);"
    return lambda script, given=None: library_page.evaluate(f"async (given) => {{ {load} {script} }}", given)
