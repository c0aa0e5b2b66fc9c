"""Forged tokens of many kinds, at the gateway's admission: each is refused, with the right reason (rows 1.1, 4.1; RFC 8725)."""

from __future__ import annotations

import asyncio
import hmac
import json
import string
from collections.abc import Callable
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given, settings
from hypothesis import strategies as st

from cluster.ports.protection import Protection, Revocation
from cluster.security.keys import KeyRing
from cluster.security.recovery import RecoveryClaims, sign_recovery
from cluster.security.rotation import publish
from cluster.security.tokens import sign_access
from serve_apps.gateway.identity import Identity
from serve_apps.gateway.upgrade import Refusal
from tests.unit.serve_apps.gateway.fakes import SECRET
from tests.unit.serve_apps.gateway.scene import NOW, Scene, asking

SCENE = Scene()
STRANGER = KeyRing.create(NOW)
TTL = 900.0
LETTERS = string.ascii_letters + string.digits + "-_."
Forge = Callable[[str], str]


def encoded(part: object) -> str:
    return jwt.utils.base64url_encode(json.dumps(part).encode()).decode()


def parts(token: str) -> tuple[dict[str, Any], dict[str, Any], str]:
    return (
        jwt.get_unverified_header(token),
        jwt.decode(token, options={"verify_signature": False}),
        token.rpartition(".")[2],
    )


def signed(header: dict[str, Any], payload: dict[str, Any], ring: KeyRing = SCENE.keys) -> str:
    """A good signature by the ring's key over whatever it is."""
    text = f"{encoded(header)}.{encoded(payload)}"
    return f"{text}.{jwt.utils.base64url_encode(ring.signer()[1].sign(text.encode())).decode()}"


def no_signature(token: str) -> str:
    header, payload, _ = parts(token)
    return f"{encoded({**header, 'alg': 'none'})}.{encoded(payload)}."


def empty_signature(token: str) -> str:
    return token.rpartition(".")[0] + "."


def public_key_as_secret(token: str) -> str:
    """HS256 with the public key, which everybody may know, as the secret."""
    header, payload, _ = parts(token)
    public = SCENE.keys.signer()[1].public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    return jwt.encode(payload, public, algorithm="HS256", headers={**header, "alg": "HS256"})


def strangers_key_with_our_kid(token: str) -> str:
    header, payload, _ = parts(token)
    return signed(header, payload, STRANGER)


def strangers_key(token: str) -> str:
    header, payload, _ = parts(token)
    return signed({**header, "kid": STRANGER.verify[0].kid}, payload, STRANGER)


def key_in_the_header(token: str) -> str:
    """A key that the token itself brings (RFC 7515, section 4.1.3)."""
    header, payload, _ = parts(token)
    return signed({**header, "jwk": STRANGER.verify[0].jwk(), "kid": STRANGER.verify[0].kid}, payload, STRANGER)


def key_at_an_address(token: str) -> str:
    header, payload, _ = parts(token)
    return signed({**header, "jku": "https://evil.example/jwks", "kid": "evil"}, payload, STRANGER)


def another_kind(token: str) -> str:
    header, payload, _ = parts(token)
    return signed({**header, "typ": "JWT"}, payload)


def another_audience(token: str) -> str:
    header, payload, _ = parts(token)
    return signed(header, {**payload, "aud": "another-service"})


def another_realm(token: str) -> str:
    header, payload, _ = parts(token)
    return signed(header, {**payload, "iss": "another-realm"})


def no_end(token: str) -> str:
    header, payload, _ = parts(token)
    del payload["exp"]
    return signed(header, payload)


def from_the_future(token: str) -> str:
    header, payload, _ = parts(token)
    return signed(header, {**payload, "iat": NOW + 60, "exp": NOW + 120})


def a_higher_role(token: str) -> str:
    """The claims are changed, and the signature is the old one."""
    header, payload, signature = parts(token)
    return f"{encoded(header)}.{encoded({**payload, 'role': 'operator'})}.{signature}"


def an_unknown_role(token: str) -> str:
    header, payload, _ = parts(token)
    return signed(header, {**payload, "role": "god"})


def a_critical_extension(token: str) -> str:
    header, payload, _ = parts(token)
    return signed({**header, "crit": ["x"], "x": 1}, payload)


def a_recovery_token(_token: str) -> str:
    claims = RecoveryClaims("usr_a", "ses_a", 1)
    return sign_recovery(SECRET, claims, NOW, TTL, SCENE.settings.namespace)


def a_set_of_keys(_token: str) -> str:
    return publish(SCENE.keys, SCENE.keys, NOW)


def expired(_token: str) -> str:
    return sign_access(SCENE.keys, "usr_a", NOW - 2 * TTL, TTL, SCENE.settings.namespace)


def nearly_expired(_token: str) -> str:
    return sign_access(SCENE.keys, "usr_a", NOW - TTL + 10, TTL, SCENE.settings.namespace)


def nested(token: str) -> str:
    header, _, _ = parts(token)
    return f"{encoded(header)}.{jwt.utils.base64url_encode(b'[' * 1_000 + b']' * 1_000).decode()}.x"


INVALID: tuple[Forge, ...] = (
    no_signature, empty_signature, public_key_as_secret, strangers_key_with_our_kid, strangers_key, key_in_the_header,
    key_at_an_address, another_kind, another_audience, another_realm, no_end, from_the_future, a_higher_role, an_unknown_role,
    a_critical_extension, a_recovery_token, a_set_of_keys, nested,
)  # fmt: skip
REASONS: dict[Forge, str] = {
    **dict.fromkeys(INVALID, "token_invalid"),
    expired: "token_expired",
    nearly_expired: "token_expiring",
}


def refusal(token: str) -> str:
    """Why, or "" if it was let in."""
    who = asyncio.run(SCENE.admission.authenticate(asking(token)))
    if isinstance(who, Identity):
        return ""
    assert isinstance(who, Refusal)
    assert who.status == 401
    assert len(token) < 9 or token not in who.body().decode()
    return who.reason


def good(user_id: str = "usr_a", premium: bool = False) -> str:
    return sign_access(SCENE.keys, user_id, NOW, TTL, SCENE.settings.namespace, "player", premium, "fam_1")


@given(st.sampled_from(list(REASONS)), st.from_regex(r"usr_[0-9a-f]{24}", fullmatch=True), st.booleans())
@settings(max_examples=200, deadline=None)
def test_each_kind_is_refused_for_its_reason(forge: Forge, user_id: str, premium: bool) -> None:
    token = good(user_id, premium)
    assert refusal(token) == ""
    assert refusal(forge(token)) == REASONS[forge]


def test_every_kind_at_least_once() -> None:
    assert {forge: refusal(forge(good())) for forge in REASONS} == REASONS


def test_a_revoked_one() -> None:
    token = good()
    SCENE.checker.learn(Protection(1, (), (Revocation("family", "fam_1", 0.0, NOW + TTL),)), NOW)
    try:
        assert refusal(token) == "token_revoked"
    finally:
        SCENE.checker.learn(Protection(2), NOW)
    assert refusal(token) == ""


@given(st.data())
@settings(max_examples=300, deadline=None)
def test_one_changed_character_anywhere(data: st.DataObject) -> None:
    token = good()
    at = data.draw(st.integers(0, len(token) - 1))
    other = data.draw(st.sampled_from([c for c in LETTERS if c != token[at]]))
    changed = token[:at] + other + token[at + 1 :]
    if decoded(changed) == decoded(token):  # the last character of a part has bits that mean nothing
        return
    assert refusal(changed) == "token_invalid"


def decoded(token: str) -> list[bytes]:
    try:
        return [jwt.utils.base64url_decode(part) for part in token.split(".")]
    except ValueError:
        return []


@given(st.text(max_size=200) | st.binary(max_size=200).map(lambda raw: raw.decode("latin-1")))
@settings(max_examples=200, deadline=None)
def test_any_text(text: str) -> None:
    assert refusal(text) in ("token_invalid", "token_missing")


def test_a_key_of_another_kind_is_no_secret() -> None:
    """Ed25519 in all shapes that a library might take for an HMAC secret."""
    private = Ed25519PrivateKey.generate()
    for secret in (private.private_bytes_raw(), private.public_key().public_bytes_raw(), b"", b"\0" * 32):
        header, payload, _ = parts(good())
        text = f"{encoded({**header, 'alg': 'HS256'})}.{encoded(payload)}"
        mac = hmac.digest(secret, text.encode(), "sha256")
        assert refusal(f"{text}.{jwt.utils.base64url_encode(mac).decode()}") == "token_invalid"
