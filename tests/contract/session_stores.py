"""What the tests of session stores share."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from redis.asyncio import Redis

from cluster.adapters.memory.bans import MemoryBans
from cluster.adapters.memory.epochs import MemoryEpochStore
from cluster.adapters.memory.sessions import MemorySessionStore
from cluster.adapters.redis.bans import RedisBans
from cluster.adapters.redis.epochs import RedisEpochStore
from cluster.adapters.redis.sessions import RedisSessionStore
from cluster.ports.bans import Bans
from cluster.ports.epochs import EpochStore
from cluster.ports.sessions import Fence, Placed, SessionRecord, SessionStore

NOW = 1_800_000_000.25
TTL = 300.0
A, B = "sessions/0", "sessions/1"
ALL = ["connected", "authenticated", "in_world", "disconnecting"]


@dataclass
class Stores:
    sessions: SessionStore
    epochs: EpochStore
    bans: Bans
    expire: Callable[[str], Awaitable[object]]
    made: int = 0

    async def actor(self, name: str = A) -> Fence:
        """A new incarnation, ready for sessions."""
        fence = Fence(name, await self.epochs.take("sessions", name))
        await self.sessions.register_actor(fence)
        return fence

    async def place(
        self, user: str = "usr_a", wanted: str = "", per_user: int = 100, per_actor: int = 1000, new: str = ""
    ) -> Placed:
        self.made += 1
        new = new or f"ses_{self.made}"
        return await self.sessions.place(wanted, new, user, per_user, per_actor, TTL, NOW + self.made)

    async def write(self, record: SessionRecord, fence: Fence, *from_states: str) -> None:
        await self.sessions.write(record, fence, from_states or ALL, TTL)

    async def attached(self, fence: Fence, user: str = "usr_a", gateway: str = "gtw_a") -> SessionRecord:
        """A placed session with a socket."""
        session_id = (await self.place(user)).session_id
        record = SessionRecord(
            session_id,
            user,
            fence.actor,
            "authenticated",
            gateway,
            1,
            connected_at=NOW,
            last_activity=NOW + self.made,
        )
        await self.write(record, fence)
        return record


def ids(records: list[SessionRecord]) -> list[str]:
    return [record.session_id for record in records]


def memory_stores() -> tuple[Stores, MemorySessionStore]:
    epochs, bans = MemoryEpochStore(), MemoryBans(lambda: NOW)
    sessions = MemorySessionStore(epochs, bans)

    async def expire(session_id: str) -> None:
        sessions.expire(session_id)

    return Stores(sessions, epochs, bans, expire), sessions


def redis_stores(client: Redis, namespace: str) -> Stores:
    def expire(session_id: str) -> Awaitable[object]:
        found: Awaitable[object] = client.delete(f"{namespace}:session:{session_id}")
        return found

    return Stores(
        RedisSessionStore(client, namespace),
        RedisEpochStore(client, namespace),
        RedisBans(client, namespace),
        expire,
    )
