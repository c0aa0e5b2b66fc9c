"""What is asked for again on a new session, and for how long."""

from __future__ import annotations

from typing import Any

import pytest

from rayrealm_client.errors import ConnectionLost, DeadlineExceeded, rpc_error
from rayrealm_client.policy import Backoff
from rayrealm_client.wishes import Wishes, ask_again, insist


class Never:
    """A dice that makes every wait nothing."""

    def random(self) -> float:
        return 0.0


async def test_everything_is_asked_for_again() -> None:
    asked: list[tuple[str, Any]] = []

    async def ask(method: str, params: dict[str, Any]) -> None:
        asked.append((method, params))
        if method == "system.subscribe":
            raise rpc_error(-32004, "subscription limit", {"limit": 1})

    wishes = Wishes("chr_1", {"b", "a"}, {"trade"}, {"usr_2"}, {"status": "busy", "text": "raid"}, {"hat": [1]})
    await ask_again(wishes, ask, Backoff(), Never())
    assert asked == [
        ("system.subscribe", {"topics": ["a", "b"]}),
        ("chat.channel.join", {"channel": "trade"}),
        ("presence.subscribe", {"user_ids": ["usr_2"]}),
        ("presence.update", {"status": "busy", "text": "raid"}),
        ("session.attribute.set", {"name": "hat", "value": [1]}),
    ]
    assert Wishes().calls() == []


@pytest.mark.parametrize("code", [-32006, -32001, -32603, -32003, -32005])
async def test_it_insists_while_it_may_yet_be_granted(code: int) -> None:
    errors: list[Exception] = [rpc_error(code, "not now", None), DeadlineExceeded("late")] * 2

    async def call() -> None:
        if errors:
            raise errors.pop()

    assert await insist(call, Backoff(), Never()) is None
    assert not errors


async def test_it_stops_at_a_refusal_and_at_a_lost_link() -> None:
    refusal = rpc_error(-32602, "no such character", None)

    async def refused() -> None:
        raise refusal

    async def lost() -> None:
        raise ConnectionLost(1006, "")

    assert await insist(refused, Backoff(), Never()) is refusal
    assert await insist(lost, Backoff(), Never()) is None
