"""Messages that the realm cannot read: one's own keys, sealing and opening (PROTOCOL.md, "Sealed messages"). No I/O.

Sign, then encrypt: what is said is a JWS (RFC 7515) by the sender's identity key that names sender, receiver, message and time, and
that is sealed for each device as a JWE (RFC 7516). So the realm can neither read, nor forge, nor tell somebody else what was said.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Self

from joserfc import jwe
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OKPKey, RSAKey

from rayrealm_client.errors import RealmError
from rayrealm_client.key_records import (
    DEVICE,
    ECDH,
    ENC,
    IDENTITY,
    MESSAGE,
    RSA,
    SUITES,
    BadRecord,
    Device,
    Identity,
    read_device,
    read_identity,
    sealing_key,
    sign,
    signing_key,
    verify,
)

PAD_TO = 128
"""Bytes: the length of what is sealed tells no more of the text than that."""
MOST_AGE_S = 15 * 86_400.0
"""A day longer than the realm keeps messages: what is older is a replay."""
MOST_AHEAD_S = 86_400.0

Curve = Literal["X25519", "P-256"]
Private = RSAKey | ECKey | OKPKey


class BadSeal(RealmError):
    """`reason` is a stable word: not_for_this_device, cannot_open, bad_signature, wrong_sender, wrong_receiver, wrong_time,
    malformed, replayed, identity_changed, no_keys.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Opened:
    """What a sealed message says, once its signature was checked. `message_id`: the sender's; `at`: Unix seconds, as it says."""

    message_id: str
    sender: str
    to: str
    at: float
    text: str

    @property
    def key(self) -> str:
        """What no other message has: ids are a sender's own."""
        return f"{self.sender}/{self.message_id}"


@dataclass(frozen=True, slots=True)
class OwnKeys:
    """Of one device of one user: whoever has these is the user. `private`: suite -> key. Never leaves the device."""

    identity: Identity
    device: Device
    signing: ECKey = field(repr=False)
    private: Mapping[str, Private] = field(repr=False)

    @classmethod
    def create(
        cls, user_id: str, now: float, *, suites: Iterable[str] = SUITES, curve: Curve = "X25519", rsa_bits: int = 3_072
    ) -> Self:
        """A new identity with its first device. `curve`: of ECDH-ES; clients that have no X25519 use P-256."""
        return cls._signed(
            user_id, ECKey.generate_key("P-256"), 1, _generate(suites, curve, rsa_bits), _device_id(), 1, now
        )

    def another(
        self, now: float, *, suites: Iterable[str] = SUITES, curve: Curve = "X25519", rsa_bits: int = 3_072
    ) -> Self:
        """Keys of a further device of the same user."""
        made = _generate(suites, curve, rsa_bits)
        return self._signed(self.user_id, self.signing, self.identity.version, made, _device_id(), 1, now)

    def renumbered(self, *, identity: int | None = None, device: int | None = None) -> Self:
        """The same keys under higher versions."""
        return self._signed(
            self.user_id,
            self.signing,
            identity or self.identity.version,
            self.private,
            self.device.device,
            device or self.device.version,
            self.device.created_at,
        )

    @classmethod
    def _signed(
        cls,
        user_id: str,
        signing: ECKey,
        identity_version: int,
        private: Mapping[str, Private],
        device: str,
        device_version: int,
        created_at: float,
    ) -> Self:
        of_user = {"user_id": user_id, "version": identity_version, "key": signing.as_dict(private=False)}
        identity = read_identity(sign(IDENTITY, of_user, signing), user_id)
        of_device = {
            "user_id": user_id,
            "device": device,
            "version": device_version,
            "created_at": int(created_at),
            "keys": {suite: key.as_dict(private=False) for suite, key in private.items()},
        }
        return cls(identity, read_device(sign(DEVICE, of_device, signing), identity), signing, private)

    @property
    def user_id(self) -> str:
        return self.identity.user_id

    def to_json(self) -> dict[str, Any]:
        """For a file that only its owner may read."""
        return {
            "user_id": self.user_id,
            "identity": self.identity.record,
            "device": self.device.record,
            "signing": self.signing.as_dict(private=True),
            "private": {suite: key.as_dict(private=True) for suite, key in self.private.items()},
        }

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> Self:
        """Raises BadRecord, KeyError, ValueError for what `to_json` has not made."""
        kinds: dict[str, type[Private]] = {"RSA": RSAKey, "EC": ECKey, "OKP": OKPKey}
        identity = read_identity(body["identity"], body["user_id"])
        private = {suite: kinds[key["kty"]].import_key(key) for suite, key in body["private"].items()}
        device = read_device(body["device"], identity)
        return cls(identity, device, ECKey.import_key(body["signing"]), private)


def _device_id() -> str:
    return f"dev_{secrets.token_hex(8)}"


def _generate(suites: Iterable[str], curve: Curve, rsa_bits: int) -> dict[str, Private]:
    made: dict[str, Private] = {}
    for suite in suites:
        if suite == RSA:
            made[suite] = RSAKey.generate_key(rsa_bits)
        elif suite == ECDH:
            made[suite] = OKPKey.generate_key(curve) if curve == "X25519" else ECKey.generate_key(curve)
        else:
            raise ValueError(f"no suite {suite}")
    return made


# --- sealing ---------------------------------------------------------------------------------------------------


def say(keys: OwnKeys, to: str, text: str, message_id: str, at: float) -> str:
    """What will be sealed, the same for all devices: signed."""
    said = {"from": keys.user_id, "to": to, "id": message_id, "at": at, "text": text}
    return sign(MESSAGE, said, keys.signing, PAD_TO)


def seal(said: str, device: Device, suite: str | None = None) -> dict[str, Any]:
    """An item of chat.sealed. `suite`: the one to use, if the device has it. Raises BadSeal("no_keys")."""
    chosen = suite or next((each for each in (ECDH, RSA) if each in device.keys), "")
    if chosen not in device.keys:
        raise BadSeal("no_keys")
    header = {"alg": chosen, "enc": ENC, "kid": key_id(device)}
    key = sealing_key(chosen, device.keys[chosen])
    sealed = jwe.encrypt_compact(header, said, key, algorithms=[chosen, ENC])
    return {"device": device.device, "version": device.version, "jwe": sealed}


def key_id(device: Device) -> str:
    return f"{device.device}.{device.version}"


# --- opening ---------------------------------------------------------------------------------------------------


def unseal(sealed: str, keys: OwnKeys) -> str:
    """What `say` made. Raises BadSeal: not_for_this_device, cannot_open."""
    try:
        found = jwe.decrypt_compact(sealed, lambda each: _private_key(keys, each.headers()), algorithms=[*SUITES, ENC])
    except (JoseError, ValueError, TypeError, KeyError) as error:
        raise BadSeal("cannot_open") from error
    return (found.plaintext or b"").decode("ascii", "replace")


def _private_key(keys: OwnKeys, header: Mapping[str, Any]) -> Private:
    if header.get("kid") != key_id(keys.device) or header.get("alg") not in keys.private or "zip" in header:
        raise BadSeal("not_for_this_device")
    return keys.private[header["alg"]]


def read(said: str, sender: Identity, to: str, now: float) -> Opened:
    """What was said, if `sender` has signed it, for `to`, not long ago. Raises BadSeal."""
    try:
        claims = verify(MESSAGE, said, signing_key(sender.key))
    except BadRecord as error:
        raise BadSeal("bad_signature") from error
    if claims.get("from") != sender.user_id:
        raise BadSeal("wrong_sender")
    if claims.get("to") != to:
        raise BadSeal("wrong_receiver")
    message_id, at, text = claims.get("id"), claims.get("at"), claims.get("text")
    if not isinstance(message_id, str) or not 1 <= len(message_id) <= 64 or not isinstance(text, str):
        raise BadSeal("malformed")
    if isinstance(at, bool) or not isinstance(at, int | float) or not now - MOST_AGE_S <= at <= now + MOST_AHEAD_S:
        raise BadSeal("wrong_time")
    return Opened(message_id, sender.user_id, to, float(at), text)


# --- who somebody is -------------------------------------------------------------------------------------------


def safety_number(one: Identity, other: Identity) -> str:
    """Thirty digits that both see, if nobody stands between them: to be compared by another way than the realm."""
    people = sorted(f"{each.user_id}:{each.thumbprint}" for each in (one, other))
    digest = hashlib.sha256("\n".join(("rayrealm-safety-number", *people)).encode()).digest()
    groups = (int.from_bytes(digest[at : at + 5], "big") % 100_000 for at in range(0, 30, 5))
    return " ".join(f"{group:05d}" for group in groups)


@dataclass(frozen=True, slots=True)
class Pin:
    """What is held true about somebody: the first identity that was seen, or the one that was accepted since.

    `verified`: the safety numbers were compared. `changed`: the thumbprint of another identity that the realm tells of, which is
    not believed. `devices`: the newest version seen of each.
    """

    thumbprint: str
    version: int
    verified: bool = False
    changed: str = ""
    devices: Mapping[str, int] = field(default_factory=dict)


def pinned(pin: Pin | None, identity: Identity) -> Pin:
    """The pin after the realm has told of an identity: `changed` if it is not the same."""
    if pin is None:
        return Pin(identity.thumbprint, identity.version)
    if pin.thumbprint != identity.thumbprint:
        return replace(pin, changed=identity.thumbprint)
    return replace(pin, version=max(pin.version, identity.version), changed="")


def current_devices(pin: Pin, identity: Identity, records: Iterable[str]) -> tuple[Pin, dict[str, Device]]:
    """Those devices that the identity has signed, none older than one that was seen before; and what was seen now."""
    seen, found = dict(pin.devices), {}
    for record in records:
        try:
            device = read_device(record, identity)
        except BadRecord:
            continue  # of another identity, or forged: nothing is sealed for it
        if device.version >= seen.get(device.device, 0):
            seen[device.device] = device.version
            found[device.device] = device
    return replace(pin, devices=seen), found
