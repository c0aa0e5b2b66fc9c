"""A store for tests of Guarding, and how to wait for what it does."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from cluster.adapters.memory.protection import MemoryProtection
from cluster.errors import Unavailable
from cluster.ports.protection import NetworkBan, Protection

NOW = 1_800_000_000.0
DEADLINE_S = 5.0


class Store(MemoryProtection):
    """A store that may be away."""

    def __init__(self) -> None:
        super().__init__(lambda: NOW)
        self.away = False
        self.loads = 0

    async def changes(self, known: int, cursor: int = -1) -> Protection | None:
        self.loads += 1
        if self.away:
            raise Unavailable("redis")
        return await super().changes(known, cursor)


def whom(found: NetworkBan | None) -> str:
    return found.network if found is not None else ""


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(DEADLINE_S):
        while not true():  # noqa: ASYNC110 - what it waits for has no event
            await asyncio.sleep(0)
