"""The port that hands out fencing epochs (DESIGN, "Fencing").

Every incarnation of a zone, session actor, presence index or supervisor takes a new epoch as it starts; stores refuse writes
that carry a lower one than the newest handed out.
"""

from __future__ import annotations

from typing import Protocol


class EpochStore(Protocol):
    async def take(self, kind: str, name: str) -> int:
        """A new epoch for (kind, name): higher than any before, for good. Raises Unavailable."""

    async def current(self, kind: str, name: str) -> int:
        """The newest epoch handed out, 0 before the first. Raises Unavailable."""
