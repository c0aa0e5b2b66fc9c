"""A baker who strolls about the house while somebody looks, and stops for who comes near."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass

from actors.games.api import Behaviour
from actors.zone.game_entity import GameEntity
from actors.zone.game_zone import GameZone

NPC = "npc"
SPEED = 1.3  # m/s
STROLL_M = 9.0  # from home
GREETS_M = 3.5
REST_S = (2.0, 6.0)
THERE_M = 0.3
WALKERS = 1_000  # remembered

LINES = (
    "Wood keeps the oven warm, {name}.",
    "They say the ridge is cold at night. Build yourself a fire.",
    "Trees grow again. Give them a minute.",
    "Three wood and two stones make a campfire. I have seen it done with less, but not well.",
    "A hut wants more of both. Eight and five, if you ask me.",
)


@dataclass(slots=True)
class Stroll:
    """Where to, and for how long yet to rest before."""

    x: float
    z: float
    rest_s: float


class Baker(Behaviour):
    def __init__(self) -> None:
        self._strolls: dict[str, Stroll] = {}

    def tick(self, zone: GameZone, entity: GameEntity, dt: float) -> None:
        stroll = self._strolls.get(entity.id)
        if stroll is None or (stroll.rest_s <= 0 and _there(stroll, entity)):
            stroll = self._next(zone, entity)
        guest = next((each for each in zone.near(entity.x, entity.z, GREETS_M) if each.is_player), None)
        if guest is not None:
            yaw = math.atan2(guest.x - entity.x, guest.z - entity.z)
            if abs(math.remainder(yaw - entity.yaw, math.tau)) > 0.1:
                zone.place(entity, entity.x, entity.z, yaw)
        elif stroll.rest_s > 0:
            stroll.rest_s -= dt
        else:
            self._walk(zone, entity, stroll, dt)

    def _walk(self, zone: GameZone, entity: GameEntity, stroll: Stroll, dt: float) -> None:
        way_x, way_z = stroll.x - entity.x, stroll.z - entity.z
        far = math.hypot(way_x, way_z)
        step = min(1.0, SPEED * dt / far) if far else 0.0
        if not zone.place(entity, entity.x + way_x * step, entity.z + way_z * step, math.atan2(way_x, way_z)):
            self._next(zone, entity)

    def _next(self, zone: GameZone, entity: GameEntity) -> Stroll:
        home = entity.properties.get("home") or [entity.x, entity.z]
        rng: random.Random = zone.rng
        turn, far = rng.uniform(0.0, math.tau), rng.uniform(2.0, STROLL_M)
        stroll = Stroll(home[0] + math.sin(turn) * far, home[1] + math.cos(turn) * far, rng.uniform(*REST_S))
        if len(self._strolls) >= WALKERS:
            del self._strolls[next(iter(self._strolls))]
        self._strolls[entity.id] = stroll
        return stroll

    @staticmethod
    def welcome(name: str) -> str:
        return f"You are new here, {name}? Take this bread, and come again."

    @staticmethod
    def line(name: str, said: int) -> str:
        return LINES[said % len(LINES)].format(name=name)


def _there(stroll: Stroll, entity: GameEntity) -> bool:
    return math.hypot(stroll.x - entity.x, stroll.z - entity.z) <= THERE_M
