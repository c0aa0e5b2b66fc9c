"""Asking clients away politely when other gateways have more room, as after one was added (row 1.6). Pure rules.

Each gateway judges for itself by what all of them say of themselves (GatewayAlive). Nobody is closed: who does not follow stays.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection
from dataclasses import dataclass

from cluster.settings import GatewaySettings

SILENCE_S = 5.0
BEGIN = 0.10  # of the fair share: this much above it, and clients are asked away
END = 0.02  # ... until no more than this is left
LEAST = 8  # sockets over the fair share that are worth anybody's reconnect
SETTLE_S = 5.0  # until whoever was asked has gone, and all have heard of it
TURN_S = 1.0
WITHIN_S = 5.0


@dataclass(frozen=True, slots=True)
class _Heard:
    sockets: int
    capacity: int
    draining: bool
    at: float


class Rebalance:
    """For one gateway. Times are seconds on its clock."""

    def __init__(self, gateway_id: str, settings: GatewaySettings) -> None:
        self.within_s = WITHIN_S
        self._gateway_id = gateway_id
        self._on = settings.rebalance
        self._per_second = settings.rebalance_per_minute / 60
        self._capacity = settings.capacity
        self._others: dict[str, _Heard] = {}
        self._heard_itself = float("-inf")
        self._asked: set[str] = set()
        self._settling: deque[tuple[float, int]] = deque()
        self._leaning = False
        self._budget = 0.0
        self._last = float("-inf")

    def heard(self, gateway_id: str, sockets: int, capacity: int, draining: bool, now: float) -> None:
        """A GatewayAlive, one's own among them."""
        if gateway_id == self._gateway_id:
            self._heard_itself = now
        else:
            self._others[gateway_id] = _Heard(sockets, capacity, draining, now)

    def alone(self, now: float) -> bool:
        """No other gateway takes clients, and that is certain: who does not hear itself hears nobody."""
        self._forget(now)
        heard = now - self._heard_itself < SILENCE_S
        return heard and all(other.draining for other in self._others.values())

    def _forget(self, now: float) -> None:
        self._others = {name: other for name, other in self._others.items() if now - other.at < SILENCE_S}

    def step(self, now: float, attached: Collection[str]) -> tuple[str, ...]:
        """The sessions to be told `session.reconnect` with `within_s` now. To be called once a second, and not while draining.

        `attached`: those with an open socket here, the longest connected first. These are asked first: who has just come,
        perhaps from another gateway, is left alone. Nobody is asked twice.
        """
        if not self._on:
            return ()
        elapsed, self._last = min(now - self._last, TURN_S), now
        self._asked.intersection_update(attached)
        while self._settling and now - self._settling[0][0] >= SETTLE_S:
            self._settling.popleft()
        excess = self._excess(now, len(attached)) - sum(count for _, count in self._settling)
        if not self._leaning:
            self._budget = 0.0
            return ()
        self._budget += elapsed * self._per_second * len(attached)
        count = max(0, min(int(self._budget), int(excess)))
        self._budget = min(self._budget - count, 1.0)  # what could not be used is not saved up
        asked = tuple([session for session in attached if session not in self._asked][:count])
        self._asked.update(asked)
        if asked:
            self._settling.append((now, len(asked)))
        return asked

    def _excess(self, now: float, sockets: int) -> float:
        """Sockets above the fair share, which is by capacity; and whether that is worth something, with hysteresis."""
        self._forget(now)
        taking = [other for other in self._others.values() if not other.draining and other.capacity > 0]
        capacity = self._capacity + sum(other.capacity for other in taking)
        everyone = sockets + sum(other.sockets for other in taking)
        fair = everyone * self._capacity / capacity
        excess = sockets - fair if taking else 0.0
        band = fair * (END if self._leaning else BEGIN)
        self._leaning = excess > max(band, 1.0 if self._leaning else LEAST)
        return excess
