"""state.sync.*, first form: a snapshot, and versioned changes of one's own entity (row 3.4)."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, JsonValue

from serve_apps.gateway.client import Client
from serve_apps.gateway.router import IN_WORLD, NoParams, Params, Router
from serve_apps.gateway.services import Services

Name = Annotated[str, Field(min_length=1, max_length=64)]


class Delta(Params):
    entity_id: str = Field(min_length=1, max_length=64)
    version: int = Field(ge=1, le=0xFFFFFFFF)
    properties: dict[Name, JsonValue] = Field(min_length=1, max_length=64)


async def request(services: Services, client: Client, _: NoParams) -> dict[str, Any]:
    snapshot: dict[str, Any] = await services.zone(client, "snapshot", idempotent=True)
    return snapshot


async def delta(services: Services, client: Client, params: Delta) -> dict[str, Any]:
    version = await services.zone(client, "change", params.entity_id, params.version, params.properties)
    return {"version": version}


def add_to(router: Router) -> None:
    router.add("state.sync.request", NoParams, request, IN_WORLD)
    router.add("state.sync.delta", Delta, delta, IN_WORLD)
