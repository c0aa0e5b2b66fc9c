"""What only Redis has of a party store; and any story, which both adapters tell alike."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr
from redis.asyncio import Redis

from cluster.adapters.redis.connection import connect
from cluster.adapters.redis.parties import PARTY_TTL_S, STEP, RedisPartyStore
from cluster.errors import Theirs, Unavailable
from cluster.settings import RedisSettings
from tests.contract.outbox_logs import connected
from tests.contract.party_stores import LATER, NOW, A, B, C, D, P, Q, Rig, members, memory_rig, redis_rig
from tests.servers import free_port


@pytest.fixture
async def client(valkey_url: str) -> AsyncIterator[Redis]:
    async with connected(valkey_url) as client:
        yield client


@pytest.fixture
def rig(client: Redis, namespace: str) -> Rig:
    return redis_rig(client, namespace)


class TestRedis:
    async def test_one_call_that_was_sent_twice(self, client: Redis, namespace: str) -> None:
        """Over a broken connection: its second answer is that of the first, so that the caller still tells the others."""
        story = [
            ("create", P, A, ""),
            ("invite", "", A, B),
            ("accept", P, B, ""),
            ("invite", "", B, C),
            ("decline", P, C, ""),
            ("lead", "", A, B),
            ("kick", "", B, A),
            ("leave", "", B, ""),
        ]
        versions = []
        for n, (step, party_id, user_id, other_id) in enumerate(story):
            args: list[str | bytes | int | float] = [
                namespace, f"call-{n}", 60_000, step, party_id, user_id, other_id, str(NOW), "{}", 8, 8, str(LATER), 60_000, 50,
                "Zoë", 60_000,
            ]  # fmt: skip
            first = await STEP(client, [], args)
            assert await STEP(client, [], args) == first
            word, answered, _leader, version, *_ = first
            assert (word, answered) == (b"ok", P.encode())
            versions.append(int(version))
        assert versions == sorted(set(versions)), "each changed something once"

    async def test_nothing_is_left_of_a_party_that_ended(self, client: Redis, rig: Rig, namespace: str) -> None:
        await rig.party(A, B)
        await rig.invite(A, C, other_name="Cat")
        await rig.invite(A, D, other_name="Dan")
        await rig.store.decline(P, D)
        for user_id in (A, B):
            await rig.store.leave(user_id)
        left = [key async for key in client.scan_iter(f"{namespace}:*")]
        assert all(key.startswith(f"{namespace}:party-call:".encode()) for key in left)
        assert all([0 < await client.pttl(key) <= 20_000 for key in left])

    async def test_a_party_that_nobody_returns_to_ends(self, client: Redis, rig: Rig, namespace: str) -> None:
        most = PARTY_TTL_S * 1_000

        async def lives() -> set[int]:
            """Of all that makes the party, rounded to days."""
            keys = [key async for key in client.scan_iter(f"{namespace}:*") if b":party-call:" not in key]
            party = [key for key in keys if not key.endswith(b":invitations") and b":invitation:" not in key]
            assert len(party) == 3 + in_it + (await client.exists(f"{namespace}:party:{P}:invited"))
            return {round(await client.pttl(key) / 86_400_000) for key in party}

        days, in_it = round(most / 86_400_000), 1
        await rig.create()
        assert await lives() == {days}
        await rig.invite(A, B)
        assert await lives() == {days}
        await rig.accept(B)
        in_it = 2
        assert await lives() == {days}
        for look in (rig.store.get(P), rig.store.of_user(B), rig.store.lead(A, B)):
            for key in await client.keys(f"{namespace}:*"):
                await client.pexpire(key, 10 * 86_400_000)
            await look
            assert await lives() == {days}, look
        for key in await client.keys(f"{namespace}:*part*"):
            await client.pexpire(key, 30)
        await asyncio.sleep(0.05)  # what ends by itself has to be waited for
        assert [await rig.store.get(P), await rig.store.of_user(A), await rig.store.parties_of([A, B])] == [
            None,
            None,
            {},
        ]
        assert members(await rig.create()) == [A]

    async def test_invitations_expire(self, client: Redis, rig: Rig, namespace: str) -> None:
        await rig.create()
        await rig.create(Q, D)
        await rig.invite(A, B, NOW + 60)
        await rig.invite(D, B, NOW + 30)
        lives = {
            key.decode().removeprefix(f"{namespace}:"): await client.pttl(key)
            for pattern in ("invitation:*", "user:*:invitations")
            async for key in client.scan_iter(f"{namespace}:{pattern}")
        }
        assert lives.keys() == {f"invitation:{P}:{B}", f"invitation:{Q}:{B}", f"user:{B}:invitations"}
        assert 55_000 < lives[f"invitation:{P}:{B}"] <= 60_000
        assert 25_000 < lives[f"invitation:{Q}:{B}"] <= 30_000
        assert 55_000 < lives[f"user:{B}:invitations"] <= 60_000, "as long as the last one"

    async def test_one_that_has_ended_when_it_is_made(self, rig: Rig) -> None:
        await rig.create()
        await rig.invite(A, B, expires_at=NOW - 1)
        assert await rig.store.invitations(B, NOW) == []

    async def test_a_server_that_forgot_the_scripts(self, client: Redis, rig: Rig) -> None:
        await client.script_flush()
        party = await rig.create()
        await client.script_flush()
        assert await rig.store.get(P) == party

    async def test_realms_that_share_a_server(self, client: Redis, rig: Rig, namespace: str) -> None:
        await rig.create()
        other = redis_rig(client, f"{namespace}-other")
        assert await other.store.of_user(A) is None
        assert (await other.create()).version == 1

    async def test_a_server_that_is_away(self, namespace: str) -> None:
        settings = RedisSettings(url=SecretStr(f"redis://127.0.0.1:{free_port()}/0"), timeout_s=0.2)
        client = connect(settings, "contract")
        store = RedisPartyStore(client, namespace)
        for attempt in (store.get(P), store.parties_of([A]), store.invitations(A, NOW), store.leave(A)):
            with pytest.raises(Unavailable):
                await attempt
        await client.aclose()


# --- any story: both adapters say the same ------------------------------------------------------------------------

USERS = [A, B, C, D]
users = st.sampled_from(USERS)
parties = st.sampled_from([P, Q])
steps = st.one_of(
    st.tuples(st.just("create"), users, parties),
    st.tuples(st.just("invite"), users, users, st.sampled_from([1.0, 5.0, 50.0])),
    st.tuples(st.just("invite"), users, users, st.just(50.0)),
    st.tuples(st.just("accept"), users, parties),
    st.tuples(st.just("accept"), users, parties),
    st.tuples(st.just("decline"), users, parties),
    st.tuples(st.just("leave"), users),
    st.tuples(st.just("kick"), users, users),
    st.tuples(st.just("lead"), users, users),
    st.tuples(st.just("expire"), users, parties),
)
numbers = itertools.count()


async def told(rig: Rig, step: tuple[object, ...], now: float) -> object:
    try:
        match step:
            case ("create", str(user_id), str(party_id)):
                return await rig.create(party_id, user_id, now)
            case ("invite", str(user_id), str(other_id), float(for_s)):
                return await rig.invite(user_id, other_id, now + for_s, now, "" if now % 3 < 1 else f"as of {now}")
            case ("accept", str(user_id), str(party_id)):
                return await rig.accept(user_id, party_id, now)
            case ("decline", str(user_id), str(party_id)):
                return await rig.store.decline(party_id, user_id)
            case ("leave", str(user_id)):
                return await rig.store.leave(user_id)
            case ("kick", str(user_id), str(other_id)):
                return await rig.store.kick(user_id, other_id)
            case ("lead", str(user_id), str(other_id)):
                return await rig.store.lead(user_id, other_id)
            case ("expire", str(user_id), str(party_id)):
                await rig.expire(party_id, user_id)
                return None
    except Theirs as refused:
        return type(refused), refused.reason
    raise AssertionError(step)


async def seen(rig: Rig, now: float) -> list[object]:
    return [
        *[await rig.store.get(party_id) for party_id in (P, Q)],
        *[await rig.store.of_user(user_id) for user_id in USERS],
        *[await rig.store.invitations(user_id, now) for user_id in USERS],
        await rig.store.parties_of(USERS),
    ]


@given(story=st.lists(steps, max_size=30))
def test_any_story(valkey_url: str, story: list[tuple[object, ...]]) -> None:
    async def both() -> None:
        async with connected(valkey_url) as client:
            memory, redis = memory_rig(), redis_rig(client, f"test-party-story-{next(numbers)}")
            for n, step in enumerate(story):
                assert await told(memory, step, NOW + n) == await told(redis, step, NOW + n)
            assert await seen(memory, NOW + len(story)) == await seen(redis, NOW + len(story))

    asyncio.run(both())
