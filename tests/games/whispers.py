"""A game for tests of visibility (row 3.4): somebody who keeps a plan to itself, and tells its price to who comes near."""

from __future__ import annotations

from typing import ClassVar

from actors.games.api import Game
from actors.zone.game_zone import GameZone
from cluster.world_settings import EntityTypeSettings

PLAN = "a plan that nobody is told, 5f1c09e7"
MERCHANT = "ent_merchant"
MERCHANT_X, MERCHANT_Z = 100.0, 60.0


class Whispers(Game):
    types: ClassVar = {"npc": EntityTypeSettings(visibility={"plan": "owner", "price": "near"})}

    def on_start(self, zone: GameZone) -> None:
        if zone.whole and zone.bounds.min_x <= MERCHANT_X <= zone.bounds.max_x and zone.entity(MERCHANT) is None:
            properties = {"plan": PLAN, "price": 3, "sign": "open"}
            zone.spawn("npc", MERCHANT_X, MERCHANT_Z, name="Merchant", properties=properties, entity_id=MERCHANT)
