"""Access tokens (row 4.1): JWTs (RFC 7519) signed with Ed25519 (RFC 8037).

Typed as RFC 9068 has it, checked as RFC 8725 asks.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Any, get_args

import jwt

from cluster.errors import Unauthorized
from cluster.security.keys import KeyRing
from cluster.social_settings import Role

AUDIENCE = "rayrealm"
KIND = "access"
MAX_TOKEN_BYTES = 4096
PLAYER = "player"
_ROLES = frozenset(get_args(Role))
_TYPE = "at+jwt"
_ALGORITHM = "EdDSA"
_LATEST = 1e12  # Unix seconds; what is beyond, or not a number, is no time
# The library compares times with the wall clock of the process; here time is an argument.
_OPTIONS: jwt.types.Options = {
    "verify_exp": False,
    "verify_nbf": False,
    "verify_iat": False,
    "require": ["iss", "aud", "sub", "iat", "exp", "jti"],
}


@dataclass(frozen=True, slots=True)
class AccessClaims:
    """What a good token says. Times are Unix seconds. `role`: player, moderator or operator."""

    user_id: str
    issued_at: float
    expires_at: float
    token_id: str
    kind: str
    role: str = PLAYER


def sign_access(ring: KeyRing, user_id: str, now: float, ttl: float, issuer: str, role: str = PLAYER) -> str:
    """A token for `ttl` seconds from `now`; players' names no role. Raises Ours if the ring has no private key."""
    kid, key = ring.signer()
    claims = {
        "iss": issuer,
        "aud": AUDIENCE,
        "sub": user_id,
        "iat": round(now, 3),
        "exp": round(now + ttl, 3),
        "jti": secrets.token_urlsafe(12),
        "kind": KIND,
    }
    if role != PLAYER:
        claims["role"] = role
    return jwt.encode(claims, key, algorithm=_ALGORITHM, headers={"kid": kid, "typ": _TYPE})


def verify_access(ring: KeyRing, token: str | None, now: float, skew: float, issuer: str) -> AccessClaims:
    """The claims of a token that `ring` vouches for; `skew` is the seconds that clocks may differ.

    Raises Unauthorized with `token_missing` (none was sent), `token_expired` (it was good until then) or
    `token_invalid` (everything else: the caller learns no more).
    """
    if not token:
        raise Unauthorized("token_missing")
    if len(token) > MAX_TOKEN_BYTES or not token.isascii():
        raise Unauthorized("token_invalid")
    try:
        header = jwt.get_unverified_header(token)
        if header.get("alg") != _ALGORITHM or header.get("typ") != _TYPE:
            raise Unauthorized("token_invalid")
        kid = header.get("kid")
        key = ring.verifier(kid, now) if isinstance(kid, str) else None
        if key is None:
            raise Unauthorized("token_invalid")
        # A list with one entry: what the header asks for decides nothing (RFC 8725, section 3.1).
        payload = jwt.decode(token, key, algorithms=[_ALGORITHM], options=_OPTIONS, audience=AUDIENCE, issuer=issuer)
    except (jwt.PyJWTError, ValueError, RecursionError):
        raise Unauthorized("token_invalid") from None
    return _judge(payload, now, skew)


def _judge(payload: dict[str, Any], now: float, skew: float) -> AccessClaims:
    issued_at, expires_at = payload["iat"], payload["exp"]
    not_before = payload.get("nbf", issued_at)
    texts = (payload["sub"], payload["jti"])
    role = payload.get("role", PLAYER)
    if (
        payload.get("kind") != KIND
        or not isinstance(role, str)
        or role not in _ROLES
        or not all(isinstance(text, str) and text for text in texts)
        or not all(_is_time(value) for value in (issued_at, expires_at, not_before))
        or max(issued_at, not_before) > now + skew
    ):
        raise Unauthorized("token_invalid")
    if now >= expires_at + skew:
        raise Unauthorized("token_expired")
    return AccessClaims(texts[0], float(issued_at), float(expires_at), texts[1], KIND, role)


def _is_time(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < _LATEST
