"""What every process of a realm is handed as it starts: the settings with all addresses filled in, and the keys."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from urllib.parse import unquote, urlsplit

from cluster.security.keys import KeyRing
from cluster.settings import Settings


@dataclass(frozen=True, slots=True)
class Realm:
    """`settings.redis.url` and `settings.nats.url` are never empty here. `recovery_secret` signs recovery tokens.

    `edge_secret` is the edge's mark (`cluster/security/vouched.py`), "" where there is no edge.
    """

    settings: Settings
    keys: KeyRing
    recovery_secret: bytes = field(repr=False)
    edge_secret: str = field(default="", repr=False)

    def without_private_keys(self) -> Realm:
        """For processes that check tokens and must not be able to make them."""
        return replace(self, keys=self.keys.public_only())

    def secrets(self) -> list[str]:
        """All that no log may show, as text; some may be empty."""
        urls = [self.settings.redis.url.get_secret_value(), *self.settings.nats.url.get_secret_value().split(",")]
        return [
            *(unquote(urlsplit(url).password or "") for url in urls),
            *(issuer.secret.get_secret_value() for issuer in self.settings.identity.issuers),
            self.settings.nats.token.get_secret_value(),
            self.recovery_secret.decode("latin-1"),
            self.edge_secret,
        ]
