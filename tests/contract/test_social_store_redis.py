"""What only Redis has of a social store; and any story, which both adapters tell alike."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr
from redis.asyncio import Redis

from cluster.adapters.memory.social import MemorySocialStore
from cluster.adapters.redis.connection import connect
from cluster.adapters.redis.social import STEP, RedisSocialStore
from cluster.errors import Theirs, Unavailable
from cluster.ports.social import Limits, SocialStore
from cluster.settings import RedisSettings
from tests.contract.outbox_logs import connected
from tests.contract.social_stores import LIMITS, NOBODY, NOW, A, B, C, D, befriend
from tests.servers import free_port


@pytest.fixture
async def client(valkey_url: str) -> AsyncIterator[Redis]:
    async with connected(valkey_url) as client:
        yield client


class TestRedis:
    """What only Redis has."""

    async def test_one_call_that_was_sent_twice(self, client: Redis, namespace: str) -> None:
        """Over a broken connection: its second answer is that of the first, so that the caller still tells the others."""
        numbers = [3, 3, 3, 3]
        story = [
            ("request", A, B, b"requested"),
            ("accept", B, A, b"friends"),
            ("remove", A, B, b"changed"),
            ("request", A, B, b"requested"),
            ("cancel", A, B, b"changed"),
            ("request", A, B, b"requested"),
            ("decline", B, A, b"changed"),
            ("block", A, B, b"changed"),
            ("request", B, A, b"hidden"),
            ("unblock", A, B, b"changed"),
            ("request", B, A, b"shown"),
        ]
        for n, (step, user_id, other_id, expected) in enumerate(story):
            args: list[str | bytes | int | float] = [
                namespace,
                f"call-{n}",
                60_000,
                step,
                user_id,
                other_id,
                str(NOW),
                *numbers,
                "Zoë",
            ]
            for _ in range(2):
                assert await STEP(client, [], args) == expected

    async def test_what_is_left(self, client: Redis, namespace: str) -> None:
        store = RedisSocialStore(client, namespace)
        await store.request(A, B, LIMITS, NOW, "Bob")
        await store.decline(B, A)
        await store.block(A, B, LIMITS, NOW, "Bob")
        await store.unblock(A, B)
        left = [key async for key in client.scan_iter(f"{namespace}:*")]
        assert len(left) == 4
        assert all(key.startswith(f"{namespace}:social-call:".encode()) for key in left)
        assert all([0 < await client.pttl(key) <= 20_000 for key in left])

    async def test_the_keys(self, client: Redis, namespace: str) -> None:
        store = RedisSocialStore(client, namespace)
        await befriend(store, A, B)
        await store.block(A, C, LIMITS, NOW)
        await store.request(A, D, LIMITS, NOW, "Dan")
        await store.choose(A, {"status": "busy"})
        keys = {key.decode().removeprefix(namespace) async for key in client.scan_iter(f"{namespace}:user:*")}
        assert keys == {
            f":user:{A}:friends",
            f":user:{B}:friends",
            f":user:{A}:blocked",
            f":user:{C}:blocked-by",
            f":user:{A}:outgoing",
            f":user:{A}:names",
            f":user:{D}:incoming",
            f":user:{A}:profile",
        }

    async def test_a_server_that_forgot_the_scripts(self, client: Redis, namespace: str) -> None:
        store = RedisSocialStore(client, namespace)
        await client.script_flush()
        assert await store.request(A, B, LIMITS, NOW) == "requested"
        await client.script_flush()
        assert await store.accept(B, A, LIMITS, NOW)

    async def test_realms_that_share_a_server(self, client: Redis, namespace: str) -> None:
        await RedisSocialStore(client, namespace).request(A, B, LIMITS, NOW)
        assert await RedisSocialStore(client, f"{namespace}-other").relations(B) == NOBODY

    async def test_a_server_that_is_away(self, namespace: str) -> None:
        settings = RedisSettings(url=SecretStr(f"redis://127.0.0.1:{free_port()}/0"), timeout_s=0.2)
        client = connect(settings, "contract")
        store = RedisSocialStore(client, namespace)
        for attempt in (
            store.request(A, B, LIMITS, NOW),
            store.relations(A),
            store.ties([A]),
            store.profiles([A]),
            store.choose(A, {"text": ""}),
            store.seen(A, NOW, ""),
        ):
            with pytest.raises(Unavailable):
                await attempt
        await client.aclose()


# --- any story: both adapters say the same ------------------------------------------------------------------------

USERS = [A, B, C, D]
TIGHT = Limits(friends=2, outgoing=2, incoming=2, blocked=2)
steps = st.tuples(
    st.sampled_from(["request", "request", "accept", "decline", "cancel", "remove", "block", "unblock"]),
    st.sampled_from(USERS),
    st.sampled_from(USERS),
)
numbers = itertools.count()


async def told(store: SocialStore, step: str, user_id: str, other_id: str, now: float) -> object:
    try:
        if step in ("request", "block"):
            name = "" if now % 3 < 1 else f"as of {now}"
            return await getattr(store, step)(user_id, other_id, TIGHT, now, name)
        if step == "accept":
            return await store.accept(user_id, other_id, TIGHT, now)
        return await getattr(store, step)(user_id, other_id)
    except Theirs as refused:
        return type(refused), refused.reason


@given(story=st.lists(steps, max_size=30))
def test_any_story(valkey_url: str, story: list[tuple[str, str, str]]) -> None:
    async def both() -> None:
        async with connected(valkey_url) as client:
            stores: list[SocialStore] = [
                MemorySocialStore(),
                RedisSocialStore(client, f"test-social-story-{next(numbers)}"),
            ]
            for n, (step, user_id, other_id) in enumerate(story):
                first, second = [await told(store, step, user_id, other_id, NOW + n) for store in stores]
                assert first == second
            for user_id in USERS:
                memory, redis = [await store.relations(user_id) for store in stores]
                assert memory == redis
            memory_ties, redis_ties = [await store.ties(USERS) for store in stores]
            assert memory_ties == redis_ties

    asyncio.run(both())
