"""Methods and their handlers."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any

import pytest
from pydantic import Field, ValidationError

from actors.session.states import SessionState
from cluster.errors import InvalidState
from serve_apps.gateway.client import Client
from serve_apps.gateway.gateway_app import build_router
from serve_apps.gateway.router import IN_WORLD, MAX_BYTES, Int, MethodNotFound, NoParams, Params, Router
from serve_apps.gateway.services import Services
from tests.unit.serve_apps.gateway.fakes import Gateway, a_client, a_world

PROTOCOL = Path(__file__).parents[4] / "proto/PROTOCOL.md"


class Count(Params):
    count: Int


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


@pytest.mark.parametrize(
    "params", [{}, {"count": "x"}, {"count": 1.5}, {"count": "1"}, {"count": True}, {"count": None}, {"Count": 1}]
)
async def test_wrong_params_do_not_reach_it(gateway: Gateway, params: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        await call(gateway, "double", params)


async def test_what_is_not_known_is_ignored(gateway: Gateway) -> None:
    assert await call(gateway, "double", {"count": 4, "extra": {"a": [1]}}) == {"count": 8}
    assert await call(gateway, "nothing", {"x": 1}) == {}


async def test_a_number_without_a_fraction_is_an_integer(gateway: Gateway) -> None:
    assert await call(gateway, "double", {"count": 4.0}) == {"count": 8}


def unbounded(schema: dict[str, Any], definitions: dict[str, Any], at: str) -> list[str]:
    """Where a JSON schema allows a text, list, object or number of any length or size."""
    if "bounded" in schema or "enum" in schema or "const" in schema:
        return []
    if "$ref" in schema:
        schema = definitions[schema["$ref"].rpartition("/")[2]]
    if "anyOf" in schema:
        return [place for each in schema["anyOf"] for place in unbounded(each, definitions, at)]
    kind = schema.get("type")
    inner = [
        place
        for name, each in schema.get("properties", {}).items()
        for place in unbounded(each, definitions, f"{at}.{name}")
    ]
    match kind:
        case "string":
            pattern = schema.get("pattern", "")
            closed = pattern.startswith("^") and pattern.endswith("$") and not re.search(r"(?<!\\)[*+]", pattern)
            return [] if closed or "maxLength" in schema else [at]
        case "integer" | "number":
            low, high = {"minimum", "exclusiveMinimum"} & schema.keys(), {"maximum", "exclusiveMaximum"} & schema.keys()
            return [] if low and high else [at]
        case "array":
            return [*([] if "maxItems" in schema else [at]), *unbounded(schema["items"], definitions, f"{at}[]")]
        case "object" if "additionalProperties" in schema:
            names = unbounded({"type": "string", **schema.get("propertyNames", {})}, definitions, f"{at} names")
            values = unbounded(schema["additionalProperties"], definitions, f"{at} values")
            return [*([] if "maxProperties" in schema else [at]), *names, *values]
        case "object":
            return inner
        case "boolean" | "null":
            return []
    return [at]


def test_every_text_list_object_and_number_of_every_method_has_bounds() -> None:
    found = []
    for method, route in build_router()._routes.items():
        schema = route.params.model_json_schema()
        found += unbounded(schema, schema.get("$defs", {}), method)
    assert found == []


class Loose(Params):
    text: str
    number: float
    many: list[int]
    members: dict[str, str]
    pattern: Annotated[str, Field(pattern=r"^a+$")]


def test_what_has_no_bounds_is_found() -> None:
    schema = Loose.model_json_schema()
    assert unbounded(schema, {}, "m") == [
        "m.text", "m.number", "m.many", "m.many[]", "m.members", "m.members names", "m.members values", "m.pattern",
    ]  # fmt: skip


def test_no_method_takes_more_than_a_frame_has() -> None:
    sizes = build_router().sizes
    assert sizes.keys() == build_router().methods
    assert all(0 < size <= 64 * 1024 for size in sizes.values())
    assert sizes["world.enter"] == MAX_BYTES


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
