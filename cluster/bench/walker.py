"""How a bot walks: smooth turns at an even pace, away from the walls. Plain numbers; the dice are an argument."""

from __future__ import annotations

import math
from random import Random

from rayrealm_client.models import Bounds

MARGIN_M = 10.0  # nearer to a wall than this, a walker turns away
EDGE_M = 0.5  # and nearer than this it never comes
TURN_SPREAD = 0.8  # rad/s, of the turning rate
TURN_MEMORY_S = 1.5
AVOID_RATE = 2.5  # rad/s


class Walker:
    """`x`, `z` in metres, `yaw` in radians (0 looks along +z, growing towards +x), `speed` in m/s."""

    def __init__(self, bounds: Bounds, x: float, z: float, speed: float, rng: Random) -> None:
        self.bounds = bounds
        self.speed = speed
        self.yaw = rng.uniform(0.0, math.tau)
        self._turning = 0.0
        self._rng = rng
        self.x, self.z = x, z

    def place(self, x: float, z: float) -> None:
        """The realm says it is elsewhere."""
        self.x, self.z = x, z

    def step(self, dt: float) -> None:
        """Walk for `dt` seconds; never further than `speed * dt`, whatever the walls are."""
        # An Ornstein-Uhlenbeck process: the turning rate wanders, and is drawn back to straight on.
        drift = math.exp(-dt / TURN_MEMORY_S)
        self._turning = self._turning * drift + self._rng.gauss(0.0, TURN_SPREAD * math.sqrt(1.0 - drift * drift))
        self.yaw = (self.yaw + self._turning * dt + self._away(dt)) % math.tau
        way = self.speed * dt
        b = self.bounds
        x = _within(self.x + math.sin(self.yaw) * way, b.min_x, b.max_x)
        z = _within(self.z + math.cos(self.yaw) * way, b.min_z, b.max_z)
        gone = math.hypot(x - self.x, z - self.z)
        if gone > way:  # it was put outside: back at a walk
            x, z = self.x + (x - self.x) * way / gone, self.z + (z - self.z) * way / gone
        self.x, self.z = x, z

    def _away(self, dt: float) -> float:
        """The part of the turn that leads back to the middle, when a wall is near."""
        b = self.bounds
        room = min(self.x - b.min_x, b.max_x - self.x, self.z - b.min_z, b.max_z - self.z)
        if room > MARGIN_M:
            return 0.0
        home = math.atan2((b.min_x + b.max_x) / 2.0 - self.x, (b.min_z + b.max_z) / 2.0 - self.z)
        off = (home - self.yaw + math.pi) % math.tau - math.pi
        most = AVOID_RATE * dt
        return max(-most, min(most, off))


def _within(value: float, low: float, high: float) -> float:
    edge = min(EDGE_M, (high - low) / 2.0)
    return max(low + edge, min(high - edge, value))


class Wanderer:
    """Straight lines between random points of a ground, all day, at an even pace. `x`, `z`, `yaw`, `speed` as of a Walker."""

    def __init__(self, ground: Bounds, x: float, z: float, speed: float, rng: Random) -> None:
        self.speed = speed
        self.x, self.z = x, z
        self._ground = ground
        self._rng = rng
        self._goal = self._somewhere()
        self.yaw = self._bearing()

    def step(self, dt: float) -> None:
        """Walk for `dt` seconds; it turns where it arrives, and is there for the rest of the step."""
        way = self.speed * dt
        dx, dz = self._goal[0] - self.x, self._goal[1] - self.z
        left = math.hypot(dx, dz)
        if left <= way:
            self.x, self.z = self._goal
            self._goal = self._somewhere()
        else:
            self.x, self.z = self.x + dx * way / left, self.z + dz * way / left
        self.yaw = self._bearing()

    def _somewhere(self) -> tuple[float, float]:
        b, rng = self._ground, self._rng
        return rng.uniform(b.min_x + EDGE_M, b.max_x - EDGE_M), rng.uniform(b.min_z + EDGE_M, b.max_z - EDGE_M)

    def _bearing(self) -> float:
        return math.atan2(self._goal[0] - self.x, self._goal[1] - self.z) % math.tau
