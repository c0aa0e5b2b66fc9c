"""One-time codes by time, against RFC 6238's own vectors."""

from __future__ import annotations

import base64

import pytest

from cluster.security.totp import DRIFT, STEP_S, Sealer, fresh_key, match, uri

KEY = base64.b32encode(b"12345678901234567890").decode()
# RFC 6238, appendix B, SHA-1: the last six of its eight digits.
VECTORS = [
    (59, "287082"),
    (1_111_111_109, "081804"),
    (1_111_111_111, "050471"),
    (1_234_567_890, "005924"),
    (2_000_000_000, "279037"),
    (20_000_000_000, "353130"),
]


@pytest.mark.parametrize(("at", "code"), VECTORS)
def test_the_standards_own_codes(at: int, code: str) -> None:
    assert match(KEY, code, at, 0) == at // STEP_S


@pytest.mark.parametrize(("later_s", "good"), [(0, True), (STEP_S, True), (-STEP_S, True), (65, False), (-65, False)])
def test_a_clock_may_be_a_step_away(later_s: int, good: bool) -> None:
    assert DRIFT == 1
    assert (match(KEY, "081804", 1_111_111_109 + later_s, 0) is not None) == good


def test_each_step_once() -> None:
    at = 1_111_111_109
    step = match(KEY, "081804", at, 0)
    assert step is not None
    assert match(KEY, "081804", at, step) is None
    assert match(KEY, "081804", at, step + 1) is None, "nor one that was used before a later one"


@pytest.mark.parametrize("code", ["", "081805", "81804", "0818040", "０８１８０４", "\ud800", "081804 "])
def test_others_count_for_nothing(code: str) -> None:
    assert match(KEY, code, 1_111_111_109, 0) is None


def test_keys_are_random_and_apps_can_read_them() -> None:
    assert len({fresh_key() for _ in range(50)}) == 50
    assert len(base64.b32decode(fresh_key())) == 20
    assert (
        uri(KEY, "ada", "my realm")
        == f"otpauth://totp/Rayrealm%20my%20realm:ada?secret={KEY}&issuer=Rayrealm%20my%20realm"
    )


def test_sealed_keys_open_for_whom_they_were_sealed_alone() -> None:
    sealer = Sealer(b"the realm's secret")
    sealed = sealer.seal(KEY, "ada")
    assert KEY not in sealed
    assert sealer.seal(KEY, "ada") != sealed
    assert sealer.open(sealed, "ada") == KEY
    assert sealer.open(sealed, "eve") is None
    assert Sealer(b"another").open(sealed, "ada") is None
    for broken in ("", "x", sealed[:-4] + "AAA=", sealed[:10]):
        assert sealer.open(broken, "ada") is None
