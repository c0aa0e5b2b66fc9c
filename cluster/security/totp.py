"""One-time codes by time (TOTP, RFC 6238) as a second factor for operators (row 7.8).

SHA-1, six digits, steps of 30 s: what every authenticator app knows (RFC 6238, section 1.2; the key URI format has these as its
defaults). A code of the step before or after counts, too (section 5.2), and each step once: `match` says which; callers remember.
"""

from __future__ import annotations

import base64
import hmac
import math
import secrets

import pyotp
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

STEP_S = 30
DIGITS = 6
DRIFT = 1  # steps before and after
_NONCE_BYTES = 12
_INFO = b"rayrealm operators' one-time codes"


def fresh_key() -> str:
    """160 random bits (RFC 4226, section 4) in base 32."""
    return pyotp.random_base32()


def uri(key: str, name: str, realm: str) -> str:
    """For the QR code that authenticator apps read."""
    return pyotp.TOTP(key).provisioning_uri(name=name, issuer_name=f"Rayrealm {realm}")


def match(key: str, code: str, now: float, newest: int) -> int | None:
    """The step whose code it is, if it is later than `newest`; None if it counts for nothing. The same work for any code."""
    totp, here = pyotp.TOTP(key), math.floor(now / STEP_S)
    said = code.encode("utf-8", "surrogatepass")
    found = None
    for step in range(here - DRIFT, here + DRIFT + 1):
        right = hmac.compare_digest(totp.generate_otp(max(0, step)).encode(), said)
        if right and step > newest:
            found = step
    return found


class Sealer:
    """Keeps keys unreadable for whoever reads the store: AES-256-GCM by a key derived (HKDF, RFC 5869) from the realm's secret."""

    def __init__(self, secret: bytes) -> None:
        self._aead = AESGCM(HKDF(SHA256(), 32, None, _INFO).derive(secret))

    def seal(self, key: str, name: str) -> str:
        """For the operator of that name: it opens for nobody else."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return base64.b64encode(nonce + self._aead.encrypt(nonce, key.encode(), name.encode())).decode()

    def open(self, sealed: str, name: str) -> str | None:
        """None for what was not sealed so: the realm's secret is another one by now."""
        try:
            data = base64.b64decode(sealed, validate=True)
            return self._aead.decrypt(data[:_NONCE_BYTES], data[_NONCE_BYTES:], name.encode()).decode()
        except (InvalidTag, ValueError):
            return None
