"""Friends, parties and what waits in the inbox, over real sockets (rows 2.3, 3.2, 3.3)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from rayrealm_client.client import RealmClient
from rayrealm_client.people import FriendChange, PartyChange, Requested, TopicNotice
from tests.integration.mock_players import FRAMINGS, again, client_of, enter, until
from tests.integration.mock_realm import MockRealm


@pytest.fixture
async def realm() -> AsyncIterator[MockRealm]:
    async with MockRealm() as mock:
        yield mock


@pytest.fixture(params=FRAMINGS)
async def player(realm: MockRealm, request: pytest.FixtureRequest) -> AsyncIterator[RealmClient]:
    async with client_of(realm, request.param) as client:
        await enter(client)
        yield client


def waiting(*numbers: int) -> dict[str, Any]:
    """An inbox."""
    said = {"channel": "direct:usr_b", "from": "usr_b", "name": "B", "text": "hi", "sent_at": 1.5}
    return {"messages": [said | {"message_id": f"msg_{number}"} for number in numbers]}


def asked(realm: MockRealm, method: str) -> int:
    return sum(called == method for called, _ in realm.calls)


@pytest.mark.parametrize("framing", FRAMINGS)
async def test_what_waited_is_told_at_the_beginning(realm: MockRealm, framing: Any) -> None:
    realm.answers["chat.inbox"] = waiting(1, 2)
    realm.failures["chat.inbox"] = [(-32006, {"retryAfter": 0, "reason": "away"})]
    heard: list[str] = []
    async with client_of(realm, framing) as client:
        client.chat.on_message(lambda message: heard.append(message.message_id))
        await enter(client)
        await until(lambda: heard == ["msg_1", "msg_2"])
        await realm.number("chat.message", waiting(2)["messages"][0])
        await realm.number("chat.message", waiting(3)["messages"][0])
        await until(lambda: heard == ["msg_1", "msg_2", "msg_3"])
        assert asked(realm, "chat.inbox") == 2


async def test_a_recovered_link_does_not_ask_and_one_that_missed_something_does(
    realm: MockRealm, player: RealmClient
) -> None:
    heard: list[str] = []
    player.chat.on_message(lambda message: heard.append(message.message_id))
    realm.answers["chat.inbox"] = waiting(1, 2)
    await realm.number("chat.message", waiting(1)["messages"][0])
    await until(lambda: heard == ["msg_1"])
    await again(player, realm.cut)
    await player.ping()
    assert asked(realm, "chat.inbox") == 0
    realm.only().seq = 40  # and none of them is kept
    await again(player, realm.cut)
    await until(lambda: heard == ["msg_1", "msg_2"])


async def test_an_inbox_that_is_refused_hurts_nothing(realm: MockRealm) -> None:
    async with client_of(realm) as client:
        client.chat.on_message(print)
        await enter(client)
        await until(lambda: asked(realm, "chat.inbox") == 1)
        assert await client.zones()


async def test_friends_parties_and_topics(realm: MockRealm, player: RealmClient) -> None:
    heard: list[Any] = []
    player.friends.on_change(heard.append)
    player.party.on_change(heard.append)
    player.on_topic(heard.append)
    await realm.number("friends.changed", {"kind": "requested", "user_id": "usr_b", "name": "B", "at": 1.5})
    await realm.number("party.changed", {"party": None, "why": "kicked"})
    await realm.number("system.topic", {"topic": "news", "data": {"rain": True}})
    await until(lambda: len(heard) == 3)
    assert heard == [
        FriendChange("requested", "usr_b", "B", 1.5),
        PartyChange(None, "kicked", ""),
        TopicNotice("news", {"rain": True}),
    ]
    realm.answers["friends.request"] = {"user_id": "usr_b", "result": "requested"}
    assert await player.friends.request(name="Bob") == Requested("usr_b", "requested")
    assert realm.calls[-1] == ("friends.request", {"name": "Bob"})


async def test_what_the_user_chose_is_set_again_on_a_new_session(realm: MockRealm, player: RealmClient) -> None:
    await player.presence.update("busy", text="raid")
    realm.sessions.clear()
    await again(player, realm.cut)
    await until(lambda: realm.calls[-1][0] == "presence.update")
    assert realm.calls[-1] == ("presence.update", {"status": "busy", "text": "raid"})
