"""What changes while a session begins, and sessions whose topics cannot be changed (rows 1.5, 2.3 and 3.3)."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from structlog.testing import capture_logs

from actors.session import hearing
from actors.session.attaching import Attach, Attached
from actors.session.host import SessionHost
from cluster.errors import Unavailable
from cluster.publishing import user_topic
from tests.unit.actors.session.hearing_rig import ANN, EVE, LIMITS, heard, say, settle, told
from tests.unit.actors.session.stage import WALL, Stage

BOB, CAT = "usr_b", "usr_c"


class Misconfigured(Exception):
    """What a store says that nobody has thought of."""


class SlowTies:
    """The store of friends answers when it is told to, with what it knew when it was asked."""

    def __init__(self, stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked, self.answer = asyncio.Event(), asyncio.Event()
        ties = stage.social.inner.ties

        async def slowly(user_ids: Sequence[str]) -> Any:
            found = await ties(user_ids)
            self.asked.set()
            await self.answer.wait()
            return found

        monkeypatch.setattr(stage.social.inner, "ties", slowly)


class TestBeginning:
    async def begin(self, stage: Stage, host: SessionHost, slow: SlowTies) -> asyncio.Task[Attached]:
        attaching = asyncio.create_task(host.attach(Attach(await stage.place(ANN), ANN, "gtw_a")))
        await slow.asked.wait()
        return attaching

    async def test_a_block_after_the_store_was_asked_is_heard_of(
        self, stage: Stage, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        host, slow = await stage.host(), SlowTies(stage, monkeypatch)
        attaching = await self.begin(stage, host, slow)
        await stage.social.inner.block(ANN, EVE, LIMITS, WALL)
        await say(stage, user_topic(ANN), "blocked", refresh="ties")
        slow.answer.set()
        ann = await attaching
        await settle(stage)
        await stage.belongings.subscribe(ann.session_id, 1, ["news"], [])
        await say(stage, "news", "from eve", EVE)
        await say(stage, "news", "end")
        assert await told(stage, host, ann.session_id) == ["blocked", "end"]

    async def test_meanwhile_nobody_speaks_to_the_user(self, stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
        await stage.social.inner.block(ANN, EVE, LIMITS, WALL)
        host, slow = await stage.host(), SlowTies(stage, monkeypatch)
        attaching = await self.begin(stage, host, slow)
        await stage.following.catch_up()
        await say(stage, user_topic(ANN), "from nobody")
        await say(stage, user_topic(ANN), "from eve", EVE)
        await say(stage, user_topic(ANN), "from bob", BOB)
        await stage.following.catch_up()
        await stage.lane.flush()
        (session_id,) = host.sessions
        entries = host.sessions[session_id].outbox.after(0)
        assert [entry.body.params_json for entry in entries or []] == [b"from nobody"]
        slow.answer.set()
        await attaching
        assert await told(stage, host, session_id) == ["from nobody", "from bob"]

    async def test_what_is_known_of_a_user_nobody_listened_for_is_not_relied_on(
        self, stage: Stage, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The last session goes while the next one comes: what the topic brought in between was for nobody."""
        host = await stage.host()
        first = await stage.attach(host)
        await settle(stage)
        slow, listens = SlowTies(stage, monkeypatch), stage.following.join

        async def after_the_other_left(topic: str, session_id: str, **how: bool) -> bool:
            await stage.following.leave(topic, first.session_id)
            await stage.social.inner.block(ANN, EVE, LIMITS, WALL)
            await say(stage, user_topic(ANN), "blocked", refresh="ties")
            return await listens(topic, session_id, **how)

        monkeypatch.setattr(stage.following, "join", after_the_other_left)
        attaching = await self.begin(stage, host, slow)
        await stage.following.catch_up()
        await say(stage, user_topic(ANN), "from eve", EVE)
        slow.answer.set()
        second = await attaching
        await say(stage, user_topic(ANN), "end")
        assert await told(stage, host, second.session_id) == ["end"]


class TestFailures:
    async def in_parties(self, stage: Stage, host: SessionHost, *user_ids: str) -> list[Attached]:
        """They are here, and then in a party each; nobody has looked yet."""
        attached = [await stage.attach(host, user_id) for user_id in user_ids]
        for each in attached:
            await stage.belongings.subscribe(each.session_id, 1, ["news"], [])
        await settle(stage)
        for user_id in user_ids:
            await stage.parties.inner.create(f"pty_{user_id}", user_id, user_id, WALL)
            await say(stage, user_topic(user_id), "created", refresh="party")
        await say(stage, "news", "hello", BOB)
        return attached

    def refuse(self, stage: Stage, monkeypatch: pytest.MonkeyPatch, error: Exception, *user_ids: str) -> None:
        """The topics of their parties cannot be joined."""
        join, refused = stage.following.join, {f"party:pty_{user_id}" for user_id in user_ids}

        async def some(topic: str, session_id: str) -> bool:
            if topic in refused:
                raise error
            return await join(topic, session_id)

        monkeypatch.setattr(stage.following, "join", some)

    @pytest.mark.parametrize("error", [Unavailable("nats"), Misconfigured()])
    async def test_one_session_holds_up_its_user_s_topic_and_nobody_else(
        self, stage: Stage, monkeypatch: pytest.MonkeyPatch, error: Exception
    ) -> None:
        host = await stage.host()
        ann, bob, cat = await self.in_parties(stage, host, ANN, BOB, CAT)
        self.refuse(stage, monkeypatch, error, ANN)
        with capture_logs() as logs:
            await settle(stage)
        assert {line["event"] for line in logs} == {"topics_wait"}
        with capture_logs():
            for each in (bob, cat):
                assert sorted(await told(stage, host, each.session_id)) == ["created", "hello"]
            assert await told(stage, host, ann.session_id) == ["hello"], "what was looked up holds for her, too"
        assert not stage.hearing._gate.work.is_set(), "nothing to do but wait"
        monkeypatch.undo()
        assert await told(stage, host, ann.session_id) == ["hello", "created"]
        assert heard(stage, ann.session_id) == {user_topic(ANN), "news", f"party:pty_{ANN}"}
        assert (stage.hearing._failed, stage.hearing._held) == ({}, set())

    async def test_many_that_fail_do_not_hold_up_those_behind(
        self, stage: Stage, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(hearing, "RETRIED_AT_ONCE", 2)
        host = await stage.host()
        users = [f"usr_{n}" for n in range(6)]
        attached = await self.in_parties(stage, host, *users)
        self.refuse(stage, monkeypatch, Unavailable("nats"), *users)
        await stage.hearing.refresh()
        assert len(stage.hearing._failed) == 6
        monkeypatch.setattr(stage.following, "join", type(stage.following).join.__get__(stage.following))
        first = list(stage.hearing._failed)[:4]
        stuck = [host.sessions[session_id].record.user_id for session_id in first]
        self.refuse(stage, monkeypatch, Unavailable("nats"), *stuck)
        for _ in range(3):
            await stage.hearing.retry()
        assert list(stage.hearing._failed) == first
        behind = [each.session_id for each in attached if each.session_id not in first]
        for session_id in behind:
            assert sorted(await told(stage, host, session_id)) == ["created", "hello"]

    async def test_users_whom_the_stores_refuse_do_not_hold_up_those_behind(
        self, stage: Stage, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(hearing, "REFRESHED_AT_ONCE", 2)
        host = await stage.host()
        users = [f"usr_{n}" for n in range(6)]
        await self.in_parties(stage, host, *users)
        parties_of = stage.parties.inner.parties_of

        async def refusing(user_ids: Sequence[str]) -> Any:
            if "usr_0" in user_ids:
                raise Misconfigured
            return await parties_of(user_ids)

        monkeypatch.setattr(stage.parties.inner, "parties_of", refusing)
        failures = 0
        for _ in range(4):
            try:
                await stage.hearing.refresh()
            except Misconfigured:
                failures += 1
        assert failures == 2
        assert stage.hearing._gate.wanted(9).keys() == {"usr_0", "usr_1"}
        assert stage.hearing._gate.work.is_set()

    async def test_a_session_that_ends_is_not_waited_for(self, stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
        host = await stage.host()
        (ann,) = await self.in_parties(stage, host, ANN)
        other = await stage.attach(host)
        await say(stage, user_topic(ANN), "news")
        join = stage.following.join

        async def not_her(topic: str, session_id: str, **how: bool) -> bool:
            if session_id == ann.session_id:
                raise Unavailable("nats")
            return await join(topic, session_id, **how)

        monkeypatch.setattr(stage.following, "join", not_her)
        await settle(stage)
        assert list(stage.hearing._failed) == [ann.session_id]
        await host.detach(ann.session_id, 1)
        await stage.wait(host, stage.settings.session.grace_s + 1, "gtw_a")
        assert list(host.sessions) == [other.session_id]
        assert await told(stage, host, other.session_id) == ["news"], "it came after the party"
        assert (stage.hearing._failed, stage.hearing._held) == ({}, set())
