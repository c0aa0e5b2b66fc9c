"""Bounded buffers between the socket and a reader that may be slow."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import AsyncIterator
from typing import Generic, TypeVar

from rayrealm_client.errors import NoticesLost
from rayrealm_client.merging import merge
from rayrealm_client.view import View

T = TypeVar("T")


class _Buffer(ABC, Generic[T]):
    """Items in order for one reader; ends when closed and read out."""

    def __init__(self, limit: int) -> None:
        if limit < 2:
            raise ValueError("a buffer holds at least two items")
        self._limit = limit
        self._items: deque[T] = deque()
        self._closed = False
        self._wake = asyncio.Event()

    def __len__(self) -> int:
        return len(self._items)

    def close(self) -> None:
        self._closed = True
        self._wake.set()

    def put(self, item: T) -> None:
        if len(self._items) >= self._limit:
            self._make_room()
        self._items.append(item)
        self._wake.set()

    @abstractmethod
    def _make_room(self) -> None:
        """There are `limit` items: be there fewer."""

    def __aiter__(self) -> AsyncIterator[T]:
        return self

    async def __anext__(self) -> T:
        while not self._items:
            if self._closed:
                raise StopAsyncIteration
            self._wake.clear()
            await self._wake.wait()
        return self._items.popleft()


class ViewBuffer(_Buffer[View]):
    """Views. When full the two oldest become one: places on the way are lost, states and leaves never."""

    merged = 0

    def _make_room(self) -> None:
        oldest = self._items.popleft()
        self._items[0] = merge(oldest, self._items[0])
        self.merged += 1


class NoticeBuffer(_Buffer[T]):
    """Notifications. When full the oldest goes, and the reader is told how many went."""

    _lost = 0

    def _make_room(self) -> None:
        self._items.popleft()
        self._lost += 1

    async def __anext__(self) -> T:
        if self._lost:
            lost, self._lost = self._lost, 0
            raise NoticesLost(lost)
        return await super().__anext__()
