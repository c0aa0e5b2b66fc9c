"""Coming back to a session: what was missed, and which tokens still count (row 1.7)."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from actors.session.attaching import Attach, Attached
from actors.session.host import SLOW_CONSUMER, SessionHost
from actors.session.outbox import Body
from cluster.errors import Conflict, InvalidInput, Unauthorized, Unavailable
from tests.unit.actors.session.stage import Stage


async def say(stage: Stage, session_id: str, *texts: str) -> None:
    """Reliable notifications for the session, in the log."""
    for text in texts:
        stage.lane.put([session_id], Body("n", text.encode()))
    await stage.lane.flush()


async def back(
    host: SessionHost,
    first: Attached,
    last: int = 0,
    token: int | None = 1,
    gateway: str = "gtw_b",
    stream: str | None = None,
) -> Attached:
    """The client of an attach comes back, with the token of attach `token` and the newest number it saw."""
    stream = first.stream if stream is None else stream
    return await host.attach(Attach(first.session_id, first.user_id, gateway, token, stream, last))


def missed(attached: Attached) -> list[str]:
    assert attached.recovered
    return [params.decode() for _, params in attached.missed]


async def refused(coming: Any) -> str:
    with pytest.raises(Unauthorized) as error:
        await coming
    return error.value.reason


class TestMissed:
    async def test_a_new_session_has_a_stream_and_begins_at_nothing(self, stage: Stage) -> None:
        host = await stage.host()
        one, two = await stage.attach(host), await stage.attach(host)
        assert (one.seq, one.recovered, one.missed) == (0, False, ())
        assert one.stream
        assert one.stream != two.stream
        assert (await stage.record(one.session_id)).stream == one.stream

    async def test_what_was_sent_after_the_last_that_was_seen(self, stage: Stage) -> None:
        host = await stage.host()
        first = await stage.attach(host)
        await say(stage, first.session_id, "1", "2")
        await host.detach(first.session_id, 1)
        await say(stage, first.session_id, "3", "4")
        again = await back(host, first, 1)
        assert (missed(again), again.seq, again.stream) == (["2", "3", "4"], 1, first.stream)
        assert again.resumed

    async def test_then_what_comes_goes_on_from_there(self, stage: Stage) -> None:
        host = await stage.host()
        first = await stage.attach(host)
        await say(stage, first.session_id, "1", "2")
        again = await back(host, first, 1)
        stage.sent.clear()
        await say(stage, first.session_id, "3")
        ((gateway, batch),) = stage.sent
        assert (gateway, batch.targets[0].first_seq, batch.targets[0].attach_epoch) == ("gtw_b", 3, again.attach_epoch)

    async def test_nothing_was_missed(self, stage: Stage) -> None:
        host = await stage.host()
        first = await stage.attach(host)
        await say(stage, first.session_id, "1")
        again = await back(host, first, 1)
        assert (missed(again), again.seq) == ([], 1)

    async def test_after_the_actor_was_restarted(self, stage: Stage) -> None:
        first = await stage.attach(await stage.host())
        await say(stage, first.session_id, "1", "2", "3")
        again = await back(await stage.host(), first, 1)
        assert missed(again) == ["2", "3"]

    async def test_with_an_access_token_too(self, stage: Stage) -> None:
        host = await stage.host()
        first = await stage.attach(host)
        await say(stage, first.session_id, "1")
        assert missed(await back(host, first, 0, token=None)) == ["1"]

    async def test_what_is_logged_while_it_attaches_is_missed_by_nobody(self, stage: Stage) -> None:
        host = await stage.host()
        first = await stage.attach(host)
        stage.lane.put([first.session_id], Body("n", b"1"))
        attaching = asyncio.create_task(back(host, first, 0))
        flushing = asyncio.create_task(stage.lane.flush())
        again = await attaching
        await flushing
        sent = [batch.targets[0].first_seq for gateway, batch in stage.sent if gateway == "gtw_b"]
        assert (missed(again), sent) in ((["1"], []), ([], [1]))


class TestNotRecovered:
    async def test_without_saying_what_was_seen(self, stage: Stage) -> None:
        host = await stage.host()
        first = await stage.attach(host)
        await say(stage, first.session_id, "1", "2")
        again = await host.attach(Attach(first.session_id, "usr_a", "gtw_b", 1))
        assert (again.recovered, again.missed, again.seq, again.resumed) == (False, (), 2, True)

    async def test_of_another_stream(self, stage: Stage) -> None:
        host = await stage.host()
        first = await stage.attach(host)
        await say(stage, first.session_id, "1", "2")
        again = await back(host, first, 1, stream="b2")
        assert (again.recovered, again.seq, again.stream) == (False, 2, first.stream)

    async def test_too_much_was_missed(self) -> None:
        stage = Stage(outbox_count=2)
        host = await stage.host()
        first = await stage.attach(host)
        await say(stage, first.session_id, "1", "2", "3")
        again = await back(host, first, 0)
        assert (again.recovered, again.missed, again.seq) == (False, (), 3)
        assert missed(await back(host, first, 1, token=2)) == ["2", "3"]

    async def test_it_was_missed_too_long_ago(self, stage: Stage) -> None:
        host = await stage.host()
        first = await stage.attach(host)
        await say(stage, first.session_id, "1")
        stage.now += 121.0
        stage.lane.expire()
        again = await back(host, first, 0)
        assert (again.recovered, again.seq) == (False, 1)
        assert missed(await back(host, first, 1, token=2)) == []

    async def test_what_was_acknowledged_is_not_there_to_be_asked_for_again(self, stage: Stage) -> None:
        host = await stage.host()
        first = await stage.attach(host)
        await say(stage, first.session_id, "1", "2")
        host.reported(first.session_id, 1, 2, 2, missing=False, heard=True)
        assert not (await back(host, first, 1)).recovered

    async def test_a_sequence_from_the_future_changes_nothing(self, stage: Stage) -> None:
        host = await stage.host()
        first = await stage.attach(host)
        await say(stage, first.session_id, "1")
        before = await stage.record(first.session_id)
        with pytest.raises(InvalidInput) as error:
            await back(host, first, 2)
        assert [field for field, _ in error.value.errors] == ["last"]
        assert (await stage.record(first.session_id), stage.closed) == (before, [])
        assert missed(await back(host, first, 0)) == ["1"]


class TestTokens:
    async def test_the_same_one_twice(self, stage: Stage) -> None:
        """The answer to the first try was lost."""
        host = await stage.host()
        first = await stage.attach(host)
        await say(stage, first.session_id, "1")
        for epoch in (2, 3, 4):
            again = await back(host, first, 0)
            assert (again.attach_epoch, missed(again)) == (epoch, ["1"])

    async def test_also_to_the_next_incarnation(self, stage: Stage) -> None:
        first = await stage.attach(await stage.host())
        await back(await stage.host(), first)
        assert (await back(await stage.host(), first)).attach_epoch == 3

    async def test_not_once_the_client_got_through(self, stage: Stage) -> None:
        host = await stage.host()
        first = await stage.attach(host)
        again = await back(host, first)
        host.reported(first.session_id, again.attach_epoch, 0, 0, missing=False, heard=True)
        assert await refused(back(host, first)) == "recovery_superseded"
        assert (await back(host, first, token=2)).attach_epoch == 3

    async def test_another_socket_s_word_does_not_count_for_that(self, stage: Stage) -> None:
        host = await stage.host()
        first = await stage.attach(host)
        await back(host, first)
        host.reported(first.session_id, 1, 0, 0, missing=False, heard=True)
        host.reported("ses_none", 2, 0, 0, missing=False, heard=True)
        host.reported(first.session_id, 2, 0, 0, missing=False, heard=False)
        assert (await back(host, first)).attach_epoch == 3

    async def test_that_it_got_through_is_kept_with_the_next_change(self, stage: Stage) -> None:
        host = await stage.host()
        first = await stage.attach(host)
        await back(host, first)
        assert (await stage.record(first.session_id)).recovered_from == 1
        host.reported(first.session_id, 2, 0, 0, missing=False, heard=True)
        await stage.belongings.set_presence(first.session_id, 2, "away", None, None)
        assert (await stage.record(first.session_id)).recovered_from == 0
        assert await refused(back(await stage.host(), first)) == "recovery_superseded"

    async def test_also_when_the_change_was_begun_before(self, stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
        """Its first message was the change: the report overtakes it."""
        host = await stage.host()
        first = await stage.attach(host)
        await back(host, first)
        write = stage.records.write

        async def meanwhile(*args: Any) -> None:
            host.reported(first.session_id, 2, 0, 0, missing=False, heard=True)
            await write(*args)

        monkeypatch.setattr(stage.records, "write", meanwhile)
        await stage.belongings.set_presence(first.session_id, 2, "away", None, None)
        assert await refused(back(host, first)) == "recovery_superseded"

    async def test_a_newer_attach_makes_all_older_ones_useless(self, stage: Stage) -> None:
        host = await stage.host()
        first = await stage.attach(host)
        await back(host, first, token=None)
        before = await stage.record(first.session_id)
        assert await refused(back(host, first)) == "recovery_superseded"
        assert await stage.record(first.session_id) == before
        again = await back(host, first, token=2)
        assert await refused(back(host, first, token=1)) == "recovery_superseded"
        assert (await back(host, again, token=2)).attach_epoch == 4

    async def test_one_for_a_session_of_somebody_else(self, stage: Stage) -> None:
        host = await stage.host()
        first = await stage.attach(host)
        assert await refused(host.attach(Attach(first.session_id, "usr_b", "gtw_b", 1))) == "session_not_yours"

    async def test_an_attach_that_fails_spends_none(self, stage: Stage) -> None:
        host = await stage.host()
        first = await stage.attach(host)
        await say(stage, first.session_id, "1")
        stage.store.fail("write")
        with pytest.raises(Unavailable):
            await back(host, first)
        again = await back(host, first)
        assert (again.attach_epoch, missed(again)) == (2, ["1"])


class TestTakeover:
    async def test_where_it_is_not_allowed_a_second_device_is_refused(self) -> None:
        stage = Stage(takeover=False)
        host = await stage.host()
        first = await stage.attach(host)
        with pytest.raises(Conflict) as error:
            await host.attach(Attach(first.session_id, "usr_a", "gtw_b"))
        assert error.value.reason == "session_attached"
        assert stage.closed == []

    async def test_the_same_client_is_not(self) -> None:
        stage = Stage(takeover=False)
        host = await stage.host()
        first = await stage.attach(host)
        assert (await back(host, first)).attach_epoch == 2

    async def test_nor_anybody_once_the_socket_or_its_gateway_is_gone(self) -> None:
        stage = Stage(takeover=False)
        host = await stage.host()
        one, two = await stage.attach(host), await stage.attach(host, "usr_b", "gtw_b")
        await host.detach(one.session_id, 1)
        await host.attach(Attach(one.session_id, "usr_a", "gtw_c"))
        await stage.wait(host, 3.9, "gtw_c")
        stage.now += 0.2  # gtw_b was silent for long enough, and no sweep has come by
        assert (await host.attach(Attach(two.session_id, "usr_b", "gtw_c"))).attach_epoch == 2


async def test_a_socket_that_fell_behind_its_outbox_must_recover() -> None:
    stage = Stage(outbox_count=1)
    host = await stage.host()
    first = await stage.attach(host)
    await say(stage, first.session_id, "1", "2", "3")
    host.reported(first.session_id, 1, 0, 0, missing=True, heard=False)
    assert stage.closed == [("gtw_a", first.session_id, 1, SLOW_CONSUMER, "too far behind")]
    again = await back(host, first, 0)
    assert (again.recovered, again.seq) == (False, 3)


async def test_a_detach_that_is_repeated_reaches_a_zone_that_was_away(stage: Stage) -> None:
    host = await stage.host()
    attached = await stage.enter(host)
    stage.zones["zon_meadow"].fail("detach", times=100)
    with pytest.raises(Unavailable):
        await host.detach(attached.session_id, 1)
    assert not stage.zone().of_session(attached.session_id).link_dead
    stage.zones["zon_meadow"].heal()
    stage.told.clear()
    await host.detach(attached.session_id, 1)
    assert stage.zone().of_session(attached.session_id).link_dead
    assert stage.told == []


@pytest.mark.parametrize("acted", [False, True], ids=["before", "after"])
async def test_a_topic_that_could_not_be_stored_is_not_followed(stage: Stage, acted: bool) -> None:
    host = await stage.host()
    attached = await stage.attach(host)
    await stage.belongings.subscribe(attached.session_id, 1, ["news"], [])
    stage.store.fail("write", acted=acted)
    with pytest.raises(Unavailable):
        await stage.belongings.subscribe(attached.session_id, 1, ["news", "chat:hall"], [])
    assert list(stage.following._members) == ["user:usr_a", "news"]
    assert await stage.belongings.subscribe(attached.session_id, 1, ["chat:hall"], ["news"]) == ("chat:hall",)
    assert list(stage.following._members) == ["user:usr_a", "chat:hall"]


async def test_a_session_that_is_over_listens_to_nothing(stage: Stage) -> None:
    host = await stage.host()
    attached = await stage.attach(host)
    await stage.belongings.subscribe(attached.session_id, 1, ["news", "chat:hall"], [])
    await host.detach(attached.session_id, 1)
    await stage.wait(host, 31.0)
    assert (host.sessions, len(stage.following)) == ({}, 0)
    assert await stage.outbox_log.cursors("sessions/0") == {}


async def test_after_a_failed_attach_the_views_are_for_the_socket_before_it(stage: Stage) -> None:
    """Its gateway believes only resets of its own attach; and its detach must still count."""
    host = await stage.host()
    attached = await stage.enter(host)
    stage.store.fail("write")
    with pytest.raises(Unavailable):
        await host.attach(Attach(attached.session_id, "usr_a", "gtw_b"))
    entity = stage.zone().of_session(attached.session_id)
    assert (entity.gateway_id, entity.attach_epoch) == ("gtw_a", 1)
    await host.detach(attached.session_id, 1)
    assert entity.link_dead


async def test_an_attach_whose_answer_was_lost_is_no_other_device() -> None:
    stage = Stage(takeover=False)
    host = await stage.host()
    attach = Attach(await stage.place(), "usr_a", "gtw_a", key="k1")
    await host.attach(attach)
    assert (await host.attach(attach)).attach_epoch == 2
    with pytest.raises(Conflict):
        await host.attach(Attach(attach.session_id, "usr_a", "gtw_a", key="k2"))
