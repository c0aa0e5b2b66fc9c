"""Requests of one client in order, answers of a batch together, and nobody hurt by somebody else's handler."""

from __future__ import annotations

import asyncio
import datetime as dt
from typing import Any

import orjson
import pytest
from pydantic import JsonValue
from structlog.testing import capture_logs

from cluster.errors import Conflict, Unavailable
from realm_proto import realtime_pb2 as pb
from serve_apps.gateway.client import Client
from serve_apps.gateway.connection import Close
from serve_apps.gateway.dispatch import ERROR_NOTICE_S
from serve_apps.gateway.messages import Framing
from serve_apps.gateway.proto_framing import MOVE_METHOD
from serve_apps.gateway.router import IN_WORLD, NoParams, Params, Router
from serve_apps.gateway.services import Services
from serve_apps.gateway.typed import to_params
from tests.unit.serve_apps.gateway.fakes import Gateway, Wire, settled


class Echo(Params):
    value: JsonValue = None


class Count(Params):
    times: int = 1


class Methods:
    """Handlers that a test can hold and look into."""

    def __init__(self) -> None:
        self.began: list[Any] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.router = Router()
        self.router.add("echo", Echo, self.echo)
        self.router.add("walk", Echo, self.echo, IN_WORLD)
        self.router.add("crash", NoParams, self.crash)
        self.router.add("count", Count, self.echo)
        self.router.add("stale", NoParams, self.stale)
        self.router.add("away", NoParams, self.away)
        self.router.add("odd", Echo, self.odd)

    async def echo(self, _services: Services, _client: Client, params: Echo) -> dict[str, Any]:
        self.began.append(params.value)
        await self.gate.wait()
        return {"value": params.value}

    async def crash(self, _services: Services, _client: Client, _: NoParams) -> dict[str, Any]:
        raise RuntimeError("the handler's secret")

    async def stale(self, _services: Services, _client: Client, _: NoParams) -> dict[str, Any]:
        raise Conflict("stale", {"when": dt.datetime(2030, 1, 1, tzinfo=dt.UTC)})

    async def away(self, _services: Services, _client: Client, _: NoParams) -> dict[str, Any]:
        raise Unavailable("redis")

    async def odd(self, _services: Services, _client: Client, params: Echo) -> dict[str, Any]:
        odd: dict[str, Any] = {"object": object(), "deep": None, "key": {1: 2}}
        for _ in range(400):
            odd["deep"] = [odd["deep"]]
        return {"value": odd[str(params.value)]}


@pytest.fixture
def methods() -> Methods:
    return Methods()


@pytest.fixture
def gateway(methods: Methods) -> Gateway:
    return Gateway(methods.router, max_pending_requests=4, max_errors_per_minute=5)


def request(request_id: Any = 1, method: str = "echo", **params: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": request_id, "method": method, "params": params}


def notification(method: str = "echo", **params: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "method": method, "params": params}


def told(gateway: Gateway, wire: Wire) -> list[Any]:
    """The system.error notifications so far."""
    gateway.clock.now += 0.3
    gateway.hub.pulse()
    said = [one for frame in wire.json() for one in (frame if isinstance(frame, list) else [frame])]
    assert all(one["method"] == "system.error" for one in said)
    return [one["params"] for one in said]


class TestAnswers:
    async def test_a_request_is_answered(self, gateway: Gateway) -> None:
        client, wire = gateway.connect()
        await gateway.say(client, request("a", value=[1]))
        assert wire.json() == [{"jsonrpc": "2.0", "id": "a", "result": {"value": [1]}}]
        assert client.worker is None
        assert client.pending_requests == 0

    async def test_a_batch_is_answered_in_one_frame_in_order(self, gateway: Gateway) -> None:
        client, wire = gateway.connect()
        await gateway.say(client, [request(1, value=1), notification(value=2), 5, request(2, "nope")])
        ((first, second, third),) = wire.json()
        assert (first["id"], first["result"]) == (1, {"value": 1})
        assert (second["id"], second["error"]["code"]) == (None, -32600)
        assert (third["id"], third["error"]) == (
            2,
            {"code": -32601, "message": "Method not found", "data": {"method": "nope"}},
        )

    async def test_a_batch_of_notifications_is_not_answered(self, gateway: Gateway, methods: Methods) -> None:
        client, wire = gateway.connect()
        await gateway.say(client, [notification(value=1), notification(value=2)])
        assert wire.frames == []
        assert methods.began == [1, 2]

    async def test_one_after_another(self, gateway: Gateway, methods: Methods) -> None:
        client, wire = gateway.connect()
        methods.gate.clear()
        for n in range(3):
            gateway.hub.receive(client, True, orjson.dumps(request(n, value=n)), True)
        await asyncio.sleep(0)
        assert methods.began == [0]
        methods.gate.set()
        await settled(client)
        assert [answer["id"] for answer in wire.json()] == [0, 1, 2]

    async def test_clients_do_not_wait_for_each_other(self, gateway: Gateway, methods: Methods) -> None:
        slow, _ = gateway.connect()
        quick, wire = gateway.connect(session_id="ses_2")
        methods.gate.clear()
        gateway.hub.receive(slow, True, orjson.dumps(request()), True)
        await asyncio.sleep(0)
        methods.gate.set()
        await gateway.say(quick, request())
        assert len(wire.json()) == 1
        await settled(slow)

    async def test_the_answer_is_in_the_framing_of_the_last_frame(self, gateway: Gateway, methods: Methods) -> None:
        client, wire = gateway.connect(None)
        methods.gate.clear()
        gateway.hub.receive(client, True, orjson.dumps(request(1.5)), True)
        await asyncio.sleep(0)
        gateway.hub.receive(client, False, pb.WebSocketMessage(move=pb.PositionUpdate()).SerializeToString(), True)
        methods.gate.set()
        await settled(client)
        (answer,) = wire.proto()
        assert answer.id_string == "1.5"


class TestErrors:
    async def test_a_handler_that_fails_tells_nothing_and_hurts_nobody(self, gateway: Gateway) -> None:
        client, wire = gateway.connect()
        other, other_wire = gateway.connect(session_id="ses_2")
        with capture_logs() as logs:
            await gateway.say(client, [request(1, "crash"), request(2)])
            await gateway.say(client, request(3))
            await gateway.say(other, request(4))
        (failed, fine), later = wire.json()
        assert failed["error"]["code"] == -32603
        assert "secret" not in str(failed)
        assert [line["error_id"] for line in logs] == [failed["error"]["data"]["error_id"]]
        assert (fine["id"], later["id"]) == (2, 3)
        assert other_wire.json()[0]["id"] == 4

    @pytest.mark.parametrize("what", ["object", "deep", "key"])
    async def test_what_a_handler_returns_and_no_frame_can_hold(self, gateway: Gateway, what: str) -> None:
        client, wire = gateway.connect()
        with capture_logs() as logs:
            await gateway.say(client, [request(1, "odd", value=what), request(2)])
        ((failed, fine),) = wire.json()
        assert (failed["id"], failed["error"]["code"]) == (1, -32603)
        assert (fine["id"], fine["result"]) == (2, {"value": None})
        assert len(logs) == 1

    async def test_nor_what_it_says_of_an_error(self, gateway: Gateway) -> None:
        client, wire = gateway.connect(Framing.PROTO)
        message = pb.WebSocketMessage(jsonrpc="2.0", id_number=1)
        message.request.method = "stale"
        with capture_logs():
            gateway.hub.receive(client, False, message.SerializeToString(), True)
            await settled(client)
        (answer,) = wire.proto()
        assert answer.response.error.code == -32603

    async def test_wrong_params_and_states(self, gateway: Gateway) -> None:
        client, wire = gateway.connect()
        await gateway.say(client, [request(1, "count", times="x"), request(2, "walk")])
        ((params, state),) = wire.json()
        assert (params["error"]["code"], params["error"]["data"]["errors"][0]["field"]) == (-32602, "times")
        assert state["error"]["data"] == {"state": "authenticated", "reason": "wrong_state"}

    async def test_too_many_errors_close_the_socket(self, gateway: Gateway, methods: Methods) -> None:
        client, wire = gateway.connect()
        for n in range(5):
            await gateway.say(client, request(n, "nope"))
        assert wire.closed == []
        await gateway.say(client, [request(5, "nope"), request(6, value="after")])
        assert wire.closed == [(4502, "too many errors")]
        assert methods.began == []  # what followed in the batch is not begun
        assert [answer["id"] for answer in wire.json()] == [0, 1, 2, 3, 4]

    async def test_the_realms_own_failures_count_too(self, gateway: Gateway) -> None:
        """A client that hammers a broken handler is still a client that hammers."""
        client, wire = gateway.connect()
        with capture_logs():
            for n in range(6):
                await gateway.say(client, request(n, "crash"))
        assert wire.closed == [(Close.TOO_MANY_ERRORS, "too many errors")]

    async def test_but_not_an_outage(self, gateway: Gateway) -> None:
        """Those who ask for what Redis must keep would all be closed for good, and the realm with them."""
        client, wire = gateway.connect()
        for n in range(20):
            await gateway.say(client, request(n, "away"))
        assert wire.closed == []
        assert {answer["error"]["code"] for answer in wire.json()} == {-32006}


class TestNotifications:
    """They are never answered; a developer is told what went wrong, at most once a second."""

    @pytest.mark.parametrize(
        ("document", "method", "code"),
        [
            (notification("nope"), "nope", -32601),
            (notification("count", times="x"), "count", -32602),
            (notification("walk"), "walk", -32003),
            (notification("crash"), "crash", -32603),
            (notification("stale"), "stale", -32005),
            ({"jsonrpc": "2.0", "method": "echo", "params": [1]}, "", -32602),
        ],
    )
    async def test_a_failed_one(self, gateway: Gateway, document: Any, method: str, code: int) -> None:
        client, wire = gateway.connect()
        with capture_logs():
            await gateway.say(client, document)
            assert wire.frames == []
            (said,) = told(gateway, wire)
        assert (said["method"], said["code"]) == (method, code)
        assert said["data"]

    async def test_once_a_second(self, gateway: Gateway) -> None:
        client, wire = gateway.connect()
        for _ in range(3):
            await gateway.say(client, notification("nope"))
        assert len(told(gateway, wire)) == 1
        gateway.clock.now += ERROR_NOTICE_S
        await gateway.say(client, notification("walk"))
        assert [said["code"] for said in told(gateway, wire)] == [-32003]

    async def test_a_good_one_says_nothing(self, gateway: Gateway) -> None:
        client, wire = gateway.connect()
        await gateway.say(client, notification(value=1))
        assert told(gateway, wire) == []


class TestOverflow:
    async def test_over_the_bound_requests_are_refused_at_once(self, gateway: Gateway, methods: Methods) -> None:
        client, wire = gateway.connect()
        methods.gate.clear()
        for n in range(6):
            gateway.hub.receive(client, True, orjson.dumps(request(n, value=n)), True)
        await asyncio.sleep(0)
        refused = wire.json()
        assert [answer["id"] for answer in refused] == [4, 5]
        assert refused[0]["error"] == {
            "code": -32001,
            "message": "Rate limited",
            "data": {"retryAfter": 0.5, "reason": "too_many_pending"},
        }
        methods.gate.set()
        await settled(client)
        assert [answer["id"] for answer in wire.json()] == [0, 1, 2, 3]
        await gateway.say(client, request(7))
        assert len(wire.json()) == 1

    async def test_a_batch_is_refused_whole_and_its_own_errors_stay(self, gateway: Gateway, methods: Methods) -> None:
        client, wire = gateway.connect()
        methods.gate.clear()
        gateway.hub.receive(client, True, orjson.dumps(request()), True)
        gateway.hub.receive(client, True, orjson.dumps([request(2), notification(), 5, request(3)]), True)
        dropped, answers = wire.json()
        assert [(a["id"], a["error"]["code"]) for a in answers] == [(2, -32001), (None, -32600), (3, -32001)]
        assert (dropped["method"], dropped["params"]["code"]) == ("system.error", -32001)  # the notification
        methods.gate.set()
        await settled(client)

    async def test_a_dropped_notification_is_told(self, gateway: Gateway, methods: Methods) -> None:
        client, wire = gateway.connect()
        methods.gate.clear()
        for n in range(5):
            gateway.hub.receive(client, True, orjson.dumps(notification(value=n)), True)
        await asyncio.sleep(0)
        (said,) = told(gateway, wire)
        assert (said["method"], said["code"], said["data"]["reason"]) == ("echo", -32001, "too_many_pending")
        methods.gate.set()
        await settled(client)
        assert methods.began == [0, 1, 2, 3]

    async def test_a_batch_larger_than_the_bound_is_fine_when_nothing_is_pending(self, gateway: Gateway) -> None:
        client, wire = gateway.connect()
        await gateway.say(client, [request(n) for n in range(40)])
        (answers,) = wire.json()
        assert [answer["id"] for answer in answers] == list(range(40))
        assert all("result" in answer for answer in answers)


class TestGone:
    async def test_what_a_closed_client_still_wanted_is_not_begun(self, gateway: Gateway, methods: Methods) -> None:
        client, wire = gateway.connect()
        methods.gate.clear()
        batch = [request(1, value=1), request(2, value=2)]
        for document in (batch, request(3, value=3)):
            gateway.hub.receive(client, True, orjson.dumps(document), True)
        await asyncio.sleep(0)
        gateway.hub.close(client, Close.KICKED, "out")
        gateway.hub.disconnected(client)
        methods.gate.set()
        await settled(client)
        assert methods.began == [1]
        assert wire.frames == []

    async def test_what_has_begun_is_finished(self, gateway: Gateway, methods: Methods) -> None:
        """Cut off in the middle, a handler would leave half of its change behind."""
        client, _ = gateway.connect()
        finished = []

        async def slow(_services: Services, _client: Client, _: NoParams) -> dict[str, Any]:
            await methods.gate.wait()
            finished.append(1)
            return {}

        methods.router.add("slow", NoParams, slow)
        methods.gate.clear()
        gateway.hub.receive(client, True, orjson.dumps(request(1, "slow")), True)
        await asyncio.sleep(0)
        gateway.hub.disconnected(client)
        methods.gate.set()
        await settled(client)
        assert finished == [1]

    async def test_a_client_that_does_not_read_its_answers_is_closed_at_the_bound(self, methods: Methods) -> None:
        gateway = Gateway(methods.router, slow_consumer_bytes=4096)
        client, wire = gateway.connect()
        gateway.hub.blocked(client)
        await gateway.say(client, request(1, value="x" * 3_000))
        assert wire.closed == []
        await gateway.say(client, request(2, value="x" * 3_000))
        assert wire.closed == [(4001, "not reading")]


async def test_counts_have_bounded_labels(gateway: Gateway) -> None:
    client, _ = gateway.connect()
    for n in range(4):
        await gateway.say(client, request(n, f"made.up.{n}"))
    await gateway.say(client, request(9))
    received = gateway.metrics.received
    assert {name: count for name, count in received.items() if count} == {"unknown": 4, "echo": 1}
    assert set(gateway.metrics.latency_s) == {*gateway.router.methods, MOVE_METHOD, "unknown"}


async def test_a_binary_request(gateway: Gateway) -> None:
    client, wire = gateway.connect(Framing.PROTO)
    message = pb.WebSocketMessage(jsonrpc="2.0", id_number=0)
    message.request.method = "echo"
    gateway.hub.receive(client, False, message.SerializeToString(), True)
    await settled(client)
    (answer,) = wire.proto()
    result = answer.response.result
    assert answer.WhichOneof("id_type") == "id_number"
    assert to_params(result.type_url, result.value) == {"value": None}
