"""What both adapters of the calls port share: how an idempotent call is repeated."""

from __future__ import annotations

import asyncio
import random
import time
from abc import ABC, abstractmethod
from typing import Any

from cluster.errors import Unavailable
from cluster.telemetry import tracing


class RetryingCalls(ABC):
    """`call` of `cluster.ports.calls.Calls`, over an adapter's `_once`. Pauses double up to the last one, with jitter."""

    first_pause_s = 0.05
    last_pause_s = 0.2

    def __init__(self, seed: int | None) -> None:
        self._random = random.Random(seed)  # noqa: S311 - jitter

    async def call(self, actor: str, method: str, *args: Any, deadline_s: float, idempotent: bool = False) -> Any:
        if not tracing.here():
            return await self._again(actor, method, args, deadline_s, idempotent)
        with tracing.span(f"call.{method}", tracing.Kind.CLIENT, actor=actor):
            return await self._again(actor, method, args, deadline_s, idempotent)

    async def _again(self, actor: str, method: str, args: tuple[Any, ...], deadline_s: float, idempotent: bool) -> Any:
        until = time.monotonic() + deadline_s
        pause = self.first_pause_s
        while True:
            try:
                return await self._once(actor, method, args, until - time.monotonic())
            except Unavailable:
                wait = self._random.uniform(0.5, 1.0) * pause
                if not idempotent or time.monotonic() + wait >= until:
                    raise
            await asyncio.sleep(wait)
            pause = min(pause * 2, self.last_pause_s)

    @abstractmethod
    async def _once(self, actor: str, method: str, args: tuple[Any, ...], timeout_s: float) -> Any:
        """One attempt. Raises Unavailable when there is no answer in time, and what the method raised if it is a RealmError."""
