"""Sealed messages on the play page (row 6.4): the lock, what it says, and that the realm gets nothing it could read."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from rayrealm_client.key_records import ECDH, RSA, read_device, read_identity
from tests.e2e.conftest import OpenPage
from tests.e2e.layout import faults
from tests.e2e.page_driver import register_and_enter, screenshot, wait_until
from tests.e2e.play_server import PlayServer

DEADLINE_MS = 15_000.0


def converse(page: Page, name: str) -> None:
    page.fill("#chat-text", f"/w {name}")
    page.press("#chat-text", "Enter")
    expect(page.locator("#chat-tabs [aria-selected=true]")).to_contain_text(name)


def say(page: Page, text: str) -> None:
    page.fill("#chat-text", text)
    page.press("#chat-text", "Enter")


def seal_it(page: Page) -> None:
    page.click("#seal")
    expect(page.locator("#seal-choice")).to_be_enabled(timeout=DEADLINE_MS)
    page.check("#seal-choice")


def number(page: Page) -> str:
    expect(page.locator("#seal-number span")).to_have_count(6, timeout=DEADLINE_MS)
    return page.locator("#seal-number").inner_text()


@pytest.fixture
def pair(play_server: PlayServer, open_context_page: OpenPage) -> tuple[Page, Page]:
    """Ann and Bob, who have met, each with a conversation with the other."""
    pages = []
    for name in ("Ann", "Bob"):
        page = open_context_page()
        register_and_enter(page, play_server.url, name.lower(), name)
        pages.append(page)
    ann, bob = pages
    for page, user in ((ann, "usr_ann"), (bob, "usr_bob")):
        page.wait_for_function("() => document.body.dataset.connection === 'ready'")
        play_server.say("zone", "Ann" if user == "usr_bob" else "Bob", "hello")
    for page, other in ((ann, "Bob"), (bob, "Ann")):
        expect(page.locator("#chat-log")).to_contain_text(other, timeout=DEADLINE_MS)
        converse(page, other)
        expect(page.locator("#seal")).to_be_visible(timeout=DEADLINE_MS)
    return ann, bob


def test_a_conversation_is_sealed(play_server: PlayServer, pair: tuple[Page, Page], tmp_path: Path) -> None:
    ann, bob = pair
    folder = Path(os.environ.get("PLAY_SCREENSHOTS", tmp_path))
    say(ann, "said openly")
    expect(bob.locator("#chat-log")).to_contain_text("said openly", timeout=DEADLINE_MS)
    seal_it(ann)
    bob.click("#seal")
    assert number(ann) == number(bob)
    screenshot(ann, folder / "seal-known.png")
    assert faults(ann) == {}
    ann.check("#seal-compared")
    ann.keyboard.press("Escape")
    bob.keyboard.press("Escape")
    expect(ann.locator("#seal")).to_have_attribute("data-seal", "verified")
    say(ann, "for your eyes alone")
    heard = bob.locator("#chat-log li.sealed")
    expect(heard).to_contain_text("for your eyes alone", timeout=DEADLINE_MS)
    expect(bob.locator("#seal")).to_have_attribute("data-seal", "known")  # the answer is sealed, too
    say(bob, "and for yours")
    expect(ann.locator("#chat-log li.sealed").nth(1)).to_contain_text("and for yours", timeout=DEADLINE_MS)
    screenshot(ann, folder / "seal-talk.png")
    assert [text for _, text in play_server.chat] == ["said openly"]
    relayed = json.dumps(play_server.social.sealed.relayed)
    assert len(play_server.social.sealed.relayed) == 2
    assert "eyes" not in relayed
    assert "yours" not in relayed
    # What was shown waits no longer.
    wait_until(ann, lambda: not any(play_server.social.sealed.inbox.values()), "the inboxes being empty")


def test_the_page_publishes_both_suites_and_keeps_its_keys(play_server: PlayServer, pair: tuple[Page, Page]) -> None:
    keys = dict(play_server.social.sealed.keys["usr_ann"])
    device = read_device(keys["devices"][0], read_identity(keys["identity"], "usr_ann"))
    assert set(device.keys) == {RSA, ECDH}
    ann = pair[0]
    del play_server.social.sealed.keys["usr_ann"]
    ann.reload()
    ann.wait_for_selector("body[data-screen=world]", timeout=DEADLINE_MS)
    wait_until(ann, lambda: "usr_ann" in play_server.social.sealed.keys, "Ann's keys")
    assert play_server.social.sealed.keys["usr_ann"] == keys, "the same keys after a reload"
    expect(ann.locator("#seal")).to_be_hidden()  # the zone's tab is shown


def test_other_keys_are_told(
    play_server: PlayServer, pair: tuple[Page, Page], open_context_page: OpenPage, tmp_path: Path
) -> None:
    """Bob comes with another browser."""
    ann, bob = pair
    seal_it(ann)
    ann.keyboard.press("Escape")
    say(ann, "first")
    expect(bob.locator("#chat-log li.sealed")).to_contain_text("first", timeout=DEADLINE_MS)
    other = open_context_page()
    other.goto(f"{play_server.url}/play/")
    other.wait_for_selector("body[data-screen=auth]")
    other.fill("#username", "bob")
    other.fill("#password", "correct horse 7")
    other.click("#auth-submit")
    other.wait_for_selector("#lobby", timeout=DEADLINE_MS)
    other.click("#enter:enabled", timeout=DEADLINE_MS)
    other.wait_for_selector("body[data-screen=world]", timeout=DEADLINE_MS)
    play_server.say("zone", "Ann", "hello again")
    expect(other.locator("#chat-log")).to_contain_text("Ann", timeout=DEADLINE_MS)
    converse(other, "Ann")
    other.click("#seal")
    expect(other.locator("#seal-about")).to_contain_text("another browser", timeout=DEADLINE_MS)
    other.click("#seal-action")
    expect(other.locator("#seal-choice")).to_be_enabled(timeout=DEADLINE_MS)
    other.check("#seal-choice")
    other.keyboard.press("Escape")
    say(other, "it is me")
    expect(ann.locator("#seal")).to_have_attribute("data-seal", "changed", timeout=DEADLINE_MS)
    expect(ann.locator("#chat-log")).to_contain_text("keys of Bob have changed", timeout=DEADLINE_MS)
    expect(ann.locator("#chat-log")).not_to_contain_text("it is me")
    say(ann, "not for a stranger")
    expect(ann.locator("#chat-log .notice").last).to_contain_text("Not sent", timeout=DEADLINE_MS)
    ann.fill("#chat-text", "")
    ann.click("#seal")
    expect(ann.locator("#seal-about")).to_have_class(re.compile("warning"))
    screenshot(ann, Path(os.environ.get("PLAY_SCREENSHOTS", tmp_path)) / "seal-changed.png")
    ann.click("#seal-action")
    expect(ann.locator("#chat-log li.sealed").last).to_contain_text("it is me", timeout=DEADLINE_MS)
    expect(ann.locator("#seal")).to_have_attribute("data-seal", "known", timeout=DEADLINE_MS)
