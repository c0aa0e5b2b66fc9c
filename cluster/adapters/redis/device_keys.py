"""Users' public keys in Redis: `{ns}:user:{id}:keys`, a hash (its fields: device_keys_publish.lua). It stays with the account."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

from redis.asyncio import Redis

from cluster.adapters.redis.connection import Script, guard, texts
from cluster.errors import Conflict
from cluster.ports.device_keys import FORMER, DeviceRecord, IdentityRecord, Outcome, UserKeys

PUBLISH = Script(__file__, "device_keys_publish.lua")


class RedisDeviceKeys:
    """Implements `cluster.ports.device_keys.DeviceKeyStore`."""

    def __init__(self, client: Redis, namespace: str) -> None:
        self._client = client
        self._ns = namespace

    @guard()
    async def publish(
        self, user_id: str, identity: IdentityRecord, device: DeviceRecord, most: int, *, replace: bool
    ) -> Outcome:
        args: list[str | int] = [
            identity.thumbprint, identity.version, identity.record, device.device, device.version, device.record,
            " ".join(device.suites), most, most * FORMER, "1" if replace else "0",
        ]  # fmt: skip
        outcome, version, more = (part.decode() for part in await PUBLISH(self._client, [self._key(user_id)], args))
        match outcome:
            case "identity_known":
                raise Conflict(outcome, {"version": int(version), "thumbprint": more})
            case "stale_version":
                raise Conflict(outcome, {"version": int(version), "what": more})
            case "too_many_devices":
                raise Conflict(outcome)
        return cast(Outcome, outcome)

    @guard()
    async def get(self, user_ids: Sequence[str]) -> dict[str, UserKeys]:
        if not user_ids:
            return {}
        async with self._client.pipeline(transaction=False) as pipe:
            for user_id in user_ids:
                pipe.hgetall(self._key(user_id))
            found = await pipe.execute()
        return {user_id: _keys(texts(fields)) for user_id, fields in zip(user_ids, found, strict=True) if fields}

    @guard()
    async def remove(self, user_id: str, device: str) -> bool:
        return bool(await self._client.hdel(self._key(user_id), f"d:{device}", f"s:{device}"))

    def _key(self, user_id: str) -> str:
        return f"{self._ns}:user:{user_id}:keys"


def _keys(fields: Mapping[str, str]) -> UserKeys:
    devices = {}
    for field, record in fields.items():
        kind, _, device = field.partition(":")
        if kind == "d":
            suites = tuple(fields[f"s:{device}"].split())
            devices[device] = DeviceRecord(device, int(fields[f"v:{device}"]), record, suites)
    return UserKeys(IdentityRecord(fields["thumb"], int(fields["version"]), fields["identity"]), devices)
