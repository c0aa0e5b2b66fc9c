"""Methods and their handlers."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from actors.session.states import SessionState
from cluster.errors import InvalidState
from serve_apps.gateway.client import Client
from serve_apps.gateway.gateway_app import build_router
from serve_apps.gateway.router import IN_WORLD, MethodNotFound, NoParams, Params, Router
from serve_apps.gateway.services import Services
from tests.unit.serve_apps.gateway.fakes import Gateway, a_client, a_world

PROTOCOL = Path(__file__).parents[4] / "proto/PROTOCOL.md"


class Count(Params):
    count: int


async def double(_services: Services, _client: Client, params: Count) -> dict[str, Any]:
    return {"count": params.count * 2}


async def nothing(_services: Services, _client: Client, _: NoParams) -> dict[str, Any]:
    return {}


@pytest.fixture
def gateway() -> Gateway:
    router = Router()
    router.add("double", Count, double)
    router.add("walk", Count, double, IN_WORLD)
    router.add("nothing", NoParams, nothing)
    return Gateway(router)


async def call(gateway: Gateway, method: str, params: dict[str, Any], *, in_world: bool = False) -> dict[str, Any]:
    client, _ = a_client(world=a_world() if in_world else None)
    return await gateway.router.dispatch(gateway.services, client, method, params)


async def test_a_handler_gets_checked_params(gateway: Gateway) -> None:
    assert await call(gateway, "double", {"count": 4}) == {"count": 8}


@pytest.mark.parametrize("params", [{}, {"count": "x"}, {"count": 1, "extra": 2}, {"count": None}, {"Count": 1}])
async def test_wrong_params_do_not_reach_it(gateway: Gateway, params: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        await call(gateway, "double", params)


async def test_a_method_without_params_takes_none(gateway: Gateway) -> None:
    assert await call(gateway, "nothing", {}) == {}
    with pytest.raises(ValidationError):
        await call(gateway, "nothing", {"x": 1})


async def test_an_unknown_method(gateway: Gateway) -> None:
    for method in ("nope", "Double", "double ", "__init__"):
        with pytest.raises(MethodNotFound):
            await call(gateway, method, {"count": 1})


async def test_a_method_may_need_a_state(gateway: Gateway) -> None:
    assert await call(gateway, "walk", {"count": 1}, in_world=True) == {"count": 2}
    with pytest.raises(InvalidState) as caught:
        await call(gateway, "walk", {"count": 1})
    assert (caught.value.reason, caught.value.state) == ("wrong_state", "authenticated")


async def test_no_method_is_for_a_session_that_ends(gateway: Gateway) -> None:
    client, _ = a_client()
    client.state = SessionState.DISCONNECTING
    with pytest.raises(InvalidState):
        await gateway.router.dispatch(gateway.services, client, "double", {"count": 1})


def test_a_method_has_one_handler(gateway: Gateway) -> None:
    with pytest.raises(ValueError, match="double has a handler already"):
        gateway.router.add("double", Count, double)


def test_the_gateways_methods_are_those_of_the_protocol() -> None:
    text = PROTOCOL.read_text()
    table = text[text.index("Client to server.") : text.index("Server to client notifications")]
    rows = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    assert build_router().methods == {name for row in rows for name in re.findall(r"`([a-z]+(?:\.[a-z]+)+)`", row)}
