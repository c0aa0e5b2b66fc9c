"""Rotating the realm's token keys without logging anyone out (row 4.1).

The realm's first pair, from its data folder, is the root: every process has its public half from the start, the web process alone
its private one. Later pairs are made by the web process and kept in the protection store: the public ones signed by the root, so
that whoever can write into the store cannot make tokens; the private ones sealed by a key that is derived from the root's (HKDF,
RFC 5869), so that whoever can read it cannot either.

A new key is public for a while before it signs, until every gateway and whoever caches the JWK set has it. The former one verifies
until the last token that it signed has ended.
"""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from dataclasses import dataclass, replace
from typing import Any, Self

import jwt
from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from cluster.errors import Ours
from cluster.security.keys import KeyRing, SigningKey

TYPE = "keys+jwt"
_ALGORITHM = "EdDSA"
_INFO = b"rayrealm: token keys at rest"
_MAX_BYTES = 256 * 1024
_TICK_S = 0.001  # `iat` is in milliseconds
_OPTIONS: jwt.types.Options = {"verify_exp": False, "verify_nbf": False, "verify_iat": False}


@dataclass(frozen=True, slots=True)
class Rotation:
    """`ring` signs until `switch_at` (Unix seconds), `following` from then on, if there is one; all of them verify."""

    ring: KeyRing
    following: SigningKey | None = None
    switch_at: float = 0.0

    def at(self, now: float) -> KeyRing:
        """The ring with the key that signs now."""
        if self.following is None or now < self.switch_at:
            return self.ring
        return KeyRing(self.ring.verify, self.following)

    def pending(self, now: float) -> bool:
        """Whether a new key waits for its time."""
        return self.following is not None and now < self.switch_at

    def rotated(self, now: float, lead_s: float, keep_s: float) -> Self:
        """A new pair signs after `lead_s`; those before it verify for `keep_s` more. Itself while a new key waits."""
        if self.pending(now):
            return self
        fresh, switch_at, ring = KeyRing.create(now), now + lead_s, self.at(now)
        kept = tuple(
            replace(key, not_after=switch_at + keep_s) if key.not_after is None else key
            for key in ring.verify
            if key.not_after is None or key.not_after > now
        )
        return type(self)(KeyRing(fresh.verify + kept, ring.signing), fresh.signing, switch_at)

    @classmethod
    def replaced(cls, now: float) -> Self:
        """A new pair, and nothing that an older one signed counts any more: the older one is known to others."""
        return cls(KeyRing.create(now))


def publish(root: KeyRing, ring: KeyRing, now: float) -> str:
    """The ring's public keys, signed by the root: a JWS (RFC 7515) over a JWK set whose keys have `iat` and `exp`."""
    kid, key = root.signer()
    payload = {"iat": round(now, 3), "keys": ring.public_only().stored()}
    return jwt.encode(payload, key, algorithm=_ALGORITHM, headers={"kid": kid, "typ": TYPE})


def read_published(root: KeyRing, text: str, now: float) -> KeyRing | None:
    """The keys of `publish`, or None if another root signed them, or they are not what `publish` makes."""
    published = _published(root, text, now)
    return None if published is None else published[0]


def _published(root: KeyRing, text: str, now: float) -> tuple[KeyRing, float] | None:
    """The keys, and when they were signed."""
    if not text or len(text) > _MAX_BYTES:
        return None
    try:
        header = jwt.get_unverified_header(text)
        key = root.verifier(header["kid"], now)
        if key is None or header.get("alg") != _ALGORITHM or header.get("typ") != TYPE:
            return None
        payload = jwt.decode(text, key, algorithms=[_ALGORITHM], options=_OPTIONS)
        return KeyRing.of_public(payload["keys"]), float(payload["iat"])
    except (jwt.PyJWTError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def seal(root: KeyRing, rotation: Rotation) -> str:
    """As the store keeps it: AES-128-CBC with HMAC-SHA256 (Fernet)."""
    signing = [key for key in (rotation.ring.signing, rotation.following) if key is not None]
    document = {
        "keys": rotation.ring.public_only().stored(),
        "private": {key.kid: key.private.hex() for key in signing},
        "signs": [key.kid for key in signing],
        "switch_at": rotation.switch_at,
    }
    return _box(root).encrypt(json.dumps(document).encode()).decode()


def open_sealed(root: KeyRing, sealed: str) -> Rotation | None:
    """What `seal` was given, or None if another root sealed it. Raises Ours for what a root sealed and `seal` did not make."""
    try:
        document: dict[str, Any] = json.loads(_box(root).decrypt(sealed.encode()))
    except InvalidToken:
        return None
    try:
        signing = [SigningKey(kid, bytes.fromhex(document["private"][kid])) for kid in document["signs"]]
        ring = KeyRing(KeyRing.of_public(document["keys"]).verify, signing[0])
        return Rotation(ring, signing[1] if len(signing) > 1 else None, float(document["switch_at"]))
    except (ValueError, KeyError, TypeError, AttributeError, IndexError):
        raise Ours("the stored token keys cannot be read") from None


def _box(root: KeyRing) -> Fernet:
    if root.signing is None:
        raise Ours("this process holds no private key")
    derived = HKDF(SHA256(), 32, salt=None, info=_INFO).derive(root.signing.private)
    return Fernet(urlsafe_b64encode(derived))


class LiveKeys:
    """The keys by which this process checks tokens, and signs them if it may."""

    def __init__(self, root: KeyRing) -> None:
        self.root = root
        self._rotation = Rotation(root)
        self._newest = 0.0  # when the newest set that this process saw was signed

    def ring(self, now: float) -> KeyRing:
        return self._rotation.at(now)

    @property
    def rotation(self) -> Rotation:
        return self._rotation

    def use(self, rotation: Rotation) -> None:
        self._rotation = rotation

    def publish(self, ring: KeyRing, now: float) -> str:
        """As `publish`, signed later than any set that this process saw, also after its clock was set back: others adopt it."""
        self._newest = max(now, self._newest + _TICK_S)
        return publish(self.root, ring, self._newest)

    def adopt(self, published: str, now: float) -> bool:
        """Take what the store has published, if this root signed it, and not before what was seen here: whoever can write into the
        store could put an old set back, with keys that count no more. Else what was known stays. Says whether it changed.

        The process that makes the keys takes none.
        """
        found = _published(self.root, published, now)
        if found is None or found[1] < self._newest:
            return False
        ring, self._newest = found
        if self._rotation.ring.signing is not None or ring.verify == self._rotation.ring.verify:
            return False
        self._rotation = Rotation(ring)
        return True
