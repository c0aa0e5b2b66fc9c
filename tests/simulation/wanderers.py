"""A game for simulated worlds: figures that walk over all borders, and change. Nobody asks for them, and nobody takes them out."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from typing import ClassVar

from actors.games.api import Game
from actors.zone.game_entity import GameEntity
from actors.zone.game_zone import GameZone
from cluster.world_settings import EntityTypeSettings
from tests.simulation.virtual_time import WALL

FIGURE = "figure"
PER_ZONE = 5
SPEED = 2.0
BEGIN_S = 4.0
"""After that no zone makes any: they may have walked away, and a zone that starts anew would not know."""
CHANGE_EACH = 0.02
"""Of a figure's ticks."""
REACH_M = 60.0


class Stage:
    """`resting`: nobody moves, and nothing changes."""

    resting = False


class Wanderers(Game):
    types: ClassVar[Mapping[str, EntityTypeSettings]] = {FIGURE: EntityTypeSettings(max_speed=3.0)}

    def __init__(self) -> None:
        self._aims: dict[str, tuple[float, float]] = {}

    def on_start(self, zone: GameZone) -> None:
        if not zone.whole or zone.now > WALL + BEGIN_S or any(zone.entities(FIGURE)):
            return
        b = zone.bounds
        for number in range(PER_ZONE):
            x, z = (b.min_x + b.max_x) / 2 + number, (b.min_z + b.max_z) / 2
            zone.spawn(FIGURE, x, z, name=f"Figure {number}", entity_id=f"ent_{zone.id}_figure_{number}")

    def on_tick(self, zone: GameZone, dt: float) -> None:
        if Stage.resting:
            return
        for figure in list(zone.entities(FIGURE)):
            self._walk(zone, figure, dt)
            if zone.writable and zone.rng.random() < CHANGE_EACH:
                zone.set(figure, mood=zone.rng.randrange(100))

    def _walk(self, zone: GameZone, figure: GameEntity, dt: float) -> None:
        rng: random.Random = zone.rng
        x, z = self._aims.get(figure.id, (figure.x, figure.z))
        far = math.hypot(x - figure.x, z - figure.z)
        if far < SPEED * dt:
            self._aims[figure.id] = (
                figure.x + rng.uniform(-REACH_M, REACH_M),
                figure.z + rng.uniform(-REACH_M, REACH_M),
            )
            return
        part = SPEED * dt / far
        way_x, way_z = (x - figure.x) * part, (z - figure.z) * part
        if not zone.place(figure, figure.x + way_x, figure.z + way_z, math.atan2(way_x, way_z)):
            self._aims.pop(figure.id)
