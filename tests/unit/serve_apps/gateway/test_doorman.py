"""Who stands at the door while an upgrade is decided; what happens behind it is in tests/integration."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

import orjson
import pytest
from structlog.testing import capture_logs

from actors.session.attaching import Attached
from serve_apps.gateway.identity import Identity
from serve_apps.gateway.picows_app import MAX_EARLY_BYTES, Door, Doorman
from serve_apps.gateway.upgrade import Refusal, Upgrade
from tests.unit.serve_apps.gateway.fakes import KEY, Gateway, attached
from tests.unit.serve_apps.gateway.test_hub import background

HEAD = (
    b"GET /ws?token=good&session=ses_1 HTTP/1.1\r\nhost: x\r\nupgrade: websocket\r\nconnection: Upgrade\r\n"
    b"sec-websocket-version: 13\r\nsec-websocket-key: " + KEY.encode() + b"\r\n\r\n"
)


class Pipe(asyncio.Transport):
    """What a transport has that the doorman uses."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.ended = ""

    def write(self, data: Any) -> None:
        self.written += bytes(data)

    def close(self) -> None:
        self.ended = self.ended or "closed"

    def abort(self) -> None:
        self.ended = self.ended or "aborted"

    def is_closing(self) -> bool:
        return bool(self.ended)


class Admission:
    """Lets `usr_1` in with the token `good`, once the gate is open."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.gate.set()
        self.meanwhile: Callable[[], None] = lambda: None
        self.refusal: Refusal | None = None
        self.asked = 0

    async def authenticate(self, upgrade: Upgrade) -> Identity:
        assert upgrade.token == "good"
        return Identity("usr_1")

    async def attach(self, _upgrade: Upgrade, who: Identity) -> tuple[Attached, str] | Refusal:
        assert who == Identity("usr_1")
        self.asked += 1
        await self.gate.wait()
        self.meanwhile()
        return self.refusal or (attached(attach_epoch=2), "sessions/0")


@pytest.fixture
def gateway(monkeypatch: pytest.MonkeyPatch) -> Gateway:
    gateway = Gateway()
    monkeypatch.setattr(Door, "hub", gateway.hub)
    return gateway


@pytest.fixture
def admission(monkeypatch: pytest.MonkeyPatch) -> Admission:
    admission = Admission()
    monkeypatch.setattr(Door, "admission", admission)
    return admission


def knock(head: bytes = HEAD) -> tuple[Doorman, Pipe]:
    doorman, pipe = Doorman(None, None, None), Pipe()
    doorman.connection_made(pipe)
    doorman.data_received(head)
    return doorman, pipe


async def decided(doorman: Doorman) -> None:
    assert doorman._deciding is not None
    await doorman._deciding


def answer(pipe: Pipe) -> tuple[int, Any]:
    head, _, body = pipe.written.partition(b"\r\n\r\n")
    assert f"Content-Length: {len(body)}".encode() in head
    assert pipe.ended == "closed"
    return int(head.split()[1]), orjson.loads(body)["reason"]


async def test_a_replica_without_a_gateway_has_no_endpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Door, "hub", None)
    monkeypatch.setattr(Door, "admission", None)
    doorman, pipe = knock()
    await decided(doorman)
    assert answer(pipe) == (404, "not_found")


async def test_a_refusal_costs_no_session(gateway: Gateway, admission: Admission) -> None:
    doorman, pipe = knock(HEAD.replace(b"version: 13", b"version: 12"))
    await decided(doorman)
    assert answer(pipe) == (400, "bad_request")
    assert b"Sec-WebSocket-Version: 13\r\n" in pipe.written
    assert admission.asked == 0


async def test_a_full_gateway_does_not_even_look_at_the_token(gateway: Gateway, admission: Admission) -> None:
    gateway.hub.leaving.drain(gateway.clock(), 20.0)
    doorman, pipe = knock()
    await decided(doorman)
    assert answer(pipe) == (503, "draining")
    assert b"Retry-After: 1\r\n" in pipe.written
    assert admission.asked == 0


async def test_a_client_that_is_gone_meanwhile(gateway: Gateway, admission: Admission) -> None:
    doorman, pipe = knock()
    admission.meanwhile = lambda: doorman.connection_lost(None)
    await decided(doorman)
    await background(gateway)
    assert gateway.sessions.detached == [("ses_1", 2)]
    assert gateway.hub.reserved == 0
    assert gateway.hub.clients == {}
    assert pipe.written == b""


async def test_a_gateway_that_begins_to_drain_meanwhile(gateway: Gateway, admission: Admission) -> None:
    admission.meanwhile = lambda: gateway.hub.leaving.drain(gateway.clock(), 20.0)
    doorman, pipe = knock()
    await decided(doorman)
    await background(gateway)
    assert answer(pipe) == (503, "draining")
    assert gateway.sessions.detached == [("ses_1", 2)]
    assert gateway.hub.clients == {}


async def test_a_place_is_held_while_it_is_decided(gateway: Gateway, admission: Admission) -> None:
    admission.gate.clear()
    doorman, _ = knock()
    await asyncio.sleep(0)
    assert gateway.hub.reserved == 1
    doorman.connection_lost(None)
    admission.gate.set()
    await decided(doorman)
    assert gateway.hub.reserved == 0
    await background(gateway)


async def test_a_resume_that_is_refused_leaves_the_older_socket_alone(gateway: Gateway, admission: Admission) -> None:
    older, wire = gateway.connect()
    admission.refusal = Refusal(HTTPStatus.CONFLICT, "session_attached", "another device has this session")
    doorman, pipe = knock()
    await decided(doorman)
    assert answer(pipe) == (409, "session_attached")
    assert wire.closed == []
    assert gateway.hub.clients == {"ses_1": older}


async def test_a_failure_of_ours_is_logged_and_leaves_no_one_waiting(gateway: Gateway, admission: Admission) -> None:
    def fail() -> None:
        raise RuntimeError("a bug")

    admission.meanwhile = fail
    with capture_logs() as logs:
        doorman, pipe = knock()
        await decided(doorman)
    assert [line["event"] for line in logs] == ["upgrade_failed"]
    assert pipe.ended == "aborted"
    assert gateway.hub.reserved == 0


async def test_too_much_too_early(gateway: Gateway, admission: Admission) -> None:
    admission.gate.clear()
    doorman, pipe = knock(HEAD[:-2] + b"cookie: " + b"x" * 2 * MAX_EARLY_BYTES + b"\r\n\r\n")  # a long head is fine
    doorman.data_received(bytes(MAX_EARLY_BYTES))
    assert pipe.ended == ""
    doorman.data_received(b"x")
    assert pipe.ended == "aborted"
    doorman.connection_lost(None)
    admission.gate.set()
    await decided(doorman)
    await background(gateway)
