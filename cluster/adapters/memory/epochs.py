"""Fencing epochs in this process."""

from __future__ import annotations

from collections import Counter


class MemoryEpochStore:
    """Implements `cluster.ports.epochs.EpochStore`."""

    def __init__(self) -> None:
        self._epochs: Counter[tuple[str, str]] = Counter()

    async def take(self, kind: str, name: str) -> int:
        self._epochs[kind, name] += 1
        return self._epochs[kind, name]

    async def current(self, kind: str, name: str) -> int:
        return self._epochs[kind, name]
