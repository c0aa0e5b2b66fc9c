"""The realm's token keys (row 4.1): Ed25519 pairs as a JWK set (RFC 7517, RFC 8037); one signs, all verify.

Rotation: a new pair signs, the former one only verifies until the last token it signed has expired.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Self

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from cluster.errors import Ours, StartRefused

_FILE_MODE = 0o600
_KEY_BYTES = 32


def _to_base64(raw: bytes) -> str:
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


def _from_base64(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


def thumbprint(public: bytes) -> str:
    """The `kid` of a public key of 32 bytes: its JWK thumbprint (RFC 7638; RFC 8037, appendix A.3)."""
    members = json.dumps(
        {"crv": "Ed25519", "kty": "OKP", "x": _to_base64(public)}, separators=(",", ":"), sort_keys=True
    )
    return _to_base64(hashlib.sha256(members.encode()).digest())


@lru_cache(maxsize=32)
def _public_key(raw: bytes) -> Ed25519PublicKey:
    return Ed25519PublicKey.from_public_bytes(raw)


@dataclass(frozen=True, slots=True)
class VerifyKey:
    """`public` is 32 bytes. Its signatures count until `not_after` (Unix seconds); None: no end is set."""

    kid: str
    public: bytes
    created_at: float
    not_after: float | None = None

    def jwk(self) -> dict[str, str]:
        return {
            "kty": "OKP",
            "crv": "Ed25519",
            "x": _to_base64(self.public),
            "kid": self.kid,
            "use": "sig",
            "alg": "EdDSA",
        }


@dataclass(frozen=True, slots=True)
class SigningKey:
    """`private` is the 32 byte seed of RFC 8032."""

    kid: str
    private: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class KeyRing:
    """Plain bytes, so that a ring can be pickled to other processes. The newest verify key comes first."""

    verify: tuple[VerifyKey, ...]
    signing: SigningKey | None = None

    @classmethod
    def create(cls, now: float) -> Self:
        """A ring of one new pair."""
        private = Ed25519PrivateKey.generate()
        public = private.public_key().public_bytes_raw()
        kid = thumbprint(public)
        return cls((VerifyKey(kid, public, now),), SigningKey(kid, private.private_bytes_raw()))

    @classmethod
    def load_or_create(cls, path: Path, now: float) -> Self:
        """The ring in `path`; if missing it is made, with mode 0600. Of several makers at once one wins.

        Raises StartRefused for a file that others may read, or that is no ring: a new one ends all logins.
        """
        try:
            return cls._load(path)
        except FileNotFoundError:
            pass
        ring = cls.create(now)
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = ring._write_draft(path)
        try:
            # A hard link appears complete or not at all, and fails if another process was faster.
            os.link(draft, path)
        except FileExistsError:
            return cls._load(path)
        finally:
            draft.unlink()
        _sync_directory(path.parent)
        return ring

    def save(self, path: Path) -> None:
        """Replace the file at once, never in parts."""
        if self.signing is None:
            raise Ours("a ring without a private key is not for keeping")
        self._write_draft(path).replace(path)
        _sync_directory(path.parent)

    def rotated(self, now: float, keep_s: float) -> KeyRing:
        """A new pair signs; the former one verifies for `keep_s` more seconds: at least a token's life."""
        fresh = KeyRing.create(now)
        kept = tuple(
            replace(key, not_after=now + keep_s) if key.not_after is None else key
            for key in self.verify
            if key.not_after is None or key.not_after > now
        )
        return KeyRing(fresh.verify + kept, fresh.signing)

    def public_only(self) -> KeyRing:
        """The same ring for processes that check tokens and must not be able to make them."""
        return KeyRing(self.verify)

    def jwks(self, now: float = 0.0) -> dict[str, list[dict[str, str]]]:
        """The public keys that count at `now` as a JWK set (RFC 7517, section 5)."""
        return {"keys": [key.jwk() for key in self.verify if key.not_after is None or now <= key.not_after]}

    def signer(self) -> tuple[str, Ed25519PrivateKey]:
        """(`kid`, key). Raises Ours in a process that was given public keys alone."""
        if self.signing is None:
            raise Ours("this process holds no private key")
        return self.signing.kid, Ed25519PrivateKey.from_private_bytes(self.signing.private)

    def verifier(self, kid: str, now: float) -> Ed25519PublicKey | None:
        """The public key called `kid`, or None if there is none or its time is over."""
        for key in self.verify:
            if key.kid == kid and (key.not_after is None or now <= key.not_after):
                return _public_key(key.public)
        return None

    def _write_draft(self, path: Path) -> Path:
        draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _FILE_MODE)
        with os.fdopen(descriptor, "w") as file:
            json.dump({"keys": self.stored()}, file, indent=2)
            file.flush()
            os.fsync(file.fileno())
        return draft

    def stored(self) -> list[dict[str, Any]]:
        """As a file has it: the JWKs with their times (`iat`, `exp`), and the private part (`d`) if the ring has one."""
        return [self._stored(key) for key in self.verify]

    def _stored(self, key: VerifyKey) -> dict[str, Any]:
        stored: dict[str, Any] = {**key.jwk(), "iat": key.created_at}
        if key.not_after is not None:
            stored["exp"] = key.not_after
        if self.signing is not None and self.signing.kid == key.kid:
            stored["d"] = _to_base64(self.signing.private)
        return stored

    @classmethod
    def _load(cls, path: Path) -> Self:
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_mode & 0o077:
                raise StartRefused(f"{path} holds private keys and others may read it: chmod 600 {path}")
            raw = file.read()
        try:
            return cls._parse(json.loads(raw))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            # The reason may quote key material; the kind of error may not.
            problem = type(error).__name__
            raise StartRefused(
                f"{path} is no set of keys ({problem}): restore it, or delete it to log everybody out"
            ) from None

    @classmethod
    def _parse(cls, document: dict[str, Any]) -> Self:
        ring = cls.of_public(document["keys"])
        signing: list[SigningKey] = []
        for jwk, key in zip(document["keys"], ring.verify, strict=True):
            if "d" in jwk:
                private = _from_base64(jwk["d"])
                if Ed25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw() != key.public:
                    raise ValueError("the halves of a pair do not belong together")
                signing.append(SigningKey(key.kid, private))
        (signer,) = signing
        return cls(ring.verify, signer)

    @classmethod
    def of_public(cls, stored: list[dict[str, Any]]) -> Self:
        """A ring of the public keys in what `stored` makes. Raises ValueError, KeyError, TypeError, AttributeError."""
        verify: list[VerifyKey] = []
        for jwk in stored:
            public = _from_base64(jwk["x"])
            kid = thumbprint(public)
            if (jwk["kty"], jwk["crv"], jwk["kid"], len(public)) != ("OKP", "Ed25519", kid, _KEY_BYTES):
                raise ValueError("not an Ed25519 key, or not the one its kid says")
            times = [float(jwk["iat"]), float(jwk["exp"]) if "exp" in jwk else None]
            if not all(time is None or math.isfinite(time) for time in times):
                raise ValueError("a time that is none")
            verify.append(VerifyKey(kid, public, float(jwk["iat"]), times[1]))
        if not verify:
            raise ValueError("no keys")
        return cls(tuple(verify))


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
