"""Which errors pass, and how accounts come about, with a realm of a few lines."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from pydantic import SecretStr

from cluster.bench.entrants import each, enlist, passing, persist
from cluster.bench.names import character_name
from rayrealm_client.errors import (
    ConnectionLost,
    DeadlineExceeded,
    HttpProblem,
    NotConnected,
    RealmError,
    Refused,
    rpc_error,
)
from rayrealm_client.models import Character
from rayrealm_client.policy import Backoff

SECRET = SecretStr("long enough")


class Never:
    def random(self) -> float:
        return 0.0


class Accounts:
    """What `enlist` needs of rayrealm_client.accounts.Accounts."""

    def __init__(self) -> None:
        self.users = set[str]()
        self.taken = set[str]()
        self.mine = list[Character]()
        self.busy = 0

    async def register(self, username: str, password: str) -> None:
        if self.busy:
            self.busy -= 1
            raise HttpProblem(503, "busy", "", 0.0)
        if username in self.users:
            raise HttpProblem(409, "username_taken", "")
        self.users.add(username)

    async def login(self, username: str, password: str) -> None:
        if password != SECRET.get_secret_value():
            raise HttpProblem(401, "bad_credentials", "")

    async def characters(self) -> list[Character]:
        return self.mine

    async def create_character(self, name: str) -> Character:
        if name in self.taken:
            raise HttpProblem(409, "name_taken", "")
        self.mine.append(Character("chr_1", name, None, None))
        return self.mine[-1]


async def enlisted(accounts: Any, password: SecretStr = SECRET) -> Any:
    return await enlist(accounts, "bot", password, 5, Never(), 5.0)


async def test_first_start_and_second() -> None:
    accounts = Accounts()
    accounts.busy = 3
    first = await enlisted(accounts)
    assert (first.registered, first.name) == (True, character_name(5))
    second = await enlisted(accounts)
    assert (second.registered, second.character_id) == (False, first.character_id)
    assert len(accounts.mine) == 1


async def test_a_taken_name_is_not_the_end() -> None:
    accounts = Accounts()
    accounts.taken = {character_name(5), character_name(106)}
    assert (await enlisted(accounts)).name == character_name(207)


async def test_someone_elses_account_is_refused() -> None:
    accounts = Accounts()
    accounts.users.add("bot")
    with pytest.raises(HttpProblem, match="bad_credentials"):
        await enlisted(accounts, SecretStr("another one"))


async def test_a_realm_that_stays_away_meets_the_deadline() -> None:
    accounts: Any = Accounts()
    accounts.busy = 10**9
    with pytest.raises(DeadlineExceeded):
        await enlist(accounts, "bot", SECRET, 5, Never(), 0.01)


@pytest.mark.parametrize(
    ("error", "wait"),
    [
        (HttpProblem(429, "x", "", 2.0), 2.0),
        (HttpProblem(503, "x", ""), 0.0),
        (HttpProblem(409, "x", ""), None),
        (rpc_error(-32006, "", {"retryAfter": 3}), 3.0),
        (rpc_error(-32003, "", {}), 0.0),
        (rpc_error(-32602, "", {}), None),
        (NotConnected("x"), 0.0),
        (DeadlineExceeded("x"), 0.0),
        (ConnectionLost(1006, ""), 0.0),
        (Refused(403, "banned"), None),
    ],
)
def test_what_passes(error: RealmError, wait: float | None) -> None:
    assert passing(error) == wait


async def test_persist_gives_up_on_what_does_not() -> None:
    errors: list[RealmError] = [rpc_error(-32602, "", {}), NotConnected("x"), NotConnected("x")]

    async def call() -> None:
        raise errors.pop()

    with pytest.raises(RealmError) as last:
        await persist(call, Never(), Backoff())
    assert last.value.__class__.__name__ == "InvalidParams"
    assert not errors


async def test_each_does_all_and_so_many_at_a_time() -> None:
    now, most, done = 0, 0, list[int]()

    async def work(item: int) -> None:
        nonlocal now, most
        now += 1
        most = max(most, now)
        await asyncio.sleep(0)
        now -= 1
        done.append(item)

    await each(range(50), work, at_once=7)
    assert sorted(done) == list(range(50))
    assert most == 7
