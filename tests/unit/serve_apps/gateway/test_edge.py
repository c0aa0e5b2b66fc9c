"""What the proxy before a gateway is told."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

import pytest

from cluster.edge import front
from cluster.haproxy import ELSEWHERE
from cluster.security.vouched import MARK
from serve_apps.gateway.edge import HealthGate, Message, Receive, Send, status
from serve_apps.gateway.upgrade import Refusal

FULL = Refusal(HTTPStatus.SERVICE_UNAVAILABLE, "full", "this gateway is full", 5)
MARKED = [("host", "realm"), (MARK, "1")]


def refusal(reason: str) -> Refusal:
    return Refusal(HTTPStatus.SERVICE_UNAVAILABLE, reason, "")


def test_both_sides_mean_the_same() -> None:
    assert front.MARK.lower() == MARK
    assert HTTPStatus.TOO_EARLY == ELSEWHERE


@pytest.mark.parametrize("reason", ["full", "draining", "busy"])
def test_another_gateway_may_have_room(reason: str) -> None:
    assert status(refusal(reason), MARKED) == HTTPStatus.TOO_EARLY


@pytest.mark.parametrize("reason", ["full", "draining", "busy"])
def test_without_such_a_proxy_the_client_is_told(reason: str) -> None:
    assert status(refusal(reason), [("host", "realm")]) == HTTPStatus.SERVICE_UNAVAILABLE


def test_what_all_gateways_lack_is_not_tried_at_each_of_them() -> None:
    assert status(refusal("unavailable"), MARKED) == HTTPStatus.SERVICE_UNAVAILABLE
    forbidden = Refusal(HTTPStatus.FORBIDDEN, "banned", "")
    assert status(forbidden, MARKED) == HTTPStatus.FORBIDDEN


async def serve_itself(scope: Message, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"success"})


async def answer(gate: HealthGate, scope: dict[str, Any]) -> tuple[int, bytes]:
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        raise AssertionError("a health check has no body")

    await gate(scope, receive, send)
    return sent[0]["status"], sent[1]["body"]


async def test_health_is_serves_business_while_there_is_room() -> None:
    gate = HealthGate(serve_itself, lambda: None)
    assert await answer(gate, {"type": "http", "path": "/-/healthz"}) == (200, b"success")


async def test_no_room_no_new_sockets() -> None:
    gate = HealthGate(serve_itself, lambda: FULL)
    assert await answer(gate, {"type": "http", "path": "/-/healthz"}) == (503, b"full")
    assert await answer(gate, {"type": "http", "path": "/v1/healthz"}) == (200, b"success")
    assert await answer(gate, {"type": "websocket", "path": "/-/healthz"}) == (200, b"success")
