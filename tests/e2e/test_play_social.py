"""Two players in real browsers, on a whole realm, become friends and stay in touch (rows 3.2, 3.3, 2.3): also when the gateway that
one of them is at is killed.
"""

from __future__ import annotations

import os
import secrets
import signal
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Locator, Page, expect

from tests.e2e.conftest import OpenPage
from tests.e2e.layout import faults
from tests.e2e.page_driver import register_and_enter, screenshot, state, wait_for_state
from tests.real_realm import RealRealm

pytestmark = pytest.mark.realm

BACK_S = 30.0
PHONE: dict[str, Any] = {
    "viewport": {"width": 390, "height": 844},
    "has_touch": True,
    "is_mobile": True,
    "device_scale_factor": 2,
}


def friend(page: Page) -> Locator:
    """The one friend's row."""
    return page.locator("#friend-list li")


def expect_status(page: Page, status: str, timeout_s: float = 10.0) -> None:
    dot = friend(page).locator(".presence")
    expect(dot).to_have_attribute("data-status", status, timeout=timeout_s * 1000)


def say(page: Page, text: str) -> None:
    page.fill("#chat-text", text)
    page.press("#chat-text", "Enter")


def channel(page: Page, key: str) -> None:
    page.click(f"#chat-tabs [data-channel^='{key}']")


def heard(page: Page) -> list[str]:
    """Everything that was said in the channel that is shown, in order."""
    return page.locator("#chat-log li:not(.notice):not(.more) > span").all_inner_texts()



def statuses_from_now_on(page: Page) -> None:
    """Keeps every status that the friend is shown with, for `statuses`."""
    page.evaluate("""() => {
      const dot = document.querySelector("#friend-list .presence");
      window.statuses = [dot.dataset.status];
      new MutationObserver(() => window.statuses.push(dot.dataset.status)).observe(dot, { attributes: true });
    }""")


def statuses(page: Page) -> set[str]:
    found: list[str] = page.evaluate("() => window.statuses")
    return set(found)


def kill_the_gateway_of(realm: RealRealm, session_id: str) -> None:
    """kill -9; Serve starts another one."""
    info = realm.command("sessions", "show", session_id, "--json")
    raise NotImplementedError(info)
