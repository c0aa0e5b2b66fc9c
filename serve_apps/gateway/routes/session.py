"""session.*: acknowledging reliable notifications, and the session's attributes (rows 1.5 and 2.5)."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from serve_apps.gateway.client import Client
from serve_apps.gateway.router import Int, Json, NoParams, Params, Router
from serve_apps.gateway.services import Services


class Ack(Params):
    seq: Int = Field(ge=0, lt=2**63)


class Attribute(Params):
    name: Annotated[str, Field(min_length=1, max_length=64)]
    value: Json


async def ack(services: Services, client: Client, params: Ack) -> dict[str, Any]:
    services.hub.reliable.acked(client, params.seq)
    return {"seq": client.acked}


async def set_attribute(services: Services, client: Client, params: Attribute) -> dict[str, Any]:
    return {"attributes": await services.session(client, "set_attribute", params.name, params.value)}


async def attributes(services: Services, client: Client, _: NoParams) -> dict[str, Any]:
    return {"attributes": await services.session(client, "attributes")}


def add_to(router: Router) -> None:
    router.add("session.ack", Ack, ack)
    router.add("session.attribute.set", Attribute, set_attribute, max_bytes=8 * 1024)
    router.add("session.attribute.list", NoParams, attributes)
