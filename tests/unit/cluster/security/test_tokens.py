from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from hypothesis import given
from hypothesis import strategies as st

from cluster.errors import Unauthorized
from cluster.security.keys import KeyRing
from cluster.security.tokens import AUDIENCE, MAX_TOKEN_BYTES, sign_access, verify_access

NOW = 1_800_000_000.0
TTL = 900.0
SKEW = 5.0
ISSUER = "rayrealm-test"
RING = KeyRing.create(NOW)
KID, PRIVATE = RING.signer()
PUBLIC = RING.public_only()


def verify(token: str | None, now: float = NOW, ring: KeyRing = PUBLIC, issuer: str = ISSUER) -> str:
    return verify_access(ring, token, now, SKEW, issuer).user_id


def reason(token: str | None, now: float = NOW, **kwargs: Any) -> str:
    with pytest.raises(Unauthorized) as refused:
        verify(token, now, **kwargs)
    return refused.value.reason


def part(document: object) -> str:
    raw = document if isinstance(document, bytes) else json.dumps(document).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def forge(header: dict[str, Any] | None = None, claims: dict[str, Any] | None = None) -> str:
    """A token with the right signature and other members than ours; None as a value leaves a member out."""
    base = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": "usr_1",
        "iat": NOW,
        "exp": NOW + TTL,
        "jti": "j",
        "kind": "access",
    }
    payload = {name: value for name, value in (base | (claims or {})).items() if value is not None}
    signed = f"{part({'alg': 'EdDSA', 'kid': KID, 'typ': 'at+jwt'} | (header or {}))}.{part(payload)}"
    return f"{signed}.{part(PRIVATE.sign(signed.encode()))}"


def test_a_good_token() -> None:
    token = sign_access(RING, "usr_1", NOW, TTL, ISSUER)
    claims = verify_access(PUBLIC, token, NOW + 1, SKEW, ISSUER)
    assert (claims.user_id, claims.issued_at, claims.expires_at) == ("usr_1", NOW, NOW + TTL)
    assert claims.kind == "access"
    assert len(claims.token_id) >= 16
    other = sign_access(RING, "usr_1", NOW, TTL, ISSUER)
    assert verify_access(PUBLIC, other, NOW, SKEW, ISSUER).token_id != claims.token_id


@pytest.mark.parametrize("ms", [0, 1, 567, 999])
def test_a_token_counts_at_once_without_any_skew(ms: int) -> None:
    ring = KeyRing.create(NOW)
    whole = round(NOW + ms / 1_000, 3)
    for now in (whole, whole + 0.0004, whole + 0.0006):
        claims = verify_access(ring, sign_access(ring, "usr_1", now, 60.0, "realm"), now, 0.0, "realm")
        assert claims.issued_at == whole


def test_the_role() -> None:
    def role(token: str) -> str:
        return verify_access(PUBLIC, token, NOW, SKEW, ISSUER).role

    assert role(sign_access(RING, "usr_1", NOW, TTL, ISSUER)) == "player"
    assert role(sign_access(RING, "usr_1", NOW, TTL, ISSUER, "operator")) == "operator"
    assert role(forge()) == "player", "tokens from before there were roles"
    assert role(forge(claims={"role": "moderator"})) == "moderator"


@pytest.mark.parametrize("role", ["root", "", "Operator", 1, True, ["operator"], {"operator": 1}])
def test_a_role_that_there_is_not(role: object) -> None:
    assert reason(forge(claims={"role": role})) == "token_invalid"


def test_what_forge_makes_is_good_unless_a_test_says_otherwise() -> None:
    assert verify(forge()) == "usr_1"


@pytest.mark.parametrize("token", [None, ""])
def test_no_token(token: str | None) -> None:
    assert reason(token) == "token_missing"


class TestTime:
    """Of the argument, never of the wall clock: NOW may lie in its past or future."""

    def test_expiry_with_skew(self) -> None:
        token = sign_access(RING, "usr_1", NOW, TTL, ISSUER)
        assert verify(token, NOW + TTL + SKEW - 0.01) == "usr_1"
        assert reason(token, NOW + TTL + SKEW) == "token_expired"

    @pytest.mark.parametrize("then", [1_000.0, 4_000_000_000.0])
    def test_any_epoch(self, then: float) -> None:
        ring = KeyRing.create(then)
        token = sign_access(ring, "usr_1", then, TTL, ISSUER)
        assert verify(token, then, ring=ring) == "usr_1"

    @pytest.mark.parametrize("claim", ["iat", "nbf"])
    def test_from_the_future(self, claim: str) -> None:
        token = forge(claims={claim: NOW + 100})
        assert reason(token) == "token_invalid"
        assert verify(token, NOW + 100 - SKEW) == "usr_1"

    @pytest.mark.parametrize("claim", ["iat", "nbf", "exp"])
    @pytest.mark.parametrize("value", ["1800000000", True, [], {}, float("nan"), float("inf"), 10**400, -1])
    def test_no_time(self, claim: str, value: object) -> None:
        assert reason(forge(claims={claim: value})) == "token_invalid"

    def test_a_forged_token_is_invalid_even_if_it_is_expired(self) -> None:
        token = sign_access(KeyRing.create(NOW), "usr_1", NOW, TTL, ISSUER)
        assert reason(token, NOW + 10 * TTL) == "token_invalid"


class TestKeys:
    def test_another_ring(self) -> None:
        token = sign_access(RING, "usr_1", NOW, TTL, ISSUER)
        assert reason(token, ring=KeyRing.create(NOW)) == "token_invalid"

    def test_another_key_under_our_kid(self) -> None:
        _, other = KeyRing.create(NOW).signer()
        token = jwt.encode({"sub": "usr_1"}, other, algorithm="EdDSA", headers={"kid": KID, "typ": "at+jwt"})
        assert reason(token) == "token_invalid"

    def test_rotation(self) -> None:
        token = sign_access(RING, "usr_1", NOW, TTL, ISSUER)
        rotated = RING.rotated(NOW + 1, keep_s=TTL)
        assert verify(token, NOW + 2, ring=rotated.public_only()) == "usr_1"
        fresh = sign_access(rotated, "usr_2", NOW + 2, TTL, ISSUER)
        assert verify(fresh, NOW + 2, ring=rotated.public_only()) == "usr_2"
        assert reason(fresh, NOW + 2) == "token_invalid"

    def test_a_key_whose_time_is_over(self) -> None:
        token = sign_access(RING, "usr_1", NOW, 10 * TTL, ISSUER)
        assert reason(token, NOW + TTL + 2, ring=RING.rotated(NOW + 1, keep_s=TTL)) == "token_invalid"

    @pytest.mark.parametrize("kid", ["", "unknown", None, 7, ["a"], {"k": 1}])
    def test_no_such_kid(self, kid: object) -> None:
        _, _, signature = forge().split(".")
        token = f"{part({'alg': 'EdDSA', 'typ': 'at+jwt', 'kid': kid})}.{part({'sub': 'usr_1'})}.{signature}"
        assert reason(token) == "token_invalid"


class TestAlgorithms:
    @pytest.mark.parametrize("name", ["none", "None", "NONE", ""])
    @pytest.mark.parametrize("keep_signature", [True, False])
    def test_none(self, name: str, keep_signature: bool) -> None:
        _, payload, signature = forge().split(".")
        header = part({"alg": name, "typ": "at+jwt", "kid": KID})
        assert reason(f"{header}.{payload}.{signature if keep_signature else ''}") == "token_invalid"

    def test_hmac_with_the_public_key(self) -> None:
        key = PUBLIC.verifier(KID, NOW)
        assert key is not None
        _, payload, _ = forge().split(".")
        pem = key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        signed = f"{part({'alg': 'HS256', 'typ': 'at+jwt', 'kid': KID})}.{payload}"
        for secret in (pem, pem.strip(), key.public_bytes_raw(), json.dumps(PUBLIC.jwks()).encode(), b""):
            signature = part(hmac.digest(secret, signed.encode(), hashlib.sha256))
            assert reason(f"{signed}.{signature}") == "token_invalid"

    def test_a_signature_that_brings_its_own_key(self) -> None:
        other = KeyRing.create(NOW)
        token = jwt.encode(
            {"sub": "usr_1"},
            other.signer()[1],
            algorithm="EdDSA",
            headers={"kid": KID, "typ": "at+jwt", "jwk": other.jwks()["keys"][0], "jku": "https://evil"},
        )
        assert reason(token) == "token_invalid"


class TestClaims:
    @pytest.mark.parametrize("claim", ["iss", "aud", "sub", "iat", "exp", "jti", "kind"])
    def test_each_is_needed(self, claim: str) -> None:
        assert reason(forge(claims={claim: None})) == "token_invalid"

    @pytest.mark.parametrize(
        ("claim", "value"),
        [
            ("iss", "rayrealm-other"),
            ("iss", ""),
            ("iss", 7),
            ("iss", [ISSUER]),
            ("aud", "elsewhere"),
            ("aud", []),
            ("aud", 7),
            ("sub", ""),
            ("sub", 7),
            ("jti", ""),
            ("jti", 7),
            ("kind", "refresh"),
            ("kind", ["access"]),
        ],
    )
    def test_wrong(self, claim: str, value: object) -> None:
        assert reason(forge(claims={claim: value})) == "token_invalid"

    def test_a_realm_does_not_take_the_tokens_of_another(self) -> None:
        assert reason(sign_access(RING, "usr_1", NOW, TTL, "rayrealm-other")) == "token_invalid"

    @pytest.mark.parametrize("typ", ["JWT", "rt+jwt", ""])
    def test_another_type_of_token(self, typ: str) -> None:
        assert reason(forge(header={"typ": typ})) == "token_invalid"


class TestShape:
    def test_too_long(self) -> None:
        token = forge(claims={"pad": "x" * MAX_TOKEN_BYTES})
        assert len(token) > MAX_TOKEN_BYTES
        assert reason(token) == "token_invalid"

    def test_just_short_enough(self) -> None:
        pad = "x"
        while len(longer := forge(claims={"pad": pad + "x"})) <= MAX_TOKEN_BYTES:
            pad += "x" * max(1, (MAX_TOKEN_BYTES - len(longer)) // 2)
        assert verify(forge(claims={"pad": pad})) == "usr_1"

    @pytest.mark.parametrize("depth", [100, 1_000])
    def test_deep_nesting(self, depth: int) -> None:
        deep = ("[" * depth + "]" * depth).encode()
        assert reason(f"{part(deep)}.{part(deep)}.AA") == "token_invalid"

    @given(st.text(max_size=200))
    def test_any_text(self, text: str) -> None:
        assert reason(text) in {"token_invalid", "token_missing"}

    @given(st.lists(st.binary(max_size=60), min_size=1, max_size=5))
    def test_any_parts(self, parts: list[bytes]) -> None:
        token = ".".join(map(part, parts))
        assert reason(token) in {"token_invalid", "token_missing"}

    @given(
        st.fixed_dictionaries(
            {"alg": st.sampled_from(["EdDSA", "HS256", "none", "ES256", "Ed25519"])},
            optional={
                "kid": st.one_of(st.just(KID), st.none(), st.integers(), st.text(max_size=5)),
                "typ": st.sampled_from(["at+jwt", "JWT"]),
                "crit": st.sampled_from([[], ["b64"], ["exp"], "exp"]),
                "b64": st.booleans(),
            },
        )
    )
    def test_any_header_without_our_signature(self, header: dict[str, Any]) -> None:
        _, payload, _ = forge().split(".")
        assert reason(f"{part(header)}.{payload}.{part(bytes(64))}") == "token_invalid"

    @given(st.data())
    def test_one_changed_bit_of_what_is_signed(self, data: st.DataObject) -> None:
        token = forge()
        signed = [base64.urlsafe_b64decode(each + "==") for each in token.split(".")]
        which = data.draw(st.integers(0, 2))
        bit = data.draw(st.integers(0, len(signed[which]) * 8 - 1))
        changed = bytearray(signed[which])
        changed[bit // 8] ^= 1 << bit % 8
        signed[which] = bytes(changed)
        assert reason(".".join(map(part, signed))) == "token_invalid"
