"""Accounts in Redis: hash `{ns}:account:{user_id}`, username index `{ns}:username:{lower}` -> user id."""

from __future__ import annotations

from collections.abc import Sequence

from redis.asyncio import Redis

from cluster.adapters.redis.connection import Script, guard, text, texts
from cluster.errors import Conflict
from cluster.ports.accounts import Account

_CREATE = Script(__file__, "account_create.lua")
_REHASH = Script(__file__, "account_rehash.lua")


class RedisAccounts:
    """AccountStore."""

    def __init__(self, client: Redis, namespace: str) -> None:
        self._client = client
        self._namespace = namespace

    @guard()
    async def create(self, account: Account) -> None:
        keys = [self._account(account.user_id), self._username(account.username)]
        fields = {
            "user_id": account.user_id,
            "username": account.username,
            "password_hash": account.password_hash,
            "created_at": repr(account.created_at),
        }
        flat = [part for pair in fields.items() for part in pair]
        if await _CREATE(self._client, keys, [account.user_id, *flat]) != b"ok":
            raise Conflict("username_taken")

    @guard()
    async def by_username(self, username: str) -> Account | None:
        user_id = await self._client.get(self._username(username))
        # Looked up even if there is none: the time of a login does not tell which names are taken.
        return await self.get(text(user_id or b""))

    @guard()
    async def get(self, user_id: str) -> Account | None:
        stored = texts(await self._client.hgetall(self._account(user_id)))
        if not stored:
            return None
        return Account(
            user_id=stored["user_id"],
            username=stored["username"],
            password_hash=stored["password_hash"],
            created_at=float(stored["created_at"]),
        )

    @guard()
    async def usernames(self, user_ids: Sequence[str]) -> dict[str, str]:
        async with self._client.pipeline(transaction=False) as pipe:
            for user_id in user_ids:
                pipe.hget(self._account(user_id), "username")
            found = await pipe.execute()
        return {user_id: text(name) for user_id, name in zip(user_ids, found, strict=True) if name is not None}

    @guard()
    async def replace_hash(self, user_id: str, old_hash: str, new_hash: str) -> bool:
        return bool(await _REHASH(self._client, [self._account(user_id)], [old_hash, new_hash]) == 1)

    def _account(self, user_id: str) -> str:
        return f"{self._namespace}:account:{user_id}"

    def _username(self, username: str) -> str:
        return f"{self._namespace}:username:{username}"
