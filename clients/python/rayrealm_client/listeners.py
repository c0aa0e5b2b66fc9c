"""Callbacks by kind. One that raises is logged and hurts neither the others nor the connection."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

log = logging.getLogger("rayrealm_client")


class Listeners:
    def __init__(self) -> None:
        self._by_kind: dict[str, list[Callable[..., Any]]] = {}

    def add(self, kind: str, callback: Callable[..., Any]) -> Callable[[], None]:
        """Returns a function that takes the callback out again; calling it twice is fine."""
        callbacks = self._by_kind.setdefault(kind, [])
        callbacks.append(callback)

        def remove() -> None:
            if callback in callbacks:
                callbacks.remove(callback)

        return remove

    def has(self, kind: str) -> bool:
        return bool(self._by_kind.get(kind))

    def call(self, kind: str, *args: object) -> None:
        for callback in tuple(self._by_kind.get(kind, ())):
            try:
                callback(*args)
            except Exception:
                log.exception("a callback for %s failed", kind)
