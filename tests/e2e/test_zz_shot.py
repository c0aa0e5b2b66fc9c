from __future__ import annotations
from tests.e2e.test_play_game import GameServer, realm  # noqa: F401
from tests.e2e.page_driver import register_and_enter

def test_shot(open_context_page, realm):
    page = open_context_page(viewport={"width": 390, "height": 800}, has_touch=True, is_mobile=True)
    realm.put("tree", 2.2, 0.8, left=3, most=4)
    realm.put("campfire", -4.0, 1.5, name="Nia's campfire", owner="x", by="Nia")
    realm.put("baker", 5.0, 6.0, "npc", "Bram")
    register_and_enter(page, realm.url, "marlow", "Marlow")
    realm.change("Marlow", bag={"wood": 4, "stone": 2, "bread": 1})
    realm.answer = {"text": "1 wood"}
    page.wait_for_timeout(600)
    page.tap("#act")
    page.wait_for_timeout(500)
    page.screenshot(path="/tmp/shot/mobile.png")
