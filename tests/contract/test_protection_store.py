"""What every adapter of the port to protection does (cluster/ports/protection.py)."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

import pytest
from pydantic import SecretStr
from redis.asyncio import Redis

from cluster.adapters.memory import protection as memory
from cluster.adapters.memory.protection import MemoryProtection
from cluster.adapters.redis import protection as in_redis
from cluster.adapters.redis.connection import connect
from cluster.adapters.redis.protection import RedisProtection
from cluster.errors import InvalidInput, Unavailable
from cluster.ports.protection import Maintenance, NetworkBan, Protection, ProtectionStore, Revocation, canonical
from cluster.settings import RedisSettings
from tests.servers import free_port

HOUR = 3_600.0


@dataclass
class Rig:
    """`now` is about the store's time; a second `store` is another process's."""

    store: ProtectionStore
    other: ProtectionStore
    now: Callable[[], float]


@pytest.fixture
async def client(valkey_url: str) -> AsyncIterator[Redis]:
    client = connect(RedisSettings(url=SecretStr(valkey_url)), "contract")
    yield client
    await client.aclose()


@pytest.fixture(params=["memory", "redis"])
def rig(request: pytest.FixtureRequest, namespace: str) -> Rig:
    if request.param == "memory":
        store = MemoryProtection(time.time)
        return Rig(store, store, time.time)
    client: Redis = request.getfixturevalue("client")
    return Rig(RedisProtection(client, namespace), RedisProtection(client, namespace), time.time)


async def everything(store: ProtectionStore) -> Protection:
    loaded = await store.load(-1)
    assert loaded is not None
    return loaded


async def test_nothing_at_first(rig: Rig) -> None:
    assert await rig.store.load(0) is None
    assert await everything(rig.store) == Protection()
    assert await rig.store.sealed_keys() == ""


async def test_only_what_is_new_is_loaded(rig: Rig) -> None:
    await rig.store.ban("203.0.113.7", HOUR, "flood", "limits")
    first = await rig.other.load(0)
    assert first is not None
    assert first.version > 0
    assert await rig.other.load(first.version) is None
    await rig.store.revoke(Revocation("token", "abc", 0.0, rig.now() + HOUR))
    second = await rig.other.load(first.version)
    assert second is not None
    assert second.version > first.version
    assert second.bans == first.bans
    assert await rig.other.load(second.version) is None


async def test_bans(rig: Rig) -> None:
    before = rig.now()
    made = await rig.store.ban("203.0.113.77/24", HOUR, "a flood: 'ö'\nof it", "usr_op")
    assert made.network == "203.0.113.0/24"
    assert made.until is not None
    assert before + HOUR - 5 < made.until < rig.now() + HOUR + 5
    forever = await rig.store.ban("2001:db8::1:2/64", None, "", "")
    assert forever == NetworkBan("2001:db8::/64", None, "", "")
    (v6, v4) = (await everything(rig.other)).bans
    assert v6 == forever
    assert (v4.network, v4.reason, v4.by) == ("203.0.113.0/24", "a flood: 'ö'\nof it", "usr_op")
    assert v4.until == pytest.approx(made.until, abs=1e-5)


async def test_a_ban_replaces_the_former_one(rig: Rig) -> None:
    await rig.store.ban("203.0.113.7", None, "old", "a")
    shorter = await rig.store.ban("203.0.113.7/32", 60.0, "new", "b")
    (only,) = (await everything(rig.store)).bans
    assert (only.network, only.reason, only.by) == ("203.0.113.7/32", "new", "b")
    assert only.until == pytest.approx(shorter.until, abs=1e-5)


async def test_a_longer_ban_stays_if_it_is_only_to_be_extended(rig: Rig) -> None:
    async def only() -> NetworkBan:
        (ban,) = (await everything(rig.other)).bans
        return ban

    first = await rig.store.ban("203.0.113.7", HOUR, "first", "a", extend_only=True)
    version = (await everything(rig.store)).version
    shorter = await rig.store.ban("203.0.113.7/32", 60.0, "shorter", "b", extend_only=True)
    assert (shorter.reason, shorter.by) == ("first", "a")
    assert shorter.until == pytest.approx(first.until, abs=1e-5)
    assert await rig.store.load(version) is None, "nothing has changed"
    longer = await rig.store.ban("203.0.113.7", 2 * HOUR, "longer", "b", extend_only=True)
    assert (await only()).reason == longer.reason == "longer"
    forever = await rig.store.ban("203.0.113.7", None, "for ever", "c", extend_only=True)
    assert await only() == forever == NetworkBan("203.0.113.7/32", None, "for ever", "c")
    assert await rig.store.ban("203.0.113.7", HOUR, "hour", "d", extend_only=True) == forever
    assert await rig.store.ban("203.0.113.7", None, "again", "d", extend_only=True) == forever
    assert (await rig.store.ban("203.0.113.7", 60.0, "operator", "e")).reason == (await only()).reason == "operator"


async def test_lifting(rig: Rig) -> None:
    assert await rig.store.lift("203.0.113.7") is False
    await rig.store.ban("203.0.113.7", HOUR, "", "")
    await rig.store.ban("203.0.113.8", HOUR, "", "")
    version = (await everything(rig.store)).version
    assert await rig.store.lift("203.0.113.7/32") is True
    now = await rig.store.load(version)
    assert now is not None
    assert [ban.network for ban in now.bans] == ["203.0.113.8/32"]
    assert await rig.store.lift("203.0.113.7") is False
    assert await rig.store.load(now.version) is None, "lifting nothing changes nothing"


@pytest.mark.parametrize("text", ["", "x", "203.0.113", "203.0.113.7/33", "2001:db8::/129", "::1%eth0/64", "1.2.3.4 5"])
async def test_what_is_no_network(rig: Rig, text: str) -> None:
    with pytest.raises(InvalidInput):
        await rig.store.ban(text, HOUR, "", "")
    with pytest.raises(InvalidInput):
        await rig.store.lift(text)
    assert await rig.store.load(0) is None


@pytest.mark.parametrize(
    ("text", "network"),
    [
        ("203.0.113.7", "203.0.113.7/32"),
        (" 203.0.113.7/8 ", "203.0.0.0/8"),
        ("2001:DB8:0::5", "2001:db8::5/128"),
        ("::ffff:203.0.113.7", "203.0.113.7/32"),
        ("::ffff:203.0.113.7/120", "203.0.113.0/24"),
        ("::/0", "::/0"),
    ],
)
def test_canonical_networks(text: str, network: str) -> None:
    assert canonical(text) == network
    assert canonical(network) == network


async def test_bans_that_have_expired_make_room(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (memory, in_redis):
        monkeypatch.setattr(module, "MAX_BANS", 2)
    await rig.store.ban("203.0.113.1", 0.000_001, "", "")
    await rig.store.ban("203.0.113.2", HOUR, "", "")
    await rig.store.ban("203.0.113.3", HOUR, "", "")
    with pytest.raises(InvalidInput):
        await rig.store.ban("203.0.113.4", HOUR, "", "")
    await rig.store.ban("203.0.113.3", HOUR, "again", "")
    assert [ban.network for ban in (await everything(rig.store)).bans] == ["203.0.113.2/32", "203.0.113.3/32"]


async def test_revocations(rig: Rig) -> None:
    until = rig.now() + HOUR
    made = [
        Revocation("all", "", 1_000.25, until),
        Revocation("family", "fam_1", 0.0, until),
        Revocation("token", "a:b c", 0.0, until),
        Revocation("user", "usr_a", 1_700_000_000.123, until),
    ]
    for revocation in made:
        await rig.store.revoke(revocation)
    assert (await everything(rig.other)).revocations == tuple(made)


async def test_the_same_revocation_changes_nothing(rig: Rig) -> None:
    until = rig.now() + HOUR
    await rig.store.revoke(Revocation("user", "usr_a", 1_000.0, until))
    version = (await everything(rig.store)).version
    await rig.store.revoke(Revocation("user", "usr_a", 1_000.0, until))
    await rig.store.revoke(Revocation("user", "usr_a", 900.0, until - 1.0))
    assert await rig.store.load(version) is None


async def test_the_later_times_count(rig: Rig) -> None:
    until = rig.now() + HOUR
    await rig.store.revoke(Revocation("user", "usr_a", 1_000.0, until))
    await rig.store.revoke(Revocation("user", "usr_a", 2_000.0, until - 60.0))
    await rig.store.revoke(Revocation("user", "usr_a", 500.0, until + 60.0))
    assert (await everything(rig.store)).revocations == (Revocation("user", "usr_a", 2_000.0, until + 60.0),)


async def test_revocations_that_are_over(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (memory, in_redis):
        monkeypatch.setattr(module, "MAX_REVOCATIONS", 2)
    await rig.store.revoke(Revocation("token", "old", 0.0, rig.now() - 60.0))
    assert await rig.store.load(0) is None
    until = rig.now() + HOUR
    await rig.store.revoke(Revocation("token", "a", 0.0, until))
    await rig.store.revoke(Revocation("token", "b", 0.0, until))
    with pytest.raises(InvalidInput):
        await rig.store.revoke(Revocation("token", "c", 0.0, until))
    await rig.store.revoke(Revocation("token", "b", 0.0, until + 1.0))
    assert [r.subject for r in (await everything(rig.store)).revocations] == ["a", "b"]


async def test_each_kind_of_revocation_has_room_of_its_own(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """What players make, one with each logout, must not keep the operator from ending all logins."""
    for module in (memory, in_redis):
        monkeypatch.setattr(module, "MAX_REVOCATIONS", 1)
    until = rig.now() + HOUR
    for kind in ("family", "token", "user"):
        await rig.store.revoke(Revocation(kind, "a", 0.0, until))
        with pytest.raises(InvalidInput):
            await rig.store.revoke(Revocation(kind, "b", 0.0, until))
    await rig.store.revoke(Revocation("all", "", 1.0, until))
    assert len((await everything(rig.store)).revocations) == 4


async def test_changes_are_what_has_changed(rig: Rig) -> None:
    until = rig.now() + HOUR
    old = Revocation("family", "old", 0.0, until)
    await rig.store.revoke(old)
    await rig.store.ban("203.0.113.1", HOUR, "", "")
    await rig.store.ban("203.0.113.2", HOUR, "", "")
    first = await rig.other.changes(-1)
    assert first is not None
    assert (len(first.bans), first.revocations, first.since, first.more) == (2, (old,), -1, False)
    assert await rig.other.changes(first.version) is None
    new = Revocation("family", "new", 0.0, until)
    await rig.store.revoke(new)
    await rig.store.lift("203.0.113.1")
    second = await rig.other.changes(first.version)
    assert second is not None
    assert second == Protection(second.version, (), (new,), "", ("203.0.113.1/32",), first.version)
    again = await rig.store.ban("203.0.113.1", None, "", "")
    third = await rig.other.changes(first.version)
    assert third is not None
    assert (third.bans, third.revocations, third.lifted) == ((again,), (new,), ())
    await rig.store.keep_keys("public", "")
    assert await rig.other.changes(third.version) == Protection(
        (await everything(rig.store)).version, keys="public", since=third.version
    )


async def test_changes_come_in_pages(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (memory, in_redis):
        monkeypatch.setattr(module, "PAGE", 2)
    until = rig.now() + HOUR
    for n in range(4):
        await rig.store.revoke(Revocation("token", f"t{n}", 0.0, until))
    await rig.store.ban("203.0.113.1", HOUR, "", "")
    one = await rig.other.changes(-1)
    assert one is not None
    assert ([r.subject for r in one.revocations], one.since, one.more) == (["t0", "t1"], -1, True)
    await rig.store.revoke(Revocation("token", "t0", 0.0, until + 1.0))  # changed meanwhile: it comes once more
    await rig.store.lift("203.0.113.1")
    two = await rig.other.changes(-1, one.version)
    assert two is not None
    assert ([r.subject for r in two.revocations], two.since, two.more) == (["t2", "t3"], one.version, True)
    three = await rig.other.changes(-1, two.version)
    assert three is not None
    assert [(r.subject, r.until) for r in three.revocations] == [("t0", until + 1.0)]
    assert (three.lifted, three.more) == (("203.0.113.1/32",), True)
    last = await rig.other.changes(-1, three.version)
    assert last == Protection(three.version, since=three.version)
    assert await rig.other.changes(three.version) is None
    assert [r.subject for r in (await everything(rig.other)).revocations] == ["t0", "t1", "t2", "t3"]


async def test_who_missed_a_forgotten_lifting_loads_everything(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (memory, in_redis):
        monkeypatch.setattr(module, "LIFTED_S", 0.000_001)
    await rig.store.ban("203.0.113.1", None, "", "")
    known = (await everything(rig.other)).version
    await rig.store.lift("203.0.113.1")
    since_then = (await everything(rig.other)).version
    kept = await rig.store.ban("203.0.113.2", None, "", "")
    missed = await rig.other.changes(known)
    assert missed is not None
    assert (missed.since, missed.bans, missed.lifted) == (-1, (kept,), ())
    heard = await rig.other.changes(since_then)
    assert heard is not None
    assert (heard.since, heard.bans) == (since_then, (kept,))


async def test_who_missed_a_shorter_ban_that_has_ended_loads_everything(rig: Rig) -> None:
    await rig.store.ban("203.0.113.1", None, "", "")
    known = (await everything(rig.other)).version
    await rig.store.ban("203.0.113.1", 0.000_001, "shorter", "")
    kept = await rig.store.ban("203.0.113.2", None, "", "")
    missed = await rig.other.changes(known)
    assert missed is not None
    assert (missed.since, missed.bans) == (-1, (kept,))


async def test_keys(rig: Rig) -> None:
    await rig.store.keep_keys("public", "sealed")
    first = await everything(rig.other)
    assert first.keys == "public"
    assert await rig.other.sealed_keys() == "sealed"
    await rig.store.keep_keys("public 2", "sealed 2")
    second = await rig.other.load(first.version)
    assert second is not None
    assert second.keys == "public 2"
    assert await rig.other.sealed_keys() == "sealed 2"


async def test_a_store_that_lost_its_data_is_loaded_again(client: Redis, namespace: str) -> None:
    store = RedisProtection(client, namespace)
    await store.ban("203.0.113.1", None, "", "")
    version = (await everything(store)).version
    keys = [key async for key in client.scan_iter(f"{namespace}:*")]
    await client.delete(*keys)
    assert await store.load(version) == Protection()
    await store.ban("203.0.113.2", None, "", "")
    again = await store.changes(version)
    assert again is not None
    assert again.version > version
    assert (again.since, [ban.network for ban in again.bans]) == (-1, ["203.0.113.2/32"])


async def test_expired_ones_are_deleted(client: Redis, namespace: str) -> None:
    """At the next change: none stays for ever."""
    store = RedisProtection(client, namespace)
    for n in range(3_000):
        await client.hset(f"{namespace}:protection:bans", f"10.0.{n // 256}.{n % 256}/32", '1.0\n["",""]')
        await client.zadd(f"{namespace}:protection:ban-ends", {f"10.0.{n // 256}.{n % 256}/32": 1.0})
    await store.ban("203.0.113.1", None, "", "")
    assert [ban.network for ban in (await everything(store)).bans] == ["203.0.113.1/32"]
    assert await client.zcard(f"{namespace}:protection:ban-ends") == 1
    assert await client.zcard(f"{namespace}:protection:changes") == 1


async def test_realms_that_share_a_server(client: Redis, namespace: str) -> None:
    await RedisProtection(client, namespace).ban("203.0.113.1", None, "", "")
    assert await RedisProtection(client, f"{namespace}-other").load(0) is None


async def test_a_server_that_is_away(namespace: str) -> None:
    settings = RedisSettings(url=SecretStr(f"redis://127.0.0.1:{free_port()}/0"), timeout_s=0.2)
    client = connect(settings, "contract")
    store = RedisProtection(client, namespace)
    for attempt in (
        store.load(0),
        store.changes(0),
        store.ban("203.0.113.1", None, "", ""),
        store.lift("203.0.113.1"),
        store.revoke(Revocation("token", "x", 0.0, 1e10)),
        store.maintain(None, 1.0),
        store.keep_keys("", ""),
        store.sealed_keys(),
    ):
        with pytest.raises(Unavailable):
            await attempt
    await client.aclose()


async def test_maintenance(rig: Rig) -> None:
    """It is on every page, under the same version as bans and revocations."""
    closed = Maintenance(1.5, "operator:ada", "ö: new\nground", 7.25, 9.0, ("usr_a", "usr_b"), "job_1")
    await rig.store.ban("203.0.113.7", None, "", "")
    before = await everything(rig.other)
    assert before.maintenance is None
    assert await rig.store.maintain(closed, 10.0)
    change = await rig.other.changes(before.version)
    assert change is not None
    assert (change.maintenance, change.bans, change.since) == (closed, (), before.version)
    assert (await everything(rig.other)).maintenance == closed
    assert await rig.store.maintain(closed, 10.0)
    assert await rig.other.changes(change.version) is None, "what holds already is no change"
    bare = Maintenance(2.0, "operator:bob", "")
    await rig.store.maintain(bare, 11.0)
    assert (await everything(rig.other)).maintenance == bare
    await rig.store.maintain(None, 12.0)
    after = await everything(rig.other)
    assert (after.maintenance, len(after.bans)) == (None, 1)
    assert after.version > change.version
