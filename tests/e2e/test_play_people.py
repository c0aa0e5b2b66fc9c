"""Friends, parties, statuses and chat on the play page, over a mock realm, in real Chromium (rows 2.3, 3.2, 3.3, 7.7)."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.e2e.layout import faults
from tests.e2e.page_driver import register_and_enter, screenshot, state, wait_for_state, wait_until
from tests.e2e.play_server import PlayServer
from tests.e2e.play_social import Refusal, Social

PHONE: dict[str, Any] = {
    "viewport": {"width": 390, "height": 844},
    "has_touch": True,
    "is_mobile": True,
    "device_scale_factor": 2,
}
ME = "usr_marlow"


@pytest.fixture
def entered(page: Page, play_server: PlayServer) -> Page:
    register_and_enter(page, play_server.url, "marlow", "Marlow")
    wait_for_state(page, lambda s: len(play_server.sessions[s["session"]].channels) == 2, "joining channels")
    return page


def befriend(social: Social) -> None:
    """Four friends in every status, somebody who asks, and somebody who is blocked."""
    for name in ("Alder", "Briony", "Corvin", "Dagny", "Elowen"):
        social.come(f"usr_{name.lower()}", name, "zon_meadow")
    social.set_status("usr_briony", status="away", text="tea by the lighthouse, back before the ebb")
    social.set_status("usr_corvin", status="busy", zone="zon_harbour")
    social.go("usr_dagny")
    social.friends[ME] |= {"usr_alder", "usr_briony", "usr_corvin", "usr_dagny"}
    social.names["usr_grump"] = "Grump"
    social.blocked[ME].add("usr_grump")
    social.asked["usr_elowen"].add(ME)
    social._tell_both("usr_elowen", ME, "asked", "request")


def row(page: Page, panel: str, name: str) -> Locator:
    return page.locator(f"#{panel} li").filter(has=page.locator(".name", has_text=name))


def choose(page: Page, name: Locator, deed: str) -> None:
    """From the menu beside a name."""
    name.click()
    page.locator("#person-menu button", has_text=deed).click()


def say(page: Page, text: str) -> None:
    page.fill("#chat-text", text)
    page.press("#chat-text", "Enter")


def heard(page: Page, server: PlayServer, *said: tuple[str, str]) -> None:
    """Channel and text of the last messages at the realm."""
    wait_until(page, lambda: server.chat[-len(said) :] == list(said), f"hearing {said}")


def test_friends_with_how_they_are(entered: Page, play_server: PlayServer) -> None:
    page = entered
    play_server.people(befriend)
    page.click("#tab-friends")
    names = page.locator("#friend-list .name")
    expect(names).to_have_text(["Alder", "Briony", "Corvin", "Dagny"])  # those who are offline last
    expect(row(page, "friend-list", "Alder").locator(".about")).to_have_text("in Meadow")
    expect(row(page, "friend-list", "Briony").locator(".about")).to_contain_text("away · tea by the lighthouse")
    expect(row(page, "friend-list", "Corvin").locator(".about")).to_have_text("busy · in Harbour")
    expect(row(page, "friend-list", "Dagny").locator(".about")).to_have_text("last seen 2 min ago")
    dots = page.locator("#friend-list .presence").evaluate_all("(dots) => dots.map((dot) => dot.dataset.status)")
    assert dots == ["online", "away", "busy", "offline"]
    play_server.people(lambda social: social.go("usr_alder"))
    expect(names).to_have_text(["Briony", "Corvin", "Alder", "Dagny"])
    play_server.people(lambda social: social.set_status("usr_dagny", status="online"))
    expect(page.locator("#toasts")).to_contain_text("Dagny is online.")

    expect(page.locator("#friends-count")).to_have_text("1")  # Elowen asks
    row(page, "friend-requests", "Elowen").get_by_text("Accept").click()
    expect(row(page, "friend-list", "Elowen")).to_be_visible()
    expect(page.locator("#friend-requests li")).to_have_count(0)
    expect(page.locator("#toasts")).to_contain_text("Elowen and you are friends now.")

    page.fill("#friend-name", "Nobody")
    page.press("#friend-name", "Enter")
    expect(page.locator("#friend-problem")).to_have_text("Nobody has that name.")
    play_server.people(lambda social: social.come("usr_fenn", "Fenn", "zon_meadow"))
    page.fill("#friend-name", "Fenn")
    page.press("#friend-name", "Enter")
    expect(page.locator("#friends-asked .count")).to_have_text("1")
    expect(page.locator("#friend-problem")).to_have_text("")

    choose(page, row(page, "friend-list", "Corvin").locator(".name"), "Block")
    expect(names).to_have_text(["Briony", "Dagny", "Elowen", "Alder"])
    page.click("#friends-blocked summary")
    expect(page.locator("#blocked-list .name")).to_have_text(["Corvin", "Grump"])
    row(page, "blocked-list", "Corvin").get_by_text("Unblock").click()
    expect(page.locator("#blocked-list .name")).to_have_text(["Grump"])
    choose(page, row(page, "friend-list", "Briony").locator(".name"), "Remove friend")
    expect(names).to_have_text(["Dagny", "Elowen", "Alder"])


def test_the_channels_of_the_chat(entered: Page, play_server: PlayServer) -> None:
    page, lines = entered, entered.locator("#chat-log li")
    tab = page.locator("#chat-tabs [role=tab]")
    play_server.people(lambda social: social.come("usr_alder", "Alder", "zon_meadow"))
    play_server.say("zone", "Alder", "good morning")
    play_server.say("global", "Briony", "<b>hello</b> @Marlow and all")
    expect(lines).to_have_text(["Aldergood morning"])
    expect(tab).to_have_text(["Zone0", "Global1"])
    page.keyboard.press("Shift+Tab")  # somewhere else first: the tabs are reached by keys alone
    tab.first.focus()
    page.keyboard.press("ArrowRight")
    expect(lines.locator("span")).to_have_text(["<b>hello</b> @Marlow and all"])
    assert page.locator("#chat-log span b").count() == 0
    expect(lines.locator("mark")).to_have_text("@Marlow")
    assert "mention" in (lines.first.get_attribute("class") or "")
    expect(page.locator("#chat-channel")).to_be_hidden()
    say(page, "good day")
    heard(page, play_server, ("global", "good day"))
    say(page, "/say anybody here?")
    expect(lines).to_have_text(["Aldergood morning", "Marlowsaysanybody here?"])
    page.select_option("#chat-channel", "shout")
    say(page, "HELLO")
    heard(page, play_server, ("say", "anybody here?"), ("shout", "HELLO"))
    page.select_option("#chat-channel", "zone")

    say(page, "/w Alder a word in private")
    expect(tab.nth(2)).to_contain_text("Alder")
    heard(page, play_server, ("direct:usr_alder", "a word in private"))
    expect(lines).to_have_text(["Marlowa word in private"])
    tab.first.click()
    play_server.run(lambda: _whisper(play_server, "Alder", "and back"))
    expect(page.locator("#toasts")).to_contain_text("Alder wrote to you.")
    expect(tab.nth(2)).to_have_text("Alder1")
    assert play_server.social.read == []
    page.locator("#toasts button", has_text="Read").click()
    expect(lines).to_have_text(["Marlowa word in private", "Alderand back"])
    wait_for_state(page, lambda _: len(play_server.social.read) == 1, "telling the realm what was read")
    page.locator("#chat-tabs .close").click()
    expect(tab).to_have_count(2)

    for method, refusal, words in (
        ("chat.message", Refusal(-32003, "muted", state="in_world"), "Not sent: You may not speak here"),
        (
            "chat.message",
            Refusal(-32001, "slow_mode", retryAfter=3.2),
            "This channel is slow: not so many messages. Wait 4",
        ),
        ("chat.message", Refusal(-32001, "chat", retryAfter=0.5), "You say too much too fast. Wait 1 second."),
    ):
        play_server.social.refusals[method] = refusal
        say(page, "well")
        expect(page.locator("#chat-log .notice").last).to_contain_text(words)
        expect(page.locator("#chat-text")).to_have_value("well")
    say(page, "/dance")
    expect(page.locator("#chat-log .notice").last).to_contain_text("There is no command /dance.")
    say(page, "/join trade")
    expect(tab.nth(2)).to_contain_text("trade")
    wait_for_state(page, lambda s: "trade" in play_server.sessions[s["session"]].channels, "joining")
    say(page, "/leave")
    wait_for_state(page, lambda s: "trade" not in play_server.sessions[s["session"]].channels, "leaving")


async def _whisper(server: PlayServer, name: str, text: str) -> None:
    await server._tell_channel(f"direct:{ME}", name, text, f"usr_{name.lower()}")


def test_news_of_the_realm(entered: Page, play_server: PlayServer) -> None:
    page, toasts = entered, entered.locator("#toasts li")
    wait_for_state(page, lambda s: play_server.sessions[s["session"]].topics == {"news"}, "listening to the news")
    play_server.tell_all("system.topic", {"topic": "news", "data": {"text": "<img src=x> The <b>fair</b> has begun."}})
    expect(toasts).to_have_text(["<img src=x> The <b>fair</b> has begun."])
    assert page.locator("#toasts b, #toasts img").count() == 0
    for data in ({"text": ""}, {"text": {"deep": 1}}, {"more": 1}, [1], None):
        play_server.tell_all("system.topic", {"topic": "news", "data": data})
    play_server.tell_all("system.topic", {"topic": "weather", "data": {"text": "rain"}})
    play_server.tell_all("system.message", {"text": "Down at noon. " + "x" * 8_000, "from": "operator"})
    expect(toasts).to_have_count(2)
    expect(toasts.last).to_contain_text("Down at noon. xxx")
    assert len(toasts.last.inner_text()) == 300
    assert faults(page) == {}


def test_a_realm_without_news(page: Page, play_server: PlayServer) -> None:
    play_server.social.refusals["system.subscribe"] = Refusal(-32000, "topic_not_allowed")
    register_and_enter(page, play_server.url, "marlow", "Marlow")
    wait_for_state(page, lambda _: "system.subscribe" not in play_server.social.refusals, "asking for the news")
    play_server.tell_all("system.message", {"text": "hello", "from": "operator"})
    expect(page.locator("#toasts li")).to_have_text(["hello"])


def test_what_was_said_before_is_shown_once(page: Page, play_server: PlayServer) -> None:
    for number in range(40):
        play_server.say("zone", "Alder", f"line {number}")
    waiting = play_server.social.say(f"direct:{ME}", "usr_alder", "Alder", "while you were away")
    play_server.social.inbox[ME].append(waiting)
    register_and_enter(page, play_server.url, "marlow", "Marlow")
    spans = page.locator("#chat-log li:not(.more) span")
    expect(spans).to_have_text([f"line {number}" for number in range(10, 40)])
    page.click("#chat-log .more button")
    expect(spans).to_have_text([f"line {number}" for number in range(40)])
    expect(page.locator("#chat-log .more")).to_have_count(0)
    play_server.say("zone", "Alder", "line 40")
    expect(spans).to_have_count(41)
    direct = page.locator("#chat-tabs [data-channel='direct:usr_alder']")
    expect(direct).to_have_text("Alder1")
    direct.click()
    expect(spans).to_have_text(["while you were away"])  # from the inbox and from the history
    wait_for_state(
        page, lambda _: play_server.social.read == [waiting["message_id"]], "telling the realm what was read"
    )


def test_a_party(entered: Page, open_context_page: Callable[..., Page], play_server: PlayServer) -> None:
    page, other = entered, open_context_page(**PHONE)
    register_and_enter(other, play_server.url, "dagna", "Dagna")
    page.click("#tab-party")
    page.fill("#party-name", "Dagna")
    page.press("#party-name", "Enter")
    other.locator("#toasts button", has_text="Join").click()
    members = page.locator("#party-list .name")
    expect(members).to_have_text(["Marlow (you)", "Dagna"])
    expect(row(page, "party-list", "Marlow").locator(".leads")).to_be_visible()
    expect(row(page, "party-list", "Dagna").locator(".leads")).to_be_hidden()
    expect(row(page, "party-list", "Dagna").locator(".about")).to_have_text("in Meadow")
    expect(page.locator("#chat-tabs [role=tab]")).to_have_text(["Zone0", "Global0", "Party0"])
    say(page, "/p to the harbour")
    expect(other.locator("#dock-chat")).to_have_text("1")
    where = {"user_id": "usr_dagna", "name": "Dagna", "zone": "zon_meadow", "x": 150, "z": 40}
    play_server.people(lambda social: social.news.append((ME, "party.positions", {"members": [where]})))
    wait_for_state(page, lambda s: [(c["x"], c["z"]) for c in s["companions"]] == [(150, 40)], "positions")
    map_box = page.locator("#map").bounding_box()
    assert map_box is not None
    choose(page, row(page, "party-list", "Dagna").locator(".name"), "Make leader")
    expect(row(page, "party-list", "Dagna").locator(".leads")).to_be_visible()
    other.click("#show-near")
    other.click("#tab-party")
    expect(other.locator("#party-list .name")).to_have_text(["Marlow", "Dagna (you)"])
    choose(other, row(other, "party-list", "Marlow").locator(".name"), "Send away")
    expect(page.locator("#toasts")).to_contain_text("You were sent away from the party.")
    expect(page.locator("#party-none")).to_be_visible()
    expect(page.locator("#chat-tabs [role=tab]")).to_have_count(2)
    wait_for_state(page, lambda s: s["companions"] == [], "nobody on the map")
    other.click("#party-leave")
    expect(other.locator("#party-none")).to_be_visible()


def test_the_own_status(entered: Page, open_context_page: Callable[..., Page], play_server: PlayServer) -> None:
    page, other = entered, open_context_page()
    register_and_enter(other, play_server.url, "dagna", "Dagna")
    near = row(other, "roster", "Marlow").locator(".presence")
    expect(near).to_have_attribute("data-status", "online")
    page.focus("#own-status")
    page.keyboard.press("Enter")
    page.keyboard.press("ArrowDown")
    expect(page.locator("#own-status .presence")).to_have_attribute("data-status", "away")
    expect(near).to_have_attribute("data-status", "away")
    page.keyboard.press("Tab")
    page.keyboard.type("gone fishing")
    page.keyboard.press("Enter")
    expect(page.locator("#status-menu")).to_be_hidden()
    expect(page.locator("#own-status .words")).to_have_text("gone fishing")
    wait_until(page, lambda: play_server.social.status[ME]["text"] == "gone fishing", "the status at the realm")
    play_server.social.refusals["presence.update"] = Refusal(-32006, "unavailable", retryAfter=2)
    page.click("#own-status")
    page.check("#status-menu [value=busy]")
    expect(page.locator("#status-problem")).to_have_text(
        "A part of the realm is away. Try again in a moment. Wait 2 seconds."
    )
    page.keyboard.press("Escape")
    expect(page.locator("#own-status .presence")).to_have_attribute("data-status", "away")


@pytest.mark.parametrize("size", ["desktop", "phone"])
def test_nothing_overlaps_or_is_cut_off(
    size: str, open_context_page: Callable[..., Page], play_server: PlayServer, tmp_path: Path
) -> None:
    page = open_context_page(**(PHONE if size == "phone" else {}))
    register_and_enter(page, play_server.url, "marlow", "Marlow")
    folder = Path(os.environ.get("PLAY_SCREENSHOTS", tmp_path))
    play_server.people(befriend)
    invited = {"party_id": "pty_9", "from": "usr_corvin", "name": "Corvin", "expires_at": time.time() + 99}
    play_server.people(lambda social: social.news.append((ME, "party.invited", invited)))
    expect(page.locator("#toasts li")).to_have_count(2)
    assert faults(page) == {}
    for tab in ("near", "friends", "party"):
        if size == "phone" and tab == "near":
            page.click("#show-near")
        page.click(f"#tab-{tab}")
        assert faults(page) == {}, tab
        screenshot(page, folder / f"people-{size}-{tab}.png")
    if size == "phone":
        page.click("#show-chat")
    for number in range(20):
        play_server.say("zone", "Alder", f"a line that is long enough to be broken somewhere in the middle, {number}")
    expect(page.locator("#chat-log li")).to_have_count(20)
    assert faults(page) == {}, "chat"
    assert page.evaluate("() => { const log = document.getElementById('chat-log'); return log.scrollTop > 0; }")
    screenshot(page, folder / f"people-{size}-chat.png")
    for width, height in ((844, 390), (360, 640)) if size == "phone" else ((768, 1024), (1024, 640)):
        page.set_viewport_size({"width": width, "height": height})
        assert faults(page) == {}, (width, height)
    page.set_viewport_size({"width": 390, "height": 844} if size == "phone" else {"width": 1280, "height": 800})
    page.click("#own-status")
    box = page.locator("#status-menu").bounding_box()
    viewport = page.viewport_size
    assert box is not None
    assert viewport is not None
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= viewport["width"]
    assert box["y"] + box["height"] <= viewport["height"]
    assert state(page)["screen"] == "world"
