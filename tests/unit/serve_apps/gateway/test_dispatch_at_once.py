"""What never waits is done as it comes. A network may hold moves back and bring them in one piece, before any task has its turn."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
import pytest
from pydantic import JsonValue

from serve_apps.gateway.client import Client
from serve_apps.gateway.router import Params, Router
from serve_apps.gateway.services import Services
from tests.unit.serve_apps.gateway.fakes import Gateway, Wire, settled

MAX_PENDING = 4


class Value(Params):
    value: JsonValue = None


class Steps:
    """`step` never waits; `echo` waits for the gate, and so does `wait`, which should not."""

    def __init__(self) -> None:
        self.done: list[Any] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.router = Router()
        self.router.add("step", Value, self.step, at_once=True)
        self.router.add("wait", Value, self.echo, at_once=True)
        self.router.add("echo", Value, self.echo)

    async def step(self, _services: Services, _client: Client, params: Value) -> dict[str, Any]:
        self.done.append(params.value)
        return {}

    async def echo(self, _services: Services, _client: Client, params: Value) -> dict[str, Any]:
        self.done.append(params.value)
        await self.gate.wait()
        return {}


@pytest.fixture
def steps() -> Steps:
    return Steps()


@pytest.fixture
def gateway(steps: Steps) -> Gateway:
    return Gateway(steps.router, max_pending_requests=MAX_PENDING)


@pytest.fixture
def one(gateway: Gateway) -> tuple[Client, Wire]:
    client, wire = gateway.connect()
    return client, wire


def said(method: str, value: int, **more: Any) -> bytes:
    return orjson.dumps({"jsonrpc": "2.0", "method": method, "params": {"value": value}} | more)


async def test_all_of_it_is_done_however_much_comes(gateway: Gateway, steps: Steps, one: tuple[Client, Wire]) -> None:
    client, wire = one
    for n in range(10 * MAX_PENDING):
        gateway.hub.receive(client, True, said("step", n), True)
    gateway.hub.receive(client, True, said("step", 99, id=7), True)
    assert steps.done == [*range(10 * MAX_PENDING), 99]
    assert wire.json() == [{"jsonrpc": "2.0", "id": 7, "result": {}}]
    assert (client.pending_requests, client.worker) == (0, None)


async def test_it_does_not_overtake_what_waits(gateway: Gateway, steps: Steps, one: tuple[Client, Wire]) -> None:
    client, wire = one
    steps.gate.clear()
    gateway.hub.receive(client, True, said("echo", 1, id=1), True)
    gateway.hub.receive(client, True, said("step", 2, id=2), True)
    await asyncio.sleep(0)
    assert steps.done == [1]
    steps.gate.set()
    await settled(client)
    assert steps.done == [1, 2]
    assert [answer["id"] for answer in wire.json()] == [1, 2]


async def test_errors_are_answered(gateway: Gateway, steps: Steps, one: tuple[Client, Wire]) -> None:
    client, wire = one
    gateway.hub.receive(client, True, said("step", 1, id=1, params=[]), True)
    await settled(client)
    gateway.hub.receive(client, True, said("step", 2, id=2), True)
    first, second = wire.json()
    assert (first["id"], first["error"]["code"]) == (1, -32602)
    assert (second["id"], steps.done) == (2, [2])


async def test_a_handler_that_waits_all_the_same(gateway: Gateway, steps: Steps, one: tuple[Client, Wire]) -> None:
    """It is a mistake of ours, which is not to pass unnoticed."""
    steps.gate.clear()
    with pytest.raises(RuntimeError, match="has waited"):
        gateway.hub.receive(one[0], True, said("wait", 1), True)
