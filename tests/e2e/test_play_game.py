"""The example game on the play page, over a mock realm: what is near is shown, and what came of a deed is seen (row 7.6)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.page_driver import pixels, register_and_enter, state, wait_for_state
from tests.e2e.play_server import PlayServer
from tests.e2e.play_sessions import RpcRefusal, Session
from tests.e2e.play_world import SPAWN, Body

Params = dict[str, Any]


class GameServer(PlayServer):
    """Remembers what is asked of the game, and answers with `answer`, or refuses with its reason."""

    def __init__(self) -> None:
        super().__init__(walkers=0)
        self.said: list[Params] = []
        self.answer: Params | str = {}

    async def _call(self, session: Session, method: str, params: Params) -> Params:
        if method != "game.message":
            return await super()._call(session, method, params)
        self.said.append(params)
        if isinstance(self.answer, str):
            raise RpcRefusal(-32003, "invalid state", {"state": "in_world", "reason": self.answer})
        return {"result": self.answer, "tick": self.world.tick}

    def put(self, kind: str, dx: float, dz: float, entity_type: str = "item", name: str = "", **more: Any) -> Body:
        """Something beside the place where players come in."""

        number = next(self.world._numbers)
        body = Body(number, f"ent_{number}", name or kind.capitalize(), SPAWN[0] + dx, SPAWN[1] + dz)
        body.entity_type, body.properties = entity_type, {"kind": kind, **more}

        async def action() -> None:
            self.world.bodies[number] = body

        self.run(action)
        return body

    def change(self, name: str, **properties: Any) -> None:
        async def action() -> None:
            self.body(name).change(**properties)

        self.run(action)


@pytest.fixture
def realm() -> Iterator[GameServer]:
    server = GameServer()
    server.start()
    yield server
    server.stop()


def test_gathering(page: Page, realm: GameServer) -> None:
    tree = realm.put("tree", 2.0, 0.5, left=2, most=2)
    realm.put("stone", -12.0, 0.0, left=3, most=3)
    register_and_enter(page, realm.url, "marlow", "Marlow")
    expect(page.locator("#act")).to_have_text("E gather wood")
    expect(page.locator("#bag")).to_have_text("empty")
    realm.answer = {"bag": {"wood": 1}, "left": 1, "text": "1 wood"}
    page.keyboard.press("e")
    expect(page.locator("#toast")).to_have_text("1 wood")
    [said] = realm.said
    assert (said["type"], said["data"]) == ("gather", {"target": tree.entity_id})
    assert 0 <= realm.world.tick - said["tick"] < 100
    realm.change("Marlow", bag={"wood": 1, "bread": 2})
    expect(page.locator("#bag")).to_have_text("1 wood, 2 bread")
    realm.change("Tree", left=0)
    expect(page.locator("#act")).to_be_hidden()
    page.keyboard.press("e")
    assert len(realm.said) == 1, "nothing is near any more"


def test_things_are_no_people(page: Page, realm: GameServer) -> None:
    realm.put("tree", 6.0, 0.0, left=2)
    realm.put("baker", 0.0, 8.0, "npc", "Bram")
    register_and_enter(page, realm.url, "marlow", "Marlow")
    seen = wait_for_state(page, lambda s: len(s["entities"]) == 2, "seeing both")
    assert sorted(entity["name"] for entity in seen["entities"]) == ["Bram", "Tree"]
    assert sorted(figure["name"] for figure in state(page)["drawn"]) == ["Bram", "Marlow"]
    expect(page.locator("#near-count")).to_have_text("1")
    me = next(figure for figure in state(page)["drawn"] if figure["me"])
    scale = (me["sy"] - next(f for f in state(page)["drawn"] if f["name"] == "Bram")["sy"]) / 8.0
    found = pixels(page, me["sx"] + 6.0 * scale, me["sy"], 16)
    assert sum(green > 90 and green > red + 30 for red, green, _ in found) > 150, "a crown of leaves"


def test_what_a_game_does_not_draw_is_a_figure(page: Page, realm: GameServer) -> None:
    realm.put("statue", 3.0, 3.0)
    register_and_enter(page, realm.url, "marlow", "Marlow")
    wait_for_state(page, lambda s: {"Marlow", "Statue"} == {f["name"] for f in s["drawn"]}, "drawing it")
    expect(page.locator("#game")).to_be_hidden()


def test_talking(page: Page, realm: GameServer) -> None:
    baker = realm.put("baker", 0.0, 2.0, "npc", "Bram")
    realm.put("tree", 20.0, 0.0, left=2)
    register_and_enter(page, realm.url, "marlow", "Marlow")
    expect(page.locator("#act")).to_have_text("E talk to Bram")
    realm.answer = {"from": "Bram", "text": "Take this bread.", "gave": "bread", "bag": {"bread": 1}}
    page.click("#act")
    expect(page.locator("#toast")).to_have_text("You got bread.")
    assert realm.said[0]["data"] == {"target": baker.entity_id}


def test_building(page: Page, realm: GameServer) -> None:
    realm.put("tree", 8.0, 0.0, left=2)
    register_and_enter(page, realm.url, "marlow", "Marlow")
    for button in ("#build-campfire", "#build-hut"):
        expect(page.locator(button)).to_be_disabled()
    realm.change("Marlow", bag={"wood": 4, "stone": 2})
    expect(page.locator("#build-campfire")).to_be_enabled()
    expect(page.locator("#build-hut")).to_be_disabled()
    realm.answer = {"bag": {"wood": 1}, "built": "ent_x", "text": "You built a campfire."}
    page.click("#build-campfire")
    expect(page.locator("#toast")).to_have_text("You built a campfire.")
    assert [(said["type"], said["data"]) for said in realm.said] == [("build", {"what": "campfire"})]
    assert page.evaluate("document.activeElement === document.body"), "keys walk again"


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        ("too_far", "Go a little closer."),
        ("nothing_left", "Nothing left. It grows again."),
        ("moon_phase", "Moon phase."),
    ],
)
def test_a_refusal_is_told(page: Page, realm: GameServer, reason: str, words: str) -> None:
    realm.put("tree", 2.0, 0.0, left=2)
    register_and_enter(page, realm.url, "marlow", "Marlow")
    expect(page.locator("#act")).to_be_visible()
    realm.answer = reason
    page.keyboard.press("e")
    expect(page.locator("#toast")).to_have_text(words)


def test_news_of_others(page: Page, realm: GameServer) -> None:
    register_and_enter(page, realm.url, "marlow", "Marlow")
    built = {"by": "Nia", "what": "hut", "text": "Nia built a <b>hut</b>."}
    realm.tell_all("game.event", {"type": "built", "data": built, "tick": 1})
    expect(page.locator("#toast")).to_have_text("Nia built a <b>hut</b>.")
    realm.tell_all("game.event", {"type": "odd", "data": None, "tick": 2})
    expect(page.locator("#toast")).to_be_hidden(timeout=8_000)


def test_the_key_is_a_letter_in_the_chat(page: Page, realm: GameServer) -> None:
    realm.put("tree", 2.0, 0.0, left=2)
    register_and_enter(page, realm.url, "marlow", "Marlow")
    expect(page.locator("#act")).to_be_visible()
    page.keyboard.press("Enter")
    page.keyboard.type("eel")
    expect(page.locator("#chat-text")).to_have_value("eel")
    assert realm.said == []
