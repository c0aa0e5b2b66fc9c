"""What every adapter of the port to operators does (cluster/ports/operators.py)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace

import orjson
import pytest
from pydantic import SecretStr
from redis.asyncio import Redis

from cluster.adapters.memory.operators import MemoryOperators
from cluster.adapters.redis.connection import connect
from cluster.adapters.redis.operators import RedisOperators
from cluster.errors import Conflict, Unavailable
from cluster.ports import operators as port
from cluster.ports.operators import ApiToken, Invitation, OperatorRecord, OperatorSession, OperatorStore
from cluster.settings import RedisSettings
from tests.servers import free_port

ADA = OperatorRecord("ada", "admin", "g1", 1_700_000_000.123456, "launcher", password="$argon2id$x", totp="sealed")
FULL = replace(
    ADA,
    totp_step=56_666_667,
    recovery=("a" * 64, "b" * 64),
    invitation=Invitation("c" * 64, "operator:eve", 1_700_000_600.5, "key"),
    tokens=(ApiToken("otk_1", "d" * 64, "deploys – ä", "viewer", 1.25, 2.5),),
    last_login_at=1_700_000_001.75,
)
SESSION = OperatorSession("ada", "g1", "csrf", "203.0.113.7", 1_700_000_002.125)


@dataclass
class Rig:
    """`age` brings the ends of a session nearer, in seconds."""

    store: OperatorStore
    age: Callable[[str, float], Awaitable[None]]


@pytest.fixture
async def client(valkey_url: str) -> AsyncIterator[Redis]:
    client = connect(RedisSettings(url=SecretStr(valkey_url)), "contract")
    yield client
    await client.aclose()


@pytest.fixture(params=["memory", "redis"])
def rig(request: pytest.FixtureRequest, namespace: str) -> Rig:
    if request.param == "memory":
        now = [1_000.0]

        async def later(_: str, by_s: float) -> None:
            now[0] += by_s

        return Rig(MemoryOperators(lambda: now[0]), later)
    client: Redis = request.getfixturevalue("client")

    async def age(session_hash: str, by_s: float) -> None:
        key = f"{namespace}:operator-session:{session_hash}"
        if (left := await client.pttl(key)) <= by_s * 1_000:
            await client.delete(key)
        else:
            await client.hincrby(key, "ends", -round(by_s * 1_000))
            await client.pexpire(key, left - round(by_s * 1_000))

    return Rig(RedisOperators(client, namespace), age)


class TestRecords:
    async def test_nobody(self, rig: Rig) -> None:
        assert await rig.store.get("ada") is None
        assert await rig.store.all() == []

    @pytest.mark.parametrize("record", [ADA, FULL, replace(ADA, password="", totp="", generation="")])
    async def test_what_is_saved_is_there(self, rig: Rig, record: OperatorRecord) -> None:
        assert await rig.store.save(record, None)
        assert await rig.store.get("ada") == record
        assert await rig.store.all() == [record]

    async def test_all_by_name(self, rig: Rig) -> None:
        for name in ("eve", "ada", "bob"):
            await rig.store.save(replace(ADA, name=name), None)
        assert [record.name for record in await rig.store.all()] == ["ada", "bob", "eve"]

    async def test_only_what_it_replaces_is_replaced(self, rig: Rig) -> None:
        assert not await rig.store.save(FULL, ADA), "there is nothing"
        assert await rig.store.save(ADA, None)
        assert not await rig.store.save(FULL, None), "there is something"
        assert not await rig.store.save(FULL, replace(ADA, totp_step=1)), "there is something else"
        assert await rig.store.get("ada") == ADA
        assert await rig.store.save(FULL, ADA)
        assert await rig.store.get("ada") == FULL

    async def test_the_same_again_is_fine(self, rig: Rig) -> None:
        assert await rig.store.save(ADA, None)
        assert await rig.store.save(ADA, None)
        assert await rig.store.save(FULL, ADA)
        assert await rig.store.save(FULL, ADA)

    async def test_of_many_changes_at_once_one_counts(self, rig: Rig) -> None:
        await rig.store.save(ADA, None)
        outcomes = await asyncio.gather(*(rig.store.save(replace(ADA, totp_step=n), ADA) for n in range(1, 20)))
        assert sum(outcomes) == 1

    async def test_removed(self, rig: Rig) -> None:
        await rig.store.save(ADA, None)
        assert not await rig.store.remove(FULL)
        assert await rig.store.remove(ADA)
        assert await rig.store.get("ada") is None
        assert not await rig.store.remove(ADA)
        assert await rig.store.save(FULL, None), "the name is free"

    async def test_there_is_room_for_so_many(self, rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
        for module in ("cluster.adapters.memory.operators", "cluster.adapters.redis.operators"):
            monkeypatch.setattr(f"{module}.MOST_OPERATORS", 2)
        assert port.MOST_OPERATORS == 1_000
        for name in ("ada", "bob"):
            await rig.store.save(replace(ADA, name=name), None)
        with pytest.raises(Conflict, match="too many operators"):
            await rig.store.save(replace(ADA, name="eve"), None)
        assert await rig.store.save(FULL, ADA), "who is there can be changed"


class TestSessions:
    async def test_a_session_has_its_operator(self, rig: Rig) -> None:
        await rig.store.save(ADA, None)
        await rig.store.begin("s1", SESSION, 60.0, 600.0)
        assert await rig.store.session("s1", use=True) == (SESSION, ADA)
        assert await rig.store.session("s1", use=False) == (SESSION, ADA)
        assert await rig.store.session("s2", use=True) is None

    async def test_it_ends_when_nobody_uses_it(self, rig: Rig) -> None:
        await rig.store.save(ADA, None)
        await rig.store.begin("s1", SESSION, 60.0, 600.0)
        for _ in range(3):
            await rig.age("s1", 50.0)
            assert await rig.store.session("s1", use=True) is not None
        await rig.age("s1", 40.0)
        assert await rig.store.session("s1", use=False) is not None, "to look is no use of it"
        await rig.age("s1", 21.0)
        assert await rig.store.session("s1", use=True) is None

    async def test_it_ends_however_much_it_is_used(self, rig: Rig) -> None:
        await rig.store.save(ADA, None)
        await rig.store.begin("s1", SESSION, 60.0, 120.0)
        for left in (True, True, False):
            await rig.age("s1", 45.0)
            assert (await rig.store.session("s1", use=True) is not None) == left

    async def test_another_generation_ends_it(self, rig: Rig) -> None:
        await rig.store.save(ADA, None)
        await rig.store.begin("s1", SESSION, 60.0, 600.0)
        other = replace(ADA, generation="g2")
        await rig.store.save(other, ADA)
        assert await rig.store.session("s1", use=True) is None

    async def test_an_operator_who_is_removed_has_none(self, rig: Rig) -> None:
        await rig.store.save(ADA, None)
        await rig.store.begin("s1", SESSION, 60.0, 600.0)
        await rig.store.remove(ADA)
        assert await rig.store.session("s1", use=True) is None

    async def test_the_end(self, rig: Rig) -> None:
        await rig.store.save(ADA, None)
        await rig.store.begin("s1", SESSION, 60.0, 600.0)
        await rig.store.end("s1", "ada")
        await rig.store.end("s1", "ada")
        assert await rig.store.session("s1", use=True) is None
        assert await rig.store.sessions("ada") == []

    async def test_those_of_an_operator_that_count(self, rig: Rig) -> None:
        await rig.store.save(ADA, None)
        await rig.store.save(replace(ADA, name="bob"), None)
        for n, name in enumerate(("ada", "bob", "ada", "ada")):
            await rig.store.begin(f"s{n}", replace(SESSION, operator=name, began_at=float(n)), 60.0, 600.0)
        held = await rig.store.sessions("ada")
        assert [(each.hash, each.session.began_at) for each in held] == [("s3", 3.0), ("s2", 2.0), ("s0", 0.0)]
        assert all(each.used_at > 0.0 for each in held)
        await rig.store.end("s2", "ada")
        await rig.age("s0", 61.0)
        if await rig.store.session("s3", use=True) is None:  # there is one clock for all of them in memory
            await rig.store.begin("s3", SESSION, 60.0, 600.0)
        assert [each.hash for each in await rig.store.sessions("ada")] == ["s3"]
        await rig.store.save(replace(ADA, generation="g2"), ADA)
        assert await rig.store.sessions("ada") == []

    async def test_with_one_too_many_the_oldest_ends(self, rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
        for module in ("cluster.adapters.memory.operators", "cluster.adapters.redis.operators"):
            monkeypatch.setattr(f"{module}.MOST_SESSIONS", 2)
        await rig.store.save(ADA, None)
        for n in range(3):
            await rig.store.begin(f"s{n}", SESSION, 60.0, 600.0)
        assert await rig.store.session("s0", use=True) is None
        assert [each.hash for each in await rig.store.sessions("ada")] == ["s2", "s1"]


class TestRedis:
    """What only Redis has."""

    async def test_sessions_expire_by_themselves(self, client: Redis, namespace: str) -> None:
        store = RedisOperators(client, namespace)
        await store.save(ADA, None)
        await store.begin("s1", SESSION, 60.0, 30.0)
        assert 0 < await client.pttl(f"{namespace}:operator-session:s1") <= 30_000
        await store.session("s1", use=True)
        assert 0 < await client.pttl(f"{namespace}:operator-session:s1") <= 30_000

    async def test_a_server_that_is_away(self, namespace: str) -> None:
        settings = RedisSettings(url=SecretStr(f"redis://127.0.0.1:{free_port()}/0"), timeout_s=0.2)
        client = connect(settings, "contract")
        store = RedisOperators(client, namespace)
        for call in (
            store.get("ada"),
            store.all(),
            store.save(ADA, None),
            store.remove(ADA),
            store.begin("s1", SESSION, 60.0, 600.0),
            store.session("s1", use=True),
            store.end("s1", "ada"),
            store.sessions("ada"),
        ):
            with pytest.raises(Unavailable):
                await call
        await client.aclose()


async def test_a_record_of_a_newer_release_is_changed_as_any_other(client: Redis, namespace: str) -> None:
    store = RedisOperators(client, namespace)
    assert await store.save(FULL, None)
    kept = orjson.loads(await client.hget(f"{namespace}:operators", "ada") or b"")
    kept["colour"], kept["tokens"][0]["scopes"] = "blue", ["look"]
    await client.hset(f"{namespace}:operators", "ada", orjson.dumps(kept, option=orjson.OPT_SORT_KEYS))
    read = await store.get("ada")
    assert read is not None
    assert await store.save(replace(read, last_login_at=9.5), read)
    now = orjson.loads(await client.hget(f"{namespace}:operators", "ada") or b"")
    assert now == kept | {"last_login_at": 9.5}
