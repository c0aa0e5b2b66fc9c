"""What a player notices of lost connections (rows 1.6, 1.9, 7.7): on the play page, in real Chromium, over a mock realm."""

from __future__ import annotations

import contextlib
import re

import pytest
from playwright.sync_api import Page, expect
from playwright.sync_api import TimeoutError as PlaywrightTimeout

from tests.e2e.page_driver import open_page, register_and_enter, wait_for_state, walk
from tests.e2e.play_server import PlayServer

GREY = "#8b949a"
# Requests of one method do not arrive.
HOLD = """(() => {
  const send = WebSocket.prototype.send;
  window.held = 0;
  WebSocket.prototype.send = function (data) {
    if (window.released || !new TextDecoder().decode(data).includes("METHOD")) send.call(this, data);
    else window.held += 1;
  };
})()"""


def in_channels(page: Page, server: PlayServer) -> None:
    wait_for_state(page, lambda s: len(server.sessions[s["session"]].channels) == 2, "joining channels")


def lines(page: Page) -> list[str]:
    return page.locator("#chat-log li span").all_inner_texts()


def test_what_was_said_meanwhile_is_there(page: Page, play_server: PlayServer) -> None:
    entered = register_and_enter(page, play_server.url, "marlow", "Marlow")
    in_channels(page, play_server)
    play_server.say("zone", "Alder", "before")
    expect(page.locator("#chat-log li")).to_have_count(1)
    play_server.refusing = True
    play_server.cut()
    wait_for_state(page, lambda s: s["connection"]["name"] == "waiting", "noticing the loss")
    play_server.say("zone", "Alder", "meanwhile")
    play_server.say("zone", "Briony", "also meanwhile", compressed=True)
    play_server.refusing = False
    with contextlib.suppress(
        PlaywrightTimeout
    ):  # the page may have tried by itself just now, and then there is nothing to click
        page.click("#notice-action", timeout=1_000)
    expect(page.locator("#notice-text")).to_have_text("Connected again. You missed nothing.")
    expect(page.locator("#chat-log li")).to_have_count(3)
    assert lines(page) == ["before", "meanwhile", "also meanwhile"]
    back = wait_for_state(page, lambda s: s["connected"], "being back")
    assert back["session"] == entered["session"]
    assert (back["reliable"]["duplicates"], back["reliable"]["gaps"]) == (0, 0)
    assert play_server.recovered >= 1
    expect(page.locator("#notice")).to_be_hidden()


def test_a_reload_misses_nothing(page: Page, play_server: PlayServer) -> None:
    entered = register_and_enter(page, play_server.url, "marlow", "Marlow")
    in_channels(page, play_server)
    play_server.say("zone", "Alder", "before")
    expect(page.locator("#chat-log li")).to_have_count(1)
    heard = wait_for_state(page, lambda s: s["connected"], "hearing it")["reliable"]["seq"]
    page.goto("about:blank")
    play_server.say("zone", "Alder", "meanwhile")
    open_page(page, play_server.url)
    back = wait_for_state(page, lambda s: s["screen"] == "world" and s["reliable"]["seq"] > heard, "being back")
    assert back["session"] == entered["session"]
    expect(page.locator("#chat-log li span")).to_have_text(["before", "meanwhile"])  # history, and each line once
    assert play_server.recovered == 1
    kept = page.evaluate("() => Object.keys(sessionStorage)")
    assert sorted(kept) == ["rayrealm.login", "rayrealm.session"]
    page.click("#leave")
    page.click("#logout")
    wait_for_state(page, lambda s: s["screen"] == "auth", "logging out")
    assert page.evaluate("() => sessionStorage.length") == 0


def test_what_cannot_come_any_more_is_told(page: Page, play_server: PlayServer) -> None:
    register_and_enter(page, play_server.url, "marlow", "Marlow")
    in_channels(page, play_server)
    play_server.forget_kept()
    play_server.cut()
    expect(page.locator("#notice-text")).to_have_text("Connected again. Some messages were missed.", timeout=20_000)
    expect(page.locator("#chat-log .notice")).to_have_text("Some messages were missed while the connection was lost.")


@pytest.mark.parametrize("method", ["chat.history", "chat.channel.join"])
def test_what_the_loss_left_unanswered_is_asked_again(page: Page, play_server: PlayServer, method: str) -> None:
    page.add_init_script(HOLD.replace("METHOD", method))
    play_server.say("zone", "Alder", "before")
    register_and_enter(page, play_server.url, "marlow", "Marlow")
    page.wait_for_function("() => window.held > 0")
    page.evaluate("() => { window.released = true; }")
    play_server.cut()
    expect(page.locator("#notice-text")).to_have_text("Connected again. You missed nothing.", timeout=20_000)
    expect(page.locator("#chat-log li span")).to_have_text(["before"])
    expect(page.locator("#chat-log .notice")).to_have_count(0)
    in_channels(page, play_server)


def test_a_player_who_lost_the_connection_is_shown_as_such(page: Page, play_server: PlayServer) -> None:
    play_server.world.walking = False
    register_and_enter(page, play_server.url, "marlow", "Marlow")
    wait_for_state(page, lambda s: len(s["drawn"]) == 7, "seeing everyone")
    play_server.lose_connection("Alder", lost=True)
    lost = wait_for_state(
        page, lambda s: [e["name"] for e in s["entities"] if e["linkDead"]] == ["Alder"], "Alder lost"
    )
    away = page.locator("#roster li.link-dead")
    expect(away.locator(".name")).to_have_text("Alder")
    expect(away.locator(".status")).to_have_text("connection lost")
    figure = wait_for_state(page, lambda s: any(f["linkDead"] for f in s["drawn"]), "drawing it")["drawn"]
    assert {f["name"]: f["colour"] for f in figure if f["linkDead"]} == {"Alder": GREY}
    assert len(lost["entities"]) == 6
    play_server.lose_connection("Alder", lost=False)
    wait_for_state(page, lambda s: not any(f["linkDead"] or f["colour"] == GREY for f in s["drawn"]), "Alder back")
    expect(away).to_have_count(0)


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        (["redis"], r"cannot save"),
        (["nats"], r"comes late"),
        (["zone:zon_meadow"], r"^This place does not answer"),
        (["zone:zon_harbour", "zone:zon_far"], r"^Harbour, zon_far cannot be reached"),
        (["redis", "zone:zon_meadow"], r"^This place .* cannot save"),
        (["something new"], r"^A part of the realm"),
    ],
    ids=lambda given: " ".join(given) if isinstance(given, list) else "",
)
def test_a_part_that_is_away_is_told_quietly(page: Page, play_server: PlayServer, parts: list[str], words: str) -> None:
    register_and_enter(page, play_server.url, "marlow", "Marlow")
    line = page.locator("#degraded")
    expect(line).to_be_hidden()
    play_server.tell_all("system.degraded", {"parts": parts})
    expect(line).to_have_text(re.compile(words))
    expect(line).to_be_visible()
    expect(page.locator("#notice")).to_be_hidden()
    play_server.tell_all("system.degraded", {"parts": []})
    expect(line).to_be_hidden()


def test_moving_to_another_gateway_is_not_noticed(page: Page, play_server: PlayServer) -> None:
    entered = register_and_enter(page, play_server.url, "marlow", "Marlow")
    page.evaluate("""() => {
      window.shown = [];
      const notice = document.getElementById("notice");
      new MutationObserver(() => { if (!notice.hidden) window.shown.push(notice.innerText); })
        .observe(notice, { attributes: true, subtree: true, childList: true });
    }""")
    page.keyboard.down("d")
    wait_for_state(page, lambda s: s["me"]["x"] > 101, "walking")
    play_server.move_over(0.2)
    wait_for_state(page, lambda s: play_server.recovered == 1 and s["connected"], "moving over")
    back = wait_for_state(page, lambda s: s["me"]["x"] > 104, "walking on")
    page.keyboard.up("d")
    assert back["session"] == entered["session"]
    assert page.evaluate("() => window.shown") == []
    assert play_server.body("Marlow").refused == 0
    walk(page, "w", lambda s: s["me"]["z"] > 101, "walking elsewhere")
