"""The sessions of one actor: in memory, and written through to the store under the actor's fence."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from actors.session.outbox import Outbox
from actors.session.session import Session
from actors.session.states import SessionState, sources
from cluster.errors import SessionGone
from cluster.ports.sessions import Fence, SessionRecord, SessionStore


class SessionTable:
    """`sessions` by id. `lost`: those whose record turned out to be gone."""

    def __init__(self, fence: Fence, store: SessionStore, ttl_s: float, clock: Callable[[], float]) -> None:
        self.fence = fence
        self.sessions: dict[str, Session] = {}
        self.lost: set[str] = set()
        self._store = store
        self._ttl_s = ttl_s
        self._clock = clock

    async def restore(self) -> list[Session]:
        """After a restart: every session that the store has for this actor."""
        now = self._clock()
        for record in await self._store.of_actor(self.fence.actor):
            detached_at = None if record.gateway_id else now
            self.sessions[record.session_id] = Session(record, Outbox(record.seq), detached_at)
        return list(self.sessions.values())

    async def find(self, session_id: str) -> Session:
        """Raises SessionGone."""
        session = self.sessions.get(session_id)
        if session is not None:
            return session
        record = await self._store.get(session_id)
        if record is None or record.actor != self.fence.actor:
            raise SessionGone("session_unknown")
        return self.sessions.setdefault(session_id, Session(record, Outbox(record.seq), self._clock()))

    async def write(self, session: Session, new: SessionRecord) -> None:
        """Make `new` the session's record, in the store first. Raises Fenced, SessionGone, InvalidState, Unavailable."""
        to = SessionState(new.state)
        legal = {new.state, *sources(to)}
        if session.heard == new.attach_epoch:
            new = replace(new, recovered_from=0)
        new = replace(new, edition=session.record.edition + 1)
        try:
            await self._store.write(new, self.fence, sorted(legal), self._ttl_s)
        except SessionGone:
            self.lost |= {new.session_id} & self.sessions.keys()
            raise
        session.record = new

    async def touch(self, wall_now: float) -> None:
        """Keep the records for another TTL."""
        gone = await self._store.touch(list(self.sessions), self.fence, self._ttl_s, wall_now)
        self.lost |= gone & self.sessions.keys()

    async def end(self, session: Session) -> None:
        """Delete the record; the session is forgotten here, too."""
        record = session.record
        await self._store.end(record.session_id, self.fence)
        del self.sessions[record.session_id]
        self.lost.discard(record.session_id)
