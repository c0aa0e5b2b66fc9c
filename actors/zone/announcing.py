"""What a zone's game publishes to server topics (row 1.5). Plain asyncio.

A tick only queues it: the store is asked after the tick. What is queued dies with the process; the rest is published once.
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

import structlog

from cluster.errors import Unavailable
from cluster.server_topics import METHOD, message

MOST_WAITING = 1_000
FIRST_PAUSE_S, LAST_PAUSE_S = 0.1, 2.0

Publish = Callable[[str, str, bytes, str], Awaitable[object]]

log = structlog.get_logger(__name__)


async def to_nobody(_topic: str, _method: str, _params_json: bytes, _key: str) -> None:
    """For zones outside a realm."""


class Announcements:
    """`publish(topic, method, params, key)` raises Unavailable. `name`, with a number, makes keys that nobody else has.

    `lost`: over the bound while the store was away, or refused by it.
    """

    def __init__(self, name: str, publish: Publish, rng: random.Random) -> None:
        self.lost = 0
        self._name = name
        self._publish = publish
        self._rng = rng
        self._waiting: deque[tuple[str, bytes, str]] = deque()
        self._work = asyncio.Event()
        self._made = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, topic: str, data: Any) -> None:
        """For after the tick. Raises InvalidInput for what no topic can bring; over the bound it is lost, and counted."""
        params = message(topic, data)
        if len(self._waiting) >= MOST_WAITING:
            self.lost += 1
            if self.lost % MOST_WAITING == 1:  # a line now and then: it may be lost at each tick
                log.error("announcements_lost", zone=self._name, lost=self.lost)
            return
        self._made += 1
        self._waiting.append((topic, params, f"{self._name}/{self._made}"))
        self._work.set()

    async def run(self) -> None:
        """Publish one after the other until cancelled. One that failed is tried again; its key makes that harmless."""
        pause = FIRST_PAUSE_S
        while True:
            while not self._waiting:
                self._work.clear()
                await self._work.wait()
            topic, params, key = self._waiting[0]
            try:
                await self._publish(topic, METHOD, params, key)
            except Unavailable as error:
                log.warning("announcement_waits", zone=self._name, waiting=len(self._waiting), error=str(error))
                await asyncio.sleep(self._rng.uniform(0.5, 1.0) * pause)
                pause = min(2 * pause, LAST_PAUSE_S)
                continue
            except Exception:
                self.lost += 1
                log.exception("announcement_failed", zone=self._name, topic=topic)
            self._waiting.popleft()
            pause = FIRST_PAUSE_S
