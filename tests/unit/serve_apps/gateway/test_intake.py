"""Frames over a limit: refused before they are read, answered while they are few, and the end of who goes on."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from cluster.security_settings import LimitSettings, Rate
from realm_proto import realtime_pb2 as pb
from serve_apps.gateway.client import Client
from serve_apps.gateway.limits.registry import Registry
from serve_apps.gateway.messages import Framing
from serve_apps.gateway.proto_framing import MOVE_METHOD
from serve_apps.gateway.router import Params, Router
from serve_apps.gateway.services import Services
from tests.unit.serve_apps.gateway.fakes import Gateway, Wire, a_world, settled

USER = Rate(per_s=1.0, burst=3)


async def echo(_services: Services, _client: Client, _params: Params) -> dict[str, Any]:
    return {"ok": True}


class Rig:
    def __init__(self, framing: Framing = Framing.JSON, **limits: Any) -> None:
        router = Router()
        for name in ("a.echo", "b.echo"):
            router.add(name, Params, echo)
        self.gateway = Gateway(router)
        self.registry = Registry(LimitSettings(**{"user": USER, **limits}))
        self.gateway.hub.watchers.append(self.registry)
        self.client, self.wire = self.gateway.connect(framing=framing, world=a_world())

    async def ask(self, method: str = "a.echo", request_id: int | None = 1) -> list[Any]:
        document = {"jsonrpc": "2.0", "method": method} | ({} if request_id is None else {"id": request_id})
        await self.gateway.say(self.client, document)
        return self.wire.json()

    async def batch(self, size: int) -> list[Any]:
        await self.gateway.say(self.client, [{"jsonrpc": "2.0", "id": n, "method": "a.echo"} for n in range(size)])
        return self.wire.json()

    def told(self) -> list[Any]:
        """Notifications, which wait a little for others."""
        self.gateway.clock.now += 0.5
        self.gateway.hub.pulse()
        return self.wire.json()

    def raw(self, payload: bytes, fin: bool = True) -> None:
        self.gateway.hub.receive(self.client, True, payload, fin)

    def more(self, payload: bytes, fin: bool) -> None:
        self.gateway.hub.receive_continuation(self.client, payload, fin)


def too_fast(limit: str, retry_s: float, request_id: int = 1) -> dict[str, Any]:
    data = {"retryAfter": pytest.approx(retry_s, abs=0.01), "reason": "too_fast", "limit": limit}
    return {"jsonrpc": "2.0", "error": {"code": -32001, "message": "Rate limited", "data": data}, "id": request_id}


OK = [{"jsonrpc": "2.0", "result": {"ok": True}, "id": 1}]


async def test_requests_over_the_limit_are_answered_so() -> None:
    rig = Rig()
    assert [await rig.ask() for _ in range(4)] == [OK, OK, OK, [too_fast("user", 1.0)]]
    rig.gateway.clock.now += 1.0
    assert await rig.ask() == OK


async def test_it_is_no_error_of_the_client_s() -> None:
    rig = Rig(strikes=1_000)
    for _ in range(300):
        await rig.ask()
        rig.gateway.clock.now += 0.05
    assert rig.wire.closed == []


async def test_a_flood_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    rig, read = Rig(strikes=10_000), list[bytes]()
    text = rig.client.connection.text

    def reading(payload: bytes, fin: bool, now: float) -> Any:
        read.append(payload)
        return text(payload, fin, now)

    monkeypatch.setattr(rig.client.connection, "text", reading)
    for _ in range(1_000):
        await rig.ask()
    assert len(read) == 3 + 40
    assert rig.registry.refused["user"] == 997


async def test_notifications_are_told_of_once_a_second() -> None:
    rig = Rig()
    for _ in range(30):
        assert await rig.ask(request_id=None) == []
    said = rig.told()
    assert [message["method"] for message in said] == ["system.error"]
    assert said[0]["params"]["data"]["limit"] == "user"


async def test_a_method_s_own_limit() -> None:
    rig = Rig(user=Rate(per_s=100.0, burst=100), methods={"a.echo": Rate(per_s=0.5, burst=1)})
    assert [await rig.ask(), await rig.ask(), await rig.ask("b.echo")] == [OK, [too_fast("method", 2.0)], OK]


async def test_a_batch_counts_each_of_its_requests() -> None:
    rig = Rig()
    (answers,) = await rig.batch(5)
    assert ["result" in answer for answer in answers] == [True] * 3 + [False] * 2
    (answers,) = await rig.batch(2)
    assert answers == [too_fast("user", 1.0, 0), too_fast("user", 1.0, 1)]


@pytest.mark.parametrize("method", [True, False])
async def test_who_goes_on_is_closed(method: bool) -> None:
    wide: dict[str, Any] = {"user": Rate(per_s=1_000.0, burst=1_000), "methods": {"a.echo": Rate(per_s=0.1, burst=1)}}
    rig = Rig(strikes=20, **(wide if method else {}))
    for _ in range(60):
        if not rig.client.closed:
            await rig.ask()
    assert rig.wire.closed == [(4504, "flooding")]


async def test_moves_are_dropped() -> None:
    rig = Rig(Framing.PROTO)
    rig.client.connection.entity = 7

    message = pb.WebSocketMessage()
    message.move.sequence = 1
    message.move.position.x = 1.0
    message.move.rotation.yaw = 0.0
    for _ in range(10):
        rig.gateway.hub.receive(rig.client, False, message.SerializeToString(), True)
    assert rig.gateway.metrics.received[MOVE_METHOD] == 3
    assert rig.wire.closed == []


class TestFragments:
    BODY = orjson.dumps({"jsonrpc": "2.0", "id": 1, "method": "a.echo"})

    async def test_of_a_message_that_is_let_in(self) -> None:
        rig = Rig()
        rig.raw(self.BODY[:9], fin=False)
        rig.more(self.BODY[9:], fin=True)
        await settled(rig.client)
        assert rig.wire.json() == OK

    async def test_a_refused_beginning_takes_its_rest_with_it(self) -> None:
        rig = Rig()
        for _ in range(3):
            await rig.ask()
        rig.raw(self.BODY[:9], fin=False)
        rig.gateway.clock.now += 10.0
        rig.more(self.BODY[9:20], fin=False)
        rig.more(self.BODY[20:], fin=True)
        await settled(rig.client)
        assert [message["method"] for message in rig.told()] == ["system.error"]
        assert await rig.ask() == OK, "the next message is one again"
        assert rig.wire.closed == []

    async def test_a_refused_rest_takes_its_beginning_with_it(self) -> None:
        rig = Rig()
        for _ in range(2):
            await rig.ask()
        rig.raw(self.BODY[:9], fin=False)
        rig.more(self.BODY[9:20], fin=False)
        rig.gateway.clock.now += 10.0
        rig.more(self.BODY[20:], fin=True)
        await settled(rig.client)
        assert [message["method"] for message in rig.told()] == ["system.error"]
        assert await rig.ask() == OK
        assert rig.wire.closed == []


async def test_pings_over_the_limit_get_no_pong() -> None:
    rig = Rig()
    assert [rig.gateway.hub.heard(rig.client, 4) for _ in range(5)] == [True] * 3 + [False] * 2


def test_a_client_without_a_registry_has_no_limit() -> None:
    gateway = Gateway()
    client, wire = gateway.connect()
    assert isinstance(wire, Wire)
    assert all(gateway.hub.heard(client) for _ in range(10_000))
