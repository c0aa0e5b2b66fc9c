"""The web process's keys over the protection store."""

from __future__ import annotations

import pytest

from cluster.adapters.memory.protection import MemoryProtection
from cluster.errors import Unavailable
from cluster.security.keys import KeyRing
from cluster.security.rotation import LiveKeys, read_published
from cluster.settings import Settings
from serve_apps.accounts.key_desk import SPARE_S, KeyDesk
from tests.unit.serve_apps.accounts.conftest import NOW

SETTINGS = Settings(realm="test")
LEAD = SETTINGS.identity.key_lead_s


class Desk:
    def __init__(self, store: MemoryProtection | None = None, root: KeyRing | None = None) -> None:
        self.now = NOW
        self.told = 0
        self.root = root or KeyRing.create(NOW)
        self.store = store or MemoryProtection(lambda: self.now)
        self.keys = LiveKeys(self.root)
        self.desk = KeyDesk(SETTINGS, self.keys, self.store, lambda: self.now, self.tell)

    def tell(self) -> None:
        self.told += 1

    async def published(self) -> str:
        loaded = await self.store.load(-1)
        assert loaded is not None
        return loaded.keys


async def test_a_rotation_and_its_successor_process() -> None:
    first = Desk()
    made = await first.desk.rotate()
    assert (made["signs_in_s"], first.told) == (LEAD, 1)
    assert [key["state"] for key in made["keys"]] == ["waits", "signs"]
    keep = made["keys"][1]["not_after"] - NOW - LEAD
    assert keep == SETTINGS.accounts.access_ttl_s + SETTINGS.accounts.clock_skew_s + SETTINGS.identity.grace_s + SPARE_S
    assert await first.desk.rotate() == made, "one at a time"
    second = Desk(first.store, first.root)
    await second.desk.load()
    for desk in (first, second):
        desk.now += LEAD
        assert [key["state"] for key in desk.desk.list()] == ["signs", "verifies"]
        assert desk.keys.ring(desk.now).signer()[0] == made["kid"]
        desk.now += keep + 1
        assert [key["kid"] for key in desk.desk.list()] == [made["kid"]]


async def test_another_root_ignores_what_is_stored() -> None:
    first = Desk()
    await first.desk.rotate()
    other = Desk(first.store)
    await other.desk.load()
    assert other.keys.ring(NOW) == other.root


async def test_a_compromised_key() -> None:
    desk = Desk()
    made = await desk.desk.rotate(compromised=True)
    assert made["signs_in_s"] == 0.0
    assert [key["state"] for key in made["keys"]] == ["signs"]
    assert desk.keys.ring(NOW).verifier(desk.root.verify[0].kid, NOW) is None


async def test_a_store_that_lost_the_keys_gets_them_again() -> None:
    desk = Desk()
    await desk.desk.mend("")
    assert desk.told == 0, "nothing was ever rotated"
    await desk.desk.rotate()
    await desk.desk.mend(await desk.published())
    assert desk.told == 1
    await desk.store.keep_keys("nonsense", "")
    await desk.desk.mend(await desk.published())
    assert desk.told == 2
    read = read_published(desk.root.public_only(), await desk.published(), NOW)
    assert read is not None
    assert read.verify == desk.keys.ring(NOW).verify
    again = Desk(desk.store, desk.root)
    await again.desk.load()
    assert again.keys.ring(NOW).verify == desk.keys.ring(NOW).verify


class Flaky(MemoryProtection):
    """`lost`: keys are kept, and nobody is told. `late`: they are kept later, by `arrive`. `away`: nothing answers."""

    lost = late = away = False
    waiting: tuple[str, str] | None = None

    async def keep_keys(self, public: str, sealed: str) -> None:
        if self.late:
            self.waiting = (public, sealed)
        else:
            await super().keep_keys(public, sealed)
        if self.lost or self.late:
            raise Unavailable("redis")

    async def sealed_keys(self) -> str:
        if self.away:
            raise Unavailable("redis")
        return await super().sealed_keys()

    async def arrive(self) -> None:
        assert self.waiting is not None
        await super().keep_keys(*self.waiting)


def flaky() -> tuple[Desk, Flaky]:
    store = Flaky(lambda: NOW)
    return Desk(store), store


async def agrees(desk: Desk) -> bool:
    """Whether gateways accept what the web process signs."""
    gateway = LiveKeys(desk.root.public_only())
    gateway.adopt(await desk.published(), desk.now)
    return gateway.ring(desk.now).verifier(desk.keys.ring(desk.now).signer()[0], desk.now) is not None


@pytest.mark.parametrize("compromised", [True, False])
async def test_an_answer_that_is_lost(compromised: bool) -> None:
    desk, store = flaky()
    store.lost = True
    made = await desk.desk.rotate(compromised)
    assert made["keys"][0]["kid"] == made["kid"] != desk.root.verify[0].kid
    assert len(made["keys"]) == 2 - compromised
    desk.now += LEAD + 86_400.0
    assert await agrees(desk)


@pytest.mark.parametrize("compromised", [True, False])
async def test_an_answer_that_is_lost_in_an_outage(compromised: bool) -> None:
    desk, store = flaky()
    store.lost = store.away = True
    with pytest.raises(Unavailable):
        await desk.desk.rotate(compromised)
    published = await desk.published()
    with pytest.raises(Unavailable):
        await desk.desk.mend(published)
    store.lost = store.away = False
    await desk.desk.mend(published)
    desk.now += LEAD + 86_400.0
    assert await agrees(desk)
    assert len(desk.desk.list()) == 1, "not the root's any more"
    assert await desk.published() == published


async def test_after_an_outage_the_next_rotation_goes_on_from_what_was_done() -> None:
    desk, store = flaky()
    store.lost = store.away = True
    with pytest.raises(Unavailable):
        await desk.desk.rotate()
    store.lost = store.away = False
    done = await desk.published()
    waits = await desk.desk.rotate()
    assert len(waits["keys"]) == 2
    assert await desk.published() == done, "one at a time"
    assert await agrees(desk)


async def test_a_rotation_that_comes_late_is_taken() -> None:
    desk, store = flaky()
    desk.now += 10.0
    store.late = True
    with pytest.raises(Unavailable):
        await desk.desk.rotate(compromised=True)
    store.late = False
    await desk.desk.mend(await desk.published())
    assert await agrees(desk)
    assert desk.keys.ring(desk.now) == desk.root
    await store.arrive()
    assert not await agrees(desk)
    await desk.desk.mend(await desk.published())
    assert await agrees(desk)
    assert desk.keys.ring(desk.now).verifier(desk.root.verify[0].kid, desk.now) is None, "it is compromised"


async def test_older_keys_that_somebody_put_back_are_not_taken() -> None:
    desk, store = flaky()
    desk.now += 10.0
    await desk.desk.rotate()
    older = await desk.published(), await store.sealed_keys()
    desk.now += 10.0
    made = await desk.desk.rotate(compromised=True)
    await store.keep_keys(*older)
    await desk.desk.mend(await desk.published())
    assert [key["kid"] for key in desk.desk.list()] == [made["kid"]]
    assert await agrees(desk)


async def test_what_others_published_under_the_roots_own_keys_is_mended() -> None:
    desk = Desk()
    await desk.store.keep_keys("nonsense", "")
    await desk.desk.mend(await desk.published())
    read = read_published(desk.root.public_only(), await desk.published(), NOW)
    assert read is not None
    assert read.verify == desk.root.verify
