"""What a session actor was not told about friends and parties, it finds by looking (rows 2.3 and 3.3)."""

from __future__ import annotations

from typing import Any

import pytest

from actors.session import hearing
from actors.session.session import Session
from cluster.errors import Unavailable
from cluster.ports.sessions import SessionRecord
from cluster.publishing import user_topic
from tests.unit.actors.session.hearing_rig import ANN, EVE, LIMITS, heard, say, settle, told
from tests.unit.actors.session.stage import WALL, Stage

BOB = "usr_b"


class TestLookingAgain:
    """Whoever blocked or kicked somebody died before the actor was told to look."""

    async def test_what_was_lost_is_found(self, stage: Stage) -> None:
        host = await stage.host()
        for user_id in (ANN, BOB):
            await stage.parties.inner.create(f"pty_{user_id}", user_id, "Name", WALL)
        ann, bob = await stage.attach(host), await stage.attach(host, BOB)
        await settle(stage)
        await stage.social.inner.block(ANN, EVE, LIMITS, WALL)
        await stage.parties.inner.leave(ANN)
        await stage.hearing.look_again()
        await settle(stage)
        assert heard(stage, ann.session_id) == {user_topic(ANN)}
        await say(stage, user_topic(ANN), "from eve", EVE)
        await say(stage, f"party:pty_{ANN}", "from the old party", BOB)
        await say(stage, user_topic(ANN), "end")
        assert await told(stage, host, ann.session_id) == ["end"]
        assert heard(stage, bob.session_id) == {user_topic(BOB), "party:pty_usr_b"}

    async def test_who_was_kicked_or_accepted(self, stage: Stage) -> None:
        host = await stage.host()
        ann, bob = await stage.attach(host), await stage.attach(host, BOB)
        await settle(stage)
        await stage.parties.inner.create("pty_1", BOB, "Bob", WALL)
        await stage.parties.inner.invite(BOB, "Bob", ANN, 8, 8, WALL + 60.0, WALL)
        await stage.parties.inner.accept("pty_1", ANN, "Ann", 8, WALL)
        await stage.hearing.look_again()
        await settle(stage)
        for each, user_id in ((ann, ANN), (bob, BOB)):
            assert heard(stage, each.session_id) == {user_topic(user_id), "party:pty_1"}
        await stage.parties.inner.kick(BOB, ANN)
        await stage.hearing.look_again()
        await settle(stage)
        await say(stage, "party:pty_1", "secret", BOB)
        assert (await told(stage, host, ann.session_id), await told(stage, host, bob.session_id)) == ([], ["secret"])

    async def test_all_users_in_parts_and_only_what_differs_is_changed(
        self, stage: Stage, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(hearing, "LOOKED_UP_AT_ONCE", 3)
        host = await stage.host()
        attached = [await stage.attach(host, f"usr_{n}") for n in range(8)]
        await settle(stage)
        for user_id in ("usr_0", "usr_7"):
            await stage.parties.inner.create(f"pty_{user_id}", user_id, "Name", WALL)
        stage.social.called.clear()
        stage.parties.called.clear()
        tuned: list[str] = []
        tune = stage.hearing.tune

        async def counted(session: Session, also: SessionRecord | None = None) -> None:
            tuned.append(session.record.user_id)
            await tune(session, also)

        monkeypatch.setattr(stage.hearing, "tune", counted)
        await stage.hearing.look_again()
        await settle(stage)
        assert (stage.social.called, stage.parties.called) == (["ties"] * 3, ["parties_of"] * 3)
        assert sorted(tuned) == ["usr_0", "usr_7"]
        assert heard(stage, attached[7].session_id) == {user_topic("usr_7"), "party:pty_usr_7"}
        await stage.hearing.look_again()
        assert not stage.hearing._gate.work.is_set()

    async def test_what_cannot_be_changed_now_is_changed_later(self, stage: Stage) -> None:
        host = await stage.host()
        ann = await stage.attach(host)
        await settle(stage)
        stage.social.fail("ties")
        with pytest.raises(Unavailable):
            await stage.hearing.look_again()
        await stage.parties.inner.create("pty_1", ANN, "Ann", WALL)
        await stage.hearing.look_again()
        stage.topics.fail("newest")
        await settle(stage)
        assert heard(stage, ann.session_id) == {user_topic(ANN), "party:pty_1"}

    async def test_what_changes_while_topics_are_changed_is_not_forgotten(self, stage: Stage) -> None:
        host = await stage.host()
        ann = await stage.attach(host)
        await settle(stage)
        await stage.parties.inner.create("pty_1", ANN, "Ann", WALL)
        await stage.hearing.look_again()
        join = stage.following.join

        async def join_meanwhile(topic: str, session_id: str) -> Any:
            await stage.parties.inner.leave(ANN)
            await stage.hearing.look_again()
            return await join(topic, session_id)

        stage.following.join = join_meanwhile  # type: ignore[method-assign]
        await stage.hearing.refresh()
        stage.following.join = join  # type: ignore[method-assign]
        await settle(stage)
        assert heard(stage, ann.session_id) == {user_topic(ANN)}
