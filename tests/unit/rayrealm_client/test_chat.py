"""What is said: asked for as agreed, and each message told once, whichever way it comes (row 2.3)."""

from __future__ import annotations

from typing import Any

import pytest

from rayrealm_client.chat import MOST_PAGES, REMEMBERED, Chat, direct
from rayrealm_client.errors import NoticesLost
from rayrealm_client.messages import Channel, ChannelInvitation, ChatMessage, Deleted, Members, Mention
from rayrealm_client.people import Listener
from rayrealm_client.wishes import Wishes
from tests.unit.rayrealm_client.asked import Asked


def message(number: int, channel: str = "global", **more: Any) -> dict[str, Any]:
    said = {"message_id": f"msg_{number}", "channel": channel, "from": "usr_b", "name": "B", "text": "hi"}
    return said | {"sent_at": number} | more


@pytest.fixture
def asked() -> Asked:
    return Asked()


@pytest.fixture
def chat(asked: Asked) -> Chat:
    return Chat(asked, Wishes())


async def test_saying_is_repeated_under_one_id(chat: Chat, asked: Asked) -> None:
    asked.answer("chat.message", {"message_id": "msg_1"})
    assert await chat.say("zone", "hello", client_id="mine") == "msg_1"
    assert await chat.tell("usr_bob", "psst") == "msg_1"
    assert asked.repeated == ["chat.message", "chat.message"]
    (_, said), (_, told) = asked.calls
    assert said == {"channel": "zone", "text": "hello", "client_id": "mine"}
    assert (told["channel"], told["text"]) == ("direct:usr_bob", "psst")
    assert 1 <= len(told["client_id"]) <= 64


async def test_every_call(chat: Chat, asked: Asked) -> None:
    asked.answer("chat.channel.join", {"channels": ["trade"]})
    asked.answer("chat.channel.leave", {"channels": []})
    asked.answer("chat.channel.members", {"members": [{"user_id": "usr_b", "name": "B"}], "cursor": None})
    asked.answer("chat.history", {"messages": [message(1), message(2)], "cursor": "c1"})
    assert await chat.join("trade") == ["trade"]
    assert await chat.leave("trade") == []
    assert await chat.members("trade") == Members((Listener("usr_b", "B"),), None)
    made = {"channel": "mine", "owner": "usr_a", "private": True, "slow_s": 5, "created_at": 9}
    asked.answer("chat.channel.create", made)
    asked.answer("chat.channel.change", made | {"slow_s": 0})
    assert await chat.create("mine", private=True, slow_s=5) == Channel("mine", "usr_a", True, 5.0, 9.0)
    assert (await chat.change("mine", slow_s=0)).slow_s == 0.0
    await chat.invite("mine", name="Bob")
    history = await chat.history("trade", cursor="c9", limit=2)
    assert ([each.message_id for each in history.messages], history.cursor) == (["msg_1", "msg_2"], "c1")
    await chat.delete("trade", "msg_1")
    await chat.mute("trade", "usr_b", 60)
    await chat.read(["msg_1"])
    assert asked.calls[3:] == [
        ("chat.channel.create", {"channel": "mine", "private": True, "slow_s": 5}),
        ("chat.channel.change", {"channel": "mine", "slow_s": 0}),
        ("chat.channel.invite", {"channel": "mine", "name": "Bob"}),
        ("chat.history", {"channel": "trade", "cursor": "c9", "limit": 2}),
        ("chat.delete", {"channel": "trade", "message_id": "msg_1"}),
        ("chat.mute", {"channel": "trade", "user_id": "usr_b", "seconds": 60}),
        ("chat.read", {"message_ids": ["msg_1"]}),
    ]


async def test_the_inbox_and_live_messages_are_one(chat: Chat, asked: Asked) -> None:
    heard: list[str] = []
    chat.on_message(lambda each: heard.append(each.message_id))
    asked.answer("chat.inbox", {"messages": [message(1, direct("usr_b")), message(2, direct("usr_b"))]})
    chat.take(message(2, direct("usr_b")))  # live, before the inbox is there
    await chat.fetch_inbox(asked.request)
    chat.take(message(1, direct("usr_b")))
    chat.take(message(3))
    await chat.fetch_inbox(asked.request)
    assert heard == ["msg_2", "msg_1", "msg_3"]


async def test_the_inbox_is_fetched_to_its_end(chat: Chat) -> None:
    heard: list[str] = []
    calls: list[Any] = []
    chat.on_message(lambda each: heard.append(each.message_id))

    async def ask(method: str, params: Any) -> Any:
        calls.append((method, params))
        number = int(params.get("cursor", 0))
        more = number < 2
        return {"messages": [message(number)], "more": more, "cursor": str(number + 1) if more else None}

    await chat.fetch_inbox(ask)
    assert heard == ["msg_0", "msg_1", "msg_2"]
    assert calls == [("chat.inbox", {}), ("chat.inbox", {"cursor": "1"}), ("chat.inbox", {"cursor": "2"})]


async def test_an_inbox_without_an_end_is_left(chat: Chat, asked: Asked) -> None:
    chat.on_message(print)
    asked.answer("chat.inbox", {"messages": [message(1)], "more": True, "cursor": "7"})
    await chat.fetch_inbox(asked.request)
    assert len(asked.calls) == MOST_PAGES
    assert (await chat.inbox("7")).cursor == "7"
    assert asked.calls[-1] == ("chat.inbox", {"cursor": "7"})


async def test_an_inbox_that_nobody_wants_is_not_fetched(chat: Chat, asked: Asked) -> None:
    await chat.fetch_inbox(asked.request)
    assert asked.calls == []
    asked.answer("chat.inbox", {"messages": [message(1)], "more": True})
    inbox = await chat.inbox()
    assert ([each.message_id for each in inbox.messages], inbox.more) == (["msg_1"], True)


async def test_the_memory_of_what_was_told_is_bounded(chat: Chat) -> None:
    heard: list[str] = []
    chat.on_message(lambda each: heard.append(each.message_id))
    for number in range(REMEMBERED + 1):
        chat.take(message(number))
    chat.take(message(REMEMBERED))
    assert len(heard) == REMEMBERED + 1
    chat.take(message(0))
    assert heard[-1] == "msg_0"


async def test_a_mention_and_a_place_in_history(chat: Chat) -> None:
    messages = chat.messages()
    chat.take(message(1, mentions=[{"user_id": "usr_a", "name": "Ann"}], cursor="7-0"))
    heard = await anext(messages)
    assert heard == ChatMessage("msg_1", "global", "usr_b", "B", "hi", 1.0, (Mention("usr_a", "Ann"),), "7-0")
    assert heard.mentions_user("usr_a")
    assert not heard.mentions_user("usr_b")


async def test_a_slow_reader_is_told(chat: Chat) -> None:
    messages = chat.messages(limit=2)
    for number in range(4):
        chat.take(message(number))
    with pytest.raises(NoticesLost) as lost:
        await anext(messages)
    assert lost.value.count == 2
    assert (await anext(messages)).message_id == "msg_2"
    chat.close()


async def test_deletions(chat: Chat) -> None:
    gone: list[Deleted] = []
    chat.on_deleted(gone.append)
    chat.take_deletion({"channel": "global", "message_id": "msg_1"})
    chat.take_deletion({"channel": "global"})
    assert gone == [Deleted("global", "msg_1")]


async def test_invitations(chat: Chat) -> None:
    invited: list[ChannelInvitation] = []
    chat.on_invitation(invited.append)
    chat.take_invitation({"channel": "mine", "from": "usr_b", "name": "B"})
    assert invited == [ChannelInvitation("mine", "usr_b", "B")]
