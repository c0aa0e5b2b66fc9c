"""An actor has done what it was asked, but its answer is lost: the gateway must not go on with what it believed before."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from cluster.errors import Unavailable
from cluster.ports.calls import sessions_actor
from rayrealm_client.codec import Failure, Request, encode
from tests.local_realm import LocalRealm, local_realm
from tests.players import Player

UNAVAILABLE = -32006


@pytest.fixture
async def realm(valkey_url: str, nats_url: str, nats_token: str, namespace: str) -> AsyncIterator[LocalRealm]:
    async with local_realm(valkey_url, nats_url, nats_token, namespace) as running:
        yield running


def lose_the_answer(realm: LocalRealm, method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the session actor's next call of the method, retries included."""
    call, lost = realm.calls.call, list[str]()

    async def losing(actor: str, asked: str, *args: Any, **options: Any) -> Any:
        result = await call(actor, asked, *args, **options)
        if (actor, asked) == (sessions_actor(0), method) and not lost:
            lost.append(asked)
            raise Unavailable(actor)
        return result

    monkeypatch.setattr(realm.calls, "call", losing)


async def test_of_a_leave(realm: LocalRealm, monkeypatch: pytest.MonkeyPatch) -> None:
    player = await Player.join(realm, "usr_a")
    character = await realm.character("usr_a")
    await player.enter(character)
    lose_the_answer(realm, "leave", monkeypatch)
    refused = await player.ask("world.leave")
    assert isinstance(refused, Failure)
    assert refused.code == UNAVAILABLE
    assert await player.ask("world.leave") == {}
    assert (await player.ask("system.info"))["world"] is None
    assert (await player.enter(character))["character_id"] == character
    await player.leave()


async def test_of_an_entry(realm: LocalRealm, monkeypatch: pytest.MonkeyPatch) -> None:
    player = await Player.join(realm, "usr_a")
    character = await realm.character("usr_a")
    lose_the_answer(realm, "enter", monkeypatch)
    lost = await player.ask("world.enter", character_id=character)
    assert isinstance(lost, Failure)
    assert lost.code == UNAVAILABLE
    await player.ws.send(encode(Request(99, "world.enter", {"character_id": character}), player.framing))
    assert await player.closed() == 1012
    back = await Player.join(realm, "usr_a", session_id=player.session_id)
    assert back.ready["resumed"]
    assert back.world["character_id"] == character
    await player.leave()
    await back.leave()


async def test_who_never_entered_cannot_leave(realm: LocalRealm) -> None:
    player = await Player.join(realm, "usr_a")
    refused = await player.ask("world.leave")
    assert isinstance(refused, Failure)
    assert refused.code == -32003
    assert player.code is None
    await player.leave()
