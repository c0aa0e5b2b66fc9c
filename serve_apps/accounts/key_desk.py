"""The web process's keys (row 4.1): rotated when the operator asks, kept in the protection store, and put back if that lost them.

The rules are in cluster/security/rotation.py.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import structlog

from cluster.errors import Unavailable
from cluster.ports.protection import ProtectionStore
from cluster.security.rotation import LiveKeys, Rotation, open_sealed, read_published, seal
from cluster.settings import Settings

# A token's last moments on an open socket, and the delays of everything between two processes.
SPARE_S = 60.0

log = structlog.get_logger(__name__)


class KeyDesk:
    """`clock` gives Unix seconds; `changed` tells all processes that the store has something new. All may raise Unavailable."""

    def __init__(
        self,
        settings: Settings,
        keys: LiveKeys,
        store: ProtectionStore,
        clock: Callable[[], float],
        changed: Callable[[], None],
    ) -> None:
        self._keys = keys
        self._store = store
        self._clock = clock
        self._changed = changed
        limits = settings.accounts
        self._lead_s = max(settings.identity.key_lead_s, 2 * settings.firewall.refresh_s)
        self._keep_s = limits.access_ttl_s + limits.clock_skew_s + settings.identity.grace_s + SPARE_S
        self._one_at_a_time = asyncio.Lock()
        # The last rotation that the store did not confirm: it may have it, and gateways then go by it.
        self._unsure: Rotation | None = None

    async def load(self) -> None:
        """Go on with the keys of the process before this one."""
        rotation = await self._stored()
        if rotation is not None:
            self._keys.use(rotation)

    async def _stored(self) -> Rotation | None:
        sealed = await self._store.sealed_keys()
        rotation = open_sealed(self._keys.root, sealed) if sealed else None
        if sealed and rotation is None:
            # The operator replaced the realm's own keys, which ends all logins. Every process starts with the new ones.
            log.warning("stored_keys_ignored", why="another root sealed them")
        return rotation

    async def rotate(self, compromised: bool = False) -> dict[str, Any]:
        """`{"kid", "signs_in_s", "keys"}`. While a new key waits for its time there is no other: the answer names that one.

        `compromised`: the new key signs at once, and no older one verifies any more. After Unavailable it may have been done all
        the same: `mend` finds out.
        """
        async with self._one_at_a_time:
            await self._settle()
            now = self._clock()
            before = self._keys.rotation
            rotation = Rotation.replaced(now) if compromised else before.rotated(now, self._lead_s, self._keep_s)
            if rotation is not before:
                await self._replace(rotation, now)
                newest = rotation.ring.verify[0].kid
                log.warning("keys_rotated", kid=newest, keys=len(rotation.ring.verify), compromised=compromised)
            return {
                "kid": rotation.ring.verify[0].kid,
                "signs_in_s": max(0.0, round(rotation.switch_at - now, 3)) if rotation.following is not None else 0.0,
                "keys": self.list(),
            }

    async def rotate_by_request(self, compromised: bool) -> dict[str, Any]:
        """As the operator's command calls it."""
        return await self.rotate(compromised)

    async def list_by_request(self) -> list[dict[str, Any]]:
        return self.list()

    def list(self) -> list[dict[str, Any]]:
        """Newest first: `{"kid", "created_at", "not_after", "state"}`, state: signs, waits, verifies."""
        now, rotation = self._clock(), self._keys.rotation
        ring = rotation.at(now)
        signs = ring.signer()[0]
        waits = rotation.following.kid if rotation.following is not None and rotation.pending(now) else ""
        return [
            {
                "kid": key.kid,
                "created_at": key.created_at,
                "not_after": key.not_after,
                "state": "signs" if key.kid == signs else "waits" if key.kid == waits else "verifies",
            }
            for key in ring.verify
            if key.not_after is None or now <= key.not_after
        ]

    async def mend(self, published: str) -> None:
        """Write the keys again if the store has others: it lost them, or somebody changed them. Newer ones of this root are those
        of a rotation that was not confirmed: these are taken.
        """
        async with self._one_at_a_time:
            await self._settle()
            now, rotation = self._clock(), self._keys.rotation
            if not published and rotation.ring.verify == self._keys.root.verify:
                return
            there = read_published(self._keys.root, published, now)
            if there is not None and there.verify == rotation.ring.verify:
                return
            if self._adopted(await self._stored()):
                return
            log.warning("stored_keys_mended")
            await self._keep(rotation, now)

    async def _replace(self, rotation: Rotation, now: float) -> None:
        """Raises Unavailable if the store does not have it, or does not say."""
        try:
            await self._keep(rotation, now)
        except Unavailable:
            self._unsure = rotation
            await self._settle()
            if self._keys.rotation.ring.verify != rotation.ring.verify:
                raise
        else:
            self._keys.use(rotation)

    async def _settle(self) -> None:
        """After an answer that was lost: go by what the store has."""
        if self._unsure is None:
            return
        self._adopted(await self._stored())
        self._unsure = None

    def _adopted(self, stored: Rotation | None) -> bool:
        """Takes it if it is newer. An older one was put there by somebody: whoever can write into the store has seen those."""
        if stored is None:
            return False
        newest, mine = stored.ring.verify[0], self._keys.rotation.ring.verify[0]
        expected = self._unsure is not None and newest.kid == self._unsure.ring.verify[0].kid
        if not expected and newest.created_at <= mine.created_at:
            return False
        log.warning("stored_keys_adopted", kid=newest.kid)
        self._keys.use(stored)
        self._changed()
        return True

    async def _keep(self, rotation: Rotation, now: float) -> None:
        await self._store.keep_keys(self._keys.publish(rotation.ring, now), seal(self._keys.root, rotation))
        self._changed()
