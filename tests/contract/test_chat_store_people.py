"""What every adapter of the chat's store does: who listens, and what waits for who is away (cluster/ports/chat.py)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from redis.asyncio import Redis

from cluster.adapters.redis.chat import GATE
from cluster.errors import Unavailable
from cluster.ports.chat import Channel, Gate, Waiting
from tests.contract.chat_stores import ANN, BOB, DAY, HALL, OPEN, OTHER, Rig, connected, redis_rig, rig_of, waiting, who
from tests.servers import free_port


@pytest.fixture
async def client(valkey_url: str) -> AsyncIterator[Redis]:
    async with connected(valkey_url) as client:
        yield client


@pytest.fixture(params=["memory", "redis"])
async def rig(request: pytest.FixtureRequest, namespace: str) -> AsyncIterator[Rig]:
    async with rig_of(request, namespace) as made:
        yield made


class TestMembers:
    async def test_joined_and_left(self, rig: Rig) -> None:
        for number in (1, 2):
            await rig.session(f"ses_{number}", "online")
            await rig.store.joined(HALL, who(number))
        await rig.store.joined(HALL, who(2, ""))
        assert await rig.all_members() == {who(1), who(2, "")}
        assert await rig.all_members(OTHER) == set()
        await rig.store.left(HALL, "ses_1")
        await rig.store.left(HALL, "ses_1")
        await rig.store.left(OTHER, "ses_2")
        assert await rig.all_members() == {who(2, "")}

    async def test_sessions_that_ended(self, rig: Rig) -> None:
        for number in range(4):
            await rig.session(f"ses_{number}", "away")
            await rig.store.joined(HALL, who(number))
        await rig.end("ses_1")
        await rig.end("ses_2")
        assert await rig.all_members() == {who(0), who(3)}
        await rig.session("ses_1", "online")
        assert await rig.all_members() == {who(0), who(3)}, "forgotten for good"

    async def test_who_is_invisible(self, rig: Rig) -> None:
        await rig.session("ses_1", "invisible")
        await rig.store.joined(HALL, who(1))
        assert await rig.all_members() == set()
        await rig.session("ses_1", "online")
        assert await rig.all_members() == {who(1)}

    async def test_page_by_page(self, rig: Rig) -> None:
        for number in range(1_000):
            await rig.session(f"ses_{number}", "online")
            await rig.store.joined(HALL, who(number))
        first, cursor = await rig.store.members(HALL, 0, 50)
        assert cursor
        assert 0 < len(first) < 500
        assert await rig.all_members(limit=50) == {who(number) for number in range(1_000)}

    async def test_a_cursor_that_was_never_given(self, rig: Rig) -> None:
        await rig.session("ses_1", "online")
        await rig.store.joined(HALL, who(1))
        found, _ = await rig.store.members(HALL, 123_456_789_012_345, 50)
        assert set(found) <= {who(1)}


class TestInbox:
    async def test_kept_until_read(self, rig: Rig) -> None:
        assert await rig.store.unread(ANN, 10) == ([], 0)
        for number in range(5):
            await rig.store.keep(ANN, waiting(number), 100, DAY)
        assert await rig.store.unread(ANN, 10) == ([waiting(number) for number in range(5)], 0)
        first, place = await rig.store.unread(ANN, 2)
        assert (first, place > 0) == ([waiting(0), waiting(1)], True)
        assert await rig.store.unread(BOB, 10) == ([], 0)
        assert await rig.store.read(ANN, ["msg_0", "msg_3", "msg_9"]) == 2
        assert await rig.store.read(ANN, ["msg_0"]) == 0
        assert await rig.store.read(BOB, ["msg_1"]) == 0
        assert await rig.store.unread(ANN, 10) == ([waiting(1), waiting(2), waiting(4)], 0)

    async def test_page_by_page(self, rig: Rig) -> None:
        for number in range(6):
            await rig.store.keep(ANN, waiting(number), 100, DAY)
        first, place = await rig.store.unread(ANN, 2)
        await rig.store.read(ANN, ["msg_0", "msg_1", "msg_2"])  # what was read meanwhile moves no place
        second, after = await rig.store.unread(ANN, 2, place)
        await rig.store.keep(ANN, waiting(6), 100, DAY)
        third, end = await rig.store.unread(ANN, 2, after)
        assert [first, second, third] == [[waiting(n), waiting(n + 1)] for n in (0, 3, 5)]
        assert (0 < place < after, end) == (True, 0)
        assert await rig.store.unread(ANN, 100, 10**17) == ([], 0)

    async def test_the_same_message_again(self, rig: Rig) -> None:
        await rig.store.keep(ANN, waiting(1), 100, DAY)
        await rig.store.keep(ANN, waiting(2), 100, DAY)
        await rig.store.keep(ANN, Waiting("msg_1", b"other"), 100, DAY)
        assert await rig.store.unread(ANN, 10) == ([waiting(1), waiting(2)], 0)

    async def test_the_oldest_go_first(self, rig: Rig) -> None:
        for number in range(6):
            await rig.store.keep(ANN, waiting(number), 4, DAY)
        assert await rig.store.unread(ANN, 10) == ([waiting(number) for number in range(2, 6)], 0)

    async def test_they_end(self, rig: Rig) -> None:
        await rig.store.keep(ANN, waiting(1), 100, 0.03)
        await rig.store.keep(ANN, waiting(2), 100, DAY)
        await asyncio.sleep(0.05)
        assert await rig.store.unread(ANN, 10) == ([waiting(2)], 0)


class TestRedis:
    """What only Redis has."""

    async def test_nothing_stays_for_ever(self, client: Redis, namespace: str) -> None:
        rig = redis_rig(client, namespace)
        await rig.create(private=True, slow_s=5.0)
        await rig.store.invite(HALL, BOB, 10)
        await rig.passes("k", user=BOB)
        await rig.store.mute(HALL, "usr_c", rig.now() + 60.0)
        await rig.store.delete("chat:hall", "m1", 10, DAY)
        await rig.store.joined(HALL, who(1))
        await rig.store.keep(ANN, waiting(1), 10, DAY)
        keys = [key.decode().removeprefix(f"{namespace}:") async for key in client.scan_iter(f"{namespace}:*")]
        assert len(keys) == 10, sorted(keys)
        assert [key for key in keys if await client.pttl(f"{namespace}:{key}") < 0] == []

    async def test_what_a_user_owns_is_known_as_long_as_the_last_of_it(self, client: Redis, namespace: str) -> None:
        rig, owned = redis_rig(client, namespace), f"{namespace}:user:{ANN}:channels"
        await rig.create()
        await rig.store.create(Channel(OTHER, ANN, False, 0.0, 1.0), 10, 60.0)
        assert await client.pttl(owned) > 60_000, "a shorter one takes nothing away"
        await rig.passes("k", OTHER, BOB, replace(OPEN, keep_s=3 * DAY))
        assert await client.pttl(owned) > 2 * DAY * 1_000, "a message keeps its channel, and that it is somebody's"

    async def test_read_ones_leave_nothing(self, client: Redis, namespace: str) -> None:
        rig = redis_rig(client, namespace)
        await rig.store.keep(ANN, waiting(1), 10, DAY)
        await rig.store.keep(ANN, waiting(2), 1, DAY)
        await rig.store.read(ANN, ["msg_1", "msg_2"])
        assert await client.keys(f"{namespace}:*") == []

    async def test_the_gone_stay_the_smaller_part(self, client: Redis, namespace: str) -> None:
        rig = redis_rig(client, namespace)
        for number in range(500):  # each comes, and goes without a word
            await rig.session(f"ses_{number}", "online")
            await rig.store.joined(HALL, who(number))
            await rig.end(f"ses_{number}")
        assert await client.hlen(f"{namespace}:chat-members:{HALL.encode().hex()}") < 50

    async def test_a_gate_is_forgotten_when_it_is_full_again(self, client: Redis, namespace: str) -> None:
        rig = redis_rig(client, namespace)
        await rig.passes("k", gate=Gate(rate_per_s=2.0, burst=10, keep_s=DAY))
        (key,) = await client.keys(f"{namespace}:chat-gate:*")
        assert 0 < await client.pttl(key) <= 1_000

    async def test_a_server_that_forgot_the_scripts(self, client: Redis, namespace: str) -> None:
        rig = redis_rig(client, namespace)
        await rig.passes("a")
        await client.script_flush()
        assert await client.script_exists(GATE.sha) == [False]
        await rig.passes("b")

    async def test_realms_that_share_a_server(self, client: Redis, namespace: str) -> None:
        rig, other = redis_rig(client, namespace), redis_rig(client, f"{namespace}-other")
        await rig.create()
        await rig.store.keep(ANN, waiting(1), 10, DAY)
        assert await other.store.channel(HALL) is None
        assert await other.store.unread(ANN, 10) == ([], 0)

    async def test_a_server_that_is_away(self, namespace: str) -> None:
        async with connected(f"redis://127.0.0.1:{free_port()}/0") as client:
            rig = redis_rig(client, namespace)
            for call in (rig.store.channel(HALL), rig.passes("k"), rig.store.unread(ANN, 1), rig.all_members()):
                with pytest.raises(Unavailable):
                    await call
