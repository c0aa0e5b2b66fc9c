"""world.* and character.list: characters, entering and leaving, moving without the short form."""

from __future__ import annotations

import secrets
from typing import Annotated, Any

from pydantic import FailFast, Field

from actors.zone.rows import pack_move_in
from cluster.errors import InvalidState
from cluster.ports.calls import SUPERVISOR
from serve_apps.gateway.client import Client
from serve_apps.gateway.connection import Close
from serve_apps.gateway.router import IN_WORLD, Int, NoParams, Params, Router
from serve_apps.gateway.services import Services
from serve_apps.gateway.typed import MAX_UPDATES

# Within float32: what lies outside the zone is the zone's to refuse.
Coordinate = Annotated[float, Field(allow_inf_nan=False, ge=-1e9, le=1e9)]


class Enter(Params):
    character_id: str = Field(pattern=r"^chr_[A-Za-z0-9_-]{1,60}$")
    zone: str = Field(default="", pattern=r"^(zon_[a-z0-9_]{1,40})?$")


class Point(Params):
    x: Coordinate
    y: Coordinate = 0.0
    z: Coordinate


class Facing(Params):
    yaw: Coordinate = 0.0


class Position(Params):
    """PositionUpdate as JSON; what a client may add (velocity, timestamp, its character) is ignored, as in protobuf framing."""

    position: Point
    rotation: Facing = Facing()
    sequence: Int = Field(ge=1, le=0xFFFFFFFF)


class Positions(Params):
    updates: Annotated[list[Position], FailFast()] = Field(min_length=1, max_length=MAX_UPDATES)


async def enter(services: Services, client: Client, params: Enter) -> dict[str, Any]:
    try:
        world: dict[str, Any] = await services.session(
            client, "enter", secrets.token_hex(8), params.character_id, params.zone
        )
    except InvalidState:
        if client.world is None:
            # It is in the world already: an entry whose answer was lost. A new attach tells both sides where it is.
            services.close(client, Close.RESTART, "reconnect")
        raise
    services.hub.entered(client, world)
    return world


async def leave(services: Services, client: Client, _: NoParams) -> dict[str, Any]:
    try:
        await services.session(client, "leave")
    except InvalidState:
        if client.world is None:
            raise
        # It has left already: a request whose answer was lost.
    services.hub.left(client)
    return {}


async def zones(services: Services, _client: Client, _: NoParams) -> dict[str, Any]:
    listed = await services.calls.call(
        SUPERVISOR, "zones", deadline_s=services.settings.gateway.call_deadline_s, idempotent=True
    )
    told = ("zone", "name", "bounds", "population")
    return {"zones": [{name: zone[name] for name in told} for zone in listed]}


async def move(services: Services, client: Client, params: Position) -> dict[str, Any]:
    _move(services, client, params)
    return {"sequence": params.sequence}


async def moves(services: Services, client: Client, params: Positions) -> dict[str, Any]:
    for update in params.updates:
        _move(services, client, update)
    return {"sequence": params.updates[-1].sequence}


def _move(services: Services, client: Client, params: Position) -> None:
    number = client.number
    client.tally.long_moves += 1
    if number is not None:
        p = params.position
        row = client.last_move = pack_move_in(number, params.sequence, p.x, p.y, p.z, params.rotation.yaw)
        services.hub.zones.move(client.zone_id, row)


async def characters(services: Services, client: Client, _: NoParams) -> dict[str, Any]:
    mine = await services.characters.list(client.user_id)
    return {
        "characters": [
            {
                "character_id": c.character_id,
                "name": c.name,
                "zone": c.zone,
                "position": {"x": c.x, "y": c.y, "z": c.z},
            }
            for c in mine
        ]
    }


def add_to(router: Router) -> None:
    router.add("world.enter", Enter, enter)
    router.add("world.leave", NoParams, leave)
    router.add("world.zones", NoParams, zones)
    router.add("world.position.update", Position, move, IN_WORLD, at_once=True)
    router.add("world.position.batch", Positions, moves, IN_WORLD, 16 * 1024, at_once=True)
    router.add("character.list", NoParams, characters)
