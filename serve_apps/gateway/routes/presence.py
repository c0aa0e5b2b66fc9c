"""presence.*, first form: one's own status, and whom one watches."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from actors.session.belongings import MAX_WATCHED
from cluster.errors import SubscriptionLimit
from cluster.ports.calls import presence_actor
from serve_apps.gateway.client import Client
from serve_apps.gateway.router import Params, Router
from serve_apps.gateway.services import Services

UserId = Annotated[str, Field(pattern=r"^usr_[A-Za-z0-9_-]{1,60}$")]


class Status(Params):
    status: Literal["online", "away", "busy", "invisible"]


class Users(Params):
    user_ids: list[UserId] = Field(min_length=1, max_length=1_000)


async def update(services: Services, client: Client, params: Status) -> dict[str, Any]:
    return {"status": await services.session(client, "set_status", params.status)}


async def subscribe(services: Services, client: Client, params: Users) -> dict[str, Any]:
    if len(params.user_ids) > MAX_WATCHED:
        raise SubscriptionLimit(MAX_WATCHED)
    return {"presences": [user.public() for user in await _watch(services, client, params.user_ids, [])]}


async def unsubscribe(services: Services, client: Client, params: Users) -> dict[str, Any]:
    change, watching = await services.session(client, "watch", [], params.user_ids)
    await _tell_index(services, change, [])
    return {"watching": watching}


async def _watch(services: Services, client: Client, add: list[str], remove: list[str]) -> Any:
    change, _ = await services.session(client, "watch", add, remove)
    return await _tell_index(services, change, add)


async def _tell_index(services: Services, change: Any, user_ids: list[str]) -> Any:
    return await services.calls.call(
        presence_actor(),
        "watch",
        change,
        user_ids,
        deadline_s=services.settings.gateway.call_deadline_s,
        idempotent=True,
    )


def add_to(router: Router) -> None:
    router.add("presence.update", Status, update)
    router.add("presence.subscribe", Users, subscribe)
    router.add("presence.unsubscribe", Users, unsubscribe)
