"""What every process of a realm is handed as it starts: the settings with all addresses filled in, and the keys."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from cluster.security.keys import KeyRing
from cluster.settings import Settings


@dataclass(frozen=True, slots=True)
class Realm:
    """`settings.redis.url` and `settings.nats.url` are never empty here. `recovery_secret` signs recovery tokens."""

    settings: Settings
    keys: KeyRing
    recovery_secret: bytes = field(repr=False)

    def without_private_keys(self) -> Realm:
        """For processes that check tokens and must not be able to make them."""
        return replace(self, keys=self.keys.public_only())
