"""Two players in real browsers, on a whole realm, become friends and stay in touch (rows 3.2, 3.3, 2.3): also when the gateway that
one of them is at is killed.
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect
from pydantic import SecretStr

from cluster.adapters.redis.connection import connect
from cluster.adapters.redis.sessions import RedisSessionStore
from cluster.running import REALM_FILE
from cluster.settings import RedisSettings
from tests.e2e.conftest import OpenPage
from tests.e2e.layout import faults
from tests.e2e.page_driver import register_and_enter, screenshot, state, wait_for_state
from tests.real_realm import RealRealm

pytestmark = pytest.mark.realm

DEADLINE_MS = 15_000.0
BACK_S = 30.0
OFFLINE_S = 60.0  # the grace period is 30 s
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


def choose_status(page: Page, status: str, words: str) -> None:
    page.click("#own-status")
    page.check(f"#status-menu [value={status}]")
    page.fill("#status-text", words)
    page.press("#status-text", "Enter")


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


def gateway_of(realm: RealRealm, session_id: str) -> str:
    """Who holds the session's socket, as its record says."""
    details = json.loads((realm.data / REALM_FILE).read_text())

    async def look() -> str:
        client = connect(RedisSettings(url=SecretStr(details["redis_url"])), "test")
        try:
            record = await RedisSessionStore(client, details["namespace"]).get(session_id)
        finally:
            await client.aclose()
        assert record is not None
        return record.gateway_id

    with ThreadPoolExecutor(1) as pool:  # Playwright's loop has this thread
        return pool.submit(asyncio.run, look()).result(BACK_S)


def kill(realm: RealRealm, gateway: str) -> None:
    """kill -9; Serve starts another one."""
    os.kill(next(each["pid"] for each in realm.processes() if each["name"] == gateway), signal.SIGKILL)


def test_two_players_stay_in_touch(realm: RealRealm, open_context_page: OpenPage, tmp_path: Path) -> None:
    folder, tag = Path(os.environ.get("PLAY_SCREENSHOTS", tmp_path)), secrets.token_hex(3)
    names = [f"Ayla {tag}", f"Borin {tag}"]
    ayla, borin = open_context_page(), open_context_page(**PHONE)
    for page, name in zip((ayla, borin), names, strict=True):
        register_and_enter(page, realm.url, f"player-{secrets.token_hex(5)}", name)

    # Friends.
    ayla.click("#tab-friends")
    ayla.fill("#friend-name", names[1])
    ayla.press("#friend-name", "Enter")
    borin.locator("#toasts button", has_text="Accept").click(timeout=DEADLINE_MS)
    borin.click("#show-near")
    borin.click("#tab-friends")
    for page in (ayla, borin):
        expect_status(page, "online")
    expect(friend(ayla).locator(".name")).to_have_text(names[1])
    expect(friend(ayla).locator(".about")).to_contain_text("in ")
    assert faults(borin) == {}
    screenshot(borin, folder / "social-phone-friends.png")

    # Chat: where they are, everywhere, and between the two.
    say(ayla, f"anybody here? {tag}")
    borin.click("#show-chat")
    expect(borin.locator("#chat-log")).to_contain_text(f"anybody here? {tag}", timeout=DEADLINE_MS)
    channel(borin, "global")
    say(borin, f"hello world, @{names[0]}")
    channel(ayla, "global")
    mention = ayla.locator("#chat-log .mention", has_text="hello world")
    expect(mention.locator("mark")).to_have_text(f"@{names[0]}", timeout=DEADLINE_MS)
    friend(ayla).locator(".name").click()
    ayla.locator("#person-menu button", has_text="Write").click()
    say(ayla, "a word in private")
    borin.locator("#toasts button", has_text="Read").click(timeout=DEADLINE_MS)
    expect(borin.locator("#chat-log")).to_contain_text("a word in private")
    say(borin, "which nobody else hears")
    expect(ayla.locator("#chat-log")).to_contain_text("which nobody else hears", timeout=DEADLINE_MS)
    screenshot(borin, folder / "social-phone-chat.png")

    # A party, on the map, too.
    friend(ayla).locator(".name").click()
    ayla.locator("#person-menu button", has_text="Invite into the party").click()
    borin.locator("#toasts button", has_text="Join").click(timeout=DEADLINE_MS)
    ayla.click("#tab-party")
    expect(ayla.locator("#party-list .name")).to_have_text([f"{names[0]} (you)", names[1]], timeout=DEADLINE_MS)
    for page in (ayla, borin):
        wait_for_state(page, lambda s: len(s["companions"]) == 1, "the other on the map")
    channel(ayla, "party")
    say(ayla, "to the harbour")
    channel(borin, "party")
    expect(borin.locator("#chat-log")).to_contain_text("to the harbour", timeout=DEADLINE_MS)
    assert faults(ayla) == {}
    screenshot(ayla, folder / "social-desktop-party.png")

    # Away, in words of one's own: both see it of each other.
    choose_status(ayla, "away", "at the well")
    expect_status(borin, "away")
    expect(friend(borin).locator(".about")).to_contain_text("away · at the well")
    choose_status(ayla, "online", "")
    expect_status(borin, "online")
    expect(friend(borin).locator(".about")).not_to_contain_text("at the well")
    choose_status(borin, "away", "feeding the cat")
    ayla.click("#tab-friends")
    expect_status(ayla, "away")
    expect(friend(ayla).locator(".about")).to_contain_text("away · feeding the cat")

    # The gateway of one is killed: it comes back to what it missed, and nobody takes it for gone.
    statuses_from_now_on(ayla)
    channel(ayla, "direct")
    channel(borin, "direct")
    before = wait_for_state(borin, lambda s: s["connected"], "a connection")
    gateways = len(realm.pids("gateway"))
    kill(realm, gateway_of(realm, before["session"]))
    wait_for_state(borin, lambda s: not s["connected"], "noticing", BACK_S)
    wait_for_state(ayla, lambda s: s["connected"], "being there, or there again", BACK_S)
    for number in range(3):
        say(ayla, f"are you there? {number}")
        expect(ayla.locator("#chat-log")).to_contain_text(f"are you there? {number}", timeout=BACK_S * 1000)
    back = wait_for_state(borin, lambda s: s["connected"], "coming back", BACK_S)
    assert back["session"] == before["session"]
    expect(borin.locator("#chat-log")).to_contain_text("are you there? 2", timeout=DEADLINE_MS)
    told = ["a word in private", "which nobody else hears", *(f"are you there? {number}" for number in range(3))]
    assert heard(borin) == heard(ayla) == told
    assert (back["reliable"]["duplicates"], back["reliable"]["gaps"]) == (0, 0)
    assert statuses(ayla) == {"away"}
    expect(borin.locator("#own-status .presence")).to_have_attribute("data-status", "away")
    screenshot(ayla, folder / "social-desktop-back.png")

    # Gone: offline after the grace period, and what is said to one then waits.
    borin.close()
    expect_status(ayla, "offline", OFFLINE_S)
    expect(friend(ayla).locator(".about")).to_have_text("last seen just now")
    assert state(ayla)["connected"]
    screenshot(ayla, folder / "social-desktop-offline.png")

    until = time.monotonic() + BACK_S
    while len(realm.pids("gateway")) < gateways:
        assert time.monotonic() < until, "Serve has not started another gateway"
        ayla.wait_for_timeout(200)
