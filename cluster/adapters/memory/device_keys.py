"""Users' public keys in this process."""

from __future__ import annotations

from collections.abc import Sequence

from cluster.errors import Conflict
from cluster.ports.device_keys import FORMER, DeviceRecord, IdentityRecord, Outcome, UserKeys


class MemoryDeviceKeys:
    """Implements `cluster.ports.device_keys.DeviceKeyStore`."""

    def __init__(self) -> None:
        self._identities: dict[str, IdentityRecord] = {}
        self._devices: dict[str, dict[str, DeviceRecord]] = {}
        self._versions: dict[str, dict[str, int]] = {}  # also of devices that were removed

    async def publish(
        self, user_id: str, identity: IdentityRecord, device: DeviceRecord, most: int, *, replace: bool
    ) -> Outcome:
        known = self._identities.get(user_id)
        other = known is not None and known.thumbprint != identity.thumbprint
        if known is not None and other and not replace:
            raise Conflict("identity_known", {"version": known.version, "thumbprint": known.thumbprint})
        if known is not None and (identity.version < known.version or (other and identity.version == known.version)):
            raise Conflict("stale_version", {"version": known.version, "what": "identity"})
        devices = {} if other else dict(self._devices.get(user_id, {}))
        versions = {} if other else dict(self._versions.get(user_id, {}))
        now, newest = devices.get(device.device), versions.get(device.device, 0)
        same = now is not None and now.record == device.record
        if not same:
            if device.version <= newest:
                raise Conflict("stale_version", {"version": newest, "what": "device"})
            full = now is None and len(devices) >= most
            if full or (device.device not in versions and len(versions) >= most * FORMER):
                raise Conflict("too_many_devices")
            devices[device.device] = device
            versions[device.device] = device.version
        if known is None or other or identity.version > known.version:
            self._identities[user_id] = identity
        self._devices[user_id], self._versions[user_id] = devices, versions
        if known is None:
            return "first"
        if other:
            return "replaced"
        return "same" if same and identity.version == known.version else "changed"

    async def get(self, user_ids: Sequence[str]) -> dict[str, UserKeys]:
        return {
            user_id: UserKeys(self._identities[user_id], dict(self._devices[user_id]))
            for user_id in user_ids
            if user_id in self._identities
        }

    async def remove(self, user_id: str, device: str) -> bool:
        return self._devices.get(user_id, {}).pop(device, None) is not None
