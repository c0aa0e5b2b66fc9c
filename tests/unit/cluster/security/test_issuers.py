"""Outside identity providers: which of their tokens count, and what happens while they are away."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from pydantic import ValidationError

from cluster.errors import Unauthorized, Unavailable
from cluster.security.issuers import MAX_KEYS, MAX_SET_BYTES, Issuers, parse_set, user_of
from cluster.security.tokens import AccessClaims
from cluster.security_settings import IdentitySettings, IssuerSettings
from tests.unit.cluster.security.outsiders import (
    ALGORITHMS,
    AUDIENCE,
    ISSUER,
    NOW,
    SECRET,
    URL,
    Provider,
    jwk,
    key,
    token,
)


@pytest.fixture
def provider() -> Provider:
    return Provider(*(jwk(algorithm, f"k-{algorithm}") for algorithm in ALGORITHMS), jwk("RS256", "k1"))


async def why(issuers: Issuers, text: str, now: float = NOW) -> str:
    with pytest.raises(Unauthorized) as refused:
        await issuers.verify(ISSUER, text, now)
    return refused.value.reason


@pytest.mark.parametrize("algorithm", ALGORITHMS)
async def test_a_good_one(provider: Provider, algorithm: str) -> None:
    issuers = provider.issuers()
    text = token(algorithm, f"k-{algorithm}", premium=True)
    assert issuers.named(text) == ISSUER
    assert await issuers.verify(ISSUER, text, NOW) == AccessClaims(
        user_of(ISSUER, "ada"), NOW, NOW + 600, "t1", "access", "player", True, ISSUER, f"k-{algorithm}"
    )
    assert issuers.knows(ISSUER, f"k-{algorithm}")


def test_users_have_ids_of_their_own() -> None:
    first = user_of("https://a", "bc")
    assert first.startswith("usr_")
    assert len(first) == 28
    assert int(first[4:], 16) >= 0
    assert len({first, user_of("https://ab", "c"), user_of("https://a", "bd"), user_of("https://b", "bc")}) == 4


async def test_by_a_secret() -> None:
    issuers = Provider().issuers(jwks_url="", secret=SECRET, algorithms=("HS256",))
    claims = await issuers.verify(ISSUER, token("HS256", None, with_key=SECRET), NOW)
    assert claims.user_id == user_of(ISSUER, "ada")
    assert await why(issuers, token("HS256", None, with_key="another secret of thirty-two bytes")) == "token_invalid"
    assert await why(issuers, token("RS256")) == "token_invalid"


@pytest.mark.parametrize(
    "changed",
    [
        {"aud": "another"}, {"aud": None}, {"iss": "https://evil.example"}, {"iss": None}, {"sub": None}, {"sub": ""}, {"sub": 7},
        {"exp": None}, {"exp": "soon"}, {"exp": True}, {"exp": NOW + 90_000}, {"iat": NOW + 60}, {"iat": "x"}, {"iat": None},
        {"nbf": NOW + 60}, {"nbf": [1]}, {"kid": "k2"}, {"kid": "k-ES256"},
        {"header": {"typ": "recovery+jwt"}}, {"header": {"typ": "keys+jwt"}}, {"header": {"crit": ["exp"]}},
        {"with_key": rsa.generate_private_key(65_537, 2_048)},
    ],
)  # fmt: skip
async def test_what_is_refused(provider: Provider, changed: dict[str, Any]) -> None:
    assert await why(provider.issuers(), token(**changed)) == "token_invalid"


@pytest.mark.parametrize("kind", [None, "JWT", "jwt", "at+jwt", "application/at+jwt"])
async def test_kinds_that_providers_use(provider: Provider, kind: str | None) -> None:
    await provider.issuers().verify(ISSUER, token(header={"typ": kind}), NOW)


async def test_times_with_leeway(provider: Provider) -> None:
    issuers = provider.issuers()
    await issuers.verify(ISSUER, token(), NOW + 604.9)
    assert await why(issuers, token(), NOW + 605.0) == "token_expired"
    await issuers.verify(ISSUER, token(iat=NOW + 4.9), NOW)


async def test_an_algorithm_that_the_settings_do_not_have(provider: Provider) -> None:
    issuers = provider.issuers(algorithms=("EdDSA",))
    assert await why(issuers, token("RS256")) == "token_invalid"


async def test_confused_algorithms(provider: Provider) -> None:
    """The public key as an HMAC secret (RFC 8725, section 2.1), and no signature at all."""
    pem = (
        key("RS256")
        .public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    payload = jwt.decode(token(), options={"verify_signature": False})
    head, body = (
        jwt.utils.base64url_encode(json.dumps(part).encode()) for part in ({"alg": "HS256", "kid": "k1"}, payload)
    )
    mac = jwt.get_algorithm_by_name("HS256").sign(head + b"." + body, pem)
    issuers = provider.issuers()
    assert await why(issuers, b".".join((head, body, jwt.utils.base64url_encode(mac))).decode()) == "token_invalid"
    assert await why(issuers, jwt.encode(payload, "", algorithm="none", headers={"kid": "k1"})) == "token_invalid"


async def test_other_claims_for_user_and_premium(provider: Provider) -> None:
    issuers = provider.issuers(subject="player", premium="plus")
    claims = await issuers.verify(ISSUER, token(player="p-7", plus=True), NOW)
    assert (claims.user_id, claims.premium) == (user_of(ISSUER, "p-7"), True)
    assert not (await issuers.verify(ISSUER, token(player="p-7", plus="yes", premium=True), NOW)).premium


class TestKeySets:
    async def test_one_fetch_serves_all(self, provider: Provider) -> None:
        issuers = provider.issuers()
        await asyncio.gather(*(issuers.verify(ISSUER, token(), NOW) for _ in range(20)))
        assert provider.asked == 1

    async def test_a_rotation_is_seen_with_its_first_token(self, provider: Provider) -> None:
        issuers = provider.issuers()
        await issuers.verify(ISSUER, token(), NOW)
        provider.serve(jwk("RS256", "k1"), jwk("RS256", "k2", 1))
        provider.now += 11
        await issuers.verify(ISSUER, token(kid="k2", which=1), NOW)
        await issuers.verify(ISSUER, token(), NOW)
        assert provider.asked == 2
        provider.serve(jwk("RS256", "k2", 1))
        provider.now += 301
        await issuers.verify(ISSUER, token(kid="k2", which=1), NOW)  # begins a fetch that nobody waits for
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert await why(issuers, token()) == "token_invalid", "a key that was taken away"
        assert not issuers.knows(ISSUER, "k1")

    async def test_unknown_keys_cause_few_fetches(self, provider: Provider) -> None:
        issuers = provider.issuers()
        for n in range(50):
            assert await why(issuers, token(kid=f"made up {n}")) == "token_invalid"
        assert provider.asked <= 2
        provider.now += 10.1
        assert await why(issuers, token(kid="another")) == "token_invalid"
        assert provider.asked <= 3

    async def test_keys_outlast_an_outage(self, provider: Provider) -> None:
        issuers = provider.issuers()
        await issuers.verify(ISSUER, token(), NOW)
        provider.away = True
        for _ in range(10):
            provider.now += 1_000
            await issuers.verify(ISSUER, token(), NOW)
            await asyncio.sleep(0)
        assert issuers.knows(ISSUER, "k1")
        provider.away = False
        provider.document = b"<html>"
        provider.now += 1_000
        await issuers.verify(ISSUER, token(), NOW)
        await asyncio.sleep(0)
        await issuers.verify(ISSUER, token(), NOW)

    async def test_a_provider_that_was_never_there(self, provider: Provider) -> None:
        provider.away = True
        issuers = provider.issuers()
        for _ in range(5):
            with pytest.raises(Unavailable):
                await issuers.verify(ISSUER, token(), NOW)
        assert provider.asked == 1, "not asked again at once"
        assert issuers.knows(ISSUER, "k1"), "nobody is thrown out for an outage"
        provider.away = False
        provider.now += 2.1
        await issuers.verify(ISSUER, token(), NOW)

    async def test_a_set_of_one_key_needs_no_name(self) -> None:
        bare = jwk("RS256", "x")
        del bare["kid"]
        await Provider(bare).issuers().verify(ISSUER, token(kid=None), NOW)
        await Provider(jwk("RS256", "only"), jwk("ES256", "other")).issuers().verify(ISSUER, token(kid=None), NOW)
        two = Provider(jwk("RS256", "a"), jwk("RS256", "b", 1)).issuers()
        assert await why(two, token(kid=None)) == "token_invalid"

    def test_which_keys_count(self) -> None:
        weak = rsa.generate_private_key(65_537, 1_024)  # noqa: S505
        other = ec.generate_private_key(ec.SECP384R1())
        small = json.loads(jwt.get_algorithm_by_name("RS256").to_jwk(weak.public_key()))
        p384 = json.loads(jwt.get_algorithm_by_name("ES384").to_jwk(other.public_key()))
        document = {
            "keys": [
                {**small, "kid": "weak", "alg": "RS256"}, {**p384, "kid": "p384"}, jwk("RS256", "enc", use="enc"),
                {"kty": "oct", "kid": "secret", "k": "AAAA"}, {"kty": "?", "kid": "odd"}, "text", {"kid": "empty"},
                jwk("ES256", "es"), jwk("RS256", "es"), jwk("RS256", "rs"), jwk("EdDSA", "x" * 300),
            ]
        }  # fmt: skip
        assert list(parse_set(json.dumps(document).encode())) == ["es", "rs"]

    @pytest.mark.parametrize(
        "document",
        [b"", b"[]", b"{}", b'{"keys": 7}', b'{"keys": []}', b"\xff", b"[" * 100_000, b" " * (MAX_SET_BYTES + 1)],
    )
    def test_what_is_no_set(self, document: bytes) -> None:
        with pytest.raises(ValueError, match=r".+"):
            parse_set(document)

    def test_not_more_than_so_many(self) -> None:
        assert (
            len(parse_set(json.dumps({"keys": [jwk("ES256", f"{n}") for n in range(MAX_KEYS + 10)]}).encode()))
            == MAX_KEYS
        )


@pytest.mark.parametrize(
    "wrong",
    [
        {}, {"jwks_url": URL, "secret": SECRET}, {"secret": SECRET}, {"jwks_url": URL, "algorithms": ("HS256",)},
        {"secret": "short", "algorithms": ("HS256",)}, {"jwks_url": "file:///etc/passwd"},
        {"secret": SECRET, "algorithms": ("HS256", "RS256")}, {"jwks_url": URL, "algorithms": ("none",)},
    ],
)  # fmt: skip
def test_settings_that_make_no_sense(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        IssuerSettings(issuer=ISSUER, audience=AUDIENCE, **wrong)


def test_an_issuer_is_named_once() -> None:
    issuer = IssuerSettings(issuer=ISSUER, audience=AUDIENCE, jwks_url=URL)
    with pytest.raises(ValidationError):
        IdentitySettings(issuers=(issuer, issuer))
