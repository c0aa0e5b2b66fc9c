"""A game for tests of bad input (row 7.6): it keeps players' gold, which they must not change themselves."""

from __future__ import annotations

from typing import Any

from actors.games.api import Game, Refused
from actors.zone.game_entity import GameEntity
from actors.zone.game_zone import GameZone

GOLD = 5


class Ledger(Game):
    """`spend` {"gold": a number}: {"gold": what is left}. `say`: its data."""

    guarded = frozenset({"gold"})

    def on_enter(self, zone: GameZone, entity: GameEntity, reason: str) -> None:
        if entity.is_player and reason == "enter":
            zone.set(entity, gold=GOLD)

    def on_message(self, zone: GameZone, entity: GameEntity, kind: str, data: Any, seen_tick: float) -> Any:
        if kind == "say":
            return data
        if kind != "spend":
            raise Refused("not_understood")
        spent = data.get("gold") if isinstance(data, dict) else None
        if type(spent) is not int or spent < 1:
            raise Refused("how_much")
        left = entity.properties["gold"] - spent
        if left < 0:
            raise Refused("too_poor")
        zone.set(entity, gold=left)
        return {"gold": left}
