"""Which topics sessions hear, and whom not: from their first socket to their end, over restarts (rows 1.5, 2.3 and 3.3)."""

from __future__ import annotations

import asyncio

import pytest

from actors.session.attaching import Attach
from cluster.errors import Unavailable
from cluster.publishing import user_topic
from tests.unit.actors.session.hearing_rig import ANN, EVE, LIMITS, heard, say, settle, told
from tests.unit.actors.session.stage import ACTOR, FOREST, MEADOW, WALL, Stage


class TestUsers:
    async def test_all_of_a_user_s_sessions_hear_the_user_s_topic_and_no_others(self, stage: Stage) -> None:
        host = await stage.host()
        ids = [(await stage.attach(host, user)).session_id for user in (ANN, ANN, "usr_b")]
        await settle(stage)
        await say(stage, user_topic(ANN), "hello")
        assert [await told(stage, host, session_id) for session_id in ids] == [["hello"], ["hello"], []]
        assert (await stage.record(ids[0])).subscriptions == ()

    async def test_it_does_not_count_as_a_subscription(self, stage: Stage) -> None:
        host = await stage.host()
        attached = await stage.attach(host)
        topics = [f"t{n}" for n in range(stage.settings.session.max_subscriptions)]
        assert await stage.belongings.subscribe(attached.session_id, 1, topics, []) == tuple(topics)
        assert heard(stage, attached.session_id) == {user_topic(ANN), *topics}
        await stage.belongings.subscribe(attached.session_id, 1, [], topics)
        assert heard(stage, attached.session_id) == {user_topic(ANN)}

    async def test_a_restart_goes_on_where_it_was(self, stage: Stage) -> None:
        host = await stage.host()
        attached = await stage.attach(host)
        await settle(stage)
        await say(stage, user_topic(ANN), "one")
        await settle(stage)
        await stage.topics.inner.publish(user_topic(ANN), "said", b"two", 100)
        host = await stage.host()
        assert await told(stage, host, attached.session_id) == ["one", "two"]

    async def test_the_end_of_a_session_leaves_nothing(self, stage: Stage) -> None:
        host = await stage.host()
        attached = await stage.enter(host)
        await stage.social.inner.block(ANN, EVE, LIMITS, WALL)
        await say(stage, user_topic(ANN), "", refresh="ties")
        await settle(stage)
        await host.detach(attached.session_id, 1)
        await stage.wait(host, stage.settings.session.grace_s + 1)
        assert (len(stage.following), stage.hearing._ears, len(stage.hearing._ties)) == (0, {}, 0)
        assert stage.hearing._gate._done == {}
        assert await stage.outbox_log.inner.cursors(ACTOR) == {}
        profile = (await stage.social.inner.profiles([ANN]))[ANN]
        assert (profile.last_online, profile.name) == (WALL + stage.now, "Ann")

    async def test_who_leaves_the_world_is_named_after_the_character_that_was_played(self, stage: Stage) -> None:
        host = await stage.host()
        attached = await stage.enter(host)
        await host.leave(attached.session_id, 1)
        assert (await stage.social.inner.profiles([ANN]))[ANN].name == "Ann"

    async def test_a_session_ends_when_the_store_of_friends_is_back(self, stage: Stage) -> None:
        host = await stage.host()
        attached = await stage.attach(host)
        await host.detach(attached.session_id, 1)
        stage.social.fail("seen", times=2)
        await stage.wait(host, stage.settings.session.grace_s + 1)
        assert attached.session_id in host.sessions
        await stage.wait(host, 3)
        assert attached.session_id not in host.sessions


class TestBeginning:
    @pytest.mark.parametrize(("kept", "starts"), [("invisible", "invisible"), ("busy", "busy"), ("online", "online")])
    async def test_a_session_begins_as_its_user_wants_to_be_seen(self, stage: Stage, kept: str, starts: str) -> None:
        await stage.social.inner.choose(ANN, {"status": kept, "text": "hi", "metadata": {"a": "b"}})
        host = await stage.host()
        attached = await stage.attach(host)
        record = await stage.record(attached.session_id)
        assert (record.status, record.status_text, record.status_metadata) == (starts, "hi", {"a": "b"})
        assert {change.status for change in stage.told} == {starts}, "never anything else"
        await stage.social.inner.choose(ANN, {"status": "online"})
        again = await host.attach(_again(attached.session_id))
        assert (again.resumed, (await stage.record(attached.session_id)).status) == (True, starts)

    @pytest.mark.parametrize("method", ["profiles", "ties"])
    async def test_an_attach_fails_while_that_cannot_be_known(self, stage: Stage, method: str) -> None:
        host = await stage.host()
        await stage.social.inner.choose(ANN, {"status": "invisible"})
        session_id = await stage.place(ANN)
        stage.social.fail(method)
        with pytest.raises(Unavailable):
            await host.attach(_again(session_id))
        assert stage.told == []
        attached = await host.attach(_again(session_id))
        assert (attached.attach_epoch, (await stage.record(session_id)).status) == (1, "invisible")
        assert heard(stage, session_id) == {user_topic(ANN)}

    async def test_also_after_a_write_that_failed(self, stage: Stage) -> None:
        host = await stage.host()
        await stage.social.inner.choose(ANN, {"status": "busy"})
        session_id = await stage.place(ANN)
        stage.store.fail("write")
        with pytest.raises(Unavailable):
            await host.attach(_again(session_id))
        await host.attach(_again(session_id))
        assert (await stage.record(session_id)).status == "busy"

    async def test_a_storm_of_them_asks_the_stores_few_times(self, stage: Stage) -> None:
        host = await stage.host()
        ids = [await stage.place(f"usr_{n}") for n in range(50)]
        stage.social.called.clear()
        stage.topics.called.clear()
        await asyncio.gather(*(host.attach(_again(s, f"usr_{n}")) for n, s in enumerate(ids)))
        assert len(stage.following) == 50
        assert stage.social.called.count("ties") <= 10
        assert stage.topics.called.count("newest") <= 10


def _again(session_id: str, user_id: str = ANN) -> Attach:
    return Attach(session_id, user_id, "gtw_a")


class TestBlocks:
    async def block(self, stage: Stage) -> None:
        await stage.social.inner.block(ANN, EVE, LIMITS, WALL)

    async def test_who_is_blocked_is_not_heard(self, stage: Stage) -> None:
        host = await stage.host()
        ann, bob = await stage.attach(host), await stage.attach(host, "usr_b")
        for each in (ann, bob):
            await stage.belongings.subscribe(each.session_id, 1, ["news"], [])
        await settle(stage)
        await say(stage, "news", "before", EVE)
        await settle(stage)
        await self.block(stage)
        await say(stage, user_topic(ANN), "blocked", refresh="ties")
        await say(stage, "news", "after", EVE)
        await say(stage, "news", "nobody says this")
        await say(stage, user_topic(ANN), "to ann", EVE)
        await say(stage, user_topic(ANN), "end", "usr_b")
        assert sorted(await told(stage, host, ann.session_id)) == sorted(
            ["before", "blocked", "nobody says this", "end"]
        )
        assert await told(stage, host, bob.session_id) == ["before", "after", "nobody says this"]
        host = await stage.host()
        await say(stage, "news", "after the restart", EVE)
        assert (await told(stage, host, bob.session_id))[-1] == "after the restart"
        assert "after the restart" not in await told(stage, host, ann.session_id)

    async def test_until_it_is_known_nothing_goes_on(self, stage: Stage) -> None:
        host = await stage.host()
        ann = await stage.attach(host)
        await settle(stage)
        await self.block(stage)
        stage.social.fail("ties", times=3)
        await say(stage, user_topic(ANN), "blocked", refresh="ties")
        await say(stage, user_topic(ANN), "from eve", EVE)
        await say(stage, user_topic(ANN), "end")
        for _ in range(3):
            with pytest.raises(Unavailable):
                await settle(stage)
        await stage.lane.flush()
        assert host.sessions[ann.session_id].outbox.after(0) == []
        assert await told(stage, host, ann.session_id) == ["blocked", "end"]

    async def test_a_new_device_of_a_user_who_is_here_asks_again_for_all_of_them(self, stage: Stage) -> None:
        host = await stage.host()
        await stage.parties.inner.create("pty_1", ANN, "Ann", WALL)
        first = await stage.attach(host)
        await settle(stage)
        await self.block(stage)
        await stage.parties.inner.leave(ANN)  # of neither was the actor told
        second = await stage.attach(host)
        await settle(stage)
        await say(stage, user_topic(ANN), "from eve", EVE)
        await say(stage, "party:pty_1", "in the party", "usr_b")
        for device in (first, second):
            assert heard(stage, device.session_id) == {user_topic(ANN)}
            assert await told(stage, host, device.session_id) == []

    async def test_a_restore_that_cannot_ask_fails_and_is_repeated(self, stage: Stage) -> None:
        host = await stage.host()
        ann = await stage.attach(host)
        await settle(stage)
        await self.block(stage)
        stage.social.fail("ties")
        with pytest.raises(Unavailable):
            await stage.host()
        host = await stage.host()
        await say(stage, user_topic(ANN), "from eve", EVE)
        await say(stage, user_topic(ANN), "from bob", "usr_b")
        assert await told(stage, host, ann.session_id) == ["from bob"]

    async def test_messages_without_a_method_are_for_nobody(self, stage: Stage) -> None:
        host = await stage.host()
        ann = await stage.attach(host)
        await settle(stage)
        await say(stage, user_topic(ANN), "{}", refresh="ties", method="")
        await say(stage, user_topic(ANN), "end")
        assert await told(stage, host, ann.session_id) == ["end"]
        host = await stage.host()
        assert await told(stage, host, ann.session_id) == ["end"]


class TestParties:
    async def test_joined_and_left_with_the_refresh(self, stage: Stage) -> None:
        host = await stage.host()
        ann = await stage.attach(host)
        await stage.parties.inner.create("pty_1", ANN, "Ann", WALL)
        await say(stage, user_topic(ANN), "created", refresh="party")
        await settle(stage)
        assert heard(stage, ann.session_id) == {user_topic(ANN), "party:pty_1"}
        second = await stage.attach(host)
        assert heard(stage, second.session_id) == {user_topic(ANN), "party:pty_1"}
        await stage.host()
        assert heard(stage, ann.session_id) == heard(stage, second.session_id) == {user_topic(ANN), "party:pty_1"}
        await stage.parties.inner.leave(ANN)
        await say(stage, user_topic(ANN), "left", refresh="party")
        await settle(stage)
        assert heard(stage, ann.session_id) == heard(stage, second.session_id) == {user_topic(ANN)}

    async def test_a_topic_that_cannot_be_joined_is_joined_later(self, stage: Stage) -> None:
        host = await stage.host()
        ann = await stage.attach(host)
        await settle(stage)
        await stage.parties.inner.create("pty_1", ANN, "Ann", WALL)
        stage.topics.fail("newest")
        await say(stage, user_topic(ANN), "created", refresh="party")
        assert await told(stage, host, ann.session_id) == ["created"]
        assert heard(stage, ann.session_id) == {user_topic(ANN), "party:pty_1"}


class TestZoneChat:
    async def test_it_follows_the_session(self, stage: Stage) -> None:
        host = await stage.host()
        ann = await stage.attach(host)
        assert await stage.belongings.subscribe(ann.session_id, 1, ["chat:zone"], []) == ("chat:zone",)
        assert heard(stage, ann.session_id) == {user_topic(ANN)}
        character = await stage.character(zone=MEADOW, x=20.0)
        await host.enter(ann.session_id, 1, "k", character, "")
        assert heard(stage, ann.session_id) == {user_topic(ANN), f"chat:zone:{MEADOW}"}
        stage.moves.moved(FOREST, [ann.session_id])
        await stage.moves.settle()
        assert heard(stage, ann.session_id) == {user_topic(ANN), f"chat:zone:{FOREST}"}
        await stage.host()
        assert heard(stage, ann.session_id) == {user_topic(ANN), f"chat:zone:{FOREST}"}
        await stage.belongings.subscribe(ann.session_id, 1, [], ["chat:zone"])
        assert heard(stage, ann.session_id) == {user_topic(ANN)}

    async def test_out_of_the_world_there_is_none(self, stage: Stage) -> None:
        host = await stage.host()
        ann = await stage.enter(host)
        await stage.belongings.subscribe(ann.session_id, 1, ["chat:zone", "news"], [])
        assert heard(stage, ann.session_id) == {user_topic(ANN), f"chat:zone:{MEADOW}", "news"}
        await host.leave(ann.session_id, 1)
        assert heard(stage, ann.session_id) == {user_topic(ANN), "news"}

    async def test_a_move_does_not_fail_because_of_it(self, stage: Stage) -> None:
        host = await stage.host()
        ann = await stage.enter(host)
        await stage.belongings.subscribe(ann.session_id, 1, ["chat:zone"], [])
        stage.topics.fail("newest")
        stage.moves.moved(FOREST, [ann.session_id])
        await stage.moves.settle()
        assert (await stage.record(ann.session_id)).zone_id == FOREST
        assert stage.told[-1].zone_id == FOREST
        await settle(stage)
        assert heard(stage, ann.session_id) == {user_topic(ANN), f"chat:zone:{FOREST}"}
