"""Which zone has a session's entity: it may have walked on since its session was last told (row 7.2). Plain asyncio over ports."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from cluster.errors import Elsewhere, InvalidState, Unavailable
from cluster.mapwatch import MapWatch
from cluster.zone_calls import ZoneOwners

PAUSE_S = 0.03  # a hand-over takes a few milliseconds
LAST_PAUSE_S = 0.3

ZonesOf = Callable[[Sequence[str]], Awaitable[dict[str, str]]]


class Whereabouts:
    """`zones_of` asks the zones' store: it is the truth when nobody else knows. Times are seconds on `clock`."""

    def __init__(
        self,
        owners: ZoneOwners,
        zones_of: ZonesOf,
        watch: MapWatch,
        clock: Callable[[], float],
        rng: random.Random,
    ) -> None:
        self._owners = owners
        self._zones_of = zones_of
        self._watch = watch
        self._clock = clock
        self._rng = rng

    async def ask(self, session_id: str, zone_id: str, method: str, *args: Any, deadline_s: float) -> tuple[str, Any]:
        """Call a method about the session's entity where it is; `zone_id` is where it is believed to be.

        Returns (zone, answer). Raises what the zone raised (InvalidState "not_in_zone": it is nowhere), Unavailable after the
        deadline.
        """
        until, pause = self._clock() + deadline_s, PAUSE_S
        if self._watch.map.find(zone_id) is None:  # merged into another one
            zone_id = await self._kept(session_id, zone_id)
        while True:
            left = until - self._clock()
            if left <= 0:
                raise Unavailable(zone_id)
            try:
                return zone_id, await self._owners.call(zone_id, method, *args, deadline_s=left, idempotent=True)
            except Elsewhere as there:
                zone_id = there.zone_id or await self._kept(session_id, zone_id)
            except InvalidState as refused:
                if refused.reason != "not_in_zone":
                    raise
                kept = await self._kept(session_id, "")
                if kept in ("", zone_id):
                    raise
                zone_id = kept
            await asyncio.sleep(min(self._rng.uniform(0.5, 1.0) * pause, max(0.0, until - self._clock())))
            pause = min(pause * 2, LAST_PAUSE_S)

    async def last(self, session_id: str, zone_id: str) -> str:
        """After a zone found nobody to take out: another zone that has the session's entity all the same, or ""."""
        kept = await self._kept(session_id, "")
        return "" if kept == zone_id else kept

    async def _kept(self, session_id: str, otherwise: str) -> str:
        return (await self._zones_of([session_id])).get(session_id, otherwise)
