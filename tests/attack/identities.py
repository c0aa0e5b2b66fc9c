"""Attacks on who one is: forged tokens, floods of logins, signed messages once more."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import time
from collections.abc import Iterator

import httpx
import jwt
import orjson
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.attack.target import LOST, Outcome, Target, paced

LOGINS_PER_S = 100.0
AT_ONCE = 50


def forgeries(token: str, public: bytes) -> Iterator[tuple[str, str]]:
    """(kind, token): what is known of forging JWTs (RFC 8725). `public`: the realm's key, 32 bytes."""
    header, claims = jwt.get_unverified_header(token), jwt.decode(token, options={"verify_signature": False})
    head, body, signature = token.split(".")
    stranger = Ed25519PrivateKey.generate()

    def part(document: object) -> str:
        return base64.urlsafe_b64encode(orjson.dumps(document)).rstrip(b"=").decode()

    yield "alg none", f"{part({**header, 'alg': 'none'})}.{body}."
    yield "no signature", f"{head}.{body}."
    mixed = f"{part({**header, 'alg': 'HS256'})}.{body}"
    for name, secret in (("the public key as a secret", public), ("an empty secret", b"")):
        mac = base64.urlsafe_b64encode(hmac.new(secret, mixed.encode(), hashlib.sha256).digest()).rstrip(b"=").decode()
        yield name, f"{mixed}.{mac}"
    yield "another's key", jwt.encode(claims, stranger, algorithm="EdDSA", headers=header)
    own = base64.urlsafe_b64encode(
        stranger.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    )
    jwk = {"kty": "OKP", "crv": "Ed25519", "x": own.rstrip(b"=").decode()}
    yield (
        "a key of its own in the header",
        jwt.encode(claims, stranger, algorithm="EdDSA", headers={**header, "jwk": jwk}),
    )
    yield (
        "a key's address in the header",
        jwt.encode(claims, stranger, algorithm="EdDSA", headers={**header, "jku": "http://127.0.0.1/keys"}),
    )
    yield "an odd kid", jwt.encode(claims, stranger, algorithm="EdDSA", headers={**header, "kid": "../../etc/passwd"})
    yield "other claims", f"{head}.{part({**claims, 'sub': 'usr_admin', 'role': 'operator'})}.{signature}"
    yield "a later end", f"{head}.{part({**claims, 'exp': time.time() + 1e6})}.{signature}"
    yield "another type", jwt.encode(claims, stranger, algorithm="EdDSA", headers={**header, "typ": "recovery+jwt"})
    yield "6,000 characters", "x" * 6_000


async def forged_tokens(target: Target, seconds: float, outcome: Outcome) -> None:
    """401 for each, before there is an upgrade."""
    token, _ = await target.account()
    async with httpx.AsyncClient(base_url=target.url) as http:
        (key, *_) = (await http.get("/v1/auth/keys")).json()["keys"]
    public = base64.urlsafe_b64decode(key["x"] + "==")
    for kind, forged in forgeries(token, public):
        raw = await target.open(forged, target.address())
        outcome.met(raw.answer.status)
        outcome.must(raw.answer.status in (400, 401), f"{kind} was answered with {raw.answer.status}")
        raw.abort()


async def login_flood(target: Target, seconds: float, outcome: Outcome) -> None:
    """Passwords tried out at one account from one address: 401 for a few, then 429."""
    source = target.address()
    transport = httpx.AsyncHTTPTransport(local_address=source, limits=httpx.Limits(max_connections=AT_ONCE))

    async def attempt(http: httpx.AsyncClient, number: int) -> None:
        try:
            answer = await http.post("/v1/auth/login", json={"username": "admin", "password": f"guess-{number}"})
        except httpx.HTTPError:
            outcome.met(LOST)
            return
        outcome.met(answer.status_code)
        outcome.must(answer.status_code in (401, 429, 503), f"a guess was answered with {answer.status_code}")

    async with (
        httpx.AsyncClient(base_url=target.url, transport=transport, timeout=20.0) as http,
        asyncio.TaskGroup() as tasks,
    ):
        async for number in paced(LOGINS_PER_S, seconds):
            tasks.create_task(attempt(http, number))
    outcome.must(outcome.refused["401"] <= 60, f"{outcome.refused['401']} guesses were looked at")
    outcome.must(outcome.refused["429"] > 0, "nobody was told 429")
    turned_away = outcome.refused["429"] + outcome.refused[str(LOST)]  # the edge hangs up on who goes on all the same
    outcome.must(turned_away > outcome.attempts / 2, f"only {turned_away} guesses were turned away")
