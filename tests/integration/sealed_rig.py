"""People with keys of their own on a realm in one process, for the tests of sealed messages."""

from __future__ import annotations

import contextlib
import secrets
import time
from collections.abc import AsyncIterator
from typing import Any

from rayrealm_client.client import RealmClient
from rayrealm_client.codec import Framing
from rayrealm_client.key_file import Keyring
from rayrealm_client.models import Tokens
from rayrealm_client.policy import Backoff
from rayrealm_client.sealed_models import IdentityChange, SealedMessage, Unopened
from rayrealm_client.sealing import OwnKeys
from tests.local_realm import LocalRealm

RSA_BITS = 2_048  # the least that is allowed, and soonest made


def overheard(client: RealmClient) -> list[dict[str, Any]]:
    """Every `chat.sealed` from now on, as the realm told it; the client gets it, too."""
    told: list[dict[str, Any]] = []
    real = client._takers["chat.sealed"]

    def take(params: object) -> None:
        assert isinstance(params, dict)
        told.append(params)
        real(params)

    client._takers["chat.sealed"] = take
    return told


class Owner:
    """A user with a keyring, who may come more than once. `heard`, `unopened` and `changes` are what its devices were told."""

    def __init__(self, realm: LocalRealm, framing: Framing = "proto", ring: Keyring | None = None) -> None:
        self.id = ring.keys.user_id if ring else f"usr_{secrets.token_hex(6)}"
        self.ring = ring or Keyring(OwnKeys.create(self.id, time.time(), rsa_bits=RSA_BITS))
        self.heard: list[SealedMessage] = []
        self.unopened: list[Unopened] = []
        self.changes: list[IdentityChange] = []
        self._realm, self._framing = realm, framing

    @property
    def texts(self) -> list[str]:
        return [message.text for message in self.heard]

    def another_device(self) -> Owner:
        return Owner(self._realm, self._framing, Keyring(self.ring.keys.another(time.time(), rsa_bits=RSA_BITS)))

    def with_new_identity(self) -> Owner:
        return Owner(self._realm, self._framing, Keyring(OwnKeys.create(self.id, time.time(), rsa_bits=RSA_BITS)))

    @contextlib.asynccontextmanager
    async def come(self, **options: Any) -> AsyncIterator[RealmClient]:
        """Connected, with keys published."""
        base = self._realm.url.replace("ws://", "http://").removesuffix("/ws")
        async with RealmClient(base, framing=self._framing, backoff=Backoff(0.05, 0.5), timeout_s=5.0) as client:
            client.tokens = Tokens(self.id, self._realm.token(self.id), "", time.monotonic() + 600.0)
            client.sealed.on_message(self.heard.append)
            client.sealed.on_unopened(self.unopened.append)
            client.sealed.on_change(self.changes.append)
            await client.sealed.begin(self.ring, **options)
            yield client
