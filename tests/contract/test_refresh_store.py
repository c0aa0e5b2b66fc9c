"""What every adapter of the port to refresh tokens does (cluster/ports/accounts.py): memory and a real Valkey."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from pydantic import SecretStr
from redis.asyncio import Redis

from cluster.adapters.memory.refresh_tokens import MemoryRefreshTokens
from cluster.adapters.redis.connection import connect, text
from cluster.adapters.redis.refresh_tokens import RedisRefreshTokens
from cluster.errors import Unauthorized
from cluster.ports.accounts import REPEAT_S, RefreshStore, Rotated, TokenReused
from cluster.settings import RedisSettings

NOW = 1_800_000_000.25
TTL = 3600.0


@pytest.fixture
async def client(valkey_url: str) -> AsyncIterator[Redis]:
    client = connect(RedisSettings(url=SecretStr(valkey_url)), "contract")
    yield client
    await client.aclose()


@pytest.fixture(params=["memory", "redis"])
async def store(request: pytest.FixtureRequest, namespace: str) -> AsyncIterator[RefreshStore]:
    """With one family."""
    made: RefreshStore
    if request.param == "memory":
        made = MemoryRefreshTokens()
        await made.start("fam_1", "usr_alice", "hash-0", NOW, TTL)
        yield made
        return
    client = connect(RedisSettings(url=SecretStr(request.getfixturevalue("valkey_url"))), "contract")
    made = RedisRefreshTokens(client, namespace)
    await made.start("fam_1", "usr_alice", "hash-0", NOW, TTL)
    yield made
    await client.aclose()


async def test_a_chain(store: RefreshStore) -> None:
    for n in range(5):
        rotated = await store.rotate(f"hash-{n}", f"hash-{n + 1}", NOW + n, TTL)
        assert rotated == Rotated("usr_alice", "fam_1", NOW)


async def test_an_unknown_token(store: RefreshStore) -> None:
    with pytest.raises(Unauthorized, match="token invalid") as refused:
        await store.rotate("hash-x", "hash-y", NOW, TTL)
    assert not isinstance(refused.value, TokenReused)


async def test_a_second_use_ends_the_family(store: RefreshStore) -> None:
    await store.rotate("hash-0", "hash-1", NOW, TTL)
    with pytest.raises(TokenReused) as reused:
        await store.rotate("hash-0", "hash-thief", NOW, TTL)
    assert (reused.value.user_id, reused.value.reason) == ("usr_alice", "token_invalid")
    assert reused.value.family_id == "fam_1"
    for token in ("hash-0", "hash-1", "hash-thief"):
        with pytest.raises(Unauthorized):
            await store.rotate(token, "hash-2", NOW, TTL)


async def test_a_token_of_long_ago_ends_the_family_too(store: RefreshStore) -> None:
    for n in range(4):
        await store.rotate(f"hash-{n}", f"hash-{n + 1}", NOW, TTL)
    with pytest.raises(TokenReused):
        await store.rotate("hash-1", "hash-thief", NOW, TTL)
    with pytest.raises(Unauthorized):
        await store.rotate("hash-4", "hash-5", NOW, TTL)


async def test_two_at_once(store: RefreshStore) -> None:
    results = await asyncio.gather(
        *(store.rotate("hash-0", f"hash-{n}", NOW, TTL) for n in ("a", "b")),
        return_exceptions=True,
    )
    assert sum(isinstance(result, Rotated) for result in results) == 1
    assert sum(isinstance(result, TokenReused) for result in results) == 1
    for token in ("hash-a", "hash-b"):
        with pytest.raises(Unauthorized):
            await store.rotate(token, "hash-c", NOW, TTL)


async def test_the_same_call_again_is_no_second_use(store: RefreshStore) -> None:
    for _ in range(2):
        assert (await store.rotate("hash-0", "hash-1", NOW, TTL)).user_id == "usr_alice"
    assert (await store.rotate("hash-1", "hash-2", NOW, TTL)).user_id == "usr_alice"


async def test_the_same_call_much_later_is_one(store: RefreshStore) -> None:
    await store.rotate("hash-0", "hash-1", NOW, TTL)
    await store.rotate("hash-0", "hash-1", NOW + REPEAT_S, TTL)
    with pytest.raises(TokenReused):
        await store.rotate("hash-0", "hash-1", NOW + REPEAT_S + 0.01, TTL)


async def test_a_token_ends_by_itself(store: RefreshStore) -> None:
    with pytest.raises(Unauthorized) as refused:
        await store.rotate("hash-0", "hash-1", NOW + TTL, TTL)
    assert not isinstance(refused.value, TokenReused)
    assert (await store.rotate("hash-0", "hash-1", NOW + TTL - 0.01, TTL)).user_id == "usr_alice"
    assert (await store.rotate("hash-1", "hash-2", NOW + TTL + 1, TTL)).user_id == "usr_alice"


async def test_revoking_ends_the_family_and_no_other(store: RefreshStore) -> None:
    await store.start("fam_2", "usr_alice", "hash-other", NOW, TTL)
    await store.rotate("hash-0", "hash-1", NOW, TTL)
    await store.revoke("hash-0")
    await store.revoke("hash-0")
    await store.revoke("hash-unknown")
    with pytest.raises(Unauthorized):
        await store.rotate("hash-1", "hash-2", NOW, TTL)
    assert (await store.rotate("hash-other", "hash-3", NOW, TTL)).user_id == "usr_alice"


async def test_which_login_a_token_came_of(store: RefreshStore) -> None:
    await store.rotate("hash-0", "hash-1", NOW + 1, TTL)
    for token in ("hash-0", "hash-1"):
        assert await store.login_of(token) == Rotated("usr_alice", "fam_1", NOW)
    assert await store.login_of("hash-unknown") is None
    await store.revoke("hash-1")
    assert await store.login_of("hash-1") is None


async def test_ending_a_users_logins_of_before(store: RefreshStore) -> None:
    await store.start("fam_2", "usr_alice", "hash-then", NOW + 5.125, TTL)
    await store.start("fam_3", "usr_bob", "hash-bob", NOW, TTL)
    await store.end_user("usr_alice", NOW + 5.125, TTL)
    await store.end_user("usr_alice", NOW - 1, 1.0)  # an earlier moment takes nothing back
    with pytest.raises(Unauthorized, match="token revoked"):
        await store.rotate("hash-0", "hash-1", NOW + 6, TTL)
    for token in ("hash-0", "hash-1"):
        with pytest.raises(Unauthorized, match="token invalid"):
            await store.rotate(token, "hash-2", NOW + 6, TTL)
    assert (await store.rotate("hash-then", "hash-3", NOW + 6, TTL)).family_id == "fam_2"
    assert (await store.rotate("hash-bob", "hash-4", NOW + 6, TTL)).user_id == "usr_bob"
    await store.end_user("usr_alice", NOW + 7, TTL)
    with pytest.raises(Unauthorized, match="token revoked"):
        await store.rotate("hash-3", "hash-5", NOW + 8, TTL)


async def test_everything_about_refresh_tokens_expires(client: Redis, namespace: str) -> None:
    store = RedisRefreshTokens(client, namespace)
    await store.start("fam_1", "usr_alice", "hash-0", NOW, TTL)
    await store.rotate("hash-0", "hash-1", NOW, 2 * TTL)
    await store.end_user("usr_alice", NOW, 3 * TTL)
    await store.end_user("usr_alice", NOW, TTL)
    lives = {
        text(key).rpartition(":")[2]: await client.ttl(key) async for key in client.scan_iter(f"{namespace}:refresh*")
    }
    assert lives.keys() == {"fam_1", "hash-0", "hash-1", "usr_alice"}
    assert TTL - 60 < lives["hash-0"] <= TTL
    assert 2 * TTL - 60 < lives["hash-1"] <= 2 * TTL
    assert 2 * TTL - 60 < lives["fam_1"] <= 2 * TTL
    assert 3 * TTL - 60 < lives["usr_alice"] <= 3 * TTL
