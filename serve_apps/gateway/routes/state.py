"""state.sync.*: a snapshot, and versioned changes of one's own entity (row 3.4). The zone judges both at its tick."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from actors.zone.properties import MAX_PROPERTIES, check_change
from serve_apps.gateway.client import Client
from serve_apps.gateway.router import IN_WORLD, Int, Json, NoParams, Params, Router
from serve_apps.gateway.services import Services

MAX_BYTES = 32 * 1024  # of params: 4,096 bytes of properties in JSON are up to seven times that as a Struct


class Delta(Params):
    entity_id: str = Field(pattern=r"^ent_[A-Za-z0-9_-]{1,60}$")
    version: Int = Field(ge=1, le=0xFFFFFFFF)
    properties: dict[str, Json] = Field(
        min_length=1, max_length=MAX_PROPERTIES, json_schema_extra={"bounded": "by check_change"}
    )


async def request(services: Services, client: Client, _: NoParams) -> dict[str, Any]:
    return await services.zone(client, "state.sync.request", {}, idempotent=True)


async def delta(services: Services, client: Client, params: Delta) -> dict[str, Any]:
    check_change(params.properties)  # before they become JSON, where NaN is null
    said = {"entity_id": params.entity_id, "version": params.version, "properties": params.properties}
    return await services.zone(client, "state.sync.delta", said)


def add_to(router: Router) -> None:
    router.add("state.sync.request", NoParams, request, IN_WORLD)
    router.add("state.sync.delta", Delta, delta, IN_WORLD, MAX_BYTES)
