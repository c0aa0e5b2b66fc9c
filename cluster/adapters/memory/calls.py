"""Calls to objects of this process, for tests and for trying the realm's logic without Ray."""

from __future__ import annotations

import asyncio
from typing import Any

from cluster.errors import Unavailable


class MemoryCalls:
    """Implements `cluster.ports.calls.Calls`. `actors` maps names to objects with async or plain methods; an absent one is away."""

    def __init__(self, actors: dict[str, Any] | None = None) -> None:
        self.actors = {} if actors is None else actors

    async def call(self, actor: str, method: str, *args: Any, deadline_s: float, idempotent: bool = False) -> Any:
        target = self.actors.get(actor)
        if target is None:
            raise Unavailable(actor)
        result = getattr(target, method)(*args)
        if not asyncio.iscoroutine(result):
            return result
        try:
            async with asyncio.timeout(deadline_s):
                return await result
        except TimeoutError:
            raise Unavailable(actor) from None
