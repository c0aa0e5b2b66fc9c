"""A game for tests of row 7.11: who shoots meets whom it saw, or whoever stands there by now."""

from __future__ import annotations

import math
from typing import Any

from actors.games.api import Game, Refused
from actors.zone.game_entity import GameEntity
from actors.zone.game_zone import GameZone

REACH_M = 60.0
RADIUS_M = 0.5


class ShootingRange(Game):
    """`shoot` {"yaw", "compensate"?}: {"hit": the entity's id, or None}."""

    def on_message(self, zone: GameZone, entity: GameEntity, kind: str, data: Any, seen_tick: float) -> Any:
        if kind != "shoot":
            raise Refused("not_understood")
        yaw, compensate = (data.get("yaw"), data.get("compensate", True)) if isinstance(data, dict) else (None, True)
        if not isinstance(yaw, int | float) or not math.isfinite(yaw):
            raise Refused("no_yaw")
        met = zone.hit(entity, yaw, REACH_M, RADIUS_M, seen_tick, compensate=bool(compensate), type="player")
        return {"hit": met.id if met is not None else None}
