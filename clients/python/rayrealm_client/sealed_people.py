"""Who others are to `client.sealed`: what the realm tells of their keys, as far as it is believed (PROTOCOL.md)."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from rayrealm_client.asking import object_of
from rayrealm_client.feed import Feed
from rayrealm_client.key_file import Keyring
from rayrealm_client.key_records import BadRecord, Device, Identity, read_identity
from rayrealm_client.sealed_models import IdentityChange
from rayrealm_client.sealing import BadSeal, Pin, current_devices, pinned, safety_number
from rayrealm_client.wishes import Ask

log = logging.getLogger("rayrealm_client")

LOOK_AGAIN_S = 10.0
"""How often the realm is asked about one sender at most: who seals nonsense does not choose how often that is."""
REMEMBERED = 1_024
MOST_ASKED = 50


@dataclass(frozen=True, slots=True)
class Known:
    identity: Identity
    devices: Mapping[str, Device]


class People:
    """`own`: the keyring, whose pins are changed in place; `save` is called after each change. `now`: seconds, monotonic."""

    def __init__(self, own: Callable[[], Keyring], save: Callable[[Keyring], None], now: Callable[[], float]) -> None:
        self.changes = Feed("keys.changed", IdentityChange.of)
        self._own = own
        self._save = save
        self._now = now
        self._known: dict[str, Known] = {}
        self._asked_at: dict[str, float] = {}

    def __contains__(self, user_id: str) -> bool:
        return user_id in self._known

    async def look_up(self, user_ids: Iterable[str], ask: Ask) -> None:
        left = list(user_ids)
        while left:
            asked, asked_at = left[:MOST_ASKED], self._now()
            answer = object_of(await ask("keys.get", {"user_ids": list(asked)}))
            again = [str(each) for each in answer.get("left_out") or []]
            for user_id, records in object_of(answer.get("keys")).items():
                self._adopt(user_id, object_of(records))
            for user_id in asked:
                if user_id not in again:
                    self._asked_at.pop(user_id, None)
                    self._asked_at[user_id] = asked_at
            for oldest in list(self._asked_at)[:-REMEMBERED]:
                del self._asked_at[oldest]
            left = again + left[MOST_ASKED:]

    async def look_again(self, user_ids: Iterable[str], ask: Ask) -> None:
        """About those of whom the realm was not asked lately."""
        await self.look_up([each for each in user_ids if not self.wait_s(each)], ask)

    def wait_s(self, user_id: str) -> float:
        """Until the realm may be asked about somebody again."""
        return max(self._asked_at.get(user_id, -math.inf) + LOOK_AGAIN_S - self._now(), 0.0)

    def is_asked_since(self, user_id: str, when: float) -> bool:
        return self._asked_at.get(user_id, -math.inf) >= when

    def known(self, user_id: str) -> Known:
        """Raises BadSeal("no_keys")."""
        if user_id not in self._known:
            raise BadSeal("no_keys")
        return self._known[user_id]

    def devices(self, user_id: str) -> list[Device]:
        return list(self._known[user_id].devices.values()) if user_id in self._known else []

    def unchanged(self, user_id: str) -> Pin:
        """Raises BadSeal: no_keys, identity_changed."""
        pin = self._own().pins.get(user_id)
        if pin is None or user_id not in self._known:
            raise BadSeal("no_keys")
        if pin.changed:
            raise BadSeal("identity_changed")
        return pin

    def safety_number(self, user_id: str) -> str:
        return safety_number(self._own().keys.identity, self.known(user_id).identity)

    def verify(self, user_id: str) -> None:
        self._set_pin(user_id, replace(self.unchanged(user_id), verified=True))

    def accept(self, user_id: str) -> None:
        ring, known = self._own(), self.known(user_id)
        if user_id not in ring.pins:
            raise BadSeal("no_keys")
        if ring.pins[user_id].changed:
            self._set_pin(user_id, Pin(known.identity.thumbprint, known.identity.version))
            self._forget(user_id)  # its devices were not looked at

    def take_change(self, change: IdentityChange) -> None:
        """What is known of the user may be old."""
        ring = self._own()
        own = ring.keys.identity
        pin = ring.pins.get(change.user_id)
        known = own.thumbprint if change.user_id == own.user_id else pin.thumbprint if pin else ""
        self._forget(change.user_id)
        if known and change.thumbprint != known:
            if pin is not None and change.user_id != own.user_id:
                self._set_pin(change.user_id, replace(pin, changed=change.thumbprint))
            self.changes.tell(change)

    def forget_all(self) -> None:
        """Another keyring may hold other people."""
        self._known.clear()
        self._asked_at.clear()

    def _forget(self, user_id: str) -> None:
        self._known.pop(user_id, None)
        self._asked_at.pop(user_id, None)

    def _adopt(self, user_id: str, records: Mapping[str, Any]) -> None:
        """What the realm tells of somebody: believed as far as it is signed, and as it fits what is known."""
        ring = self._own()
        try:
            identity = read_identity(str(records.get("identity")), user_id)
        except BadRecord as error:
            log.warning("keys of %s passed over: %s", user_id, error.reason)
            return
        before = ring.pins.get(user_id)
        pin = pinned(before, identity)
        if user_id == ring.keys.user_id:
            pin = Pin(ring.keys.identity.thumbprint, ring.keys.identity.version)
            if identity.thumbprint != pin.thumbprint:
                self._known.pop(user_id, None)  # another device has taken over: nothing is sealed for it
                return
        devices: dict[str, Device] = {}
        if not pin.changed:
            pin, devices = current_devices(pin, identity, [str(each) for each in records.get("devices") or []])
        self._known[user_id] = Known(identity, devices)
        if pin != before:
            self._set_pin(user_id, pin)
        if pin.changed and (before is None or before.changed != pin.changed):
            self.changes.tell(IdentityChange(user_id, pin.changed))

    def _set_pin(self, user_id: str, pin: Pin) -> None:
        ring = self._own()
        ring.pins[user_id] = pin
        self._save(ring)
