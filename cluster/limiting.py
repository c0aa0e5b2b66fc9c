"""The limits that all processes share, when their store is slow or away (row 5.3): they fail open or closed, as was set.

Nobody waits long for a store: an answer that is not there within `DEADLINE_S` counts as an outage, and for `PAUSE_S` after one
nobody asks. Open: each process limits on its own meanwhile, by the same rates, so that N processes let N times as much through.
Closed: whatever needs such a limit is refused with Unavailable.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Literal

import structlog

from cluster.errors import Unavailable
from cluster.ports.limits import Limiter
from cluster.telemetry.counts import Tally
from cluster.token_bucket import Bucket

DEADLINE_S = 1.0  # enough to connect to a server 0.1 s away
PAUSE_S = 1.0
MOST_ALONE = 100_000  # keys that one process limits on its own; beyond, the oldest are forgotten

log = structlog.get_logger(__name__)


class SharedLimits:
    """Implements `cluster.ports.limits.Limiter`. `clock` gives seconds.

    `counts`: "allowed" and "refused" by the store, "open" and "open_refused" without it, and "closed".
    """

    def __init__(self, store: Limiter, without_store: Literal["open", "closed"], clock: Callable[[], float]) -> None:
        self.counts = Tally(("allowed", "refused", "open", "open_refused", "closed"))
        self._store = store
        self._without_store = without_store
        self._clock = clock
        self._away = False
        self._ask_at = float("-inf")
        self._alone: dict[str, Bucket] = {}

    async def take(self, key: str, per_s: float, burst: int) -> float:
        """As the port says. Raises Unavailable only if it fails closed."""
        if self._clock() < self._ask_at:
            return self._without(key, per_s, burst)
        try:
            async with asyncio.timeout(DEADLINE_S):
                wait = await self._store.take(key, per_s, burst)
        except (Unavailable, TimeoutError):
            self._ask_at = self._clock() + PAUSE_S
            if not self._away:
                self._away = True
                log.warning("limits_without_store", fails=self._without_store)
            return self._without(key, per_s, burst)
        if self._away:
            self._away = False
            # A store that comes and goes must not refill what was used up without it.
            now = self._clock()
            self._alone = {name: bucket for name, bucket in self._alone.items() if bucket.full_at > now}
            log.info("limits_with_store")
        self.counts.add("refused" if wait else "allowed")
        return wait

    def _without(self, key: str, per_s: float, burst: int) -> float:
        if self._without_store == "closed":
            self.counts.add("closed")
            raise Unavailable("limits", PAUSE_S)
        bucket = self._alone.get(key)
        if bucket is None:
            if len(self._alone) >= MOST_ALONE:
                del self._alone[next(iter(self._alone))]
            bucket = self._alone[key] = Bucket(per_s, burst)
        bucket.set(per_s, burst)
        wait = bucket.take(self._clock())
        self.counts.add("open_refused" if wait else "open")
        return wait
