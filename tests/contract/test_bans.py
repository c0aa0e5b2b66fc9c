"""What every adapter of the port to bans does (cluster/ports/bans.py); what a ban keeps from a user: test_session_store.py."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

import pytest
from pydantic import SecretStr
from redis.asyncio import Redis

from cluster.adapters.memory.bans import MemoryBans
from cluster.adapters.redis.bans import RedisBans
from cluster.adapters.redis.connection import connect
from cluster.errors import Unavailable
from cluster.ports.bans import Ban, Bans, Held
from cluster.settings import RedisSettings
from tests.servers import free_port

HOUR = 3_600.0


@dataclass
class Rig:
    """`expire` ends a user's ban as its time does."""

    bans: Bans
    expire: Callable[[str], Awaitable[None]]


@pytest.fixture
async def client(valkey_url: str) -> AsyncIterator[Redis]:
    client = connect(RedisSettings(url=SecretStr(valkey_url)), "contract")
    yield client
    await client.aclose()


@pytest.fixture(params=["memory", "redis"])
def rig(request: pytest.FixtureRequest, namespace: str) -> Rig:
    if request.param == "memory":
        now = [1_000.0]

        async def later(user_id: str) -> None:
            ban = await bans.banned(user_id)
            assert ban is not None
            assert ban.left_s is not None
            now[0] += ban.left_s

        bans = MemoryBans(lambda: now[0])
        return Rig(bans, later)
    client: Redis = request.getfixturevalue("client")

    async def expire(user_id: str) -> None:
        assert await client.delete(f"{namespace}:ban:user:{user_id}")

    return Rig(RedisBans(client, namespace), expire)


async def test_nobody_is_banned(rig: Rig) -> None:
    assert await rig.bans.banned("usr_a") is None
    assert await rig.bans.lift("usr_a") is False


async def test_for_a_time(rig: Rig) -> None:
    await rig.bans.ban("usr_a", HOUR, "cheating: 'ö'")
    ban = await rig.bans.banned("usr_a")
    assert ban is not None
    assert ban.left_s is not None
    assert HOUR - 60 < ban.left_s <= HOUR
    assert ban == Ban("cheating: 'ö'", ban.left_s)
    assert await rig.bans.banned("usr_b") is None


async def test_until_it_is_over(rig: Rig) -> None:
    await rig.bans.ban("usr_a", HOUR, "")
    await rig.expire("usr_a")
    assert await rig.bans.banned("usr_a") is None
    assert await rig.bans.lift("usr_a") is False


async def test_for_good(rig: Rig) -> None:
    await rig.bans.ban("usr_a", None, "")
    assert await rig.bans.banned("usr_a") == Ban("", None)


async def test_lifted(rig: Rig) -> None:
    await rig.bans.ban("usr_a", None, "")
    await rig.bans.ban("usr_b", None, "")
    assert await rig.bans.lift("usr_a") is True
    assert await rig.bans.lift("usr_a") is False
    assert await rig.bans.banned("usr_a") is None
    assert await rig.bans.banned("usr_b") == Ban("", None)


async def test_the_newest_counts(rig: Rig) -> None:
    await rig.bans.ban("usr_a", None, "old")
    await rig.bans.ban("usr_a", HOUR, "new")
    ban = await rig.bans.banned("usr_a")
    assert ban is not None
    assert ban.reason == "new"
    assert ban.left_s is not None, "shorter than the one before"
    await rig.bans.ban("usr_a", None, "newest")
    assert await rig.bans.banned("usr_a") == Ban("newest", None), "and longer"


@pytest.mark.parametrize(
    ("before", "then", "stays"),
    [(None, HOUR, True), (None, None, True), (2 * HOUR, HOUR, True), (HOUR, 2 * HOUR, False), (HOUR, None, False)],
)
async def test_never_less(rig: Rig, before: float | None, then: float | None, stays: bool) -> None:
    await rig.bans.ban("usr_a", before, "an operator's")
    await rig.bans.ban("usr_a", then, "flooding", extend_only=True)
    ban = await rig.bans.banned("usr_a")
    assert ban is not None
    assert ban.reason == ("an operator's" if stays else "flooding")
    lasts = before if stays else then
    assert (ban.left_s is None) is (lasts is None)
    if ban.left_s is not None and lasts is not None:
        assert lasts - 60 < ban.left_s <= lasts


@pytest.mark.parametrize("for_s", [HOUR, None])
async def test_never_less_than_nothing(rig: Rig, for_s: float | None) -> None:
    await rig.bans.ban("usr_a", for_s, "ö", extend_only=True)
    ban = await rig.bans.banned("usr_a")
    assert ban is not None
    assert ban.reason == "ö"
    assert (ban.left_s is None) is (for_s is None)


async def test_only_a_ban_of_that_kind_is_lifted(rig: Rig) -> None:
    await rig.bans.ban("usr_a", None, "an operator's: watch: ")
    await rig.bans.ban("usr_b", HOUR, "watch: ö")
    await rig.bans.ban("usr_c", HOUR, "")
    assert [await rig.bans.lift(user, "watch: ") for user in ("usr_a", "usr_b", "usr_c", "usr_d")] == [
        False,
        True,
        False,
        False,
    ]
    assert await rig.bans.banned("usr_a") == Ban("an operator's: watch: ", None)
    assert await rig.bans.banned("usr_b") is None
    assert await rig.bans.banned("usr_c") is not None


async def test_less_than_a_millisecond_is_a_ban(client: Redis, namespace: str) -> None:
    """SET PX 0 is an error."""
    await RedisBans(client, namespace).ban("usr_a", 0.000_1, "")
    assert await client.pttl(f"{namespace}:ban:user:usr_a") <= 1
    await RedisBans(client, namespace).ban("usr_b", 0.000_1, "", extend_only=True)
    assert await client.pttl(f"{namespace}:ban:user:usr_b") <= 1


async def test_realms_that_share_a_server(client: Redis, namespace: str) -> None:
    await RedisBans(client, namespace).ban("usr_a", HOUR, "")
    assert await RedisBans(client, f"{namespace}-other").banned("usr_a") is None


async def test_a_server_that_is_away(namespace: str) -> None:
    settings = RedisSettings(url=SecretStr(f"redis://127.0.0.1:{free_port()}/0"), timeout_s=0.2)
    client = connect(settings, "contract")
    bans = RedisBans(client, namespace)
    extended = bans.ban("usr_a", 1.0, "", extend_only=True)
    for attempt in (bans.ban("usr_a", 1.0, ""), extended, bans.lift("usr_a"), bans.banned("usr_a")):
        with pytest.raises(Unavailable):
            await attempt
    await client.aclose()


async def test_the_list_of_bans(rig: Rig) -> None:
    """Those that end first come first; what has ended or was lifted is on it no more."""
    assert await rig.bans.held(0, 10) == Held(0, ())
    await rig.bans.ban("usr_ever", None, "for ever")
    await rig.bans.ban("usr_late", 2 * HOUR, "late")
    await rig.bans.ban("usr_soon", HOUR, "soon")
    await rig.bans.ban("usr_gone", 3 * HOUR, "gone")
    await rig.bans.lift("usr_gone")
    await rig.bans.ban("usr_late", HOUR / 2, "shorter", extend_only=True)
    held = await rig.bans.held(0, 10)
    assert held.total == 3
    assert [(user, ban.reason) for user, ban in held.bans] == [
        ("usr_soon", "soon"), ("usr_late", "late"), ("usr_ever", "for ever"),
    ]  # fmt: skip
    (_, soon), (_, late), (_, ever) = held.bans
    assert soon.left_s == pytest.approx(HOUR, abs=5.0)
    assert late.left_s == pytest.approx(2 * HOUR, abs=5.0)
    assert ever.left_s is None
    page = await rig.bans.held(1, 1)
    assert (page.total, [user for user, _ in page.bans]) == (3, ["usr_late"])
    assert (await rig.bans.held(7, 10)).bans == ()
    await rig.bans.ban("usr_late", None, "longer", extend_only=True)
    assert [user for user, _ in (await rig.bans.held(0, 10)).bans] == ["usr_soon", "usr_ever", "usr_late"]
    await rig.expire("usr_soon")
    assert [user for user, _ in (await rig.bans.held(0, 10)).bans] == ["usr_ever", "usr_late"]
    assert (await rig.bans.held(0, 10)).total == 2
