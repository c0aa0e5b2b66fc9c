"""The play page over a mock realm that speaks the real protocol (row 7.7): every step that a player takes, in real Chromium."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import pairwise

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.layout import faults
from tests.e2e.page_driver import (
    DEADLINE_S,
    PASSWORD,
    enter,
    fill_login,
    make_character,
    open_page,
    pixels,
    register,
    register_and_enter,
    state,
    wait_for_state,
    wait_until,
    walk,
)
from tests.e2e.play_accounts import COMMON
from tests.e2e.play_server import PlayServer

SIZE = 44  # pixels of the squares that are compared


def distance(a: dict[str, float], b: dict[str, float]) -> float:
    return float(((a["x"] - b["x"]) ** 2 + (a["z"] - b["z"]) ** 2) ** 0.5)


def unlike_ground(found: list[tuple[int, int, int]]) -> int:
    """How many pixels are much brighter than grass."""
    return sum(max(pixel) > 130 for pixel in found)


def test_from_registration_to_walkers_on_the_canvas(page: Page, play_server: PlayServer) -> None:
    register_and_enter(page, play_server.url, "marlow", "Marlow", zone="zon_meadow")
    walkers = {body.name for body in play_server.world.bodies.values() if body.orbit}
    seen = wait_for_state(page, lambda s: len(s["entities"]) == len(walkers), "seeing every walker")
    assert {entity["name"] for entity in seen["entities"]} == walkers
    assert seen["zone"] == "zon_meadow"
    before = {entity["name"]: entity for entity in seen["entities"]}
    wait_for_state(
        page, lambda s: all(distance(e, before[e["name"]]) > 0.5 for e in s["entities"]), "the walkers walking"
    )

    play_server.world.walking = False
    places = {body.name: {"x": body.x, "z": body.z} for body in play_server.world.bodies.values() if body.orbit}
    standing = wait_for_state(
        page,
        lambda s: all(distance(e, places[e["name"]]) < 0.01 for e in s["entities"]),
        "the walkers standing",
    )
    drawn = standing["drawn"]
    free = [figure for figure in drawn if 300 < figure["sx"] < 1000 and 60 < figure["sy"] < 640]
    target = next(
        figure
        for figure in free
        if all(abs(figure["sx"] - f["sx"]) > 90 or abs(figure["sy"] - f["sy"]) > 90 for f in drawn if f != figure)
    )
    assert unlike_ground(pixels(page, target["sx"], target["sy"], SIZE)) > 150
    play_server.remove(target["name"])
    wait_for_state(page, lambda s: target["name"] not in {f["name"] for f in s["drawn"]}, "the walker leaving")
    assert unlike_ground(pixels(page, target["sx"], target["sy"], SIZE)) < 60


def test_the_figures_around_the_canvas(page: Page, play_server: PlayServer) -> None:
    register_and_enter(page, play_server.url, "marlow", "Marlow")
    wait_for_state(page, lambda s: s["latency"] is not None and s["fps"] > 0, "figures")
    expect(page.locator("#zone-name")).to_have_text("Meadow")
    expect(page.locator("#position")).to_have_text("x 100.0   z 100.0")
    expect(page.locator("#connection")).to_have_text("connected")
    expect(page.locator("#near-count")).to_have_text("6")
    play_server.world.walking = False
    names = page.locator("#roster li .name")
    nearest = sorted(
        (body for body in play_server.world.bodies.values() if body.orbit),
        key=lambda body: (body.x - 100) ** 2 + (body.z - 100) ** 2,
    )
    expect(names).to_have_text([body.name for body in nearest])


def test_keys_walk_and_moves_arrive(page: Page, play_server: PlayServer) -> None:
    register_and_enter(page, play_server.url, "marlow", "Marlow")
    body = play_server.body("Marlow")
    walk(page, "d", lambda s: s["me"]["x"] > 105, "walking east")
    walk(page, "ArrowUp", lambda s: s["me"]["z"] > 103, "walking north")
    walk(page, "a", lambda s: s["me"]["x"] < 104, "walking west")
    walk(page, "s", lambda s: s["me"]["z"] < 102, "walking south")
    done = wait_for_state(page, lambda s: s["settled"], "every move judged")

    sequences = [move.sequence for move in body.judged]
    assert sequences == list(range(1, len(sequences) + 1))
    assert body.refused == 0
    assert done["me"]["x"] == pytest.approx(body.x, abs=0.001)
    assert done["me"]["z"] == pytest.approx(body.z, abs=0.001)
    for first in body.judged:
        within = [move for move in body.judged if 0 <= move.at - first.at < 1.0]
        assert len(within) <= 16, "more than 15 moves a second"
    steps = [(abs(b.x - a.x) + abs(b.z - a.z)) for a, b in pairwise(body.judged)]
    assert max(steps) < 2.0


def test_walls_stop_the_player(page: Page, play_server: PlayServer) -> None:
    play_server.world.spawn = (197.0, 100.0)
    register_and_enter(page, play_server.url, "marlow", "Marlow")
    stopped = walk(page, "d", lambda s: s["me"]["x"] >= 199.59, "reaching the wall")
    page.wait_for_timeout(300)
    assert stopped["me"]["x"] == pytest.approx(199.6)
    assert play_server.body("Marlow").refused == 0


def test_a_correction_moves_the_player(page: Page, play_server: PlayServer) -> None:
    register_and_enter(page, play_server.url, "marlow", "Marlow")
    walk(page, "d", lambda s: s["me"]["x"] > 101, "walking")
    wait_for_state(page, lambda s: s["settled"], "every move judged")
    play_server.correct("Marlow", 97.0, 103.0)
    wait_for_state(page, lambda s: distance(s["me"], {"x": 97.0, "z": 103.0}) < 0.05, "being put right")

    page.keyboard.down("d")  # and while walking, with moves under way
    wait_for_state(page, lambda s: s["me"]["x"] > 98.5, "walking on")
    play_server.correct("Marlow", 60.0, 90.0)
    wait_for_state(page, lambda s: abs(s["me"]["z"] - 90.0) < 0.05 and s["me"]["x"] < 75, "being put far away")
    page.keyboard.up("d")
    settled = wait_for_state(page, lambda s: s["settled"], "every move judged")
    body = play_server.body("Marlow")
    wait_for_state(page, lambda s: distance(s["me"], {"x": body.x, "z": body.z}) < 0.05, "agreeing with the zone")
    refused = body.refused
    walk(page, "w", lambda s: s["me"]["z"] > settled["me"]["z"] + 2, "walking again")
    assert body.refused == refused


def test_a_cut_socket_comes_back(page: Page, play_server: PlayServer) -> None:
    entered = register_and_enter(page, play_server.url, "marlow", "Marlow")
    before = walk(page, "d", lambda s: s["me"]["x"] > 102, "walking")
    play_server.refusing = True
    play_server.cut()
    lost = wait_for_state(page, lambda s: s["connection"]["name"] == "waiting", "noticing the loss")
    assert lost["screen"] == "world"
    assert lost["entities"], "the world stays on the screen"
    expect(page.locator("#notice")).to_be_visible()
    expect(page.locator("#notice-text")).to_contain_text("Trying again")
    dimmed = page.evaluate("() => getComputedStyle(document.getElementById('ground')).filter")
    assert "brightness" in dimmed
    play_server.refusing = False
    back = wait_for_state(page, lambda s: s["connected"] and s["me"], "coming back", deadline_s=30)
    assert play_server.resume_requests == ["", entered["session"]]
    assert back["session"] == entered["session"]
    expect(page.locator("#notice")).to_be_hidden()
    after = walk(page, "d", lambda s: s["me"]["x"] > before["me"]["x"] + 2, "walking on")
    assert after["sequence"] > before["sequence"]
    sequences = [move.sequence for move in play_server.body("Marlow").judged]
    assert all(b > a for a, b in pairwise(sequences))
    assert play_server.body("Marlow").refused == 0


def test_a_lost_session_enters_again(page: Page, play_server: PlayServer) -> None:
    entered = register_and_enter(page, play_server.url, "marlow", "Marlow")
    wait_for_state(page, lambda s: len(play_server.sessions[s["session"]].channels) == 2, "joining channels")
    play_server.forget_sessions()
    play_server.cut()
    back = wait_for_state(
        page,
        lambda s: s["session"] != entered["session"] and s["connected"] and len(s["entities"]) == 6,
        "entering again",
        30,
    )
    assert back["screen"] == "world"
    walk(page, "d", lambda s: s["me"]["x"] > 102, "walking again")
    channels = play_server.sessions[back["session"]].channels
    wait_until(page, lambda: channels == {"global", "zone"}, "joining channels again")


def test_an_expired_token_is_refreshed_before_reconnecting(page: Page, play_server: PlayServer) -> None:
    entered = register_and_enter(page, play_server.url, "marlow", "Marlow")
    play_server.accounts.expire_access_tokens()
    play_server.close_sockets(4501, "auth expired")
    wait_until(page, lambda: play_server.resume_requests == ["", entered["session"]], "coming back", 30)
    back = wait_for_state(page, lambda s: s["connected"], "playing again")
    assert back["session"] == entered["session"]
    assert play_server.accounts.refreshes == 1


def test_an_ended_login_asks_for_it_again(page: Page, play_server: PlayServer) -> None:
    register_and_enter(page, play_server.url, "marlow", "Marlow")
    play_server.accounts.expire_access_tokens()
    play_server.accounts.refresh_tokens.clear()
    play_server.close_sockets(4501, "auth expired")
    expect(page.locator("#auth-error")).to_have_text("Your login has ended. Log in again.", timeout=DEADLINE_S * 1000)
    assert state(page)["screen"] == "auth"


def test_a_reload_goes_straight_back(page: Page, play_server: PlayServer) -> None:
    entered = register_and_enter(page, play_server.url, "marlow", "Marlow")
    walked = walk(page, "w", lambda s: s["me"]["z"] > 102, "walking")
    wait_for_state(page, lambda s: s["settled"], "every move judged")
    open_page(page, play_server.url)
    back = wait_for_state(page, lambda s: s["screen"] == "world" and s["connected"], "being back")
    assert back["session"] == entered["session"]
    assert back["me"]["z"] > walked["me"]["z"] - 0.01  # coordinates are float32 on the wire
    assert back["sequence"] == play_server.body("Marlow").sequence
    assert "correct horse" not in page.evaluate("() => JSON.stringify(sessionStorage)")


def test_being_replaced_and_kicked_is_told(page: Page, play_server: PlayServer) -> None:
    register_and_enter(page, play_server.url, "marlow", "Marlow")
    play_server.close_sockets(4500, "replaced")
    expect(page.locator("#ended-title")).to_have_text("You are playing in another window")
    page.click("#ended-again")
    wait_for_state(page, lambda s: s["connected"], "playing here instead")
    play_server.close_sockets(4503, "kicked")
    expect(page.locator("#ended-title")).to_have_text("You were removed from the realm")
    expect(page.locator("#ended-again")).to_be_hidden()
    page.click("#ended-logout")
    wait_for_state(page, lambda s: s["screen"] == "auth", "the login form")
    assert not play_server.accounts.refresh_tokens


@pytest.mark.parametrize(
    ("code", "title"),
    [(4504, "That was too much for the realm"), (4505, "A message could not be trusted")],
)
def test_why_the_realm_hung_up_is_told(page: Page, play_server: PlayServer, code: int, title: str) -> None:
    register_and_enter(page, play_server.url, "marlow", "Marlow")
    play_server.close_sockets(code, "in one word")
    expect(page.locator("#ended-title")).to_have_text(title)
    expect(page.locator("#ended-text")).not_to_contain_text("in one word")
    assert not faults(page)
    page.click("#ended-again")
    wait_for_state(page, lambda s: s["connected"], "connecting again")
    expect(page.locator("#chat-log .notice")).to_have_count(0)


def refuse(page: Page, status: int, reason: str, **headers: str) -> None:
    """The HTTP API's answer from now on, whatever is asked."""
    problem = json.dumps({"reason": reason, "status": status, "detail": "not for people"})
    headers["Content-Type"] = "application/problem+json"
    page.route("**/v1/**", lambda route: route.fulfill(status=status, headers=headers, body=problem))


@pytest.mark.parametrize("where", ["lobby", "world"])
def test_a_network_that_is_kept_out_is_told(page: Page, play_server: PlayServer, where: str) -> None:
    register(page, play_server.url, "marlow")
    make_character(page, "Marlow")
    if where == "world":
        enter(page)
    wait_for_state(page, lambda s: s["connected"], "being connected")
    refuse(page, 403, "address_banned")
    play_server.refusing = True
    play_server.cut()
    expect(page.locator("#ended-title")).to_have_text("You cannot enter from here", timeout=DEADLINE_S * 1000)
    expect(page.locator("#ended-again")).to_be_hidden()
    open_page(page, play_server.url)
    expect(page.locator("#auth-error")).to_have_text("The realm takes nobody from your network at the moment.")


def test_a_realm_that_lets_nobody_in_is_told(page: Page, play_server: PlayServer) -> None:
    play_server.refusing = True
    register(page, play_server.url, "marlow")
    make_character(page, "Marlow")
    trouble = page.locator("#enter-error")
    expect(trouble).to_contain_text("does not let you in at the moment", timeout=DEADLINE_S * 1000)
    expect(page.locator("#enter")).to_be_disabled()
    refuse(page, 429, "too_fast", **{"Retry-After": "600"})
    late = wait_for_state(page, lambda s: s["connection"].get("why") == "too_fast", "being told to wait")
    assert late["connection"]["retryAt"] > page.evaluate("() => performance.now() / 1000") + 500
    page.unroute("**/v1/**")
    play_server.refusing = False
    open_page(page, play_server.url)
    page.click("#enter:enabled", timeout=DEADLINE_S * 1000)
    expect(trouble).to_be_empty()
    wait_for_state(page, lambda s: s["screen"] == "world", "entering")


def test_a_page_that_cannot_sign_says_so(page: Page, play_server: PlayServer) -> None:
    """As over plain HTTP from another machine: browsers keep Web Crypto from such pages."""
    play_server.accounts.sign = True
    page.add_init_script("Object.defineProperty(crypto, 'subtle', { value: undefined })")
    problem = page.locator("#auth-error")
    open_page(page, play_server.url)
    expect(problem).to_contain_text("Open this page by https.")
    fill_login(page, "marlow", PASSWORD, register=True)
    wait_until(page, lambda: "marlow" in play_server.accounts.passwords, "registering")
    expect(page.locator("#auth-submit")).to_be_enabled()
    expect(problem).to_contain_text("Open this page by https.")
    assert state(page)["screen"] == "auth"


def test_wrong_input_is_told_in_words(page: Page, play_server: PlayServer) -> None:
    register(page, play_server.url, "marlow")
    page.click("#logout")
    wait_for_state(page, lambda s: s["screen"] == "auth", "logging out")
    problem = page.locator("#auth-error")
    fill_login(page, "marlow", "not the password", register=False)
    expect(problem).to_have_text("That username and password do not belong together.")
    fill_login(page, "marlow", PASSWORD, register=True)
    expect(problem).to_have_text("That username is taken. Choose another.")
    fill_login(page, "marlow", "short", register=True)
    expect(problem).to_have_text("A password has 8 to 128 characters.")
    fill_login(page, "wanda", COMMON, register=True)
    expect(problem).to_have_text(
        "That password is one of the first that anybody would try. Choose another: several words are good."
    )
    play_server.accounts.locked.add("marlow")
    fill_login(page, "marlow", PASSWORD, register=False)
    expect(problem).to_have_text("Too many wrong passwords were given for this name. Wait 30 seconds.")
    play_server.accounts.locked.clear()
    fill_login(page, "marlow", PASSWORD, register=False)
    page.wait_for_selector("#lobby")
    page.fill("#character-name", "x")
    page.click("#create-submit")
    expect(page.locator("#create-error")).to_have_text("A name has 2 to 24 characters.")


def test_chat_is_text_and_arrives_once(page: Page, play_server: PlayServer) -> None:
    entered = register_and_enter(page, play_server.url, "marlow", "Marlow")
    channels = play_server.sessions[entered["session"]].channels
    wait_until(page, lambda: channels == {"global", "zone"}, "joining channels")
    nasty = "<img src=x onerror=alert(1)> & more"
    play_server.say("zone", "Alder", nasty, compressed=True)
    lines = page.locator("#chat-log li")
    expect(lines).to_have_count(1)
    expect(lines.first.locator("span")).to_have_text(nasty)
    assert page.locator("#chat-log img").count() == 0
    page.keyboard.press("Enter")
    page.keyboard.type("hello wasd")
    page.keyboard.press("Enter")
    expect(lines).to_have_count(2)
    wait_until(page, lambda: play_server.chat == [("zone", "hello wasd")], "one message and no more")
    page.keyboard.press("Escape")
    assert state(page)["me"]["x"] == 100, "typing does not walk"


def test_two_players_see_each_other(
    page: Page, open_context_page: Callable[..., Page], play_server: PlayServer
) -> None:
    register_and_enter(page, play_server.url, "marlow", "Marlow")
    other = open_context_page()
    register_and_enter(other, play_server.url, "dagna", "Dagna")
    wait_for_state(page, lambda s: "Dagna" in {f["name"] for f in s["drawn"]}, "Marlow seeing Dagna")
    wait_for_state(other, lambda s: "Marlow" in {f["name"] for f in s["drawn"]}, "Dagna seeing Marlow")
    walked = walk(other, "w", lambda s: s["me"]["z"] > 104, "Dagna walking")
    wait_for_state(
        page,
        lambda s: any(e["name"] == "Dagna" and e["z"] >= walked["me"]["z"] - 0.01 for e in s["entities"]),
        "Marlow seeing Dagna walk",
    )


def test_a_phone_has_a_joystick_and_panels_that_fold(
    open_context_page: Callable[..., Page], play_server: PlayServer
) -> None:
    page = open_context_page(
        viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True, device_scale_factor=2
    )
    register_and_enter(page, play_server.url, "marlow", "Marlow")
    assert page.evaluate("() => document.documentElement.scrollWidth") == 390
    size = page.evaluate("() => { const c = document.getElementById('ground'); return [c.width, c.height]; }")
    assert size == [780, 1688]
    box = page.locator("#joystick").bounding_box()
    assert box is not None
    middle = (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.move(*middle)
    page.mouse.down()
    page.mouse.move(middle[0] + 60, middle[1])
    walked = wait_for_state(page, lambda s: s["me"]["x"] > 101, "walking by joystick")
    page.mouse.up()
    assert walked["me"]["z"] == pytest.approx(100, abs=0.2)
    expect(page.locator("#near")).to_be_hidden()
    page.click("#show-near")
    expect(page.locator("#near")).to_be_visible()
    page.click("#show-chat")
    expect(page.locator("#near")).to_be_hidden()
    expect(page.locator("#chat")).to_be_visible()
