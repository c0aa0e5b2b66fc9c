"""An identity provider for tests: keys of each kind, the JWK set of them, and tokens."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from cluster.errors import Unavailable
from cluster.security.issuers import Issuers
from cluster.security_settings import IdentitySettings, IssuerSettings

NOW = 1_800_000_000.0
ISSUER = "https://id.example"
AUDIENCE = "the-game"
URL = "https://id.example/jwks"
SECRET = "a secret of at least thirty-two bytes!"
ALGORITHMS = ("RS256", "ES256", "EdDSA")


@cache
def key(algorithm: str, which: int = 0) -> Any:
    """A private key; RSA keys are slow to make."""
    if algorithm == "RS256":
        return rsa.generate_private_key(65_537, 2_048)
    return ec.generate_private_key(ec.SECP256R1()) if algorithm == "ES256" else ed25519.Ed25519PrivateKey.generate()


def jwk(algorithm: str, kid: str, which: int = 0, **more: Any) -> dict[str, Any]:
    made: dict[str, Any] = json.loads(jwt.get_algorithm_by_name(algorithm).to_jwk(key(algorithm, which).public_key()))
    return {**made, "kid": kid, "use": "sig", "alg": algorithm, **more}


def token(
    algorithm: str = "RS256",
    kid: str | None = "k1",
    header: dict[str, Any] | None = None,
    with_key: Any = None,
    which: int = 0,
    **claims: Any,
) -> str:
    payload = {"iss": ISSUER, "aud": AUDIENCE, "sub": "ada", "iat": NOW, "exp": NOW + 600, "jti": "t1", **claims}
    headers = {"kid": kid, **(header or {})}
    signer = with_key if with_key is not None else key(algorithm, which)
    payload = {name: value for name, value in payload.items() if value is not None}
    headers = {name: value for name, value in headers.items() if value is not None}
    return jwt.encode(payload, signer, algorithm=algorithm, headers=headers)


class Provider:
    """What is at its address; counts how often it was asked."""

    def __init__(self, *keys: dict[str, Any]) -> None:
        self.document = json.dumps({"keys": list(keys)}).encode()
        self.away = False
        self.asked = 0
        self.now = 1_000.0

    def serve(self, *keys: dict[str, Any]) -> None:
        self.document = json.dumps({"keys": list(keys)}).encode()

    async def fetch(self, url: str) -> bytes:
        assert url == URL
        self.asked += 1
        if self.away:
            raise Unavailable("identity provider")
        return self.document

    def issuers(self, **settings: Any) -> Issuers:
        chosen: dict[str, Any] = {"algorithms": ALGORITHMS, "jwks_url": URL, **settings}
        issuer = IssuerSettings(issuer=ISSUER, audience=AUDIENCE, **chosen)
        return Issuers(IdentitySettings(issuers=(issuer,)), self.fetch, lambda: self.now, 5.0)
