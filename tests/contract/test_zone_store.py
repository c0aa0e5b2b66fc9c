"""What every adapter of the zone port does (cluster/ports/zones.py); zones that hand over to each other: test_zone_hand_over.py."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

import pytest

from cluster.adapters.redis.zones import TAKE, RedisZoneStore
from cluster.errors import Fenced, NotFound, Unavailable
from cluster.ports.zones import Owner, StoredZone
from tests.contract.zone_stores import (
    BYTES,
    NOW,
    A,
    B,
    OverNetwork,
    Stores,
    connected,
    drops,
    parcel,
    puts,
    redis_stores,
    stores_of,
)

NOTHING = StoredZone({}, b"", 0.0, {})

# Every kind of write, on a zone that has ent_1, and ent_2 among its arrivals.
WRITES: Mapping[str, Callable[[Stores, int], Awaitable[Any]]] = {
    "put": lambda stores, epoch: stores.zones.commit(A, epoch, puts(1, record=b"given up"), {}),
    "drop": lambda stores, epoch: stores.zones.commit(A, epoch, {}, drops(1)),
    "hand_over": lambda stores, epoch: stores.zones.hand_over(A, epoch, B, [parcel(1)]),
    "claim": lambda stores, epoch: stores.zones.claim(A, epoch),
    "places": lambda stores, epoch: stores.zones.save_places(A, epoch, b"given up", NOW),
    "discard": lambda stores, epoch: stores.zones.discard(A, epoch),
}


@pytest.fixture(params=["memory", "redis"])
async def stores(request: pytest.FixtureRequest, namespace: str) -> AsyncIterator[Stores]:
    async with stores_of(request, namespace) as made:
        yield made


async def something_of_everything(stores: Stores) -> int:
    """The epoch of A, which has ent_1, places, and ent_2 among its arrivals."""
    epoch = await stores.zones.take(A, 0)
    await stores.zones.commit(A, epoch, puts(1), {})
    await stores.zones.save_places(A, epoch, b"places", NOW)
    other = await stores.zones.take(B, 0)
    await stores.zones.commit(B, other, puts(2), {})
    await stores.zones.hand_over(B, other, A, [parcel(2)])
    return epoch


async def everything(stores: Stores) -> Any:
    zones = [(await stores.zones.load(zone), await stores.zones.owner(zone)) for zone in (A, B)]
    return zones, await stores.zones.zones_of(["ses_1", "ses_2"])


async def test_a_new_zone_has_nothing(stores: Stores) -> None:
    assert await stores.zones.load(A) == NOTHING
    assert await stores.zones.owner(A) == Owner(0, 0)


async def test_everything_comes_back_byte_for_byte(stores: Stores) -> None:
    epoch = await stores.zones.take(A, 0)
    await stores.zones.commit(A, epoch, {"ent_1": ("ses_1", BYTES), "ent_ö": ("ses_ö", b"")}, {})
    await stores.zones.save_places(A, epoch, BYTES * 100, NOW)
    assert await stores.zones.load(A) == StoredZone({"ent_1": BYTES, "ent_ö": b""}, BYTES * 100, NOW)
    await stores.zones.hand_over(A, epoch, B, [parcel(1, 2**53, BYTES)])
    assert await stores.zones.load(B) == StoredZone({}, b"", 0.0, {"ent_1": BYTES})
    assert await stores.claim(B, await stores.zones.take(B, 0)) == {"ent_1": BYTES}
    assert await stores.zones.load(B) == StoredZone({"ent_1": BYTES}, b"", 0.0)


async def test_the_newest_of_each_counts(stores: Stores) -> None:
    epoch = await stores.zones.take(A, 0)
    for version in (b"1", b"2"):
        await stores.zones.commit(A, epoch, puts(1, record=version), {})
        await stores.zones.save_places(A, epoch, version, NOW + int(version))
    assert await stores.zones.load(A) == StoredZone({"ent_1": b"2"}, b"2", NOW + 2)


async def test_no_places_are_not_the_same_as_none_yet(stores: Stores) -> None:
    await stores.zones.save_places(A, await stores.zones.take(A, 0), b"", NOW)
    assert await stores.zones.load(A) == StoredZone({}, b"", NOW)


async def test_dropping(stores: Stores) -> None:
    epoch = await stores.zones.take(A, 0)
    await stores.zones.commit(A, epoch, puts(1, 2), {})
    for _ in range(2):
        await stores.zones.commit(A, epoch, puts(3), drops(1, 9))
    assert await stores.has(A) == {"ent_2": b"1", "ent_3": b"1"}
    await stores.zones.commit(A, epoch, {}, {})
    assert len(await stores.has(A)) == 2


async def test_very_many_at_once(stores: Stores) -> None:
    """More than Lua's stack has room for."""
    epoch, many = await stores.zones.take(A, 0), range(5_001)
    sessions = [f"ses_{number}" for number in many]
    await stores.zones.commit(A, epoch, puts(*many, record=BYTES), {})
    assert len(await stores.has(A)) == 5_001
    await stores.zones.hand_over(A, epoch, B, [parcel(number) for number in many])
    assert await stores.zones.zones_of(sessions) == dict.fromkeys(sessions, B)
    other = await stores.zones.take(B, 0)
    assert len(await stores.claim(B, other)) == 5_001
    await stores.zones.commit(B, other, {}, drops(*many))
    assert await stores.has(B) == {}
    assert await stores.zones.zones_of(sessions) == {}


async def test_a_commit_is_all_or_nothing(stores: Stores) -> None:
    """Whoever loads meanwhile finds every entity of the same version."""
    epoch, many = await stores.zones.take(A, 0), range(300)
    seen = []

    async def look() -> None:
        for _ in range(30):
            seen.append(await stores.zones.load(A))
            await asyncio.sleep(0)

    looking = asyncio.create_task(look())
    for version in range(30):
        await stores.zones.commit(A, epoch, puts(*many, record=b"%d" % version), {})
        await asyncio.sleep(0)
    await looking
    assert {len(zone.entities) for zone in seen} <= {0, 300}
    assert all(len(set(zone.entities.values())) <= 1 for zone in seen)
    assert len({next(iter(zone.entities.values()), b"") for zone in seen}) > 5, "it did happen meanwhile"


async def test_zones_are_kept_apart(stores: Stores) -> None:
    epoch, other = await stores.zones.take(A, 0), await stores.zones.take(B, 0)
    await stores.zones.commit(A, epoch, puts(1), {})
    await stores.zones.save_places(B, other, b"2", NOW)
    assert await stores.zones.load(A) == StoredZone({"ent_1": b"1"}, b"", 0.0)
    assert await stores.zones.load(B) == StoredZone({}, b"2", NOW)


class TestZonesOfSessions:
    async def test_put_and_drop(self, stores: Stores) -> None:
        epoch, sessions = await stores.zones.take(A, 0), ["ses_1", "ses_2", "ses_3"]
        assert await stores.zones.zones_of(sessions) == await stores.zones.zones_of([]) == {}
        await stores.zones.commit(A, epoch, puts(1, 2), {})
        assert await stores.zones.zones_of(sessions) == {"ses_1": A, "ses_2": A}
        await stores.zones.commit(A, epoch, {}, drops(1))
        assert await stores.zones.zones_of(sessions) == {"ses_2": A}

    async def test_who_is_elsewhere_stays_there(self, stores: Stores) -> None:
        epoch, other = await stores.zones.take(A, 0), await stores.zones.take(B, 0)
        await stores.zones.commit(A, epoch, puts(1), {})
        await stores.zones.commit(B, other, {"ent_new": ("ses_1", b"1")}, {})
        await stores.zones.commit(A, epoch, {}, drops(1))
        assert await stores.zones.zones_of(["ses_1"]) == {"ses_1": B}

    async def test_out_and_in_again_in_one_commit(self, stores: Stores) -> None:
        epoch = await stores.zones.take(A, 0)
        await stores.zones.commit(A, epoch, puts(1, 2), {})
        again = {"ent_new": ("ses_1", b"2"), "ent_2": ("ses_2", b"2")}
        await stores.zones.commit(A, epoch, again, drops(1, 2))
        assert await stores.has(A) == {"ent_new": b"2", "ent_2": b"2"}
        assert await stores.zones.zones_of(["ses_1", "ses_2"]) == {"ses_1": A, "ses_2": A}

    async def test_who_has_no_session(self, stores: Stores) -> None:
        epoch = await stores.zones.take(A, 0)
        await stores.zones.commit(A, epoch, {"ent_npc": ("", b"1"), "ent_tree": ("", b"1")}, {})
        await stores.zones.commit(A, epoch, {}, {"ent_tree": ""})
        assert await stores.has(A) == {"ent_npc": b"1"}
        assert await stores.zones.zones_of([""]) == {}


class TestOwner:
    async def test_each_take_is_a_newer_epoch(self, stores: Stores) -> None:
        assert [await stores.zones.take(A, slot) for slot in (0, 1, 1, 0)] == [1, 2, 3, 4]
        assert await stores.zones.owner(A) == Owner(0, 4)
        assert await stores.epochs.current("zone", A) == 4
        assert await stores.zones.owner(B) == Owner(0, 0)

    async def test_only_from_the_one_that_was_seen(self, stores: Stores) -> None:
        assert await stores.zones.take(A, 1, expected=0) == 1
        for wrong in (0, 2, 99):
            with pytest.raises(Fenced):
                await stores.zones.take(A, 0, expected=wrong)
        assert await stores.zones.owner(A) == Owner(1, 1)
        assert await stores.zones.take(A, 0, expected=1) == 2

    async def test_of_two_that_saw_the_same_one_wins(self, stores: Stores) -> None:
        seen = await stores.zones.take(A, 0)
        takers = (stores.zones.take(A, 0, seen), stores.other.take(A, 1, seen), stores.zones.take(A, 0, seen))
        results = await asyncio.gather(*takers, return_exceptions=True)
        assert sorted(map(str, map(type, results))) == sorted(map(str, (int, Fenced, Fenced)))
        slot = next(slot for slot, result in zip((0, 1, 0), results, strict=True) if result == seen + 1)
        assert await stores.zones.owner(A) == Owner(slot, seen + 1)

    async def test_an_answer_that_is_lost(self, stores: Stores) -> None:
        await stores.network.lose_answer(stores.zones.take(A, 1, expected=0))
        assert await stores.zones.owner(A) == Owner(1, 1)


class TestFencing:
    async def refuses(self, stores: Stores, epoch: int) -> None:
        before = await everything(stores)
        for write in WRITES.values():
            with pytest.raises(Fenced):
                await write(stores, epoch)
        assert await everything(stores) == before

    async def test_an_older_incarnation_changes_nothing(self, stores: Stores) -> None:
        old = await something_of_everything(stores)
        new = await stores.zones.take(A, 1)
        await self.refuses(stores, old)
        await stores.other.commit(A, new, puts(1, record=b"2"), {})
        assert await stores.has(A) == {"ent_1": b"2"}

    @pytest.mark.parametrize("epoch", [0, 2, 99])
    async def test_nor_does_one_that_was_never_handed_out(self, stores: Stores, epoch: int) -> None:
        assert await something_of_everything(stores) == 1
        await self.refuses(stores, epoch)

    async def test_nor_one_of_a_zone_that_nobody_took(self, stores: Stores) -> None:
        await self.refuses(stores, 0)

    async def test_other_zones_and_kinds_do_not_fence(self, stores: Stores) -> None:
        epoch = await stores.zones.take(A, 0)
        for kind, name in (("zone", B), ("sessions", A), ("sessions", A)):
            await stores.epochs.take(kind, name)
        await stores.zones.commit(A, epoch, puts(1), {})

    async def test_in_the_middle_of_many_writes(self, stores: Stores) -> None:
        """After the new epoch is taken not one write of the old one gets in."""
        old = await stores.zones.take(A, 0)
        writes = [asyncio.create_task(stores.zones.commit(A, old, puts(n), {})) for n in range(50)]
        await stores.other.take(A, 1)
        at_takeover = await stores.zones.load(A)
        results = await asyncio.gather(*writes, return_exceptions=True)
        assert {type(result) for result in results} <= {type(None), Fenced, Unavailable}
        assert await stores.zones.load(A) == at_takeover
        assert sum(result is None for result in results) == len(at_takeover.entities)


class TestLateWrites:
    """As when the server stood still for longer than its callers wait, and then takes what lies in its sockets, in any order."""

    @pytest.mark.parametrize("kind", ["put", "drop", "hand_over", "claim"])
    async def test_one_that_was_given_up_changes_nothing(self, stores: Stores, kind: str) -> None:
        epoch = await something_of_everything(stores)
        late, arrive = await stores.network.hold(WRITES[kind](stores, epoch))
        await stores.zones.commit(A, epoch, puts(1, record=b"acknowledged"), {})
        before = await everything(stores)
        arrive.set()
        with pytest.raises(Unavailable):
            await late
        assert await everything(stores) == before

    async def test_an_older_checkpoint_changes_nothing(self, stores: Stores) -> None:
        epoch = await something_of_everything(stores)
        late, arrive = await stores.network.hold(WRITES["places"](stores, epoch))
        await stores.zones.save_places(A, epoch, b"newer", NOW + 1)
        arrive.set()
        with pytest.raises(Unavailable):
            await late
        assert (await stores.zones.load(A)).places == b"newer"

    async def test_checkpoints_and_commits_do_not_wait_for_each_other(self, stores: Stores) -> None:
        epoch = await something_of_everything(stores)
        places, arrive = await stores.network.hold(stores.zones.save_places(A, epoch, b"newer", NOW))
        commit, follow = await stores.network.hold(stores.zones.commit(A, epoch, puts(1, record=b"2"), {}))
        follow.set()
        await commit
        arrive.set()
        await places
        stored = await stores.zones.load(A)
        assert (stored.places, stored.entities) == (b"newer", {"ent_1": b"2"})

    async def test_the_next_incarnation_begins_anew(self, stores: Stores) -> None:
        await something_of_everything(stores)
        newer = await stores.other.take(A, 1)
        await stores.other.commit(A, newer, puts(1, record=b"by the next"), {})
        assert await stores.has(A) == {"ent_1": b"by the next"}


class TestDiscard:
    async def test_not_while_there_is_an_entity(self, stores: Stores) -> None:
        epoch = await something_of_everything(stores)
        before = await everything(stores)
        assert not await stores.zones.discard(A, epoch)
        await stores.zones.commit(A, epoch, {}, drops(1))
        assert not await stores.zones.discard(A, epoch), "one is to be claimed"
        assert await stores.claim(A, epoch) == before[0][0][0].arrivals
        assert not await stores.zones.discard(A, epoch)
        await stores.zones.commit(A, epoch, {}, drops(2))
        assert await stores.zones.discard(A, epoch)
        assert await stores.zones.discard(A, epoch), "again"
        assert await stores.zones.load(A) == NOTHING
        assert await stores.zones.owner(A) == Owner(0, epoch)

    async def test_nothing_comes_after_it(self, stores: Stores) -> None:
        epoch, other = await stores.zones.take(A, 0), await stores.zones.take(B, 0)
        await stores.zones.commit(B, other, puts(1, 2), {})
        given_up, arrive = await stores.network.hold(stores.zones.commit(A, epoch, puts(9), {}))
        assert await stores.zones.discard(A, epoch)
        arrive.set()
        for late in (given_up, stores.zones.commit(A, epoch, puts(9), {}), WRITES["places"](stores, epoch)):
            with pytest.raises(Unavailable):
                await late
        with pytest.raises(NotFound):
            await stores.zones.hand_over(B, other, A, [parcel(1), parcel(2)])
        assert await stores.zones.load(A) == NOTHING
        assert await stores.has(B) == {"ent_1": b"1", "ent_2": b"1"}
        assert await stores.zones.zones_of(["ses_1", "ses_2"]) == {"ses_1": B, "ses_2": B}

    async def test_taken_anew_it_is_a_zone_again(self, stores: Stores) -> None:
        epoch, other = await stores.zones.take(A, 0), await stores.zones.take(B, 0)
        await stores.zones.commit(B, other, puts(1), {})
        assert await stores.zones.discard(A, epoch)
        again = await stores.zones.take(A, 0)
        assert again == epoch + 1
        await stores.zones.hand_over(B, other, A, [parcel(1)])
        assert await stores.claim(A, again, stores.other) == {"ent_1": b"moved"}

    async def test_nothing_is_left_of_it(self, valkey_url: str, namespace: str) -> None:
        async with connected(valkey_url) as client:
            stores = await redis_stores(client, namespace)
            epoch = await something_of_everything(stores)
            await stores.claim(A, epoch)
            await stores.zones.commit(A, epoch, {}, drops(1, 2))
            assert await stores.zones.discard(A, epoch)
            left = {key.decode().removeprefix(namespace) async for key in client.scan_iter(f"{namespace}:*:{A}*")}
        assert left == {f":epoch:zone:{A}", f":zone:{A}:written"}


class TestSentTwice:
    """The client sends a command again when the connection breaks before its answer; it may have run."""

    async def test_every_write(self, valkey_url: str, namespace: str) -> None:
        async with connected(valkey_url) as client:
            stores = await redis_stores(client, namespace)
            slow: Any = OverNetwork(client, stores.network)
            slow.sends = 2
            zones = RedisZoneStore(slow, namespace)
            assert await zones.take(A, 1, expected=0) == 1
            assert await zones.owner(A) == Owner(1, 1)
            await zones.commit(A, 1, puts(1, 2), {})
            await zones.commit(A, 1, puts(1, record=b"2"), drops(2))
            await zones.save_places(A, 1, b"places", NOW)
            await zones.hand_over(A, 1, B, [parcel(1)])
            assert await zones.take(B, 0) == 1
            assert (first := await zones.claim(B, 1)).records == {"ent_1": b"moved"}
            assert (await zones.claim(B, 1, first.number)).records == {}
            assert await zones.discard(A, 1)
            assert await zones.load(A) == NOTHING
            assert await zones.zones_of(["ses_1", "ses_2"]) == {"ses_1": B}

    async def test_a_take_after_somebody_elses(self, valkey_url: str, namespace: str) -> None:
        """It is not told the other's epoch."""
        async with connected(valkey_url) as client:
            stores = await redis_stores(client, namespace)
            keys = [f"{namespace}:epoch:zone:{A}", f"{namespace}:zone:{A}:owner"]
            assert await TAKE(client, keys, [1, "", "call"]) == b"1"
            assert await stores.epochs.take("zone", A) == 2
            assert await TAKE(client, keys, [1, "", "call"]) == b"1"
