"""What every adapter of the outbox's log does (cluster/ports/outbox.py)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from pydantic import SecretStr
from redis.asyncio import Redis

from cluster.adapters.memory import outbox as memory_outbox
from cluster.adapters.redis import outbox as redis_outbox
from cluster.adapters.redis.connection import connect
from cluster.adapters.redis.outbox import RedisOutboxLog
from cluster.errors import Fenced, Unavailable
from cluster.ports.outbox import Logged
from cluster.ports.sessions import Fence, SessionRecord
from cluster.settings import RedisSettings
from tests.contract.outbox_logs import KEEP, Rig, connected, memory_rig, redis_rig
from tests.contract.session_stores import NOW, A, B
from tests.servers import free_port

BYTES = bytes(range(256))
BLOCK = 100  # entries of a stream that Redis trims at once (stream-node-max-entries)


@pytest.fixture
async def client(valkey_url: str) -> AsyncIterator[Redis]:
    async with connected(valkey_url) as client:
        yield client


@pytest.fixture(params=["memory", "redis"])
async def rig(request: pytest.FixtureRequest, namespace: str) -> AsyncIterator[Rig]:
    if request.param == "memory":
        yield memory_rig()
    else:
        async with connected(request.getfixturevalue("valkey_url")) as client:
            yield redis_rig(client, namespace)


class TestAppend:
    async def test_a_new_actor_has_nothing(self, rig: Rig) -> None:
        assert await rig.log.load(A, 0.0) == []
        assert await rig.log.cursors(A) == {}

    async def test_batches_come_back_byte_for_byte_and_in_order(self, rig: Rig) -> None:
        fence = await rig.stores.actor()
        for n, data in enumerate((BYTES, b"", BYTES * 500)):
            await rig.append(fence, data, now=NOW + n / 4)
        assert await rig.log.load(A, 0.0) == [
            Logged(NOW, BYTES),
            Logged(NOW + 0.25, b""),
            Logged(NOW + 0.5, BYTES * 500),
        ]

    async def test_many_at_the_same_moment(self, rig: Rig) -> None:
        fence = await rig.stores.actor()
        expected = [b"%d" % n for n in range(1_200)]
        for data in expected:
            await rig.append(fence, data)
        assert await rig.batches() == expected

    async def test_numbers_go_to_the_records(self, rig: Rig) -> None:
        fence = await rig.stores.actor()
        one, two = await rig.stores.attached(fence), await rig.stores.attached(fence)
        await rig.append(fence, b"1", {one.session_id: 3, two.session_id: 10})
        await rig.append(fence, b"2", {one.session_id: 12})
        assert [await rig.seq(one.session_id), await rig.seq(two.session_id)] == [12, 10]
        assert await rig.stores.sessions.get(one.session_id) == replace(one, seq=12), "and nothing else of them"

    async def test_writing_a_record_leaves_its_number(self, rig: Rig) -> None:
        fence = await rig.stores.actor()
        record = await rig.stores.attached(fence)
        await rig.append(fence, b"1", {record.session_id: 3})
        await rig.stores.write(replace(record, status="away", seq=1), fence)
        assert await rig.stores.sessions.get(record.session_id) == replace(record, status="away", seq=3)

    async def test_numbers_only_go_up(self, rig: Rig) -> None:
        fence = await rig.stores.actor()
        record = await rig.stores.attached(fence)
        for seq in (9, 10, 2, 0):
            await rig.append(fence, b"", {record.session_id: seq})
        assert await rig.seq(record.session_id) == 10

    async def test_a_record_that_is_gone_does_not_come_back(self, rig: Rig) -> None:
        fence = await rig.stores.actor()
        gone, stays = await rig.stores.attached(fence), await rig.stores.attached(fence)
        await rig.stores.expire(gone.session_id)
        await rig.append(fence, b"1", {gone.session_id: 3, "ses_never": 1, stays.session_id: 2})
        assert await rig.stores.sessions.get(gone.session_id) is None
        assert await rig.stores.sessions.missing([gone.session_id, "ses_never"]) == {gone.session_id, "ses_never"}
        assert await rig.seq(stays.session_id) == 2, "the others are numbered"
        assert await rig.batches() == [b"1"]

    async def test_another_actor_s_session_is_not_touched(self, rig: Rig) -> None:
        record = await rig.stores.attached(await rig.stores.actor(A))
        other = await rig.stores.actor(B)
        await rig.append(other, b"1", {record.session_id: 3})
        assert await rig.seq(record.session_id) == 0

    async def test_the_same_again(self, rig: Rig) -> None:
        """A connection may break after the script ran; the batch is then there twice, and nothing else is different."""
        fence = await rig.stores.actor()
        record = await rig.stores.attached(fence)
        await rig.log.follow(fence, {"news": ""})
        for _ in range(2):
            await rig.append(fence, b"1", {record.session_id: 3}, {"news": "5-0"})
        assert await rig.batches() == [b"1", b"1"]
        assert await rig.seq(record.session_id) == 3
        assert await rig.log.cursors(A) == {"news": "5-0"}

    async def test_the_same_again_after_a_newer_one(self, rig: Rig) -> None:
        """What was sent over a connection that was given up may reach the server late."""
        fence = await rig.stores.actor()
        record = await rig.stores.attached(fence)
        await rig.log.follow(fence, {"news": ""})
        for seq, place in ((3, "5-0"), (4, "10-0"), (3, "5-0")):
            await rig.append(fence, b"%d" % seq, {record.session_id: seq}, {"news": place})
        assert await rig.seq(record.session_id) == 4
        assert await rig.log.cursors(A) == {"news": "10-0"}

    async def test_actors_have_logs_of_their_own(self, rig: Rig) -> None:
        one, other = await rig.stores.actor(A), await rig.stores.actor(B)
        for fence in (one, other):
            await rig.log.follow(fence, {"news": ""})
        await rig.append(one, b"1", cursors={"news": "1-0"})
        await rig.append(other, b"2", cursors={"news": "2-0"})
        assert (await rig.batches(A), await rig.batches(B)) == ([b"1"], [b"2"])
        assert (await rig.log.cursors(A), await rig.log.cursors(B)) == ({"news": "1-0"}, {"news": "2-0"})

    async def test_very_many_sessions_in_one_batch(self, rig: Rig) -> None:
        fence = await rig.stores.actor()
        records = [await rig.stores.attached(fence) for _ in range(50)]
        everyone = {f"ses_gone_{n}": n for n in range(10_000)} | {record.session_id: 7 for record in records}
        places = {f"topic {n}": f"{n}-1" for n in range(5_000)}
        await rig.log.follow(fence, dict.fromkeys(places, ""))
        await rig.append(fence, b"1", everyone, places)
        assert {await rig.seq(record.session_id) for record in records} == {7}
        assert await rig.log.cursors(A) == places


class TestAge:
    async def test_since_when(self, rig: Rig) -> None:
        fence = await rig.stores.actor()
        for second in range(4):
            await rig.append(fence, b"%d" % second, now=NOW + second)
        assert await rig.batches(since=NOW + 2) == [b"2", b"3"], "the limit is among them"
        assert await rig.batches(since=NOW + 4) == []

    @pytest.mark.parametrize("now", [1_800_000_000.0005, 1_800_000_000.001, 1_799_999_999.9999, 0.1 + 0.2])
    async def test_a_moment_is_not_before_itself(self, rig: Rig, now: float) -> None:
        await rig.append(await rig.stores.actor(), b"1", now=now)
        (logged,) = await rig.log.load(A, now)
        assert logged.at <= now < logged.at + 0.001_001

    async def test_what_is_too_old_goes(self, rig: Rig) -> None:
        fence = await rig.stores.actor()
        for n in range(5 * BLOCK):
            await rig.append(fence, b"%d" % n, now=NOW + n / 1_000)
        await rig.append(fence, b"new", now=NOW + KEEP + 2)
        left = await rig.batches()
        assert left[-1] == b"new"
        assert len(left) <= BLOCK + 1
        assert await rig.batches(since=NOW + 2) == [b"new"]

    async def test_what_is_not_stays(self, rig: Rig) -> None:
        fence = await rig.stores.actor()
        for n in range(5 * BLOCK):
            await rig.append(fence, b"%d" % n, now=NOW + n / 1_000)
        await rig.append(fence, b"new", now=NOW + KEEP)
        assert len(await rig.batches(since=NOW)) == 5 * BLOCK + 1

    async def test_a_clock_that_goes_back(self, rig: Rig) -> None:
        fence = await rig.stores.actor()
        times = (0.0, -10.0, -10.0, -3_600.0, 0.5, 0.25)
        for n, offset in enumerate(times):
            await rig.append(fence, b"%d" % n, now=NOW + offset)
        found = await rig.log.load(A, NOW)
        assert [logged.data for logged in found] == [b"%d" % n for n in range(len(times))], "nothing is lost or too old"
        assert [logged.at - NOW for logged in found] == [0.0, 0.0, 0.0, 0.0, 0.5, 0.5], "times do not go back"

    async def test_a_clock_that_was_far_ahead_does_not_fill_the_store(
        self, rig: Rig, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for module in (memory_outbox, redis_outbox):
            monkeypatch.setattr(module, "KEPT_WHILE_CLOCK_IS_BEHIND", 3 * BLOCK)
        fence = await rig.stores.actor()
        await rig.append(fence, b"ahead", now=NOW + 1e6)
        for n in range(8 * BLOCK):
            await rig.append(fence, b"%d" % n, now=NOW + n)
        left = await rig.batches()
        assert 3 * BLOCK <= len(left) <= 4 * BLOCK
        assert left == [b"%d" % n for n in range(8 * BLOCK)][-len(left) :]


class TestPlaces:
    async def test_following_and_reading_on(self, rig: Rig) -> None:
        fence = await rig.stores.actor()
        await rig.log.follow(fence, {"news": "7-0", "chat:ö 1": ""})
        assert await rig.log.cursors(A) == {"news": "7-0", "chat:ö 1": ""}
        await rig.append(fence, b"1", cursors={"news": "7-1", "chat:ö 1": "1-0"})
        assert await rig.log.cursors(A) == {"news": "7-1", "chat:ö 1": "1-0"}

    async def test_one_that_has_a_later_place_keeps_it(self, rig: Rig) -> None:
        fence = await rig.stores.actor()
        await rig.log.follow(fence, {"news": "9-0", "less": "2-0", "none": ""})
        await rig.log.follow(fence, {"news": "10-0", "less": "1-9", "more": "1-0", "none": ""})
        assert await rig.log.cursors(A) == {"news": "10-0", "less": "2-0", "more": "1-0", "none": ""}
        await rig.log.follow(fence, {"news": "", "none": "0-1"})
        assert await rig.log.cursors(A) == {"news": "10-0", "less": "2-0", "more": "1-0", "none": "0-1"}

    async def test_unfollowing(self, rig: Rig) -> None:
        fence = await rig.stores.actor()
        await rig.log.follow(fence, {"news": "7-0", "more": "1-0"})
        for _ in range(2):
            await rig.log.unfollow(fence, ["news", "never"])
        assert await rig.log.cursors(A) == {"more": "1-0"}
        await rig.log.follow(fence, {"news": "9-0"})
        assert await rig.log.cursors(A) == {"more": "1-0", "news": "9-0"}

    async def test_a_batch_that_is_logged_after_the_topic_was_left_does_not_bring_it_back(self, rig: Rig) -> None:
        fence = await rig.stores.actor()
        await rig.log.follow(fence, {"news": "", "more": ""})
        await rig.append(fence, b"1", cursors={"news": "1-0", "more": "1-0"})
        await rig.log.unfollow(fence, ["news"])
        await rig.append(fence, b"2", cursors={"news": "2-0", "more": "2-0", "never": "1-0"})
        assert await rig.log.cursors(A) == {"more": "2-0"}
        assert await rig.batches() == [b"1", b"2"]
        await rig.log.follow(fence, {"news": "5-0"})
        await rig.append(fence, b"3", cursors={"news": "2-1"})
        assert await rig.log.cursors(A) == {"more": "2-0", "news": "5-0"}

    async def test_none_at_all(self, rig: Rig) -> None:
        fence = await rig.stores.actor()
        await rig.log.follow(fence, {})
        await rig.log.unfollow(fence, [])
        assert await rig.log.cursors(A) == {}

    @pytest.mark.parametrize(
        ("older", "newer"), [("9-0", "10-0"), ("7-9", "7-10"), ("", "0-1"), ("1800000000000-9", "1800000000001-0")]
    )
    async def test_ids_are_compared_as_numbers(self, rig: Rig, older: str, newer: str) -> None:
        fence = await rig.stores.actor()
        await rig.log.follow(fence, {"up": older, "down": newer})
        await rig.append(fence, b"1", cursors={"up": newer, "down": older})
        assert await rig.log.cursors(A) == {"up": newer, "down": newer}

    async def test_they_survive_the_actor_and_its_batches(self, rig: Rig) -> None:
        fence = await rig.stores.actor()
        await rig.log.follow(fence, {"news": ""})
        await rig.append(fence, b"1", cursors={"news": "7-0"})
        fence = await rig.stores.actor()
        for n in range(3 * BLOCK):
            await rig.append(fence, b"", now=NOW + 1_000 + n)
        assert await rig.log.cursors(A) == {"news": "7-0"}


class TestFencing:
    async def refuses(self, rig: Rig, fence: Fence, record: SessionRecord) -> None:
        before = (await rig.log.load(A, 0.0), await rig.log.cursors(A), await rig.seq(record.session_id))
        with pytest.raises(Fenced):
            await rig.append(fence, b"x", {record.session_id: 99}, {"news": "99-0", "other": "1-0"}, NOW + 10_000)
        with pytest.raises(Fenced):
            await rig.log.follow(fence, {"other": "1-0"})
        with pytest.raises(Fenced):
            await rig.log.unfollow(fence, ["news"])
        after = (await rig.log.load(A, 0.0), await rig.log.cursors(A), await rig.seq(record.session_id))
        assert after == before

    async def test_an_older_incarnation_changes_nothing(self, rig: Rig) -> None:
        old = await rig.stores.actor()
        record = await rig.stores.attached(old)
        await rig.log.follow(old, {"news": ""})
        await rig.append(old, b"1", {record.session_id: 1}, {"news": "1-0"})
        new = Fence(A, await rig.stores.epochs.take("sessions", A))
        await self.refuses(rig, old, record)
        await rig.append(new, b"2", {record.session_id: 2}, {"news": "2-0"})
        assert await rig.batches() == [b"1", b"2"]
        await self.refuses(rig, old, record)

    @pytest.mark.parametrize("epoch", [0, 2, 99])
    async def test_nor_does_one_that_was_never_handed_out(self, rig: Rig, epoch: int) -> None:
        fence = await rig.stores.actor()
        record = await rig.stores.attached(fence)
        await rig.log.follow(fence, {"news": "1-0"})
        await self.refuses(rig, Fence(A, epoch), record)

    async def test_in_the_middle_of_many_appends(self, rig: Rig) -> None:
        """After the new epoch is taken not one batch of the old one gets in."""
        old = await rig.stores.actor()
        await rig.log.follow(old, {"news": ""})
        appends = [asyncio.create_task(rig.append(old, b"%d" % n, cursors={"news": f"{n}-1"})) for n in range(50)]
        await rig.stores.epochs.take("sessions", A)
        at_takeover = (await rig.batches(), await rig.log.cursors(A))
        results = await asyncio.gather(*appends, return_exceptions=True)
        assert {type(result) for result in results} <= {type(None), Fenced}
        assert (await rig.batches(), await rig.log.cursors(A)) == at_takeover
        assert sum(result is None for result in results) == len(at_takeover[0])


class TestRedis:
    """What only Redis has."""

    async def test_what_expires_and_what_does_not(self, client: Redis, namespace: str) -> None:
        rig = redis_rig(client, namespace)
        fence = await rig.stores.actor()
        record = await rig.stores.attached(fence)
        before = await client.pttl(f"{namespace}:session:{record.session_id}")
        await rig.log.follow(fence, {"news": ""})
        await rig.append(fence, b"1", {record.session_id: 1}, {"news": "1-0"})
        assert 0.9 * KEEP * 1_000 < await client.pttl(f"{namespace}:outbox:{A}") <= KEEP * 1_000
        assert await client.pttl(f"{namespace}:outbox:{A}:cursors") == -1
        assert 0 < await client.pttl(f"{namespace}:session:{record.session_id}") <= before, (
            "a number is no sign of life"
        )

    async def test_a_server_that_forgot_the_scripts(self, client: Redis, namespace: str) -> None:
        rig = redis_rig(client, namespace)
        fence = await rig.stores.actor()
        await client.script_flush()
        await rig.log.follow(fence, {"news": "1-0"})
        await rig.append(fence, b"1", cursors={"news": "2-0"})
        await rig.log.unfollow(fence, ["none"])
        assert (await rig.batches(), await rig.log.cursors(A)) == ([b"1"], {"news": "2-0"})

    async def test_realms_that_share_a_server(self, client: Redis, namespace: str) -> None:
        rig, other = redis_rig(client, namespace), redis_rig(client, f"{namespace}-other")
        fence = await rig.stores.actor()
        await rig.log.follow(fence, {"news": ""})
        await rig.append(fence, b"1", cursors={"news": "1-0"})
        assert await rig.log.cursors(A) == {"news": "1-0"}
        assert (await other.batches(), await other.log.cursors(A)) == ([], {})

    async def test_a_server_that_is_away(self, namespace: str) -> None:
        settings = RedisSettings(url=SecretStr(f"redis://127.0.0.1:{free_port()}/0"), timeout_s=0.2)
        client = connect(settings, "contract")
        log, fence = RedisOutboxLog(client, namespace), Fence(A, 1)
        for attempt in (
            log.append(fence, b"1", {}, {}, NOW, KEEP),
            log.follow(fence, {"news": "1-0"}),
            log.unfollow(fence, ["news"]),
            log.load(A, 0.0),
            log.cursors(A),
        ):
            with pytest.raises(Unavailable):
                await attempt
        await client.aclose()
