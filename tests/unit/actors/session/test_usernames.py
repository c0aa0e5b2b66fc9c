"""The names of users whose sessions an actor has."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from actors.session import usernames
from actors.session.session import Session
from actors.session.usernames import Usernames
from cluster.errors import Unavailable
from cluster.ports.sessions import SessionRecord


class Accounts:
    def __init__(self) -> None:
        self.asked: list[list[str]] = []
        self.away = False

    async def usernames(self, user_ids: Sequence[str]) -> dict[str, str]:
        if self.away:
            raise Unavailable("redis")
        self.asked.append(sorted(user_ids))
        return {user_id: user_id.removeprefix("usr_") for user_id in user_ids if user_id != "usr_outside"}


def session(user_id: str) -> Session:
    return Session(SessionRecord(f"ses_{user_id}", user_id, "sessions/0", "authenticated"))


async def test_each_user_is_asked_for_once() -> None:
    accounts, sessions = Accounts(), {"a": session("usr_ann"), "b": session("usr_outside"), "c": session("usr_ann")}
    names = Usernames(sessions, accounts.usernames)
    for _ in range(2):
        await names.look()
    assert accounts.asked == [["usr_ann", "usr_outside"]]
    assert names.names == {"usr_ann": "ann", "usr_outside": ""}


async def test_those_who_have_gone_are_forgotten() -> None:
    accounts, sessions = Accounts(), {"a": session("usr_ann")}
    names = Usernames(sessions, accounts.usernames)
    held = names.names
    await names.look()
    sessions.clear()
    await names.look()
    assert held == {}
    assert names.names is held


async def test_many_are_asked_for_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(usernames, "AT_ONCE", 2)
    accounts = Accounts()
    names = Usernames({str(n): session(f"usr_{n}") for n in range(5)}, accounts.usernames)
    for _ in range(4):
        await names.look()
    assert [len(asked) for asked in accounts.asked] == [2, 2, 1]
    assert len(names.names) == 5


async def test_while_the_store_is_away_nothing_is_taken_for_known() -> None:
    accounts = Accounts()
    accounts.away = True
    names = Usernames({"a": session("usr_ann")}, accounts.usernames)
    with pytest.raises(Unavailable):
        await names.look()
    assert names.names == {}
