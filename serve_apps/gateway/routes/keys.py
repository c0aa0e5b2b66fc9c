"""keys.*: the public keys that users publish so that others can seal messages for them (row 6.4; PROTOCOL.md, "Sealed messages").

Records name their user and are signed by that user's identity key, so nobody publishes for somebody else, and what the realm hands
out can be checked by whoever gets it.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from cluster.errors import InvalidInput, RateLimited
from cluster.ports.device_keys import DeviceRecord, IdentityRecord
from rayrealm_client.key_records import MAX_RECORD, BadRecord, Device, Identity, read_device, read_identity
from serve_apps.gateway.client import Client
from serve_apps.gateway.people import UserId
from serve_apps.gateway.router import Params, Router
from serve_apps.gateway.seal_counts import counted
from serve_apps.gateway.services import Services

MOST_USERS = 50
ANSWER_BYTES = 256 * 1024  # of records in one answer, half of what a client may have unread
REPLACE_PER_S, REPLACE_BURST = 1 / 300.0, 3  # all friends are told of each

DeviceId = Annotated[str, Field(pattern=r"^dev_[A-Za-z0-9_-]{1,32}$")]
Record = Annotated[str, Field(min_length=1, max_length=MAX_RECORD)]


class Publish(Params):
    identity: Record
    device: Record
    replace: bool = False


class Get(Params):
    user_ids: list[UserId] = Field(min_length=1, max_length=MOST_USERS)


class Remove(Params):
    device: DeviceId


async def publish(services: Services, client: Client, params: Publish) -> dict[str, Any]:
    """One device's keys, and the identity that signs them. With `replace` another identity may take the place of the former one."""
    sealed = services.settings.sealed
    if len(params.device) > sealed.max_key:
        raise InvalidInput([("device", "too_long")])
    identity, device = _read(client, params)
    if params.replace:
        wait_s = await services.limiter.take(f"keys/{client.user_id}", REPLACE_PER_S, REPLACE_BURST)
        if wait_s:
            raise RateLimited("requests", wait_s)
    outcome = await services.device_keys.publish(
        client.user_id,
        IdentityRecord(identity.thumbprint, identity.version, identity.record),
        DeviceRecord(device.device, device.version, device.record, tuple(sorted(device.keys))),
        sealed.devices,
        replace=params.replace,
    )
    if outcome == "replaced" or (params.replace and outcome == "same"):  # also when the first answer was lost
        await _tell(services, client, identity)
    return {"result": outcome, "version": identity.version, "thumbprint": identity.thumbprint}


def _read(client: Client, params: Publish) -> tuple[Identity, Device]:
    try:
        identity = read_identity(params.identity, client.user_id)
    except BadRecord as error:
        raise InvalidInput([("identity", error.reason)]) from None
    try:
        return identity, read_device(params.device, identity)
    except BadRecord as error:
        raise InvalidInput([("device", error.reason)]) from None


async def _tell(services: Services, client: Client, identity: Identity) -> None:
    """Friends, who may have pinned the former identity, and the user's own devices, which it has put out."""
    me = client.user_id
    friends = (await services.social.ties([me]))[me].friends
    told = {"user_id": me, "version": identity.version, "thumbprint": identity.thumbprint}
    await services.tell_all(
        [me, *sorted(friends)], "keys.changed", told, f"keys.changed/{me}/{identity.thumbprint}", sender=me
    )


async def get(services: Services, client: Client, params: Get) -> dict[str, Any]:
    """Records of those who have published; `left_out`: users whose records had no room in this answer."""
    asked = list(dict.fromkeys(params.user_ids))
    found = await services.device_keys.get(asked)
    keys: dict[str, Any] = {}
    left_out: list[str] = []
    room = ANSWER_BYTES
    for user_id in asked:
        if user_id not in found:
            continue
        known = found[user_id]
        records = [device.record for device in known.devices.values()]
        room -= len(known.identity.record) + sum(map(len, records))
        if room < 0 and keys:
            left_out.append(user_id)
        else:
            keys[user_id] = {"identity": known.identity.record, "devices": records}
    return {"keys": keys, "left_out": left_out}


async def remove(services: Services, client: Client, params: Remove) -> dict[str, Any]:
    return {"device": params.device, "removed": await services.device_keys.remove(client.user_id, params.device)}


def add_to(router: Router) -> None:
    router.add("keys.publish", Publish, counted(publish), max_bytes=2 * MAX_RECORD + 1_024)
    router.add("keys.get", Get, get)
    router.add("keys.remove", Remove, remove)
