"""Session records in this process, with the same rules as the Lua scripts; `now` moves by the calls that carry it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from cluster.errors import Fenced, InvalidState, RateLimited, SessionGone, Unauthorized
from cluster.ports.bans import Bans
from cluster.ports.epochs import EpochStore
from cluster.ports.sessions import Fence, Placed, SessionRecord


class MemorySessionStore:
    """Implements `cluster.ports.sessions.SessionStore`. Records do not expire by themselves: `expire(session_id)` does it."""

    def __init__(self, epochs: EpochStore, bans: Bans | None = None) -> None:
        self._epochs = epochs
        self._bans = bans
        self._records: dict[str, SessionRecord] = {}
        self._actors: set[str] = set()

    def expire(self, session_id: str) -> None:
        """What the TTL does in Redis."""
        del self._records[session_id]

    def raise_seq(self, session_id: str, actor: str, seq: int) -> None:
        """What the outbox's log does to a record in Redis: only to one that is there and the actor's, and only upwards."""
        record = self._records.get(session_id)
        if record is not None and record.actor == actor and record.seq < seq:
            self._records[session_id] = replace(record, seq=seq)

    async def place(
        self,
        session_id: str,
        new_session_id: str,
        user_id: str,
        per_user: int,
        per_actor: int,
        ttl_s: float,
        now: float,
    ) -> Placed:
        if self._bans is not None and await self._bans.banned(user_id) is not None:
            raise Unauthorized("banned")
        known = self._records.get(session_id)
        if known is not None:
            if known.user_id != user_id:
                raise Unauthorized("session_not_yours")
            return Placed(session_id, known.actor, False)
        placed = self._records.get(new_session_id)
        if placed is not None:
            return Placed(new_session_id, placed.actor, True)
        if len(await self.of_user(user_id)) >= per_user:
            raise RateLimited("too_many_sessions", 30.0)
        loads = {actor: len(await self.of_actor(actor)) for actor in sorted(self._actors)}
        actor = min(loads, key=lambda name: loads[name], default="")
        if not actor or loads[actor] >= per_actor:
            return Placed(new_session_id, "", True)
        self._records[new_session_id] = SessionRecord(
            new_session_id, user_id, actor, "connected", connected_at=now, last_activity=now
        )
        return Placed(new_session_id, actor, True)

    async def room(self, per_actor: int) -> int:
        return sum([max(0, per_actor - len(await self.of_actor(actor))) for actor in self._actors])

    async def actors(self) -> dict[str, int]:
        return {actor: len(await self.of_actor(actor)) for actor in sorted(self._actors)}

    async def register_actor(self, fence: Fence) -> None:
        await self._check(fence)
        self._actors.add(fence.actor)

    async def write(self, record: SessionRecord, fence: Fence, from_states: Sequence[str], ttl_s: float) -> None:
        await self._check(fence)
        old = self._records.get(record.session_id)
        if old is None:
            raise SessionGone("session_expired")
        if old.actor != fence.actor:
            raise Fenced("a newer session actor holds this session")
        if old.state not in from_states:
            raise InvalidState("illegal_transition", old.state)
        self._records[record.session_id] = replace(record, seq=old.seq)

    async def end(self, session_id: str, fence: Fence) -> None:
        await self._check(fence)
        old = self._records.get(session_id)
        if old is not None and old.actor != fence.actor:
            raise Fenced("a newer session actor holds this session")
        self._records.pop(session_id, None)

    async def touch(self, session_ids: Sequence[str], fence: Fence, ttl_s: float, now: float) -> set[str]:
        await self._check(fence)
        return await self.missing(session_ids)

    async def get(self, session_id: str) -> SessionRecord | None:
        return self._records.get(session_id)

    async def of_actor(self, actor: str) -> list[SessionRecord]:
        return [record for record in self._records.values() if record.actor == actor]

    async def of_user(self, user_id: str) -> list[SessionRecord]:
        return [record for record in self._records.values() if record.user_id == user_id]

    async def of_gateway(self, gateway_id: str) -> list[SessionRecord]:
        return [record for record in self._records.values() if record.gateway_id == gateway_id]

    async def online(self, limit: int) -> list[SessionRecord]:
        attached = [record for record in self._records.values() if record.attach_epoch]
        return sorted(attached, key=lambda record: -record.last_activity)[:limit]

    async def zones_of(self, session_ids: Sequence[str]) -> dict[str, str]:
        return {
            session_id: self._records[session_id].zone_id for session_id in session_ids if session_id in self._records
        }

    async def missing(self, session_ids: Sequence[str]) -> set[str]:
        return {session_id for session_id in session_ids if session_id not in self._records}

    async def _check(self, fence: Fence) -> None:
        if await self._epochs.current("sessions", fence.actor) != fence.epoch:
            raise Fenced("a newer session actor holds this session")
