"""What a session actor has to tell the presence index (row 3.2). Plain Python.

An index that dies takes along what it was told and had not passed on. So whoever told it keeps that for a while, and tells it again
to the next incarnation, which says by its epoch that it is another one.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace

from actors.presence.changes import SessionPresence

BATCH = 1_000
AGAIN_S = 30.0
ASK_S = 1.0
REVISIONS = 10**9  # of one incarnation of the actor


class PresenceNews:
    """`epoch`: of the session actor's incarnation. Of each session only the newest waits: bounded by the sessions there are."""

    def __init__(self, epoch: int) -> None:
        self._revision = epoch * REVISIONS
        self._untold: dict[str, SessionPresence] = {}
        self._told: OrderedDict[str, tuple[float, SessionPresence]] = OrderedDict()  # when; the oldest first
        self._index_epoch: int | None = None
        self._asked_at = float("-inf")
        self._work = asyncio.Event()

    def add(self, change: SessionPresence) -> SessionPresence:
        """Returns it with its revision: of two changes that overtake each other the index takes the later one.

        Whoever tells the index by another way, too, tells it that.
        """
        self._revision += 1
        stamped = self._untold[change.session_id] = replace(change, revision=self._revision)
        self._work.set()
        return stamped

    async def wait(self) -> None:
        """Until there is something to tell, or it is time to ask: `take` then."""
        with suppress(TimeoutError):
            async with asyncio.timeout(ASK_S):
                await self._work.wait()

    def take(self, now: float) -> list[SessionPresence] | None:
        """What to tell now; empty: ask the index whether it is still the same; None: nothing to do.

        The next call is `told` or `failed`.
        """
        while self._told and now - next(iter(self._told.values()))[0] > AGAIN_S:
            self._told.popitem(last=False)
        if not self._untold and (not self._told or now - self._asked_at < ASK_S):
            return None
        self._asked_at = now
        batch = [self._untold.pop(session_id) for session_id in list(self._untold)[:BATCH]]
        if not self._untold:
            self._work.clear()
        return batch

    def failed(self, batch: list[SessionPresence]) -> None:
        self._again(batch)

    def told(self, batch: list[SessionPresence], index_epoch: int, now: float) -> None:
        """The index has the batch. If it is another incarnation than before, it is told again what the former one may not have
        passed on.
        """
        if self._index_epoch not in (None, index_epoch):
            self._again(change for _, change in self._told.values())
        self._index_epoch = index_epoch
        for change in batch:
            self._told.pop(change.session_id, None)
            self._told[change.session_id] = (now, change)

    def _again(self, changes: Iterable[SessionPresence]) -> None:
        for change in changes:
            self._untold.setdefault(change.session_id, change)
            self._work.set()
