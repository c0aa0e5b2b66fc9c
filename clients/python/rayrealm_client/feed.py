"""Notifications of one kind, typed: callbacks, and iterators with a bound."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar
from weakref import WeakSet

from rayrealm_client.buffers import NoticeBuffer
from rayrealm_client.errors import CodecError
from rayrealm_client.listeners import Listeners

log = logging.getLogger("rayrealm_client")

T = TypeVar("T")
Remove = Callable[[], None]


class Feed(Generic[T]):
    """Nothing is made of a notification that nobody wants."""

    def __init__(self, kind: str, read: Callable[[Mapping[str, Any]], T]) -> None:
        """`kind`: for the log; `read` raises CodecError for params that have not the agreed shape."""
        self._kind = kind
        self._read = read
        self._listeners = Listeners()
        self._buffers: WeakSet[NoticeBuffer[T]] = WeakSet()

    @property
    def wanted(self) -> bool:
        return self._listeners.has(self._kind) or bool(self._buffers)

    def on(self, callback: Callable[[T], object]) -> Remove:
        """Returns a function that ends it."""
        return self._listeners.add(self._kind, callback)

    def stream(self, limit: int = 256) -> NoticeBuffer[T]:
        """An iterator from now on. It holds at most `limit`, then raises NoticesLost once for each gap."""
        buffer = NoticeBuffer[T](limit)
        self._buffers.add(buffer)
        return buffer

    def read(self, params: object) -> T | None:
        """None, and a line in the log, for what has not the agreed shape."""
        try:
            if not isinstance(params, Mapping):
                raise CodecError("no object where one was agreed")
            return self._read(params)
        except CodecError as error:
            log.warning("passed over: %s", error)
            return None

    def take(self, params: object) -> None:
        """The params of a notification."""
        item = self.read(params) if self.wanted else None
        if item is not None:
            self.tell(item)

    def tell(self, item: T) -> None:
        self._listeners.call(self._kind, item)
        for buffer in self._buffers:
            buffer.put(item)

    def close(self) -> None:
        """Ends the iterators."""
        for buffer in self._buffers:
            buffer.close()
