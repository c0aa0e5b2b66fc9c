"""Sessions whose characters walked into other zones (row 7.2). Plain asyncio."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

import structlog

from actors.session.hearing import Hearing
from actors.session.session import Session
from actors.session.states import SessionState
from actors.session.table import SessionTable
from actors.session.together import each_of
from cluster.errors import Fenced, RealmError, Unavailable

SETTLED_AT_ONCE = 32

log = structlog.get_logger(__name__)


class Moves:
    """`announce(session)` tells the presence index."""

    def __init__(self, table: SessionTable, hearing: Hearing, announce: Callable[[Session], None]) -> None:
        self._table = table
        self._hearing = hearing
        self._announce = announce
        self._moved: dict[str, str] = {}  # session -> the zone it walked into: bounded by the sessions there are

    def moved(self, zone_id: str, session_ids: Iterable[str]) -> None:
        """These walked into another zone; `settle` writes it down."""
        self._moved.update((session_id, zone_id) for session_id in session_ids if session_id in self._table.sessions)

    @property
    def waiting(self) -> bool:
        """There are moves that are not written down."""
        return bool(self._moved)

    async def settle(self) -> None:
        """Called several times a second. What the store could not take is tried again the next time. Raises Fenced.

        A move that is not heard of at all is told again by the zone (orphans.py). Until then calls find their way
        (whereabouts.py), but presence names the old zone, and the session hears the old zone's chat.
        """
        todo = list(self._moved)
        for start in range(0, len(todo), SETTLED_AT_ONCE):
            part = [(s, self._moved.pop(s)) for s in todo[start : start + SETTLED_AT_ONCE] if s in self._moved]
            await each_of(self._settle_one(*move) for move in part)

    async def _settle_one(self, session_id: str, zone_id: str) -> None:
        session = self._table.sessions.get(session_id)
        if session is None:
            return
        async with session.lock:
            record = session.record
            if session_id not in self._table.sessions or record.zone_id in ("", zone_id):
                return
            if session.state is not SessionState.IN_WORLD:
                return
            try:
                await self._table.write(session, replace(record, zone_id=zone_id))
            except Fenced:
                raise
            except Unavailable as error:
                log.warning("move_waits", session=session_id, what=str(error))
                self._moved.setdefault(session_id, zone_id)  # a newer one counts
                return
            except RealmError as error:  # the record is gone, or of a session that ends
                log.warning("move_not_noted", session=session_id, what=str(error))
                return
            await self._hearing.retune(session)
            self._announce(session)
