"""One suite over every adapter of the ports in cluster/ports/accounts.py: memory and a real Valkey."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace

import pytest
from pydantic import SecretStr
from redis.asyncio import Redis

from cluster.adapters.memory.accounts import MemoryAccounts
from cluster.adapters.memory.characters import MemoryCharacters
from cluster.adapters.memory.refresh_tokens import MemoryRefreshTokens
from cluster.adapters.redis.accounts import RedisAccounts
from cluster.adapters.redis.characters import RedisCharacters
from cluster.adapters.redis.connection import connect, text
from cluster.adapters.redis.refresh_tokens import RedisRefreshTokens
from cluster.errors import Conflict, NotFound
from cluster.ports.accounts import (
    Account,
    AccountStore,
    Character,
    CharacterStore,
    RefreshStore,
)
from cluster.settings import RedisSettings

NOW = 1_800_000_000.25
TTL = 3600.0

ALICE = Account("usr_alice", "alice", "$argon2id$one", NOW)
HERO = Character("chr_hero", "usr_alice", "Hero", "zon_meadow", 1.5, 0.0, -2.25, 3.0, NOW)


@dataclass(frozen=True)
class Stores:
    accounts: AccountStore
    characters: CharacterStore
    refresh: RefreshStore
    open_session: Callable[[str], Awaitable[object]]
    end_session: Callable[[str], Awaitable[object]]


def memory_stores() -> Stores:
    sessions: set[str] = set()

    async def open_session(session_id: str) -> None:
        sessions.add(session_id)

    async def end_session(session_id: str) -> None:
        sessions.discard(session_id)

    return Stores(
        MemoryAccounts(),
        MemoryCharacters(lambda session_id: session_id in sessions),
        MemoryRefreshTokens(),
        open_session,
        end_session,
    )


def redis_stores(client: Redis, namespace: str) -> Stores:
    async def open_session(session_id: str) -> None:
        await client.hset(f"{namespace}:session:{session_id}", "session_id", session_id)

    async def end_session(session_id: str) -> None:
        await client.delete(f"{namespace}:session:{session_id}")

    return Stores(
        RedisAccounts(client, namespace),
        RedisCharacters(client, namespace),
        RedisRefreshTokens(client, namespace),
        open_session,
        end_session,
    )


@pytest.fixture
async def client(valkey_url: str) -> AsyncIterator[Redis]:
    client = connect(RedisSettings(url=SecretStr(valkey_url)), "contract")
    yield client
    await client.aclose()


@pytest.fixture(params=["memory", "redis"])
async def stores(request: pytest.FixtureRequest, namespace: str) -> AsyncIterator[Stores]:
    if request.param == "memory":
        yield memory_stores()
    else:
        client = connect(RedisSettings(url=SecretStr(request.getfixturevalue("valkey_url"))), "contract")
        yield redis_stores(client, namespace)
        await client.aclose()


class TestAccounts:
    async def test_an_account_comes_back_as_it_was(self, stores: Stores) -> None:
        await stores.accounts.create(ALICE)
        assert await stores.accounts.by_username("alice") == ALICE

    async def test_an_unknown_name(self, stores: Stores) -> None:
        assert await stores.accounts.by_username("nobody") is None

    async def test_by_id(self, stores: Stores) -> None:
        await stores.accounts.create(ALICE)
        assert await stores.accounts.get("usr_alice") == ALICE
        assert await stores.accounts.get("alice") is None

    async def test_names_of_many(self, stores: Stores) -> None:
        bob = replace(ALICE, user_id="usr_bob", username="bob")
        for account in (ALICE, bob):
            await stores.accounts.create(account)
        wanted = ["usr_bob", "usr_nobody", "usr_alice", "alice"]
        assert await stores.accounts.usernames(wanted) == {"usr_bob": "bob", "usr_alice": "alice"}
        assert await stores.accounts.usernames([]) == {}

    async def test_a_taken_name_changes_nothing(self, stores: Stores) -> None:
        await stores.accounts.create(ALICE)
        with pytest.raises(Conflict, match="username taken"):
            await stores.accounts.create(replace(ALICE, user_id="usr_other", password_hash="$other"))
        assert await stores.accounts.by_username("alice") == ALICE

    async def test_creating_again_is_harmless(self, stores: Stores) -> None:
        await stores.accounts.create(ALICE)
        await stores.accounts.create(ALICE)
        assert await stores.accounts.by_username("alice") == ALICE

    async def test_of_many_at_once_one_gets_the_name(self, stores: Stores) -> None:
        rivals = [replace(ALICE, user_id=f"usr_{n}") for n in range(20)]
        results = await asyncio.gather(*map(stores.accounts.create, rivals), return_exceptions=True)
        winners = [rival for rival, result in zip(rivals, results, strict=True) if result is None]
        assert len(winners) == 1
        assert await stores.accounts.by_username("alice") == winners[0]
        assert all(isinstance(result, Conflict) for result in results if result is not None)

    async def test_a_hash_is_replaced_only_where_the_old_one_still_is(self, stores: Stores) -> None:
        await stores.accounts.create(ALICE)
        assert await stores.accounts.replace_hash("usr_alice", "$argon2id$one", "$argon2id$two")
        assert not await stores.accounts.replace_hash("usr_alice", "$argon2id$one", "$argon2id$three")
        stored = await stores.accounts.by_username("alice")
        assert stored == replace(ALICE, password_hash="$argon2id$two")

    async def test_no_account_is_made_by_replacing_its_hash(self, stores: Stores) -> None:
        assert not await stores.accounts.replace_hash("usr_nobody", "", "$argon2id$two")


class TestCharacters:
    async def test_a_character_comes_back_as_it_was(self, stores: Stores) -> None:
        await stores.characters.create(HERO, limit=8)
        assert await stores.characters.get("chr_hero") == HERO
        assert await stores.characters.by_name("Hero") == HERO
        assert await stores.characters.list("usr_alice") == [HERO]

    async def test_what_is_not_there(self, stores: Stores) -> None:
        assert await stores.characters.get("chr_nobody") is None
        assert await stores.characters.by_name("chr_nobody") is None
        assert await stores.characters.list("usr_nobody") == []

    async def test_the_list_is_in_order_of_creation_and_only_theirs(self, stores: Stores) -> None:
        ages = [5.0, 1.0, 3.0, 2.0, 4.0]
        for n, age in enumerate(ages):
            await stores.characters.create(
                replace(HERO, character_id=f"chr_{n}", name=f"N {n}", created_at=NOW + age), limit=8
            )
        await stores.characters.create(replace(HERO, character_id="chr_x", user_id="usr_bob", name="Bob"), limit=8)
        listed = await stores.characters.list("usr_alice")
        assert [character.created_at - NOW for character in listed] == sorted(ages)

    @pytest.mark.parametrize(
        ("first", "second"),
        [("Hero", "hERO"), ("Straße", "STRASSE"), ("Ａｄａ", "Ada"), ("Å\u0301", "\u212b\u0301")],
    )
    async def test_names_are_compared_without_case_and_compatibility_forms(
        self, stores: Stores, first: str, second: str
    ) -> None:
        await stores.characters.create(replace(HERO, name=first), limit=8)
        with pytest.raises(Conflict, match="name taken"):
            await stores.characters.create(replace(HERO, character_id="chr_2", user_id="usr_bob", name=second), limit=8)
        assert await stores.characters.get("chr_2") is None
        assert await stores.characters.by_name(second) == replace(HERO, name=first)
        assert await stores.characters.list("usr_bob") == []

    async def test_too_many(self, stores: Stores) -> None:
        results = await asyncio.gather(
            *(
                stores.characters.create(replace(HERO, character_id=f"chr_{n}", name=f"N {n}"), limit=3)
                for n in range(10)
            ),
            return_exceptions=True,
        )
        assert results.count(None) == 3
        reasons = {result.reason for result in results if isinstance(result, Conflict)}
        assert reasons == {"too_many_characters"}
        assert len(await stores.characters.list("usr_alice")) == 3

    async def test_creating_again_is_harmless_even_at_the_limit(self, stores: Stores) -> None:
        await stores.characters.create(HERO, limit=1)
        await stores.characters.create(HERO, limit=1)
        assert await stores.characters.list("usr_alice") == [HERO]

    async def test_a_deleted_character_frees_its_name_and_its_place(self, stores: Stores) -> None:
        await stores.characters.create(HERO, limit=1)
        await stores.characters.delete("usr_alice", "chr_hero")
        assert await stores.characters.get("chr_hero") is None
        assert await stores.characters.by_name("Hero") is None
        assert await stores.characters.list("usr_alice") == []
        successor = replace(HERO, character_id="chr_2")
        await stores.characters.create(successor, limit=1)
        assert await stores.characters.list("usr_alice") == [successor]

    @pytest.mark.parametrize("user_id", ["usr_bob", ""])
    async def test_someone_elses_is_not_found(self, stores: Stores, user_id: str) -> None:
        await stores.characters.create(HERO, limit=8)
        with pytest.raises(NotFound) as theirs:
            await stores.characters.delete(user_id, "chr_hero")
        with pytest.raises(NotFound) as missing:
            await stores.characters.delete(user_id, "chr_nobody")
        assert str(theirs.value) == str(missing.value)
        with pytest.raises(NotFound):
            await stores.characters.claim("chr_hero", user_id, "ses_1")
        with pytest.raises(NotFound):
            await stores.characters.claim("chr_nobody", user_id, "ses_1")
        assert await stores.characters.get("chr_hero") == HERO

    async def test_a_place_is_saved_and_nothing_else(self, stores: Stores) -> None:
        await stores.characters.create(HERO, limit=8)
        await stores.characters.save_place("chr_hero", "zon_ridge", 0.1, -1e-300, 1 / 3, math.tau)
        assert await stores.characters.get("chr_hero") == replace(
            HERO, zone="zon_ridge", x=0.1, y=-1e-300, z=1 / 3, yaw=math.tau
        )

    async def test_a_place_does_not_bring_a_deleted_character_back(self, stores: Stores) -> None:
        with pytest.raises(NotFound):
            await stores.characters.save_place("chr_hero", "zon_ridge", 1.0, 2.0, 3.0, 0.0)
        assert await stores.characters.get("chr_hero") is None


class TestClaims:
    @pytest.fixture(autouse=True)
    async def hero(self, stores: Stores) -> None:
        await stores.characters.create(HERO, limit=8)

    async def test_a_claim_is_kept_and_counted(self, stores: Stores) -> None:
        claimed = await stores.characters.claim("chr_hero", "usr_alice", "ses_1")
        assert claimed == replace(HERO, session="ses_1", session_epoch=1)
        assert await stores.characters.get("chr_hero") == claimed

    async def test_the_same_session_may_claim_again(self, stores: Stores) -> None:
        await stores.open_session("ses_1")
        first = await stores.characters.claim("chr_hero", "usr_alice", "ses_1")
        assert await stores.characters.claim("chr_hero", "usr_alice", "ses_1") == first

    async def test_a_live_session_keeps_it(self, stores: Stores) -> None:
        await stores.open_session("ses_1")
        await stores.characters.claim("chr_hero", "usr_alice", "ses_1")
        with pytest.raises(Conflict, match="in world"):
            await stores.characters.claim("chr_hero", "usr_alice", "ses_2")
        with pytest.raises(Conflict, match="in world"):
            await stores.characters.delete("usr_alice", "chr_hero")

    async def test_a_session_that_is_gone_is_taken_over_from(self, stores: Stores) -> None:
        await stores.open_session("ses_1")
        await stores.characters.claim("chr_hero", "usr_alice", "ses_1")
        await stores.end_session("ses_1")
        claimed = await stores.characters.claim("chr_hero", "usr_alice", "ses_2")
        assert (claimed.session, claimed.session_epoch) == ("ses_2", 2)
        await stores.characters.release("chr_hero", "ses_1")
        assert await stores.characters.get("chr_hero") == claimed

    async def test_a_session_that_is_gone_does_not_keep_it_from_being_deleted(self, stores: Stores) -> None:
        await stores.characters.claim("chr_hero", "usr_alice", "ses_1")
        await stores.characters.delete("usr_alice", "chr_hero")
        assert await stores.characters.get("chr_hero") is None

    async def test_released_it_is_free(self, stores: Stores) -> None:
        await stores.open_session("ses_1")
        await stores.characters.claim("chr_hero", "usr_alice", "ses_1")
        await stores.characters.release("chr_hero", "ses_1")
        released = await stores.characters.get("chr_hero")
        assert released == replace(HERO, session="", session_epoch=1)
        assert (await stores.characters.claim("chr_hero", "usr_alice", "ses_2")).session == "ses_2"

    async def test_releasing_what_is_not_there(self, stores: Stores) -> None:
        await stores.characters.release("chr_nobody", "ses_1")
        assert await stores.characters.get("chr_nobody") is None

    async def test_of_many_sessions_at_once_one_gets_it(self, stores: Stores) -> None:
        sessions = [f"ses_{n}" for n in range(20)]
        await asyncio.gather(*map(stores.open_session, sessions))
        results = await asyncio.gather(
            *(stores.characters.claim("chr_hero", "usr_alice", session) for session in sessions),
            return_exceptions=True,
        )
        winners = [result for result in results if isinstance(result, Character)]
        assert len(winners) == 1
        assert sum(isinstance(result, Conflict) for result in results) == 19
        assert await stores.characters.get("chr_hero") == winners[0]


class TestRedisLayout:
    """What other parts, operators and older data rely on."""

    async def test_the_keys(self, client: Redis, namespace: str) -> None:
        stores = redis_stores(client, namespace)
        await stores.accounts.create(ALICE)
        await stores.characters.create(replace(HERO, name="Ærö"), limit=8)
        await stores.refresh.start("fam_1", "usr_alice", "hash-0", NOW, TTL)
        await stores.refresh.rotate("hash-0", "hash-1", NOW, TTL)
        keys = {text(key).removeprefix(namespace) async for key in client.scan_iter(f"{namespace}*")}
        assert keys == {
            ":account:usr_alice",
            ":username:alice",
            ":character:chr_hero",
            ":character-name:ærö",
            ":user:usr_alice:characters",
            ":refresh-family:fam_1",
            ":refresh:hash-0",
            ":refresh:hash-1",
        }

    async def test_numbers_of_numpy_are_stored_as_numbers(self, client: Redis, namespace: str) -> None:
        numpy = pytest.importorskip("numpy")
        store = RedisCharacters(client, namespace)
        await store.create(HERO, limit=8)
        await store.save_place("chr_hero", "zon_ridge", *map(numpy.float64, (1.5, 2.5, 3.5, 0.5)))
        assert await store.get("chr_hero") == replace(HERO, zone="zon_ridge", x=1.5, y=2.5, z=3.5, yaw=0.5)
