"""The console's page on its real backend, over real Valkey and NATS and without Ray: the mock says what the realm says."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pyotp
import pytest
from playwright.sync_api import Page, expect

from tests.e2e.console_driver import barriers, faults, go
from tests.integration.console_rig import PASSWORD, ConsoleRig, console_rig

DEADLINE_S = 60.0


@dataclass
class Backend:
    """A rig on a thread of its own: this folder's tests are plain functions."""

    rig: ConsoleRig
    loop: asyncio.AbstractEventLoop

    def invite(self, name: str) -> str:
        return asyncio.run_coroutine_threadsafe(self.rig.invite(name, "admin"), self.loop).result(DEADLINE_S)


@pytest.fixture
def backend(valkey_url: str, nats_url: str, nats_token: str) -> Iterator[Backend]:
    made: list[Backend] = []
    failed: list[BaseException] = []
    ready, done = threading.Event(), threading.Event()

    async def run() -> None:
        async with console_rig(valkey_url, nats_url, nats_token) as rig:
            made.append(Backend(rig, asyncio.get_running_loop()))
            ready.set()
            await asyncio.to_thread(done.wait)

    def serve() -> None:
        try:
            asyncio.run(run())
        except BaseException as error:
            failed.append(error)
        finally:
            ready.set()

    thread = threading.Thread(target=serve, name="console-backend")
    thread.start()
    try:
        assert ready.wait(DEADLINE_S)
        assert failed == []
        yield made[0]
    finally:
        done.set()
        thread.join(DEADLINE_S)
    assert failed == []
    assert not thread.is_alive()


def test_from_the_invitation_to_every_view(page: Page, backend: Backend) -> None:
    url = backend.rig.url
    page.goto(f"{url}#/invitation/{backend.invite('ivy')}")
    expect(page.locator("#gate h1")).to_have_text("Welcome, ivy")
    secret = page.locator(".secret").inner_text()
    qr = page.locator(".qr svg").bounding_box()
    assert qr is not None
    assert 150 < qr["width"] < 250
    page.fill("#password", PASSWORD)
    page.fill("#password-again", PASSWORD)
    page.fill("#code", pyotp.TOTP(secret).now())
    page.click("#gate button[type=submit]")
    expect(page.locator(".codes li").first).to_be_visible()
    recovery = page.locator(".codes li").first.inner_text()
    page.click("#gate button[type=submit]")
    expect(page.locator("#me-name")).to_have_text("ivy")
    expect(page.locator("#feed")).to_have_text("Live")
    expect(page.locator(".tile").first).to_contain_text("Players")
    expect(page.locator("figure.chart canvas").first).to_be_visible(timeout=10_000)

    # without Ray there is no supervisor: what needs it says so, and nothing else is disturbed
    for path, heading in (
        ("gateways", "Gateways"),
        ("jobs", "Jobs"),
        ("nodes", "Nodes"),
        ("map", "Map"),
        ("zones", "Zones"),
    ):
        go(page, path, heading)
        page.wait_for_timeout(300)
        assert faults(page) == {}, path
        assert barriers(page) == [], path
    go(page, "gateways", "Gateways")
    expect(page.locator("[data-gateway]")).to_have_count(1)

    page.click("#logout")
    page.fill("#name", "ivy")
    page.fill("#password", PASSWORD)
    page.click("#gate button[type=submit]")
    page.fill("#code", recovery)
    page.click("#gate button[type=submit]")
    expect(page.locator("#me-name")).to_have_text("ivy")


def test_what_happens_elsewhere_ends_the_session_here(page: Page, backend: Backend) -> None:
    made = asyncio.run_coroutine_threadsafe(backend.rig.operator("ada"), backend.loop).result(DEADLINE_S)
    page.context.add_cookies([backend.rig.cookie(made)])  # type: ignore[list-item]
    page.goto(f"{backend.rig.url}#/gateways")
    expect(page.locator("[data-gateway]")).to_have_count(1)
    began = time.monotonic()
    asyncio.run_coroutine_threadsafe(made.post("logout"), backend.loop).result(DEADLINE_S)
    expect(page.locator("#gate h1")).to_have_text("Log in", timeout=15_000)
    assert time.monotonic() - began < 15.0
