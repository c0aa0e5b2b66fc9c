"""Attacks before there is a socket: floods of connections and upgrades, forged addresses, odd origins and heads."""

from __future__ import annotations

import asyncio
import base64
import os

from tests.attack.target import LOST, Outcome, Target, paced
from tests.wire import Raw

HEAD = (
    "GET /ws HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Protocol: rayrealm.v1+json\r\n{more}\r\n"
)
SLOW_CONNECTIONS = 150
SLOW_EVERY_S = 0.5
PATIENCE_S = 12.0  # twice what a head may take, and a little
FLOOD_PER_S = 200.0
AT_ONCE = 300


def head(target: Target, more: str = "") -> bytes:
    return HEAD.format(host=target.host, key=base64.b64encode(os.urandom(16)).decode(), more=more).encode()


async def slowloris(target: Target, seconds: float, outcome: Outcome) -> None:
    """Request heads that come a byte at a time: cut off at the deadline (408), or not let in at all (429)."""
    source = target.address()

    async def crawl() -> None:
        try:
            raw = await Raw.dial(target.ws, source=source)
        except OSError:
            outcome.met(LOST)
            return
        reading = asyncio.create_task(raw.rest(PATIENCE_S))
        since = asyncio.get_running_loop().time()
        for byte in head(target)[:-2]:
            if reading.done():
                break
            raw.send(bytes([byte]))
            await asyncio.wait([reading], timeout=SLOW_EVERY_S)
        said = await reading
        status = int(said.split(b" ", 2)[1]) if said.startswith(b"HTTP/1.") else LOST
        if asyncio.get_running_loop().time() - since >= PATIENCE_S:
            outcome.met("held")
            outcome.must(False, f"a crawling head was waited for longer than {PATIENCE_S:g} s")
        else:
            outcome.met(status)
            outcome.must(status in (408, 429, LOST), f"a crawling head was answered with {status}")

    async with asyncio.TaskGroup() as tasks:
        async for _ in paced(SLOW_CONNECTIONS / (seconds / 4), seconds / 4):
            tasks.create_task(crawl())


async def handshake_flood(target: Target, seconds: float, outcome: Outcome) -> None:
    """One good token, one address, as many upgrades as it can: all but the first few are 429."""
    token, _ = await target.account()
    source = target.address()

    async def knock() -> None:
        try:
            raw = await target.open(token, source)
        except (OSError, EOFError, TimeoutError):
            outcome.met(LOST)
            return
        outcome.met(raw.answer.status)
        raw.abort()

    async with asyncio.TaskGroup() as tasks:
        async for _ in paced(FLOOD_PER_S, seconds):
            tasks.create_task(knock())
    outcome.must(
        outcome.refused["101"] < outcome.attempts / 2, f"{outcome.refused['101']} of {outcome.attempts} got in"
    )
    outcome.must(outcome.refused["429"] > 0, "nobody was told 429")


async def too_many_sockets(target: Target, seconds: float, outcome: Outcome) -> None:
    """Sockets of one address that stay open: no more than the limit."""
    token, _ = await target.account()
    source, held = target.address(), list[Raw]()
    async for _ in paced(AT_ONCE / seconds, seconds):
        try:
            raw = await target.open(token, source)
        except (OSError, EOFError, TimeoutError):
            outcome.met(LOST)
            continue
        outcome.met(raw.answer.status)
        if raw.answer.status == 101:
            held.append(raw)
    for raw in held:
        raw.abort()
    outcome.must(len(held) <= 100, f"{len(held)} sockets of one address were open")
    outcome.must(outcome.refused["429"] > 0, "nobody was told 429")


async def forged_forwarded_for(target: Target, seconds: float, outcome: Outcome) -> None:
    """The handshake flood, each time from another address as its headers say: the true one is counted."""
    token, _ = await target.account()
    source = target.address()
    async for number in paced(FLOOD_PER_S / 2, seconds):
        claimed = f"198.51.{number // 250 % 250}.{number % 250 + 1}"
        more = {"x_forwarded_for": claimed, "x_real_ip": claimed, "forwarded": f"for={claimed}", "x_rayrealm_edge": "1"}
        try:
            raw = await target.open(token, source, **more)
        except (OSError, EOFError, TimeoutError):
            outcome.met(LOST)
            continue
        outcome.met(raw.answer.status)
        raw.abort()
    outcome.must(
        outcome.refused["101"] < outcome.attempts / 2, f"{outcome.refused['101']} of {outcome.attempts} got in"
    )


ORIGINS = (
    "https://evil.example",
    "http://127.0.0.1.evil.example",
    "http://evil.example#127.0.0.1",
    "null",
    "http://{host}@evil.example",
    "http://evil.example/{host}",
    "file://",
    "http://{host}.evil.example",
)


async def origin_tricks(target: Target, seconds: float, outcome: Outcome) -> None:
    """Pages of others, with a good token: 403."""
    token, _ = await target.account()
    for origin in ORIGINS:
        raw = await target.open(token, target.address(), origin=origin.format(host=target.host))
        outcome.met(raw.answer.status)
        outcome.must(raw.answer.status == 403, f"origin {origin} was answered with {raw.answer.status}")
        raw.abort()
    raw = await target.open(token, target.address(), origin=f"http://{target.host}")
    outcome.must(raw.answer.status == 101, f"the realm's own page was answered with {raw.answer.status}")
    raw.abort()


async def header_injection(target: Target, seconds: float, outcome: Outcome) -> None:
    """Heads that two parsers might read differently, with a token that is good: never an upgrade, never a second answer."""
    token, _ = await target.account()
    bearer = f"Authorization: Bearer {token}\r\n"
    many = "".join(f"X-{number}: 1\r\n" for number in range(200))
    heads = {
        "a second Host": head(target, f"{bearer}Host: evil.example\r\n"),
        "a NUL": head(target, f"{bearer}X-Odd: a\x00b\r\n"),
        "a bare CR": head(target, f"{bearer}X-Odd: a\rX-Rayrealm-Edge: 1\r\n"),
        "a blank before the colon": head(target, f"{bearer}X-Odd : a\r\n"),
        "a body that is chunked and counted": head(
            target, f"{bearer}Content-Length: 4\r\nTransfer-Encoding: chunked\r\n"
        ),
        "a smuggled request": head(target, f"{bearer}Content-Length: 60\r\n")
        + b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n",
        "two hundred headers": head(target, bearer + many),
        "a head of 32 KiB": head(target, f"{bearer}X-Long: {'x' * 32_768}\r\n"),
        "a target with a line break": head(target, bearer).replace(b"/ws ", b"/ws%0d%0aX-Rayrealm-Edge:1 ", 1),
    }
    for name, sent in heads.items():
        status = await target.http(sent, target.address(), patience_s=3.0)
        outcome.met(status)
        outcome.must(status in (LOST, 400, 403, 404, 408, 413, 414, 431), f"{name} was answered with {status}")
