"""Records of public keys (PROTOCOL.md, "Sealed messages"): who a user is, and which devices are the user's.

A record is a compact JWS (RFC 7515, ES256) by the user's identity key, of a `typ` of its own, so that none can pass for another.
The realm checks what it is given with this, and clients check what the realm gives them.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OKPKey, RSAKey

IDENTITY = "rayrealm-identity"
DEVICE = "rayrealm-device"
MESSAGE = "rayrealm-message"

RSA = "RSA-OAEP-256"
ECDH = "ECDH-ES+A256KW"
SUITES = (RSA, ECDH)
ENC = "A256GCM"

DEVICE_ID = re.compile(r"dev_[A-Za-z0-9_-]{1,32}")
MAX_RECORD = 4_096
MAX_VERSION = 2**53 - 1
MIN_RSA_BITS, MAX_RSA_BITS = 2_048, 4_096
RSA_EXPONENT = "AQAB"  # 65537; others gain nothing

_MEMBERS = {"EC": {"kty", "crv", "x", "y"}, "OKP": {"kty", "crv", "x"}, "RSA": {"kty", "n", "e"}}
# Any private key shows whether a public one is of small order: then what both share is zero (RFC 7748, section 6.1).
_PROBE = X25519PrivateKey.generate()
_REGISTRY = jws.JWSRegistry(algorithms=["ES256"])
_REGISTRY.max_payload_length = 48 * 1_024

Jwk = Mapping[str, str]


class BadRecord(ValueError):
    """`reason` is a stable word: malformed, wrong_type, bad_signature, wrong_user, wrong_device, bad_key, bad_version."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Identity:
    """`thumbprint`: of the key (RFC 7638, SHA-256); two identities are the same if theirs is. `record`: what was signed."""

    user_id: str
    version: int
    key: Jwk
    thumbprint: str
    record: str


@dataclass(frozen=True, slots=True)
class Device:
    """`keys`: suite -> public key. `created_at`: Unix seconds, as its owner says."""

    user_id: str
    device: str
    version: int
    created_at: int
    keys: Mapping[str, Jwk]
    record: str


def read_identity(record: str, user_id: str) -> Identity:
    """What the record says, which its own key has signed. Raises BadRecord."""
    claims = _unverified(record)
    key = claims.get("key")
    if not isinstance(key, dict):
        raise BadRecord("malformed")
    public = signing_key(key)
    claims = verify(IDENTITY, record, public)
    if claims.get("user_id") != user_id:
        raise BadRecord("wrong_user")
    return Identity(user_id, _version(claims), key, public.thumbprint(), record)


def read_device(record: str, identity: Identity) -> Device:
    """What the record says, which the identity has signed. Raises BadRecord."""
    claims = verify(DEVICE, record, signing_key(identity.key))
    if claims.get("user_id") != identity.user_id:
        raise BadRecord("wrong_user")
    device, created_at, keys = claims.get("device"), claims.get("created_at"), claims.get("keys")
    if not isinstance(device, str) or not DEVICE_ID.fullmatch(device):
        raise BadRecord("wrong_device")
    if type(created_at) is not int or not 0 <= created_at <= MAX_VERSION:
        raise BadRecord("malformed")
    if not isinstance(keys, dict) or not keys or not keys.keys() <= set(SUITES):
        raise BadRecord("bad_key")
    for suite, key in keys.items():
        sealing_key(suite, key)
    return Device(identity.user_id, device, _version(claims), created_at, keys, record)


def sign(kind: str, claims: Mapping[str, Any], key: ECKey, pad_to: int = 1) -> str:
    """A compact JWS of that `typ`. `pad_to`: its JSON is filled with blanks to a multiple of so many bytes."""
    payload = json.dumps(claims, ensure_ascii=False, separators=(",", ":")).encode()
    payload += b" " * (-len(payload) % pad_to)
    return jws.serialize_compact({"alg": "ES256", "typ": kind}, payload, key, registry=_REGISTRY)


def verify(kind: str, record: str, key: ECKey) -> dict[str, Any]:
    """The claims of a record of that `typ`. Raises BadRecord."""
    try:
        signed = jws.deserialize_compact(record, key, registry=_REGISTRY)
    except (JoseError, ValueError, TypeError, KeyError) as error:
        raise BadRecord("bad_signature") from error
    if signed.headers().get("typ") != kind:
        raise BadRecord("wrong_type")
    return _claims(signed.payload)


def signing_key(key: Mapping[str, Any]) -> ECKey:
    """A public P-256 key. Raises BadRecord."""
    _check_members(key, "EC")
    if key["crv"] != "P-256" or len(key["x"]) != 43 or len(key["y"]) != 43:
        raise BadRecord("bad_key")
    try:
        made = ECKey.import_key(dict(key))
        _ = made.public_key  # is the point on the curve?
    except (JoseError, ValueError) as error:
        raise BadRecord("bad_key") from error
    return made


def sealing_key(suite: str, key: object) -> RSAKey | ECKey | OKPKey:
    """A public key to seal with. Raises BadRecord."""
    if not isinstance(key, dict):
        raise BadRecord("bad_key")
    kind = key.get("kty")
    if suite == RSA and kind == "RSA":
        return _rsa_key(key)
    if suite == ECDH and kind == "EC":
        return signing_key(key)
    if suite == ECDH and kind == "OKP":
        return _x25519_key(key)
    raise BadRecord("bad_key")


def _rsa_key(key: Mapping[str, Any]) -> RSAKey:
    _check_members(key, "RSA")
    if key["e"] != RSA_EXPONENT or len(key["n"]) > MAX_RSA_BITS // 6 + 1:
        raise BadRecord("bad_key")
    modulus = int.from_bytes(_bytes(key["n"]), "big")
    if not MIN_RSA_BITS <= modulus.bit_length() <= MAX_RSA_BITS or modulus % 2 == 0:
        raise BadRecord("bad_key")
    try:
        return RSAKey.import_key(dict(key))
    except (JoseError, ValueError) as error:
        raise BadRecord("bad_key") from error


def _x25519_key(key: Mapping[str, Any]) -> OKPKey:
    _check_members(key, "OKP")
    if key["crv"] != "X25519" or len(_bytes(key["x"])) != 32:
        raise BadRecord("bad_key")
    try:
        made = OKPKey.import_key(dict(key))
        _PROBE.exchange(made.public_key)  # type: ignore[arg-type] # of that curve
    except (JoseError, ValueError) as error:
        raise BadRecord("bad_key") from error
    return made


def _check_members(key: Mapping[str, Any], kind: Literal["EC", "OKP", "RSA"]) -> None:
    """Those of a public key and no other: nobody publishes a private key by mistake."""
    if key.keys() != _MEMBERS[kind] or key["kty"] != kind or not all(isinstance(value, str) for value in key.values()):
        raise BadRecord("bad_key")


def _version(claims: Mapping[str, Any]) -> int:
    version = claims.get("version")
    if type(version) is not int or not 1 <= version <= MAX_VERSION:
        raise BadRecord("bad_version")
    return version


def _unverified(record: str) -> dict[str, Any]:
    parts = record.split(".")
    if len(parts) != 3 or len(record) > MAX_RECORD:
        raise BadRecord("malformed")
    return _claims(_bytes(parts[1]))


def _claims(payload: bytes) -> dict[str, Any]:
    try:
        claims = json.loads(payload)
    except (ValueError, RecursionError) as error:
        raise BadRecord("malformed") from error
    if not isinstance(claims, dict):
        raise BadRecord("malformed")
    return claims


def _bytes(text: str) -> bytes:
    """Base64url without padding (RFC 7515, section 2)."""
    try:
        found = base64.b64decode(text + "=" * (-len(text) % 4), b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadRecord("malformed") from error
    return found
