"""Many topics with few members, and members who do not hear everybody (rows 1.5 and 2.3)."""

from __future__ import annotations

import asyncio

import pytest

from actors.session import following as following_module
from actors.session.following import order
from tests.unit.actors.session.lane_rig import ACTOR
from tests.unit.actors.session.topics_rig import Topics, read_all


@pytest.fixture
def topics() -> Topics:
    return Topics()


class TestWhoHears:
    async def test_who_does_not_hear_the_sender_gets_nothing_of_it(self, topics: Topics) -> None:
        following = await topics.start(news=["ses_1", "ses_2"])
        await read_all(following)
        topics.gate.unheard = {"usr_eve": {"ses_1"}}
        topics.bus(await topics.publish("from eve", sender="usr_eve"))
        topics.bus(await topics.publish("from bob", sender="usr_bob"))
        topics.bus(await topics.publish("from nobody"))
        assert await topics.told("ses_1") == ["from bob", "from nobody"]
        assert await topics.told("ses_2") == ["from eve", "from bob", "from nobody"]

    async def test_one_that_nobody_hears_is_passed_for_good(self, topics: Topics) -> None:
        following = await topics.start(news=["ses_1"])
        await read_all(following)
        topics.gate.unheard = {"usr_eve": {"ses_1"}}
        message = await topics.publish("from eve", sender="usr_eve")
        topics.bus(message)
        topics.bus(await topics.publish("", method=""))
        assert await topics.told() == []
        assert order((await topics.rig.log.cursors(ACTOR))["news"]) > order(message.id)
        topics.gate.unheard = {}
        await read_all(await topics.start(news=["ses_1"]))
        assert await topics.told() == []

    @pytest.mark.parametrize("lost", [False, True], ids=["from the bus", "from the log"])
    async def test_what_must_wait_holds_back_what_comes_after_it(self, topics: Topics, lost: bool) -> None:
        following = await topics.start(news=["ses_1"], chat=["ses_1"])
        await read_all(following)
        topics.gate.shut = {"usr_eve"}
        for text, sender in (("a", ""), ("b", "usr_eve"), ("c", ""), ("d", "usr_eve")):
            message = await topics.publish(text, sender=sender)
            if not lost:
                topics.bus(message)
        topics.bus(await topics.publish("elsewhere", "chat"))
        await following.look()
        for _ in range(3):
            await following.catch_up()
            assert following.behind
        assert sorted(await topics.told()) == ["a", "elsewhere"]
        topics.gate.shut = set()
        await read_all(following)
        assert (await topics.told())[-3:] == ["b", "c", "d"]


class TestManyTopics:
    async def test_those_who_join_at_once_share_round_trips(self, topics: Topics) -> None:
        following = await topics.start()
        names = [f"user:{n}" for n in range(100)]
        await asyncio.gather(*(following.join(name, "ses_1") for name in names))
        assert len(following) == len(topics.handlers) == 100
        assert set(await topics.rig.log.cursors(ACTOR)) == set(names)
        assert topics.flaky.called.count("newest") <= 3
        await asyncio.gather(*(following.leave(name, "ses_1") for name in names))
        assert (len(following), topics.handlers, await topics.rig.log.cursors(ACTOR)) == (0, {}, {})

    async def test_they_are_looked_at_in_turn(self, topics: Topics, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(following_module, "LOOKED_AT", 4)
        members = {f"t{n}": ["ses_1"] for n in range(10)}
        following = await topics.start(**members)
        await read_all(following)
        for name in members:
            await topics.publish(name, name)
        seen = []
        for _ in range(3):
            await following.look()
            seen.append(len(following._behind))
            await read_all(following)
        assert seen == [4, 4, 2]
        assert sorted(await topics.told()) == sorted(members)
        await following.look()
        assert following._looked == 4, "and from the beginning again"

    async def test_one_that_was_opened_for_who_gave_up_is_closed(self, topics: Topics) -> None:
        following = await topics.start()
        joining = asyncio.create_task(following.join("news", "ses_1"))
        while "news" not in topics.handlers:  # noqa: ASYNC110
            await asyncio.sleep(0)
        joining.cancel()
        await asyncio.gather(joining, return_exceptions=True)
        for _ in range(2):
            await following.look()
        assert (len(following), topics.handlers, following._places) == (0, {}, {})

    async def test_who_joins_while_the_last_one_leaves(self, topics: Topics) -> None:
        following = await topics.start(news=["ses_1"])
        await read_all(following)
        await asyncio.gather(following.leave("news", "ses_1"), following.join("news", "ses_2"))
        topics.bus(await topics.publish("a"))
        await read_all(following)
        assert (await topics.told("ses_1"), await topics.told("ses_2")) == ([], ["a"])
        assert list(await topics.rig.log.cursors(ACTOR)) == ["news"]
