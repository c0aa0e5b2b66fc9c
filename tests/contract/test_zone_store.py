"""What every adapter of the zone port does (cluster/ports/zones.py)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
from pydantic import SecretStr

from cluster.adapters.memory.epochs import MemoryEpochStore
from cluster.adapters.memory.zones import MemoryZoneStore
from cluster.adapters.redis.connection import connect
from cluster.adapters.redis.epochs import RedisEpochStore
from cluster.adapters.redis.zones import PUT, RedisZoneStore
from cluster.errors import Fenced
from cluster.ports.epochs import EpochStore
from cluster.ports.zones import StoredZone, ZoneStore
from cluster.settings import RedisSettings

ZONE, OTHER = "zon_a", "zon_b"
NOTHING = StoredZone({}, b"", 0.0)
BYTES = bytes(range(256))
NOW = 1_800_000_000.123456


@dataclass(frozen=True)
class Stores:
    zones: ZoneStore
    epochs: EpochStore


@pytest.fixture(params=["memory", "redis"])
async def stores(request: pytest.FixtureRequest, namespace: str) -> AsyncIterator[Stores]:
    if request.param == "memory":
        epochs = MemoryEpochStore()
        yield Stores(MemoryZoneStore(epochs), epochs)
    else:
        client = connect(RedisSettings(url=SecretStr(request.getfixturevalue("valkey_url"))), "contract")
        yield Stores(RedisZoneStore(client, namespace), RedisEpochStore(client, namespace))
        await client.aclose()


async def test_a_new_zone_has_nothing(stores: Stores) -> None:
    assert await stores.zones.load(ZONE) == NOTHING


async def test_everything_comes_back_byte_for_byte(stores: Stores) -> None:
    epoch = await stores.epochs.take("zone", ZONE)
    await stores.zones.put_entity(ZONE, epoch, "ent_1", BYTES)
    await stores.zones.put_entity(ZONE, epoch, "ent_ö", b"")
    await stores.zones.save_places(ZONE, epoch, BYTES * 100, NOW)
    assert await stores.zones.load(ZONE) == StoredZone({"ent_1": BYTES, "ent_ö": b""}, BYTES * 100, NOW)


async def test_the_newest_of_each_counts(stores: Stores) -> None:
    epoch = await stores.epochs.take("zone", ZONE)
    for version in (b"1", b"2"):
        await stores.zones.put_entity(ZONE, epoch, "ent_1", version)
        await stores.zones.save_places(ZONE, epoch, version, NOW + int(version))
    assert await stores.zones.load(ZONE) == StoredZone({"ent_1": b"2"}, b"2", NOW + 2)


async def test_no_places_are_not_the_same_as_none_yet(stores: Stores) -> None:
    epoch = await stores.epochs.take("zone", ZONE)
    await stores.zones.save_places(ZONE, epoch, b"", NOW)
    assert await stores.zones.load(ZONE) == StoredZone({}, b"", NOW)


async def test_dropping(stores: Stores) -> None:
    epoch = await stores.epochs.take("zone", ZONE)
    await stores.zones.put_entity(ZONE, epoch, "ent_1", b"1")
    await stores.zones.put_entity(ZONE, epoch, "ent_2", b"2")
    await stores.zones.drop_entity(ZONE, epoch, "ent_1")
    await stores.zones.drop_entity(ZONE, epoch, "ent_1")
    await stores.zones.drop_entity(ZONE, epoch, "ent_none")
    assert (await stores.zones.load(ZONE)).entities == {"ent_2": b"2"}


async def test_zones_are_kept_apart(stores: Stores) -> None:
    epoch = await stores.epochs.take("zone", ZONE)
    other = await stores.epochs.take("zone", OTHER)
    await stores.zones.put_entity(ZONE, epoch, "ent_1", b"1")
    await stores.zones.save_places(OTHER, other, b"2", NOW)
    assert await stores.zones.load(ZONE) == StoredZone({"ent_1": b"1"}, b"", 0.0)
    assert await stores.zones.load(OTHER) == StoredZone({}, b"2", NOW)


class TestFencing:
    async def refuses(self, stores: Stores, epoch: int) -> None:
        before = await stores.zones.load(ZONE)
        with pytest.raises(Fenced):
            await stores.zones.put_entity(ZONE, epoch, "ent_1", b"x")
        with pytest.raises(Fenced):
            await stores.zones.drop_entity(ZONE, epoch, "ent_1")
        with pytest.raises(Fenced):
            await stores.zones.save_places(ZONE, epoch, b"x", NOW)
        assert await stores.zones.load(ZONE) == before

    async def test_an_older_incarnation_changes_nothing(self, stores: Stores) -> None:
        old = await stores.epochs.take("zone", ZONE)
        await stores.zones.put_entity(ZONE, old, "ent_1", b"1")
        new = await stores.epochs.take("zone", ZONE)
        await self.refuses(stores, old)
        await stores.zones.put_entity(ZONE, new, "ent_1", b"2")
        assert (await stores.zones.load(ZONE)).entities == {"ent_1": b"2"}

    @pytest.mark.parametrize("epoch", [0, 2, 99])
    async def test_nor_does_one_that_was_never_handed_out(self, stores: Stores, epoch: int) -> None:
        await stores.zones.put_entity(ZONE, await stores.epochs.take("zone", ZONE), "ent_1", b"1")
        await self.refuses(stores, epoch)

    async def test_other_zones_and_kinds_do_not_fence(self, stores: Stores) -> None:
        epoch = await stores.epochs.take("zone", ZONE)
        await stores.epochs.take("zone", OTHER)
        await stores.epochs.take("sessions", ZONE)
        await stores.epochs.take("sessions", ZONE)
        await stores.zones.put_entity(ZONE, epoch, "ent_1", b"1")

    async def test_in_the_middle_of_many_writes(self, stores: Stores) -> None:
        """After the new epoch is taken not one write of the old one gets in."""
        old = await stores.epochs.take("zone", ZONE)
        writes = [asyncio.create_task(stores.zones.put_entity(ZONE, old, f"ent_{n}", b"1")) for n in range(50)]
        await stores.epochs.take("zone", ZONE)
        at_takeover = await stores.zones.load(ZONE)
        results = await asyncio.gather(*writes, return_exceptions=True)
        assert {type(result) for result in results} <= {type(None), Fenced}
        assert await stores.zones.load(ZONE) == at_takeover
        assert sum(result is None for result in results) == len(at_takeover.entities)


async def test_a_write_that_was_given_up_and_runs_late_changes_nothing(valkey_url: str, namespace: str) -> None:
    """As when the server stood still for longer than its callers wait, and then takes what lies in its sockets, in any order."""
    client = connect(RedisSettings(url=SecretStr(valkey_url)), "contract")
    epochs, zones = RedisEpochStore(client, namespace), RedisZoneStore(client, namespace)
    epoch = await epochs.take("zone", ZONE)
    given_up = next(zones._numbers)
    await zones.put_entity(ZONE, epoch, "ent_1", b"acknowledged")
    late = [epoch, given_up, "ent_1", b"given up"]
    assert await PUT(client, zones._keys(ZONE, "entities", "order"), late) == b"late"
    assert (await zones.load(ZONE)).entities == {"ent_1": b"acknowledged"}
    newer = await epochs.take("zone", ZONE)
    await RedisZoneStore(client, namespace).put_entity(ZONE, newer, "ent_1", b"by the next incarnation")
    assert (await zones.load(ZONE)).entities == {"ent_1": b"by the next incarnation"}
    await client.aclose()
