"""Accounts in this process's memory: for tests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from cluster.errors import Conflict
from cluster.ports.accounts import Account


class MemoryAccounts:
    """AccountStore."""

    def __init__(self) -> None:
        self._accounts: dict[str, Account] = {}
        self._by_username: dict[str, str] = {}

    async def create(self, account: Account) -> None:
        if self._by_username.setdefault(account.username, account.user_id) != account.user_id:
            raise Conflict("username_taken")
        self._accounts[account.user_id] = account

    async def get(self, user_id: str) -> Account | None:
        return self._accounts.get(user_id)

    async def by_username(self, username: str) -> Account | None:
        user_id = self._by_username.get(username)
        return None if user_id is None else self._accounts[user_id]

    async def usernames(self, user_ids: Sequence[str]) -> dict[str, str]:
        return {user_id: self._accounts[user_id].username for user_id in user_ids if user_id in self._accounts}

    async def replace_hash(self, user_id: str, old_hash: str, new_hash: str) -> bool:
        account = self._accounts.get(user_id)
        if account is None or account.password_hash != old_hash:
            return False
        self._accounts[user_id] = replace(account, password_hash=new_hash)
        return True
