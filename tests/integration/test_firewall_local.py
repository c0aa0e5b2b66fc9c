"""The upgrade firewall over real sockets (row 6.1): connections, origins, heads and bans, before any token is looked at."""

from __future__ import annotations

import asyncio
import base64
import os
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import pytest

from cluster.adapters.redis.protection import RedisProtection
from cluster.guarding import tell_change
from serve_apps.gateway.gateway_app import GatewayRunner
from tests.integration.strangers import a_user, until
from tests.local_realm import LocalRealm, local_realm
from tests.players import Player
from tests.wire import Raw

FIREWALL: dict[str, Any] = {
    "exempt": [],
    "connections_per_address": 4,
    "connects_per_address": {"per_s": 2.0, "burst": 10},
    "refresh_s": 0.5,
}
EFFECTIVE_S = 5.0  # what the issue allows a ban to take


@pytest.fixture
async def realm(valkey_url: str, nats_url: str, nats_token: str, namespace: str) -> AsyncIterator[LocalRealm]:
    async with local_realm(valkey_url, nats_url, nats_token, namespace, firewall=FIREWALL) as running:
        yield running


async def knock(realm: LocalRealm, source: str, token: str = "", **headers: Any) -> Raw:
    return await Raw.open(realm.url, token or realm.token(a_user()), source=source, **headers)


async def reason(realm: LocalRealm, source: str, **headers: Any) -> tuple[int, str]:
    raw = await knock(realm, source, **headers)
    if raw.answer.status == 101:
        raw.abort()
        return 101, ""
    return raw.answer.status, raw.answer.problem["reason"]


def store(realm: LocalRealm) -> RedisProtection:
    return RedisProtection(realm.gateway._runtime.redis, realm.settings.namespace)


def refusals(realm: LocalRealm) -> dict[str, int]:
    return {
        sample.labels["reason"]: int(sample.value)
        for family in realm.gateway.hub.metrics.registry.collect()
        for sample in family.samples
        if sample.name == "rayrealm_gateway_upgrades_refused_total"
    }


class TestConnections:
    async def test_so_many_at_once(self, realm: LocalRealm) -> None:
        sockets = [await knock(realm, "127.0.1.5") for _ in range(6)]
        assert [raw.answer.status for raw in sockets] == [101] * 4 + [429] * 2
        refused = sockets[-1].answer
        assert (refused.problem["reason"], refused.headers["retry-after"]) == ("too_many_connections", "10")
        beside = await knock(realm, "127.0.1.6")
        assert beside.answer.status == 101
        for raw in sockets[:3]:
            raw.abort()
        await until(lambda: len(realm.gateway.hub.clients) == 2)
        again = await knock(realm, "127.0.1.5")
        assert again.answer.status == 101, "places are free again"
        for raw in (sockets[3], beside, again):
            raw.abort()
        assert refusals(realm) == {"too_many_connections": 2}

    async def test_a_place_is_free_again_whatever_became_of_it(self, realm: LocalRealm) -> None:
        """Refused tokens, sockets that vanish before they are open, and clean closes: none keeps a place."""
        for _ in range(3):
            raw = await knock(realm, "127.0.1.5", token="nonsense")
            assert raw.answer.status == 401
        for _ in range(3):
            raw = await Raw.dial(realm.url, source="127.0.1.5")
            raw.send(head(realm, f"Authorization: Bearer {realm.token(a_user())}\r\n"))
            await raw.sent()
            raw.abort()
        await until(lambda: not realm.gateway.hub.clients)
        async with asyncio.timeout(10.0):
            sockets = [await knock(realm, "127.0.1.5") for _ in range(4)]
        assert [raw.answer.status for raw in sockets] == [101] * 4
        for raw in sockets:
            raw.abort()

    async def test_a_flood_of_connections(self, realm: LocalRealm) -> None:
        began = time.monotonic()
        said = Counter([await reason(realm, "127.0.1.7") for _ in range(60)])
        seconds = time.monotonic() - began
        assert 10 <= said[101, ""] + said[429, "too_many_connections"] <= 10 + 2 * seconds + 1
        assert said[429, "connecting_too_fast"] >= 40 - 2 * seconds
        assert set(said) <= {(101, ""), (429, "connecting_too_fast"), (429, "too_many_connections")}
        assert (await reason(realm, "127.0.1.8"))[0] == 101
        raw = await knock(realm, "127.0.1.7")
        assert raw.answer.headers["retry-after"] == "1"

    async def test_a_forged_address_is_not_believed(self, realm: LocalRealm) -> None:
        """Without the edge's mark the socket's other end counts."""
        forged = {"x_forwarded_for": "198.51.100.1", "forwarded": "for=198.51.100.1", "x_rayrealm_edge": "1"}
        sockets = [await knock(realm, "127.0.1.9", **forged) for _ in range(5)]
        assert [raw.answer.status for raw in sockets] == [101] * 4 + [429]
        assert {client.address for client in realm.gateway.hub.clients.values()} == {"127.0.1.9"}
        for raw in sockets[:4]:
            raw.abort()


def head(realm: LocalRealm, more: str = "") -> bytes:
    host, key = urlsplit(realm.url).netloc, base64.b64encode(os.urandom(16)).decode()
    return (
        f"GET /ws HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n{more}\r\n"
    ).encode()


class TestHeads:
    """uvicorn's parser refuses some of these itself, with 400."""

    @pytest.mark.parametrize(
        "more",
        [
            "Host: evil.example\r\n",
            "Upgrade: websocket\r\n",
            "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n",
            "Sec-WebSocket-Version: 8\r\n",
            "Origin: http://a.example\r\nOrigin: http://b.example\r\n",
            "Content-Length: 4\r\n",
            "Transfer-Encoding: chunked\r\n",
            "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n",
            "X-Odd: a\x00b\r\n",
            "X-Odd: a\rX-Forwarded-For: 1.2.3.4\r\n",
            "X-Odd : a\r\n",
            "X Odd: a\r\n",
        ],
    )
    async def test_what_two_parsers_might_read_differently(self, realm: LocalRealm, more: str) -> None:
        raw = await Raw.dial(realm.url, source="127.0.1.5")
        raw.send(head(realm, f"Authorization: Bearer {realm.token(a_user())}\r\n{more}"))
        async with asyncio.timeout(10.0):
            answer = await raw._reader.readline()
        raw.abort()
        assert answer.split()[1] == b"400"
        assert not realm.gateway.hub.clients

    async def test_too_much_of_it(self, realm: LocalRealm) -> None:
        many = {f"x_{number}": "1" for number in range(80)}
        assert await reason(realm, "127.0.1.5", **many) == (431, "head_too_large")
        assert await reason(realm, "127.0.1.5", x_long="x" * 9_000) == (431, "head_too_large")

    async def test_origins(self, realm: LocalRealm) -> None:
        host = urlsplit(realm.url).netloc
        for number, (origin, status) in enumerate(
            (
                (f"http://{host}", 101),
                ("https://evil.example", 403),
                (f"http://{host}.evil.example", 403),
                (f"http://{host}@evil.example", 403),
                ("null", 403),
                ("file://", 403),
            )
        ):
            assert (await reason(realm, f"127.0.1.{10 + number}", origin=origin))[0] == status, origin

    async def test_nothing_of_it_looks_at_the_token(self, realm: LocalRealm) -> None:
        """A head that is not clean is refused as such, whatever its token is."""
        raw = await knock(realm, "127.0.1.5", token="nonsense", origin="https://evil.example")
        assert (raw.answer.status, raw.answer.problem["reason"]) == (403, "origin_refused")


@asynccontextmanager
async def second_gateway(realm: LocalRealm) -> AsyncIterator[GatewayRunner]:
    """From now on sockets come to it; those that are open stay where they are."""
    gateway = GatewayRunner(realm.open)
    await gateway.start(realm.realm)
    try:
        yield gateway
    finally:
        gateway.stop()


class TestBans:
    async def test_on_every_gateway(self, realm: LocalRealm) -> None:
        first = await Player.join(realm, a_user(), "json", local_addr=("127.0.1.20", 0))
        neighbour = await Player.join(realm, a_user(), "proto", local_addr=("127.0.2.20", 0))
        async with second_gateway(realm) as other:
            second = await Player.join(realm, a_user(), "proto", local_addr=("127.0.1.21", 0))
            assert len(realm.gateway.hub.clients) == 2
            assert len(other.hub.clients) == 1
            began = time.monotonic()
            await store(realm).ban("127.0.1.0/24", 600.0, "test", "test")
            tell_change(realm.gateway._runtime.bus, realm.gateway._runtime.subjects)
            assert (await first.closed(), await second.closed()) == (4503, 4503)
            assert time.monotonic() - began < EFFECTIVE_S
            assert await reason(realm, "127.0.1.22") == (403, "address_banned")
            assert (await reason(realm, "127.0.2.22"))[0] == 101
            assert neighbour.code is None
            await store(realm).lift("127.0.1.0/24")
            tell_change(realm.gateway._runtime.bus, realm.gateway._runtime.subjects)
            await until(lambda: other._guarding.current.bans == (), EFFECTIVE_S)
            assert (await reason(realm, "127.0.1.23"))[0] == 101
            await neighbour.leave()

    async def test_without_the_bus_it_is_effective_all_the_same(self, realm: LocalRealm) -> None:
        player = await Player.join(realm, a_user(), "json", local_addr=("127.0.1.20", 0))
        began = time.monotonic()
        await store(realm).ban("127.0.1.20/32", 600.0, "test", "test")
        assert await player.closed() == 4503
        assert time.monotonic() - began < EFFECTIVE_S

    async def test_until_it_expires(self, realm: LocalRealm) -> None:
        await store(realm).ban("127.0.1.30/32", 1.0, "test", "test")
        await until(lambda: realm.gateway._guarding.current.bans, EFFECTIVE_S)
        assert await reason(realm, "127.0.1.30") == (403, "address_banned")
        async with asyncio.timeout(EFFECTIVE_S):
            while (await reason(realm, "127.0.1.30"))[0] == 403:  # noqa: ASYNC110 - the clock decides
                await asyncio.sleep(0.1)

    async def test_it_survives_a_restart(
        self, realm: LocalRealm, valkey_url: str, nats_url: str, nats_token: str, namespace: str
    ) -> None:
        await store(realm).ban("127.0.1.40/32", None, "test", "test")
        async with second_gateway(realm) as fresh:
            assert [ban.network for ban in fresh._guarding.current.bans] == ["127.0.1.40/32"]
            assert await reason(realm, "127.0.1.40") == (403, "address_banned")
