"""Calls to zones: each has up to two actors, and the one that owns it may change between two calls (rows 7.3 and 7.4)."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from typing import Any

from cluster.errors import NotOwner, Unavailable
from cluster.ports.calls import Calls, zone_actor

FIRST_PATIENCE_S = 0.75  # with one actor, before the other is asked; twice as long each time
FIRST_PAUSE_S, LAST_PAUSE_S = 0.05, 0.4
FIND_DEADLINE_S = 1.0


class ZoneOwners:
    """Calls the actor that owns a zone, and remembers which it was.

    An idempotent call goes to the other actor when one does not answer, and on until the deadline. Any other call is made once; it
    goes on only from an actor that says that it is not the owner, because that one has done nothing.
    """

    def __init__(self, calls: Calls, seed: int | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._calls = calls
        self._random = random.Random(seed)  # noqa: S311 - jitter
        self._clock = clock
        self._slots: dict[str, int] = {}  # where it is not 0
        self._doubted: set[str] = set()

    async def call(self, zone_id: str, method: str, *args: Any, deadline_s: float, idempotent: bool = False) -> Any:
        """Raises what the method raised if it is a RealmError, and Unavailable when no owner answered in time."""
        until = self._clock() + deadline_s
        if zone_id in self._doubted and not idempotent:
            await self.owner(zone_id, min(FIND_DEADLINE_S, deadline_s / 2))
        slot = self._slots.get(zone_id, 0)
        patience, pause, referred = FIRST_PATIENCE_S, FIRST_PAUSE_S, False
        while True:
            left = until - self._clock()
            try:
                answer = await self._calls.call(
                    zone_actor(zone_id, slot), method, *args, deadline_s=min(left, patience) if idempotent else left
                )
            except NotOwner as said:
                self._remember(zone_id, said.slot)
                slot, straight_on = said.slot, not referred
                referred = True
            except Unavailable:
                if not idempotent:
                    self._doubted.add(zone_id)
                    raise
                slot, straight_on = 1 - slot, False
                patience *= 2
            else:
                self._remember(zone_id, slot)
                return answer
            # Two that name each other are in the middle of a change.
            wait = 0.0 if straight_on else self._random.uniform(0.5, 1.0) * pause
            if self._clock() + wait >= until:
                raise Unavailable(zone_actor(zone_id, slot))
            if wait:
                await asyncio.sleep(wait)
                pause = min(pause * 2, LAST_PAUSE_S)

    async def owner(self, zone_id: str, deadline_s: float) -> dict[str, Any]:
        """What `info()` of the owner says. Of two that both believe it, the one with the higher epoch is. Raises Unavailable."""
        names = (zone_actor(zone_id, 0), zone_actor(zone_id, 1))
        said = await asyncio.gather(
            *(self._calls.call(name, "info", deadline_s=deadline_s) for name in names), return_exceptions=True
        )
        owners = [info for info in said if isinstance(info, dict) and info["role"] == "owner"]
        if not owners:
            raise Unavailable(names[0])
        newest: dict[str, Any] = max(owners, key=lambda info: int(info["epoch"]))
        self._remember(zone_id, newest["slot"])
        return newest

    def _remember(self, zone_id: str, slot: int) -> None:
        self._doubted.discard(zone_id)
        if slot:
            self._slots[zone_id] = slot
        else:
            self._slots.pop(zone_id, None)
