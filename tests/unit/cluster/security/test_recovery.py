"""Recovery tokens: whose session they open, until when, and what is not one."""

from __future__ import annotations

import time
from typing import Any

import jwt
import pytest

from cluster.errors import Unauthorized
from cluster.security.keys import KeyRing
from cluster.security.recovery import RecoveryClaims, new_secret, sign_recovery, verify_recovery
from cluster.security.tokens import sign_access, verify_access

SECRET = b"the secret of one realm, 32 bytes"
NOW = 1_800_000_000.0
ISSUER = "rayrealm-test"
CLAIMS = RecoveryClaims("usr_a", "ses_a", 7)
PAYLOAD: dict[str, Any] = {
    "iss": ISSUER, "aud": "rayrealm-recovery", "sub": "usr_a", "sid": "ses_a", "att": 7, "exp": NOW + 600,
    "ati": "", "at": 0, "pre": False, "by": ["", ""],
}  # fmt: skip
HEADER = {"typ": "recovery+jwt"}


def why(token: str, now: float = NOW, secret: bytes = SECRET, issuer: str = ISSUER) -> str:
    with pytest.raises(Unauthorized) as refused:
        verify_recovery(secret, token, now, 5.0, issuer)
    return refused.value.reason


def made(header: dict[str, str] | None = None, secret: bytes = SECRET, algorithm: str = "HS256", **changed: Any) -> str:
    payload = {k: v for k, v in {**PAYLOAD, **changed}.items() if v is not None}
    return jwt.encode(payload, secret, algorithm=algorithm, headers=HEADER if header is None else header)


def test_there_and_back() -> None:
    token = sign_recovery(SECRET, CLAIMS, NOW, 600.0, ISSUER)
    assert verify_recovery(SECRET, token, NOW + 599.0, 0.0, ISSUER) == CLAIMS
    assert verify_recovery(SECRET, made(), NOW, 5.0, ISSUER) == CLAIMS


def test_until_it_expires_and_a_little_longer_for_other_clocks() -> None:
    token = sign_recovery(SECRET, CLAIMS, NOW, 600.0, ISSUER)
    assert verify_recovery(SECRET, token, NOW + 604.9, 5.0, ISSUER) == CLAIMS
    assert why(token, NOW + 605.0) == "recovery_expired"


def test_another_realms() -> None:
    assert why(made(secret=new_secret())) == "recovery_invalid"
    assert why(made(), issuer="rayrealm-other") == "recovery_invalid"


@pytest.mark.parametrize(
    "changed",
    [
        {"aud": "rayrealm"}, {"aud": None}, {"sub": None}, {"sub": ""}, {"sub": 7}, {"sid": None}, {"sid": ""}, {"att": None},
        {"att": 0}, {"att": -1}, {"att": True}, {"att": 1.5}, {"att": "7"}, {"exp": None}, {"exp": True},
        {"exp": 1e300}, {"exp": -1}, {"iss": None}, {"ati": None}, {"ati": 7}, {"at": None}, {"at": True}, {"at": -1},
        {"end": "never"}, {"end": -1}, {"end": 1e300}, {"pre": None}, {"pre": 1}, {"by": None}, {"by": ["a"]}, {"by": ["a", 1]},
        {"role": 1}, {"role": ["admin"]}, {"role": True},
    ],
)  # fmt: skip
def test_claims_that_are_missing_or_odd(changed: dict[str, Any]) -> None:
    assert why(made(**changed)) == "recovery_invalid"


@pytest.mark.parametrize("header", [{"typ": "JWT"}, {"typ": "at+jwt"}, {}])
def test_another_kind_of_token(header: dict[str, str]) -> None:
    assert why(made(header)) == "recovery_invalid"


def test_another_algorithm_than_ours_is_not_even_tried() -> None:
    assert why(made(algorithm="HS512", secret=SECRET * 2), secret=SECRET * 2) == "recovery_invalid"
    unsigned = jwt.encode(PAYLOAD, "", algorithm="none", headers=HEADER)
    assert why(unsigned) == "recovery_invalid"


@pytest.mark.parametrize("token", ["", ".", "a.b.c", "x" * 5_000, "\u00e9", made() + "x", made()[:-1]])
def test_nonsense(token: str) -> None:
    assert why(token) == "recovery_invalid"


def test_neither_kind_passes_for_the_other() -> None:
    ring = KeyRing.create(NOW)
    assert why(sign_access(ring, "usr_a", NOW, 600.0, ISSUER)) == "recovery_invalid"
    with pytest.raises(Unauthorized) as refused:
        verify_access(ring, sign_recovery(SECRET, CLAIMS, NOW, 600.0, ISSUER), NOW, 5.0, ISSUER)
    assert refused.value.reason == "token_invalid"


def test_time_is_the_argument() -> None:
    token = sign_recovery(SECRET, CLAIMS, 1_000.0, 60.0, ISSUER)
    assert time.time() > 1_060.0
    assert verify_recovery(SECRET, token, 1_030.0, 0.0, ISSUER) == CLAIMS


def test_what_it_stands_for_comes_with_it() -> None:
    claims = RecoveryClaims(
        "usr_a", "ses_a", 7, "fam_1.xyz", NOW - 5.5, NOW + 300.25, True, "https://id.example", "key 1", "moderator"
    )
    token = sign_recovery(SECRET, claims, NOW, 600.0, ISSUER)
    assert verify_recovery(SECRET, token, NOW, 0.0, ISSUER) == claims


def test_one_from_before_roles_were_told() -> None:
    assert "role" not in PAYLOAD
    assert verify_recovery(SECRET, made(), NOW, 0.0, ISSUER).role == ""
