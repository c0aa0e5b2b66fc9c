"""game.message: what a player does, for the game of the zone to judge at its tick (row 7.6)."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from actors.zone.properties import check_value
from serve_apps.gateway.client import Client
from serve_apps.gateway.router import IN_WORLD, Json, Params, Router
from serve_apps.gateway.services import Services

MAX_BYTES = 32 * 1024  # of params: 4,096 bytes of data in JSON are up to seven times that as a Struct
Tick = Annotated[float, Field(ge=0, le=0xFFFFFFFF, allow_inf_nan=False)]


class Message(Params):
    """`tick`: that of the view which was on the player's screen, with a fraction between two; 0 if not said."""

    type: str = Field(min_length=1, max_length=64)
    data: Json = None
    tick: Tick = 0.0


async def message(services: Services, client: Client, params: Message) -> dict[str, Any]:
    check_value(params.data, "data")
    said = {"type": params.type, "data": params.data, "tick": params.tick}
    return await services.zone(client, "game.message", said)


def add_to(router: Router) -> None:
    router.add("game.message", Message, message, IN_WORLD, MAX_BYTES)
