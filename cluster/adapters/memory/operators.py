"""Operators in this process: for tests."""

from __future__ import annotations

from collections.abc import Callable

from cluster.errors import Conflict
from cluster.ports.operators import (
    MOST_OPERATORS,
    MOST_SESSIONS,
    HeldSession,
    OperatorRecord,
    OperatorSession,
)


class MemoryOperators:
    """Implements `cluster.ports.operators.OperatorStore`. `clock` gives seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._records: dict[str, OperatorRecord] = {}
        # hash -> session, idle seconds, when it is idle, when it ends
        self._sessions: dict[str, tuple[OperatorSession, float, float, float]] = {}
        self._used: dict[str, float] = {}  # hash -> when

    async def get(self, name: str) -> OperatorRecord | None:
        return self._records.get(name)

    async def all(self) -> list[OperatorRecord]:
        return [self._records[name] for name in sorted(self._records)]

    async def save(self, record: OperatorRecord, replacing: OperatorRecord | None) -> bool:
        there = self._records.get(record.name)
        if there == record:
            return True
        if there != replacing:
            return False
        if there is None and len(self._records) >= MOST_OPERATORS:
            raise Conflict("too_many_operators")
        self._records[record.name] = record
        return True

    async def remove(self, record: OperatorRecord) -> bool:
        if self._records.get(record.name) != record:
            return False
        del self._records[record.name]
        return True

    async def begin(self, session_hash: str, session: OperatorSession, idle_s: float, longest_s: float) -> None:
        now = self._clock()
        self._sessions[session_hash] = session, idle_s, now + idle_s, now + longest_s
        self._used[session_hash] = now
        own = [held for held, (each, *_) in self._sessions.items() if each.operator == session.operator]
        for held in own[:-MOST_SESSIONS]:
            del self._sessions[held]

    async def session(self, session_hash: str, use: bool) -> tuple[OperatorSession, OperatorRecord] | None:
        held = self._sessions.get(session_hash)
        if held is None:
            return None
        session, idle_s, idle_at, ends_at = held
        record = self._records.get(session.operator)
        now = self._clock()
        if now >= min(idle_at, ends_at) or record is None or record.generation != session.generation:
            del self._sessions[session_hash]
            return None
        if use:
            self._sessions[session_hash] = session, idle_s, now + idle_s, ends_at
            self._used[session_hash] = now
        return session, record

    async def sessions(self, name: str) -> list[HeldSession]:
        own = [held for held, (session, *_) in self._sessions.items() if session.operator == name]
        found = [(held, await self.session(held, use=False)) for held in reversed(own)]
        return [HeldSession(held, each[0], self._used[held]) for held, each in found if each is not None]

    async def end(self, session_hash: str, name: str) -> None:
        self._sessions.pop(session_hash, None)
