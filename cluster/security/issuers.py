"""Tokens of outside identity providers (row 4.1): JWTs (RFC 7519) checked as RFC 8725 asks, by a JWK set (RFC 7517) or a secret.

Plain Python: `fetch` reads the set, `clock` is any monotonic one. What a token's header asks for decides nothing but which of the
provider's own keys is tried: the algorithms are the settings', and a key counts for one algorithm alone.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Awaitable, Callable
from typing import Any

import jwt
import structlog
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from cluster.errors import Unauthorized, Unavailable
from cluster.security.tokens import KIND, MAX_TOKEN_BYTES, AccessClaims, is_time
from cluster.security_settings import IdentitySettings, IssuerSettings

Fetch = Callable[[str], Awaitable[bytes]]
"""The document at an address. Raises Unavailable."""

MAX_SET_BYTES = 256 * 1024
MAX_KEYS = 64
MAX_KID = 256
MIN_RSA_BITS = 2_048  # RFC 7518, section 3.3
UNKNOWN_S = 10.0  # between two fetches that unknown keys cause
RETRY_S = 2.0  # after a fetch that failed
TYPES = frozenset(
    {None, "JWT", "AT+JWT", "APPLICATION/AT+JWT"}
)  # in upper case: media types have none (RFC 7515, 4.1.9)
USER_DIGITS = 24
_OPTIONS: jwt.types.Options = {
    "verify_exp": False,
    "verify_nbf": False,
    "verify_iat": False,
    "verify_jti": False,
    "require": ["iss", "aud", "exp"],
}

log = structlog.get_logger(__name__)


def user_of(issuer: str, subject: str) -> str:
    """The realm's id for a provider's user. Sizes keep ("a", "bc") and ("ab", "c") apart."""
    digest = hashlib.sha256(f"{len(issuer)}:{issuer}{subject}".encode())
    return f"usr_{digest.hexdigest()[:USER_DIGITS]}"


def fits(key: object, algorithm: str) -> bool:
    """Whether a public key is one that the algorithm may use."""
    match algorithm:
        case "RS256":
            return isinstance(key, RSAPublicKey) and key.key_size >= MIN_RSA_BITS
        case "ES256":
            return isinstance(key, EllipticCurvePublicKey) and isinstance(key.curve, SECP256R1)
        case "EdDSA":
            return isinstance(key, Ed25519PublicKey)
    return False


class KeySet:
    """A provider's public keys by `kid`, as of the last fetch that worked: an outage of the provider takes none away."""

    def __init__(self, url: str, fetch: Fetch, clock: Callable[[], float], refresh_s: float) -> None:
        self._url = url
        self._fetch = fetch
        self._clock = clock
        self._refresh_s = refresh_s
        self._keys: dict[str, jwt.PyJWK] | None = None
        self._fetched_at = self._tried_at = self._missed_at = float("-inf")
        self._fetching: asyncio.Task[None] | None = None

    async def find(self, kid: str | None, algorithm: str) -> tuple[str, Any] | None:
        """(`kid`, key). Without a `kid` the set's only key that fits. Raises Unavailable while no set was ever read."""
        now = self._clock()
        if self._keys is None:
            if now - self._tried_at < RETRY_S and self._fetching is None:
                raise Unavailable("identity provider", RETRY_S)
            await self._refresh()
            if self._keys is None:
                raise Unavailable("identity provider", RETRY_S)
        elif now - self._fetched_at > self._refresh_s and now - self._tried_at > RETRY_S:
            self._begin()  # nobody waits: the keys that are known still count
        found = self._look(kid, algorithm)
        if found is None and kid is not None and now - self._missed_at > UNKNOWN_S:
            self._missed_at = now
            await self._refresh()
            found = self._look(kid, algorithm)
        return found

    def knows(self, kid: str) -> bool:
        """Whether the key still counts, as far as is known."""
        return self._keys is None or kid in self._keys

    def _look(self, kid: str | None, algorithm: str) -> tuple[str, Any] | None:
        keys = self._keys or {}
        if kid is not None:
            jwk = keys.get(kid)
            return (kid, jwk.key) if jwk is not None and _may(jwk, algorithm) else None
        fitting = [(name, jwk.key) for name, jwk in keys.items() if _may(jwk, algorithm)]
        return fitting[0] if len(fitting) == 1 else None

    def _begin(self) -> asyncio.Task[None]:
        if self._fetching is None or self._fetching.done():
            self._tried_at = self._clock()
            self._fetching = asyncio.create_task(self._read())
            self._fetching.add_done_callback(self._done)
        return self._fetching

    def _done(self, _task: asyncio.Task[None]) -> None:
        self._fetching = None

    async def _refresh(self) -> None:
        """One fetch, shared by all who wait. Who is cancelled does not take it from the others."""
        await asyncio.shield(self._begin())

    async def _read(self) -> None:
        try:
            self._keys = parse_set(await self._fetch(self._url))
        except (Unavailable, ValueError) as error:
            # The address may carry a secret; the kind of error does not.
            log.warning("jwks_not_read", error=type(error).__name__, known=len(self._keys or {}))
            return
        self._fetched_at = self._clock()


def _may(jwk: jwt.PyJWK, algorithm: str) -> bool:
    return jwk.algorithm_name == algorithm and fits(jwk.key, algorithm)


def parse_set(document: bytes) -> dict[str, jwt.PyJWK]:
    """The public signing keys in a JWK set, by `kid`; of those without one the first, as "". Others are left out.

    Raises ValueError for what is no JWK set, or has no key that could be used.
    """
    if len(document) > MAX_SET_BYTES:
        raise ValueError("too long")
    try:
        entries = json.loads(document)["keys"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise ValueError("no JWK set") from None
    if not isinstance(entries, list):
        raise ValueError("no JWK set")
    keys: dict[str, jwt.PyJWK] = {}
    for entry in entries[:MAX_KEYS]:
        if not isinstance(entry, dict) or entry.get("use", "sig") != "sig":
            continue
        kid = entry.get("kid", "")
        if not isinstance(kid, str) or len(kid) > MAX_KID or kid in keys or entry.get("kty") == "oct":
            continue
        try:
            jwk = jwt.PyJWK.from_dict(entry)
        except (jwt.PyJWTError, ValueError, TypeError, KeyError):
            continue
        if fits(jwk.key, jwk.algorithm_name):
            keys[kid] = jwk
    if not keys:
        raise ValueError("no key that could be used")
    return keys


class Issuers:
    """All providers of the settings."""

    def __init__(self, settings: IdentitySettings, fetch: Fetch, clock: Callable[[], float], skew_s: float) -> None:
        self._skew_s = skew_s
        self._longest_s = settings.longest_token_s
        self._issuers: dict[str, tuple[IssuerSettings, KeySet | None]] = {
            each.issuer: (each, KeySet(each.jwks_url, fetch, clock, settings.jwks_refresh_s) if each.jwks_url else None)
            for each in settings.issuers
        }

    def __bool__(self) -> bool:
        return bool(self._issuers)

    def named(self, token: str) -> str | None:
        """The provider that a token says it comes from, if it is one of these. Nothing is checked yet."""
        if len(token) > MAX_TOKEN_BYTES or not token.isascii():
            return None
        try:
            claimed = jwt.decode(token, options={"verify_signature": False}).get("iss")
        except (jwt.PyJWTError, ValueError, RecursionError):
            return None
        return claimed if isinstance(claimed, str) and claimed in self._issuers else None

    def knows(self, issuer: str, key_id: str) -> bool:
        """Whether a key that signed a token still counts."""
        found = self._issuers.get(issuer)
        return found is not None and (found[1] is None or found[1].knows(key_id))

    async def verify(self, issuer: str, token: str, now: float) -> AccessClaims:
        """`now` is in Unix seconds. Raises Unauthorized (`token_invalid`, `token_expired`), Unavailable."""
        settings, keys = self._issuers[issuer]
        try:
            header = jwt.get_unverified_header(token)
            kid = header.get("kid")
            algorithm = self._algorithm(header, settings)
            found = (
                ("", settings.secret.get_secret_value().encode()) if keys is None else await keys.find(kid, algorithm)
            )
            if found is None:
                raise Unauthorized("token_invalid")
            payload = jwt.decode(
                token, found[1], algorithms=[algorithm], options=_OPTIONS, audience=settings.audience, issuer=issuer
            )
        except (jwt.PyJWTError, ValueError, RecursionError):
            raise Unauthorized("token_invalid") from None
        return self._judge(payload, settings, now, found[0])

    def _algorithm(self, header: dict[str, Any], settings: IssuerSettings) -> str:
        kind, kid = header.get("typ"), header.get("kid")
        algorithm = next((each for each in settings.algorithms if each == header.get("alg")), None)
        if (
            algorithm is None
            or (kind.upper() if isinstance(kind, str) else kind) not in TYPES
            or not (kid is None or (isinstance(kid, str) and 0 < len(kid) <= MAX_KID))
            or not header.keys().isdisjoint({"crit", "b64"})
        ):
            raise Unauthorized("token_invalid")
        return algorithm

    def _judge(self, payload: dict[str, Any], settings: IssuerSettings, now: float, kid: str) -> AccessClaims:
        subject, expires_at = payload.get(settings.subject), payload["exp"]
        if "iat" not in payload:
            # Revocations go by it: without one a token would be either before all of them or after.
            log.warning("token_without_iat", issuer=settings.issuer)
            raise Unauthorized("token_invalid")
        issued_at = payload["iat"]
        not_before = payload.get("nbf", issued_at)
        token_id = payload.get("jti", "")
        if (
            not isinstance(subject, str)
            or not subject
            or not all(is_time(value) for value in (issued_at, expires_at, not_before))
            or max(issued_at, not_before) > now + self._skew_s
        ):
            raise Unauthorized("token_invalid")
        if now >= expires_at + self._skew_s:
            raise Unauthorized("token_expired")
        if expires_at > now + self._longest_s + self._skew_s:
            log.warning("token_lasts_too_long", issuer=settings.issuer, seconds=round(expires_at - now))
            raise Unauthorized("token_invalid")
        return AccessClaims(
            user_of(settings.issuer, subject),
            float(issued_at),
            float(expires_at),
            token_id if isinstance(token_id, str) else "",
            KIND,
            premium=bool(settings.premium) and payload.get(settings.premium) is True,
            issuer=settings.issuer,
            key_id=kid,
        )
