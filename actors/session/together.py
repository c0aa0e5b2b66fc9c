"""One call for all who ask meanwhile: what comes while a call is on its way shares the next one. Plain asyncio."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Generic, TypeVar

from cluster.errors import RealmError, Unavailable

K = TypeVar("K")
V = TypeVar("V")


class _Batch(Generic[K, V]):
    def __init__(self) -> None:
        self.keys: dict[K, None] = {}
        self.begun = False
        self.found: Mapping[K, V] = {}
        self.error: RealmError | None = None


class Together(Generic[K, V]):
    """`call(keys)` answers for each of `keys`; one runs at a time. So a storm costs the store few round trips.

    Whoever waits does so for two calls at most.
    """

    def __init__(self, call: Callable[[list[K]], Awaitable[Mapping[K, V]]]) -> None:
        self._call = call
        self._next = _Batch[K, V]()
        self._running = asyncio.Lock()

    async def get(self, key: K) -> V:
        """What a call that begins after this one says of the key. Raises what the call raises."""
        batch = self._next
        batch.keys[key] = None
        async with self._running:
            if not batch.begun:
                await self._run(batch)
        if batch.error is not None:
            raise batch.error
        return batch.found[key]

    async def _run(self, batch: _Batch[K, V]) -> None:
        batch.begun = True
        self._next = _Batch()
        batch.error = Unavailable("cancelled")  # for the others, should this one be
        try:
            batch.found = await self._call(list(batch.keys))
        except RealmError as error:
            batch.error = error
        else:
            batch.error = None


async def each_of(steps: Iterable[Awaitable[V]]) -> list[V]:
    """All results. Where one fails the others are waited for as well, so that nothing goes on behind the caller's back."""
    results = await asyncio.gather(*steps, return_exceptions=True)
    found: list[V] = []
    for result in results:
        if isinstance(result, BaseException):
            raise result
        found.append(result)
    return found
