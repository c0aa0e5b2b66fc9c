"""Access tokens (row 4.1): JWTs (RFC 7519) signed with Ed25519 (RFC 8037).

Typed as RFC 9068 has it, checked as RFC 8725 asks.
"""

from __future__ import annotations

import math
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
ROUNDING = 1e-3  # of a millisecond: what is a whole one stays so
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
    """What a good token says. Times are Unix seconds. `role`: player, moderator or operator.

    `issuer`: the outside identity provider that signed it, "" for the realm itself; `key_id`: by which of its keys.
    """

    user_id: str
    issued_at: float
    expires_at: float
    token_id: str
    kind: str
    role: str = PLAYER
    premium: bool = False
    issuer: str = ""
    key_id: str = ""


def token_id(family_id: str = "") -> str:
    """A new `jti`. It begins with the family of refresh tokens that the token came of, so that it can be revoked with these."""
    return f"{family_id}.{secrets.token_urlsafe(12)}"


def family_of(jti: str) -> str:
    """The family in a `jti` of `token_id`, or "". Families' names have no dot."""
    return jti.partition(".")[0]


def whole_ms(now: float) -> float:
    """The millisecond that `now` is in: never after it, because who checks a token at once may allow no skew."""
    return math.floor(now * 1_000.0 + ROUNDING) / 1_000.0


def sign_access(
    ring: KeyRing,
    user_id: str,
    now: float,
    ttl: float,
    issuer: str,
    role: str = PLAYER,
    premium: bool = False,
    family_id: str = "",
) -> str:
    """A token for `ttl` seconds from `now`; players' names no role. Raises Ours if the ring has no private key."""
    kid, key = ring.signer()
    claims = {
        "iss": issuer,
        "aud": AUDIENCE,
        "sub": user_id,
        "iat": whole_ms(now),
        "exp": round(now + ttl, 3),
        "jti": token_id(family_id),
        "kind": KIND,
    }
    if role != PLAYER:
        claims["role"] = role
    if premium:
        claims["premium"] = True
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
        if header.get("alg") != _ALGORITHM or header.get("typ") != _TYPE or "crit" in header:
            raise Unauthorized("token_invalid")
        kid = header.get("kid")
        key = ring.verifier(kid, now) if isinstance(kid, str) else None
        if key is None:
            raise Unauthorized("token_invalid")
        # A list with one entry: what the header asks for decides nothing (RFC 8725, section 3.1).
        payload = jwt.decode(token, key, algorithms=[_ALGORITHM], options=_OPTIONS, audience=AUDIENCE, issuer=issuer)
    except (jwt.PyJWTError, ValueError, RecursionError):
        raise Unauthorized("token_invalid") from None
    return _judge(payload, now, skew, str(kid))


def _judge(payload: dict[str, Any], now: float, skew: float, kid: str) -> AccessClaims:
    issued_at, expires_at = payload["iat"], payload["exp"]
    not_before = payload.get("nbf", issued_at)
    texts = (payload["sub"], payload["jti"])
    role = payload.get("role", PLAYER)
    if (
        payload.get("kind") != KIND
        or not isinstance(role, str)
        or role not in _ROLES
        or not all(isinstance(text, str) and text for text in texts)
        or not isinstance(payload.get("premium", False), bool)
        or not all(is_time(value) for value in (issued_at, expires_at, not_before))
        or max(issued_at, not_before) > now + skew
    ):
        raise Unauthorized("token_invalid")
    if now >= expires_at + skew:
        raise Unauthorized("token_expired")
    return AccessClaims(
        texts[0],
        float(issued_at),
        float(expires_at),
        texts[1],
        KIND,
        role,
        payload.get("premium", False),
        key_id=kid,
    )


def is_time(value: object) -> bool:
    """Whether a claim can be a NumericDate (RFC 7519, section 2)."""
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < _LATEST
