"""What happens to open sockets as their tokens end, are revoked or renewed; time is the test's."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Coroutine
from typing import Any

import orjson
import pytest

from cluster.adapters.memory.bans import MemoryBans
from cluster.ports.protection import Protection, Revocation
from cluster.realm import Realm
from cluster.security.keys import KeyRing
from cluster.security.rotation import Rotation, publish
from cluster.security_settings import IdentitySettings
from cluster.settings import Settings
from cluster.telemetry.gateway_metrics import GatewayMetrics
from serve_apps.gateway.authority import Authority
from serve_apps.gateway.client import Client
from serve_apps.gateway.connection import Close
from serve_apps.gateway.identity import Identity
from serve_apps.gateway.outgoing import Priority
from tests.unit.serve_apps.gateway.fakes import SECRET, WALL, a_client, checker_of

SETTINGS = IdentitySettings(remind_s=120.0, grace_s=30.0, revalidate_s=300.0)


class Scene:
    """`told`: seconds after the start, and what; `closed` likewise."""

    def __init__(self) -> None:
        self.now = WALL
        self.told: list[tuple[float, str, Any]] = []
        self.closed: list[tuple[float, int, str]] = []
        self.ring = KeyRing.create(WALL)
        self.checker = checker_of(Realm(Settings(realm="test"), self.ring, SECRET))
        self.bans = MemoryBans(lambda: self.now)
        self.background: list[Coroutine[Any, Any, None]] = []
        self.metrics = GatewayMetrics((), list(Close))
        self.clients: list[Client] = []
        self.authority = Authority(
            SETTINGS, self.checker, self.bans, self.notify, self.close, self.spawn, lambda: self.now, self.metrics
        )

    def notify(self, client: Client, method: str, params: bytes, priority: Priority) -> None:
        assert not client.closed
        self.told.append((self.now - WALL, method, orjson.loads(params)))

    def close(self, client: Client, code: Close, reason: str) -> None:
        client.closed = True
        self.closed.append((self.now - WALL, code.value, reason))

    def spawn(self, work: Coroutine[Any, Any, None]) -> bool:
        self.background.append(work)
        return True

    def identity(self, ttl_s: float = 900.0, **more: Any) -> Identity:
        known = {"token_id": "fam_1.x", "key_id": self.ring.verify[0].kid, **more}
        return Identity("usr_a", issued_at=self.now, expires_at=self.now + ttl_s, **known)

    def join(self, who: Identity) -> Client:
        client, _ = a_client(user_id="usr_a")
        client.identity = who
        self.clients.append(client)
        self.authority.opened(client, 0.0)
        return client

    async def until(self, second: float) -> None:
        """A sweep each second."""
        while self.now < WALL + second:
            self.now += 1.0
            self.authority.sweep(self.clients, self.now)
            while self.background:
                await self.background.pop(0)


@pytest.fixture
def scene() -> Scene:
    return Scene()


async def test_reminded_once_and_closed_after_the_grace(scene: Scene) -> None:
    scene.join(scene.identity())
    await scene.until(1_000)
    assert scene.told == [(780.0, "auth.expiring", {"expires_in": 120.0})]
    assert scene.closed == [(930.0, 4501, "token_expired")]
    assert {name: count for name, count in scene.metrics._authority.items() if count} == {
        "reminded": 1,
        "token_expired": 1,
    }


async def test_short_tokens_are_reminded_of_in_the_middle_of_their_life(scene: Scene) -> None:
    scene.join(scene.identity(60.0))
    await scene.until(100)
    assert scene.told == [(30.0, "auth.expiring", {"expires_in": 30.0})]
    assert scene.closed == [(90.0, 4501, "token_expired")]


async def test_a_newer_token_takes_over(scene: Scene) -> None:
    client = scene.join(scene.identity())
    await scene.until(800)
    newer = scene.identity(role="moderator", premium=True)
    scene.authority.renewed(client, newer)
    assert (client.identity, client.role) == (newer, "moderator")
    await scene.until(1_579)
    assert [at for at, *_ in scene.told] == [780.0]
    assert not scene.closed
    await scene.until(1_800)
    assert [at for at, *_ in scene.told] == [780.0, 1_580.0]
    assert scene.closed == [(1_730.0, 4501, "token_expired")]


async def test_one_without_an_end(scene: Scene) -> None:
    client = scene.join(Identity("usr_a"))
    await scene.until(5_000)
    assert (scene.told, scene.closed, client.closed) == ([], [], False)


async def test_a_revocation_does_not_wait(scene: Scene) -> None:
    client, other = scene.join(scene.identity()), scene.join(scene.identity(token_id="fam_2.y"))
    await scene.until(10)
    protection = Protection(1, (), (Revocation("family", "fam_1", 0.0, WALL + 1e4),))
    scene.checker.learn(protection, scene.now)
    scene.authority.changed(scene.clients)
    assert scene.closed == [(10.0, 4501, "token_revoked")]
    assert (client.closed, other.closed) == (True, False)
    scene.authority.gone(client, 0.0)
    await scene.until(100)
    assert len(scene.closed) == 1


async def test_revoked_between_the_look_at_its_token_and_the_open_socket(scene: Scene) -> None:
    who = scene.identity()
    scene.checker.learn(Protection(1, (), (Revocation("user", "usr_a", WALL + 1, WALL + 1e4),)), scene.now)
    scene.join(who)
    await scene.until(1)
    assert scene.closed == [(1.0, 4501, "token_revoked")]


async def test_a_key_that_was_taken_away(scene: Scene) -> None:
    scene.join(scene.identity())
    await scene.until(5)
    published = publish(scene.ring, Rotation(scene.ring).rotated(scene.now, 0.0, 900.0).ring, scene.now)
    scene.checker.learn(Protection(1, keys=published), scene.now)
    scene.authority.changed(scene.clients)
    assert not scene.closed, "a rotation logs nobody out"
    published = publish(scene.ring, Rotation.replaced(scene.now).ring, scene.now)
    scene.checker.learn(Protection(2, keys=published), scene.now)
    scene.authority.changed(scene.clients)
    assert scene.closed == [(5.0, 4501, "key_gone")]


async def test_banned_users_are_found_at_the_next_look(scene: Scene) -> None:
    scene.join(scene.identity(10_000.0))
    await scene.until(10)
    await scene.bans.ban("usr_a", None, "")
    await scene.until(299)
    assert not scene.closed
    await scene.until(301)
    assert [(code, why) for _, code, why in scene.closed] == [(4503, "banned")]


async def test_who_is_gone_is_forgotten(scene: Scene) -> None:
    for _ in range(10):
        client = scene.join(scene.identity(60.0))
        await scene.until(scene.now - WALL + 40)
        client.closed = True
        scene.authority.gone(client, 0.0)
    await scene.until(2_000)
    assert not scene.authority._due
    assert not scene.authority._heap
    assert not scene.authority._looked_at
    assert not scene.authority._reminded


async def test_nothing_keeps_a_client_that_is_gone(scene: Scene) -> None:
    """Its next moment may be minutes away; its buffers and its views must not wait for it."""
    client = scene.join(scene.identity(10_000.0))
    await scene.until(10)
    scene.authority.renewed(client, scene.identity(10_000.0))
    alive = weakref.ref(client)
    scene.clients.remove(client)
    client.closed = True
    scene.authority.gone(client, 0.0)
    del client
    gc.collect()
    assert alive() is None
    await scene.until(400)
    assert not scene.authority._heap


async def test_a_client_has_one_next_moment_however_often_it_renews(scene: Scene) -> None:
    client = scene.join(scene.identity())
    for _ in range(5_000):
        scene.authority.renewed(client, scene.identity())
    assert [due for due in scene.authority._heap if due.client is not None] == [scene.authority._due[client]]
    assert len(scene.authority._heap) < 1_100
    await scene.until(1_000)
    assert [at for at, *_ in scene.told] == [780.0]
    assert scene.closed == [(930.0, 4501, "token_expired")]


def test_renewing_is_limited_by_itself() -> None:
    methods = Settings().limits.methods
    assert methods["auth.renew"] == methods["auth.refresh"]
