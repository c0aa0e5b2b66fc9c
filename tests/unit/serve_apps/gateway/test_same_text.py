"""Whom the watch on abuse counts as somebody who was told the same as others: nobody who knows who says it."""

from __future__ import annotations

import pytest

from cluster.ports.topics import TopicMessage
from tests.unit.serve_apps.gateway.people_rig import People

A = "usr_a"
OTHERS = [f"usr_{number}" for number in range(5)]
HELLO = "good evening my friend"


@pytest.fixture
def people() -> People:
    made = People()
    for user_id in (A, *OTHERS):
        made.come(user_id)
    return made


async def greets(people: People) -> int:
    """All others; how many the watch is told of."""
    for other in OTHERS:
        assert "message_id" in await people.ask(A, "chat.message", channel=f"direct:{other}", text=HELLO)
        people.gateway.clock.now += 1.0  # the channel's own limit
    said = people.clients[A][0].tally.said
    return 0 if said is None else said.same_text()


async def test_strangers(people: People) -> None:
    assert await greets(people) == len(OTHERS)
    assert await greets(people) == len(OTHERS), "who was written to before is a stranger still"


async def test_friends(people: People) -> None:
    for other in OTHERS:
        await people.ask(A, "friends.request", user_id=other)
        await people.ask(other, "friends.accept", user_id=A)
    assert await greets(people) == 0
    assert people.clients[A][0].tally.chats == len(OTHERS)


async def test_those_who_wrote(people: People) -> None:
    for other in OTHERS[:3]:
        await people.ask(other, "chat.message", channel=f"direct:{A}", text="is it for sale?")
    assert await greets(people) == 2


async def test_who_answers_is_a_stranger_no_more(people: People, monkeypatch: pytest.MonkeyPatch) -> None:
    await people.ask(A, "chat.message", channel=f"direct:{OTHERS[0]}", text="a sword to sell")
    await people.ask(OTHERS[0], "chat.message", channel=f"direct:{A}", text="let me see")
    assert await greets(people) == len(OTHERS) - 1

    asked: list[str] = []
    before = people.services.topics.before

    async def counted(topic: str, place: str, limit: int) -> list[TopicMessage]:
        asked.append(topic)
        return await before(topic, place, limit)

    monkeypatch.setattr(people.services.topics, "before", counted)
    await greets(people)
    assert not any(OTHERS[0] in topic for topic in asked), "it is remembered"


async def test_who_blocks_them_was_told_all_the_same(people: People) -> None:
    """Or a block of the sender's own would hide whom it tells."""
    assert "code" not in (await people.ask(OTHERS[0], "friends.block", user_id=A) or {})
    assert await greets(people) == len(OTHERS)


async def test_one_too_many(people: People, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(people.services.settings.limits.__dict__, "strangers_per_hour", 2)
    refused = [
        "message_id" not in await people.ask(A, "chat.message", channel=f"direct:{other}", text=HELLO)
        for other in OTHERS
    ]
    assert refused == [False, False, True, True, True]
    said = people.clients[A][0].tally.said
    assert said is not None
    assert said.same_text() == len(OTHERS), "who was refused has tried"
