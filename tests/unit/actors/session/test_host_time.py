"""Grace periods, silent gateways, records that expire, restarts. 30 s of grace, 4 s of silence."""

from __future__ import annotations

import asyncio

import pytest

from actors.session.attaching import Attach
from actors.session.host import RESTART, SESSION_LOST, SWEPT_AT_ONCE, SessionHost
from cluster.errors import Fenced, SessionGone
from cluster.ports.calls import zone_actor
from tests.unit.actors.session.stage import ACTOR, MEADOW, Stage
from tests.unit.actors.zone_model import move


async def over(stage: Stage, host: SessionHost, session_id: str) -> bool:
    """Whether nothing is left of the session."""
    return session_id not in host.sessions and await stage.records.get(session_id) is None


class TestGrace:
    async def test_a_session_outlives_its_socket_by_the_grace_period(self, stage: Stage) -> None:
        host = await stage.host()
        attached = await stage.enter(host)
        zone = stage.zone()
        zone.take_input("gtw_a", move(zone.of_session(attached.session_id).number, 1, 23.0, 24.0))
        zone.tick(1.0)
        await host.detach(attached.session_id, 1)
        await stage.wait(host, 30.0)
        assert not await over(stage, host, attached.session_id)
        stage.told.clear()
        await stage.wait(host, 0.1)
        assert await over(stage, host, attached.session_id)
        assert len(zone.table) == 0
        hero = await stage.hero()
        assert (hero.zone, hero.x, hero.z, hero.session) == (MEADOW, 23.0, 24.0, "")
        assert [(p.session_id, p.present) for p in stage.told] == [(attached.session_id, False)]

    async def test_one_that_comes_back_in_time_stays(self, stage: Stage) -> None:
        host = await stage.host()
        attached = await stage.enter(host)
        await host.detach(attached.session_id, 1)
        stage.now += 29.0
        await host.attach(Attach(attached.session_id, "usr_a", "gtw_b"))
        await stage.wait(host, 60.0, "gtw_b")
        assert not await over(stage, host, attached.session_id)

    async def test_each_detach_begins_a_new_one(self, stage: Stage) -> None:
        host = await stage.host()
        attached = await stage.attach(host)
        for epoch in range(1, 4):
            await host.detach(attached.session_id, epoch)
            stage.now += 20.0
            await host.sweep()
            await host.attach(Attach(attached.session_id, "usr_a", "gtw_a"))
        assert not await over(stage, host, attached.session_id)

    async def test_one_that_was_placed_but_never_attached(self, stage: Stage) -> None:
        await stage.host()
        await stage.place()
        host = await stage.host()  # it finds it in the store
        assert len(host.sessions) == 1
        await stage.wait(host, 30.1)
        assert host.sessions == {}
        assert await stage.records.of_user("usr_a") == []

    async def test_an_attach_that_comes_while_it_ends_gets_nothing(self, stage: Stage) -> None:
        host = await stage.host()
        attached = await stage.enter(host)
        await host.detach(attached.session_id, 1)
        stage.now += 31.0
        session = host.sessions[attached.session_id]
        sweeping = asyncio.create_task(host.sweep())
        while not session.lock.locked():  # noqa: ASYNC110 - the ending has begun
            await asyncio.sleep(0)
        with pytest.raises(SessionGone):
            await host.attach(Attach(attached.session_id, "usr_a", "gtw_b"))
        await sweeping
        with pytest.raises(SessionGone):
            await host.attach(Attach(attached.session_id, "usr_a", "gtw_b"))

    async def test_one_that_comes_just_before_wins(self, stage: Stage) -> None:
        host = await stage.host()
        attached = await stage.enter(host)
        await host.detach(attached.session_id, 1)
        stage.now += 31.0
        coming = asyncio.create_task(host.attach(Attach(attached.session_id, "usr_a", "gtw_b")))
        await asyncio.sleep(0)
        await host.sweep()
        assert (await coming).resumed
        assert not await over(stage, host, attached.session_id)
        assert (await stage.hero()).session == attached.session_id

    async def test_a_character_that_is_gone_keeps_no_session(self, stage: Stage) -> None:
        host = await stage.host()
        attached = await stage.enter(host)
        await host.detach(attached.session_id, 1)
        del stage.characters.inner._characters["chr_ann"]
        await stage.wait(host, 31.0)
        assert await over(stage, host, attached.session_id)


class TestPostponed:
    async def test_a_zone_that_is_away_delays_the_end(self, stage: Stage) -> None:
        host = await stage.host()
        attached = await stage.enter(host)
        await host.detach(attached.session_id, 1)
        stage.now += 31.0
        away = stage.actors.pop(zone_actor(MEADOW))
        await host.sweep()
        assert not await over(stage, host, attached.session_id)
        assert (await stage.hero()).session == attached.session_id
        stage.actors[zone_actor(MEADOW)] = away
        await host.sweep()
        assert await over(stage, host, attached.session_id)
        assert len(stage.zone().table) == 0

    @pytest.mark.parametrize("acted", [False, True])
    @pytest.mark.parametrize(
        ("part", "method"), [("characters", "save_place"), ("characters", "release"), ("store", "end")]
    )
    async def test_whatever_fails_the_next_sweep_ends_it(
        self, stage: Stage, part: str, method: str, acted: bool
    ) -> None:
        host = await stage.host()
        attached = await stage.enter(host)
        await host.detach(attached.session_id, 1)
        stage.now += 31.0
        getattr(stage, part).fail(method, acted=acted)
        await host.sweep()
        assert attached.session_id in host.sessions
        await host.sweep()
        assert await over(stage, host, attached.session_id)
        assert (await stage.hero()).session == ""
        assert len(stage.zone().table) == 0

    async def test_nobody_waits_for_those_that_fail(self, stage: Stage) -> None:
        """Some are in a zone that is away, one fails otherwise; the rest end in the same sweep."""
        host = await stage.host()
        stuck = await stage.enter(host)
        broken = await stage.attach(host, "usr_b")
        others = [await stage.attach(host, f"usr_{n}") for n in range(3 * SWEPT_AT_ONCE)]
        for attached in (stuck, broken, *others):
            await host.detach(attached.session_id, 1)
        stage.now += 31.0
        del stage.actors[zone_actor(MEADOW)]
        stage.store.fail("end", SessionGone("test"))
        await host.sweep()
        assert len(host.sessions) == 2
        assert stuck.session_id in host.sessions

    async def test_a_detach_that_was_not_stored_ends_all_the_same(self, stage: Stage) -> None:
        host = await stage.host()
        attached = await stage.enter(host)
        stage.store.fail("write", times=3)
        with pytest.raises(Exception, match="not available"):
            await host.detach(attached.session_id, 1)
        await stage.wait(host, 40.0, "gtw_a")
        assert await over(stage, host, attached.session_id)

    async def test_being_fenced_is_not_postponed(self, stage: Stage) -> None:
        old = await stage.host()
        attached = await stage.attach(old)
        await old.detach(attached.session_id, 1)
        await stage.host()
        stage.now += 31.0
        with pytest.raises(Fenced):
            await old.sweep()
        assert await stage.records.get(attached.session_id) is not None


class TestSilentGateways:
    async def test_its_sessions_are_detached(self, stage: Stage) -> None:
        host = await stage.host()
        silent, heard = await stage.enter(host), await stage.attach(host, "usr_b", "gtw_b")
        await stage.wait(host, 4.1, "gtw_b")
        assert (await stage.record(silent.session_id)).gateway_id == ""
        assert (await stage.record(heard.session_id)).gateway_id == "gtw_b"
        assert stage.zone().of_session(silent.session_id).gateway_id == ""
        await stage.wait(host, 30.1, "gtw_b")
        assert list(host.sessions) == [heard.session_id]

    @pytest.mark.parametrize("pause", [2.1, 4.1, 600.0])
    async def test_after_a_pause_of_our_own_nobody_is_to_blame(self, stage: Stage, pause: float) -> None:
        """This process was stopped, or got no processor: heartbeats wait unread, and the sweep may come before them."""
        host = await stage.host()
        attached = await stage.attach(host)
        await stage.wait(host, 3.0)
        stage.now += pause
        await host.sweep()
        assert (await stage.record(attached.session_id)).gateway_id == "gtw_a"
        await stage.wait(host, 3.9)
        assert (await stage.record(attached.session_id)).gateway_id == "gtw_a"
        await stage.wait(host, 0.2)
        assert (await stage.record(attached.session_id)).gateway_id == ""

    async def test_a_gateway_with_heartbeats_keeps_them(self, stage: Stage) -> None:
        host = await stage.host()
        attached = await stage.attach(host)
        await stage.wait(host, 120.0, "gtw_a")
        assert (await stage.record(attached.session_id)).gateway_id == "gtw_a"

    async def test_one_that_was_only_slow_is_told_to_close_the_sockets(self, stage: Stage) -> None:
        """Its clients would wait for views that never come; they reconnect and have their session back."""
        host = await stage.host()
        one, two = await stage.enter(host), await stage.attach(host, "usr_b")
        await stage.wait(host, 4.1)
        again = await host.attach(Attach(two.session_id, "usr_b", "gtw_b"))
        stage.closed.clear()
        host.heard("gtw_a")
        assert sorted(stage.closed) == sorted(
            ("gtw_a", session_id, 1, RESTART, "gateway_silent") for session_id in (one.session_id, two.session_id)
        )
        assert again.attach_epoch == 2, "a newer socket is not meant"
        host.heard("gtw_a")
        assert len(stage.closed) == 2

    async def test_a_detach_that_fails_is_tried_again(self, stage: Stage) -> None:
        host = await stage.host()
        attached = await stage.attach(host)
        stage.store.fail("write", times=2)
        await stage.wait(host, 8.0)
        assert (await stage.record(attached.session_id)).gateway_id == ""


class TestRecordsThatExpire:
    async def test_the_session_ends_though_its_socket_is_open(self, stage: Stage) -> None:
        host = await stage.host()
        attached = await stage.enter(host)
        stage.records.expire(attached.session_id)
        await host.keep_alive()
        await host.sweep()
        assert await over(stage, host, attached.session_id)
        assert stage.closed == [("gtw_a", attached.session_id, 1, SESSION_LOST, "session_lost")]
        assert len(stage.zone().table) == 0
        assert (await stage.hero()).session == ""
        assert not stage.told[-1].present

    async def test_a_write_that_finds_nothing_ends_it_too(self, stage: Stage) -> None:
        host = await stage.host()
        attached = await stage.attach(host)
        stage.records.expire(attached.session_id)
        with pytest.raises(SessionGone):
            await stage.belongings.set_presence(attached.session_id, 1, "away", None, None)
        with pytest.raises(SessionGone):
            await host.attach(Attach(attached.session_id, "usr_a", "gtw_b"))
        await host.sweep()
        assert host.sessions == {}
        assert [code for *_, code, _ in stage.closed] == [SESSION_LOST]

    async def test_one_without_a_socket_closes_none(self, stage: Stage) -> None:
        host = await stage.host()
        attached = await stage.attach(host)
        await host.detach(attached.session_id, 1)
        stage.records.expire(attached.session_id)
        await host.keep_alive()
        await host.sweep()
        assert host.sessions == {}
        assert stage.closed == []

    async def test_a_second_character_s_owner_is_not_disturbed(self, stage: Stage) -> None:
        """Once the record is gone another session may take the character; ending the first must not free it."""
        host = await stage.host()
        attached = await stage.enter(host)
        stage.records.expire(attached.session_id)
        second = await stage.attach(host, "usr_a", "gtw_b")
        with pytest.raises(Exception, match="entity exists"):
            await host.enter(second.session_id, 1, "key", "chr_ann", "")
        await host.keep_alive()
        await host.sweep()
        await host.enter(second.session_id, 1, "key", "chr_ann", "")
        assert (await stage.hero()).session == second.session_id

    async def test_living_ones_are_kept(self, stage: Stage) -> None:
        host = await stage.host()
        attached = await stage.enter(host)
        await host.keep_alive()
        await host.sweep()
        assert attached.session_id in host.sessions
        assert stage.closed == []


class TestRestart:
    async def test_every_session_comes_back_as_it_was(self, stage: Stage) -> None:
        first = await stage.host()
        playing, waiting = await stage.enter(first), await stage.attach(first, "usr_b", "gtw_b")
        await first.detach(waiting.session_id, 1)
        stage.told.clear()
        second = await stage.host()
        assert {s: session.record for s, session in second.sessions.items()} == {
            s: await stage.record(s) for s in (playing.session_id, waiting.session_id)
        }
        assert {(p.session_id, p.actor, p.zone_id, p.present) for p in stage.told} == {
            (playing.session_id, ACTOR, MEADOW, True),
            (waiting.session_id, ACTOR, "", True),
        }
        await second.leave(playing.session_id, 1)

    async def test_grace_begins_anew_and_gateways_have_time_to_be_heard(self, stage: Stage) -> None:
        first = await stage.host()
        playing, waiting = await stage.attach(first), await stage.attach(first, "usr_b", "gtw_b")
        await first.detach(waiting.session_id, 1)
        await stage.wait(first, 29.0, "gtw_a")
        second = await stage.host()
        await stage.wait(second, 3.9)
        assert (await stage.record(playing.session_id)).gateway_id == "gtw_a"
        await stage.wait(second, 0.2)
        assert (await stage.record(playing.session_id)).gateway_id == ""
        assert len(second.sessions) == 2
        await stage.wait(second, 26.0)
        assert list(second.sessions) == [playing.session_id]

    async def test_attach_epochs_go_on(self, stage: Stage) -> None:
        attached = await stage.enter(await stage.host())
        second = await stage.host()
        again = await second.attach(Attach(attached.session_id, "usr_a", "gtw_b"))
        assert (again.attach_epoch, again.state) == (2, "in_world")
        assert stage.closed[-1][:3] == ("gtw_a", attached.session_id, 1)
