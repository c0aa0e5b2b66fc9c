"""Recovery tokens (row 1.7): JWTs (RFC 7519) by which a client that lost its socket gets its session back, at any gateway.

Signed with HMAC-SHA256 and a secret that gateways share, because gateways give them out: a gateway has no key of the accounts, and
must not have one. A type and an audience of their own keep them apart from access tokens (RFC 8725, section 3.11).
"""

from __future__ import annotations

import math
import secrets
from dataclasses import dataclass
from typing import Any

import jwt

from cluster.errors import Unauthorized

MAX_TOKEN_BYTES = 2048
SECRET_BYTES = 32
_TYPE = "recovery+jwt"
_AUDIENCE = "rayrealm-recovery"
_ALGORITHM = "HS256"
_LATEST = 1e12
# Time is an argument here; the library would take the process's clock.
_OPTIONS: jwt.types.Options = {
    "verify_exp": False,
    "verify_nbf": False,
    "verify_iat": False,
    "require": ["iss", "aud", "sub", "sid", "att", "exp", "ati", "at", "pre", "by"],
}


@dataclass(frozen=True, slots=True)
class RecoveryClaims:
    """What a good token says: whose session, and which attach of it.

    The others are of the access token that it stands for, so that what ends one ends both: `jti`, `iat`, `exp` ("inf": never;
    Unix seconds), whether the user is premium, their role ("": it did not say), and which key of which issuer signed it ("" is the
    realm).
    """

    user_id: str
    session_id: str
    attach_epoch: int
    token_id: str = ""
    issued_at: float = 0.0
    ends_at: float = math.inf
    premium: bool = False
    issuer: str = ""
    key_id: str = ""
    role: str = ""


def new_secret() -> bytes:
    return secrets.token_bytes(SECRET_BYTES)


def sign_recovery(secret: bytes, claims: RecoveryClaims, now: float, ttl_s: float, issuer: str) -> str:
    """A token for `ttl_s` seconds from `now` (Unix seconds)."""
    payload: dict[str, Any] = {
        "iss": issuer,
        "aud": _AUDIENCE,
        "sub": claims.user_id,
        "sid": claims.session_id,
        "att": claims.attach_epoch,
        "exp": round(now + ttl_s, 3),
        "ati": claims.token_id,
        "at": claims.issued_at,
        "pre": claims.premium,
        "by": [claims.issuer, claims.key_id],
    }
    if claims.role:
        payload["role"] = claims.role
    if claims.ends_at != math.inf:  # JSON has no such number
        payload["end"] = claims.ends_at
    return jwt.encode(payload, secret, algorithm=_ALGORITHM, headers={"typ": _TYPE})


def verify_recovery(secret: bytes, token: str, now: float, skew_s: float, issuer: str) -> RecoveryClaims:
    """Raises Unauthorized: `recovery_expired` (it was good until then), or `recovery_invalid` for everything else."""
    if len(token) > MAX_TOKEN_BYTES or not token.isascii():
        raise Unauthorized("recovery_invalid")
    try:
        header = jwt.get_unverified_header(token)
        if header.get("alg") != _ALGORITHM or header.get("typ") != _TYPE or "crit" in header:
            raise Unauthorized("recovery_invalid")
        payload = jwt.decode(
            token, secret, algorithms=[_ALGORITHM], options=_OPTIONS, audience=_AUDIENCE, issuer=issuer
        )
    except (jwt.PyJWTError, ValueError, RecursionError):
        raise Unauthorized("recovery_invalid") from None
    return _judge(payload, now, skew_s)


def _judge(payload: dict[str, Any], now: float, skew_s: float) -> RecoveryClaims:
    user_id, session_id, epoch, expires = payload["sub"], payload["sid"], payload["att"], payload["exp"]
    token_id, issued_at, ends_at, premium = payload["ati"], payload["at"], payload.get("end", math.inf), payload["pre"]
    role = payload.get("role", "")
    if (
        not all(isinstance(text, str) and text for text in (user_id, session_id))
        or not isinstance(epoch, int)
        or isinstance(epoch, bool)
        or epoch < 1
        or not _is_time(expires)
        or not isinstance(token_id, str)
        or not _is_time(issued_at)
        or not (ends_at == math.inf or _is_time(ends_at))
        or not isinstance(premium, bool)
        or not isinstance(role, str)
        or not _is_pair(payload["by"])
    ):
        raise Unauthorized("recovery_invalid")
    if now >= expires + skew_s:
        raise Unauthorized("recovery_expired")
    issuer, key_id = payload["by"]
    return RecoveryClaims(
        user_id, session_id, epoch, token_id, float(issued_at), float(ends_at), premium, issuer, key_id, role
    )


def _is_time(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < _LATEST


def _is_pair(value: object) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(isinstance(text, str) for text in value)
