"""The port to the public keys of users and their devices (row 6.4): what others need to seal messages for them.

Adapters: `cluster/adapters/redis/device_keys.py` and `cluster/adapters/memory/device_keys.py`; one contract suite runs over both.
The store believes its caller that records were checked. Every method may raise Unavailable.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

Outcome = Literal["first", "same", "changed", "replaced"]
"""What became of a publication: the user's first one; nothing new; a new device or version; a new identity."""

FORMER = 8
"""Times as many devices as a user may have at once, one identity may have had: their versions are remembered."""


@dataclass(frozen=True, slots=True)
class IdentityRecord:
    """`thumbprint`: of the key; `record`: the compact JWS."""

    thumbprint: str
    version: int
    record: str


@dataclass(frozen=True, slots=True)
class DeviceRecord:
    """`suites`: what the device can open, as JWE `alg` values, for the realm's own checks."""

    device: str
    version: int
    record: str
    suites: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class UserKeys:
    identity: IdentityRecord
    devices: Mapping[str, DeviceRecord] = field(default_factory=dict)


class DeviceKeyStore(Protocol):
    async def publish(
        self, user_id: str, identity: IdentityRecord, device: DeviceRecord, most: int, *, replace: bool
    ) -> Outcome:
        """In one step: the identity if it is the first one, or newer, and the device. The same call again changes nothing.

        With another key as identity all devices that the former one has signed go. Raises Conflict: "identity_known" (`current`
        has `version` and `thumbprint`) for another key without `replace`; "stale_version" (`current` has `version`, and `what`:
        "identity" or "device") for what is not newer than what there is or was; "too_many_devices" beyond `most` at once, or FORMER
        times `most` ever. Whatever is refused changes nothing.
        """

    async def get(self, user_ids: Sequence[str]) -> dict[str, UserKeys]:
        """Of those who have published. One round trip."""

    async def remove(self, user_id: str, device: str) -> bool:
        """Says whether it was there. It can come back with a higher version only."""
