"""The port to what session actors have numbered and not yet been told was seen (row 2.5): the log behind their outboxes.

One log an actor, one entry a batch, however many sessions a message goes to.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from cluster.ports.sessions import Fence


@dataclass(frozen=True, slots=True)
class Logged:
    """A batch as it was appended. `at` is in Unix seconds; `data` a serialised ReliableBatch."""

    at: float
    data: bytes


class OutboxLog(Protocol):
    async def append(
        self, fence: Fence, data: bytes, seqs: Mapping[str, int], cursors: Mapping[str, str], now: float, keep_s: float
    ) -> None:
        """In one step: append the batch, note the newest number of each session and how far each topic's log was read.

        Batches older than `keep_s` go. Sessions whose record is gone are left out, and topics that are not followed (any more). The
        same call again does no harm (the log then holds the batch twice). Raises Fenced, Unavailable.
        """

    async def follow(self, fence: Fence, cursors: Mapping[str, str]) -> None:
        """Topics that are read from now on, each from the id given; one that has a later place keeps it.

        Raises Fenced, Unavailable.
        """

    async def unfollow(self, fence: Fence, topics: list[str]) -> None:
        """Forget the places of topics that nobody listens to any more. Raises Fenced, Unavailable."""

    async def load(self, actor: str, since: float) -> list[Logged]:
        """The actor's batches that are not older than `since`, oldest first. Raises Unavailable."""

    async def cursors(self, actor: str) -> dict[str, str]:
        """topic -> id of the newest message that has been numbered. Raises Unavailable."""
