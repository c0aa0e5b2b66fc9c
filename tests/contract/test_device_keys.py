"""What every adapter of users' public keys does (cluster/ports/device_keys.py)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
from pydantic import SecretStr

from cluster.adapters.memory.device_keys import MemoryDeviceKeys
from cluster.adapters.redis.connection import connect
from cluster.adapters.redis.device_keys import RedisDeviceKeys
from cluster.errors import Conflict, Unavailable
from cluster.ports.device_keys import FORMER, DeviceKeyStore, DeviceRecord, IdentityRecord, UserKeys
from cluster.settings import RedisSettings
from tests.servers import free_port

ANN, BOB = "usr_ann", "usr_bob"
FIRST = IdentityRecord("thumb-a", 1, "identity.a.1")
OTHER = IdentityRecord("thumb-b", 2, "identity.b.2")
PHONE = DeviceRecord("dev_phone", 1, "phone.1", ("RSA-OAEP-256",))
DESK = DeviceRecord("dev_desk", 1, "desk.1", ("ECDH-ES+A256KW", "RSA-OAEP-256"))
MOST = 3


@pytest.fixture(params=["memory", "redis"])
async def store(request: pytest.FixtureRequest, namespace: str) -> AsyncIterator[DeviceKeyStore]:
    if request.param == "memory":
        yield MemoryDeviceKeys()
    else:
        client = connect(RedisSettings(url=SecretStr(request.getfixturevalue("valkey_url"))), "contract")
        yield RedisDeviceKeys(client, namespace)
        await client.aclose()


async def publish(
    store: DeviceKeyStore, device: DeviceRecord, identity: IdentityRecord = FIRST, *, replace: bool = False
) -> str:
    return await store.publish(ANN, identity, device, MOST, replace=replace)


async def refused(store: DeviceKeyStore, *args: Any, **options: Any) -> tuple[str, dict[str, object]]:
    """The reason and what holds; and nothing has changed."""
    before = await store.get([ANN])
    with pytest.raises(Conflict) as conflict:
        await publish(store, *args, **options)
    assert await store.get([ANN]) == before
    return conflict.value.reason, conflict.value.current


async def test_who_has_published_nothing(store: DeviceKeyStore) -> None:
    assert await store.get([ANN, BOB]) == {}
    assert await store.get([]) == {}
    assert not await store.remove(ANN, PHONE.device)


async def test_devices_of_one_identity(store: DeviceKeyStore) -> None:
    assert await publish(store, PHONE) == "first"
    assert await publish(store, DESK) == "changed"
    assert await store.get([BOB, ANN]) == {ANN: UserKeys(FIRST, {PHONE.device: PHONE, DESK.device: DESK})}


async def test_the_same_again_changes_nothing(store: DeviceKeyStore) -> None:
    await publish(store, PHONE)
    before = await store.get([ANN])
    assert [await publish(store, PHONE) for _ in range(2)] == ["same", "same"]
    assert await store.get([ANN]) == before


async def test_versions_of_a_device_grow(store: DeviceKeyStore) -> None:
    newer = replace(PHONE, version=5, record="phone.5", suites=DESK.suites)
    await publish(store, PHONE)
    assert await publish(store, newer) == "changed"
    for stale in (PHONE, replace(newer, record="phone.5b"), replace(newer, version=4)):
        if stale.record != newer.record:
            assert await refused(store, stale) == ("stale_version", {"version": 5, "what": "device"})
    assert (await store.get([ANN]))[ANN].devices == {PHONE.device: newer}


async def test_a_removed_device_comes_back_with_a_higher_version_only(store: DeviceKeyStore) -> None:
    await publish(store, PHONE)
    assert await store.remove(ANN, PHONE.device)
    assert not await store.remove(ANN, PHONE.device)
    assert (await store.get([ANN]))[ANN].devices == {}
    assert await refused(store, PHONE) == ("stale_version", {"version": 1, "what": "device"})
    assert await publish(store, replace(PHONE, version=2, record="phone.2")) == "changed"


async def test_another_identity_has_to_be_wanted(store: DeviceKeyStore) -> None:
    await publish(store, PHONE)
    assert await refused(store, DESK, OTHER) == ("identity_known", {"version": 1, "thumbprint": "thumb-a"})


async def test_devices_of_a_former_identity_go(store: DeviceKeyStore) -> None:
    await publish(store, PHONE)
    await publish(store, DESK)
    assert await publish(store, PHONE, OTHER, replace=True) == "replaced"
    assert await store.get([ANN]) == {ANN: UserKeys(OTHER, {PHONE.device: PHONE})}
    assert await publish(store, PHONE, OTHER, replace=True) == "same"
    assert await publish(store, DESK, OTHER) == "changed", "its version belonged to the former identity"


@pytest.mark.parametrize("version", [1, 2])
async def test_versions_of_identities_grow(store: DeviceKeyStore, version: int) -> None:
    await publish(store, PHONE, replace_version(FIRST, 2))
    assert await refused(store, DESK, replace_version(OTHER, version), replace=True) == (
        "stale_version",
        {"version": 2, "what": "identity"},
    )


async def test_a_newer_record_of_the_same_identity(store: DeviceKeyStore) -> None:
    await publish(store, PHONE)
    newer = IdentityRecord(FIRST.thumbprint, 2, "identity.a.2")
    assert await publish(store, PHONE, newer) == "changed"
    assert (await store.get([ANN]))[ANN] == UserKeys(newer, {PHONE.device: PHONE})
    assert await refused(store, DESK) == ("stale_version", {"version": 2, "what": "identity"})


async def test_no_more_devices_than_allowed(store: DeviceKeyStore) -> None:
    for number in range(MOST):
        await publish(store, replace(PHONE, device=f"dev_{number}", record=f"r{number}"))
    assert await refused(store, DESK) == ("too_many_devices", {})
    assert await publish(store, replace(PHONE, device="dev_0", version=2, record="r0.2")) == "changed"
    await store.remove(ANN, "dev_1")
    assert await publish(store, DESK) == "changed"


async def test_no_more_devices_than_are_remembered(store: DeviceKeyStore) -> None:
    for number in range(MOST * FORMER):
        await publish(store, replace(PHONE, device=f"dev_{number}", record=f"r{number}"))
        await store.remove(ANN, f"dev_{number}")
    assert await refused(store, DESK) == ("too_many_devices", {})
    assert await publish(store, DESK, OTHER, replace=True) == "replaced"


async def test_users_do_not_touch_each_other(store: DeviceKeyStore) -> None:
    await publish(store, PHONE)
    await store.publish(BOB, OTHER, DESK, MOST, replace=False)
    assert await store.get([ANN, BOB]) == {
        ANN: UserKeys(FIRST, {PHONE.device: PHONE}),
        BOB: UserKeys(OTHER, {DESK.device: DESK}),
    }
    assert not await store.remove(ANN, DESK.device)


async def test_of_many_at_once_each_counts(store: DeviceKeyStore) -> None:
    made = [replace(PHONE, device=f"dev_{n}", record=f"r{n}") for n in range(10)]
    done = await asyncio.gather(*(publish(store, each) for each in made), return_exceptions=True)
    assert sum(isinstance(each, Conflict) for each in done) == 10 - MOST
    assert len((await store.get([ANN]))[ANN].devices) == MOST


async def test_a_server_that_is_away(namespace: str) -> None:
    settings = RedisSettings(url=SecretStr(f"redis://127.0.0.1:{free_port()}/0"), timeout_s=0.2)
    client = connect(settings, "contract")
    with pytest.raises(Unavailable):
        await RedisDeviceKeys(client, namespace).get([ANN])
    await client.aclose()


def replace_version(identity: IdentityRecord, version: int) -> IdentityRecord:
    return replace(identity, version=version)
