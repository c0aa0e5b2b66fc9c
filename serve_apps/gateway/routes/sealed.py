"""chat.sealed: direct messages that the realm relays and cannot read (row 6.4; PROTOCOL.md, "Sealed messages").

They pass what direct messages pass: blocks, mutes, rates, and how many conversations one may begin. Each one waits in an inbox of
the device that it is sealed for, until that device has read it.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Sequence
from typing import Annotated, Any

import orjson
from pydantic import Field

from actors.chat.channels import DIRECT, Kind
from cluster.errors import Conflict, InvalidInput, InvalidState
from cluster.ports.chat import Waiting
from cluster.ports.device_keys import UserKeys
from cluster.publishing import KEEP_S, user_topic
from cluster.security.sealed_items import BadItem, suite_of
from rayrealm_client.key_records import MAX_VERSION
from serve_apps.gateway.addressing import Address
from serve_apps.gateway.client import Client
from serve_apps.gateway.people import UserId, not_oneself, own_name
from serve_apps.gateway.router import Int, Params, Router
from serve_apps.gateway.routes.chat import pass_gate, unheard
from serve_apps.gateway.routes.history import MessageId
from serve_apps.gateway.routes.keys import DeviceId
from serve_apps.gateway.seal_counts import counted
from serve_apps.gateway.services import Services
from serve_apps.gateway.strangers import sealed_topic

METHOD = "chat.sealed"
MOST_ITEMS = 64
MOST_BYTES = 49_152  # of all that one message is sealed for: what a frame may have is 65,536
ROOM = 12 * 1024  # for the rest of such a message
PAGE = 20


class Item(Params):
    """For one version of one device's keys."""

    device: DeviceId
    version: Int = Field(ge=1, le=MAX_VERSION)
    jwe: str = Field(min_length=1, max_length=MOST_BYTES)


class Sealed(Params):
    """`device`: the sender's. `copies`: for the sender's other devices; they may come without items, if these were sent before."""

    to: UserId
    device: DeviceId
    client_id: str = Field(min_length=1, max_length=64)
    items: list[Item] = Field(max_length=MOST_ITEMS)
    copies: list[Item] = Field(default=[], max_length=MOST_ITEMS)


class Inbox(Params):
    device: DeviceId
    cursor: Annotated[str, Field(pattern=r"^[0-9]{1,18}$")] | None = None


class Read(Params):
    device: DeviceId
    message_ids: list[MessageId] = Field(min_length=1, max_length=200)


async def sealed(services: Services, client: Client, params: Sealed) -> dict[str, Any]:
    """Relayed to those devices whose present keys it is sealed with; `missing`: devices for which it is not.

    Raises Conflict("stale_devices") if nothing that was to go to the receiver can (or, of copies alone, none): nothing was sent.
    """
    if not params.items and not params.copies:
        raise InvalidInput([("items", "too_short")])
    me, other = client.user_id, not_oneself(client, params.to, "to")
    keys = await services.device_keys.get([me, other])
    if me not in keys or params.device not in keys[me].devices:
        raise InvalidState("no_keys", client.state.value)
    items, missing = _sort(services, params.items, keys.get(other), other)
    copies, own_missing = _sort(services, params.copies, keys[me], me, but=params.device)
    if sum(len(item.jwe) for item in (*items, *copies)) > MOST_BYTES:
        raise InvalidInput([("items", "too_long")])
    missing += own_missing
    if not (items if params.items else copies):
        raise Conflict("stale_devices", {"missing": missing})
    hidden = await unheard(services, client, other)
    new_id, key = f"msg_{secrets.token_hex(8)}", f"{me}:sealed:{params.client_id}"
    address = Address(DIRECT + other, Kind.DIRECT, sealed_topic(me, other), other)
    passed = await pass_gate(services, client, address, key, new_id)
    if not passed.done:
        said = {
            "message_id": passed.message_id,
            "from": me,
            "to": other,
            "name": await own_name(services, client),
            "device_from": params.device,
            "client_id": params.client_id,
            "sent_at": services.wall_clock(),
        }
        await _relay(services, said, [] if hidden else items, copies, key)
    return {"message_id": passed.message_id, "missing": missing}


def _sort(
    services: Services, items: Sequence[Item], keys: UserKeys | None, user_id: str, but: str = ""
) -> tuple[list[Item], list[dict[str, Any]]]:
    """Those for present keys of the user's devices, and the devices that have none. Raises InvalidInput."""
    devices = {name: device for name, device in (keys.devices if keys else {}).items() if name != but}
    most = services.settings.sealed.max_message
    good: dict[str, Item] = {}
    for item in items:
        if len(item.jwe) > most:
            raise InvalidInput([("jwe", "too_long")])
        try:
            suite = suite_of(item.jwe, item.device, item.version)
        except BadItem as error:
            raise InvalidInput([("jwe", error.reason)]) from None
        device = devices.get(item.device)
        if device is not None and device.version == item.version:
            if suite not in device.suites:
                raise InvalidInput([("jwe", "wrong_suite")])
            good[item.device] = item
    missing = [
        {"user_id": user_id, "device": name, "version": device.version}
        for name, device in devices.items()
        if name not in good
    ]
    return list(good.values()), missing


async def _relay(
    services: Services, said: dict[str, Any], items: Sequence[Item], copies: Sequence[Item], key: str
) -> None:
    me, other, message_id = said["from"], said["to"], said["message_id"]
    settings = services.settings.sealed
    waits = [
        services.chat.keep(
            _inbox(user_id, item.device),
            Waiting(message_id, orjson.dumps({**said, "items": [item.model_dump()]})),
            settings.inbox,
            settings.keep_s,
        )
        for user_id, each in ((other, items), (me, copies))
        for item in each
    ]
    await asyncio.gather(*waits)
    told = [
        (user_topic(user_id), orjson.dumps({**said, "items": [item.model_dump() for item in each]}))
        for user_id, each in ((other, items), (me, copies))
        if each
    ]
    await services.publish_many(
        [sealed_topic(me, other), *(topic for topic, _ in told)],
        METHOD,
        [b"{}", *(params for _, params in told)],
        key,
        message_id,
        sender=me,
        limit=[1, *(None for _ in told)],
        keep_s=[services.settings.chat.history_s, *(KEEP_S for _ in told)],
    )


def _inbox(user_id: str, device: str) -> str:
    """The inbox of one device, which no user's id can be."""
    return f"{user_id}/{device}"


async def inbox(services: Services, client: Client, params: Inbox) -> dict[str, Any]:
    """What the device has not read, oldest first. `more`: there are others after these, from `cursor` on."""
    place, after = _inbox(client.user_id, params.device), int(params.cursor) if params.cursor is not None else 0
    waiting, cursor = await services.chat.unread(place, PAGE, after)
    blocked = (await services.social.ties([client.user_id]))[client.user_id].blocked
    said = [orjson.loads(each.params_json) for each in waiting]
    unwanted = [each["message_id"] for each in said if each["from"] in blocked]
    if unwanted:
        await services.chat.read(place, unwanted)
    messages = [each for each in said if each["from"] not in blocked]
    return {"messages": messages, "more": cursor > 0, "cursor": str(cursor) if cursor else None}


async def read(services: Services, client: Client, params: Read) -> dict[str, Any]:
    return {"read": await services.chat.read(_inbox(client.user_id, params.device), params.message_ids)}


def add_to(router: Router) -> None:
    router.add(METHOD, Sealed, counted(sealed), max_bytes=64 * 1024)
    router.add("sealed.inbox", Inbox, inbox)
    router.add("sealed.read", Read, read, max_bytes=8 * 1024)
