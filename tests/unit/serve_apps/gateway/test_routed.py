"""The gateway's answers to requests about one session (row 4.3)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import orjson
import pytest

from cluster.errors import InvalidInput, NotFound, RealmError, Unavailable
from cluster.refusals import from_refusal
from realm_proto import internal_pb2
from serve_apps.gateway import routed as routed_module
from serve_apps.gateway.outgoing import Priority
from serve_apps.gateway.routed import MAX_PARAMS_BYTES, Routed
from tests.unit.serve_apps.gateway.fakes import a_client

SAID = {"text": "hello"}


class Gateway:
    def __init__(self) -> None:
        self.clients: dict[str, Any] = {}
        self.told: list[tuple[Any, str, bytes, Priority]] = []
        self.then: Callable[[Any], None] = lambda client: None
        self.routed = Routed(self.clients, self._notify)

    def open(self, session_id: str, attach_epoch: int) -> Any:
        client = self.clients[session_id] = SimpleNamespace(attach_epoch=attach_epoch, closed=False)
        return client

    def _notify(self, client: Any, method: str, params_json: bytes, priority: Priority) -> None:
        self.told.append((client, method, params_json, priority))
        self.then(client)

    async def ask(self, **params: Any) -> None:
        """Raises what the answer says."""
        order = {"session_id": "ses_1", "attach_epoch": 1, "notice": "system.message", "params": SAID} | params
        request = orjson.dumps({"method": "deliver", "params": order})
        answer = orjson.loads(await self.routed.respond(request))
        if refused := answer.get("refused"):
            args = orjson.dumps(refused["args"])
            raise from_refusal(internal_pb2.ZoneRefusal(kind=refused["kind"], args_json=args))
        assert answer == {"result": None}


@pytest.fixture
def gateway() -> Gateway:
    return Gateway()


@pytest.mark.parametrize("attach_epoch", [3, 4])
async def test_it_goes_to_the_socket_at_once(gateway: Gateway, attach_epoch: int) -> None:
    client = gateway.open("ses_1", attach_epoch)
    await gateway.ask(attach_epoch=3)
    assert gateway.told == [(client, "system.message", orjson.dumps(SAID), Priority.IMMEDIATE)]


async def test_a_session_that_is_not_here(gateway: Gateway) -> None:
    gateway.open("ses_2", 1)
    with pytest.raises(NotFound, match="not here"):
        await gateway.ask()
    assert gateway.told == []


async def test_a_socket_that_is_closing(gateway: Gateway) -> None:
    gateway.open("ses_1", 1).closed = True
    with pytest.raises(NotFound):
        await gateway.ask()


async def test_a_socket_that_another_one_has_replaced_elsewhere(gateway: Gateway) -> None:
    gateway.open("ses_1", 1)
    with pytest.raises(NotFound):
        await gateway.ask(attach_epoch=2)
    assert gateway.told == []


async def test_a_client_that_takes_no_more_is_not_confirmed(gateway: Gateway) -> None:
    gateway.open("ses_1", 1)
    gateway.then = lambda client: setattr(client, "closed", True)
    with pytest.raises(Unavailable, match="ses_1"):
        await gateway.ask()


@pytest.mark.parametrize(
    "wrong",
    [
        {"notice": "nonsense"},
        {"notice": None},
        {"params": [1]},
        {"params": {"text": "x" * MAX_PARAMS_BYTES}},
        {"more": 1},
    ],
)
async def test_bad_requests(gateway: Gateway, wrong: dict[str, Any]) -> None:
    gateway.open("ses_1", 1)
    with pytest.raises(InvalidInput):
        await gateway.ask(**wrong)
    assert gateway.told == []


@pytest.mark.parametrize("wrong", [{"attach_epoch": "x"}, {"session_id": ["ses_1"]}])
async def test_requests_of_other_types_are_answered(gateway: Gateway, wrong: dict[str, Any]) -> None:
    gateway.open("ses_1", 1)
    with pytest.raises(RealmError):
        await gateway.ask(**wrong)
    assert gateway.told == []


class TestAbout:
    async def ask(self, routed: Routed, attach_epoch: int = 1) -> Any:
        about = {"session_id": "ses_1", "attach_epoch": attach_epoch}
        answer = orjson.loads(await routed.respond(orjson.dumps({"method": "about", "params": about})))
        return answer.get("result") or answer["refused"]["kind"]

    async def test_how_the_socket_is(self) -> None:
        client, wire = a_client()
        client.address = "203.0.113.7"
        now = [10.0]
        routed = Routed({"ses_1": client}, lambda *_: None, lambda: now[0])
        asking = asyncio.create_task(self.ask(routed))
        while not wire.pings:  # noqa: ASYNC110 - until it was asked
            await asyncio.sleep(0)
        now[0] += 0.025
        client.ponged()
        said = await asking
        assert (said["address"], said["framing"], said["latency_ms"], said["open_s"]) == (
            "203.0.113.7",
            "json",
            25.0,
            10.0,
        )

    async def test_how_long_its_user_did_nothing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(routed_module, "PONG_S", 0.01)
        client, _ = a_client()
        client.deed_at = 90.0  # a move, too (idling.py)
        assert (await self.ask(Routed({"ses_1": client}, lambda *_: None, lambda: 97.5)))["quiet_s"] == 7.5

    async def test_one_who_does_not_answer(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(routed_module, "PONG_S", 0.01)
        client, wire = a_client()
        assert (await self.ask(Routed({"ses_1": client}, lambda *_: None)))["latency_ms"] is None
        assert wire.pings == 1

    async def test_one_who_does_not_read_is_not_asked(self) -> None:
        client, wire = a_client()
        client.outgoing.block(0.0)
        assert (await self.ask(Routed({"ses_1": client}, lambda *_: None)))["latency_ms"] is None
        assert wire.pings == 0

    async def test_a_newer_socket_is_elsewhere(self) -> None:
        client, _ = a_client()
        assert await self.ask(Routed({"ses_1": client}, lambda *_: None), attach_epoch=2) == "NotFound"
