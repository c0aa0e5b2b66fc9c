"""What the tests of party stores share."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from redis.asyncio import Redis

from cluster.adapters.memory.parties import MemoryPartyStore
from cluster.adapters.redis.parties import RedisPartyStore
from cluster.ports.parties import Party, PartyStore

NOW = 1_800_000_000.1
LATER = NOW + 120.0
A, B, C, D, E = (f"usr_{letter}" for letter in "abcde")
P, Q = "pty_p", "pty_q"
MEMBERS, INVITED = 3, 2


@dataclass
class Rig:
    """`expire` ends an invitation (party, user) as its time to live does."""

    store: PartyStore
    expire: Callable[[str, str], Awaitable[None]]

    async def create(self, party_id: str = P, user_id: str = A, now: float = NOW) -> Party:
        return await self.store.create(party_id, user_id, name(user_id), now)

    async def invite(
        self, user_id: str, other_id: str, expires_at: float = LATER, now: float = NOW, other_name: str = ""
    ) -> Party:
        return await self.store.invite(user_id, name(user_id), other_id, MEMBERS, INVITED, expires_at, now, other_name)

    async def accept(self, user_id: str, party_id: str = P, now: float = NOW) -> Party:
        return await self.store.accept(party_id, user_id, name(user_id), MEMBERS, now)

    async def party(self, *members: str) -> Party:
        """P with these members: the first one leads."""
        party = await self.create(P, members[0])
        for user_id in members[1:]:
            await self.invite(members[0], user_id)
            party = await self.accept(user_id)
        return party


def memory_rig() -> Rig:
    store = MemoryPartyStore()

    async def expire(party_id: str, user_id: str) -> None:
        store.expire(party_id, user_id)

    return Rig(store, expire)


def redis_rig(client: Redis, namespace: str) -> Rig:
    async def expire(party_id: str, user_id: str) -> None:
        await client.delete(f"{namespace}:invitation:{party_id}:{user_id}")

    return Rig(RedisPartyStore(client, namespace), expire)


def name(user_id: str) -> str:
    return user_id.removeprefix("usr_").upper() + ' "ö"'


def members(party: Party | None) -> list[str]:
    return [] if party is None else [member.user_id for member in party.members]
