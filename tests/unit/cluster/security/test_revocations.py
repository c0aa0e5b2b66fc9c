from __future__ import annotations

import pytest

from cluster.ports.protection import Revocation
from cluster.security.revocations import Revoked

NOW = 1_000.0


@pytest.mark.parametrize(
    ("revocation", "user", "token", "issued", "fits"),
    [
        (Revocation("token", "fam.1", 0.0, NOW + 1), "usr_a", "fam.1", NOW, True),
        (Revocation("token", "fam.1", 0.0, NOW + 1), "usr_a", "fam.2", NOW, False),
        (Revocation("token", "fam.1", 0.0, NOW), "usr_a", "fam.1", 0.0, False),
        (Revocation("family", "fam", 0.0, NOW + 1), "usr_a", "fam.2", NOW, True),
        (Revocation("family", "fam", 0.0, NOW + 1), "usr_a", "fam", NOW, True),
        (Revocation("family", "fam", 0.0, NOW + 1), "usr_a", "fam2.1", NOW, False),
        (Revocation("family", "", 0.0, NOW + 1), "usr_a", ".1", NOW, False),
        (Revocation("token", "", 0.0, NOW + 1), "usr_a", "", NOW, False),
        (Revocation("user", "usr_a", 900.0, NOW + 1), "usr_a", "", 899.9, True),
        (Revocation("user", "usr_a", 900.0, NOW + 1), "usr_a", "", 900.0, False),
        (Revocation("user", "usr_a", 900.0, NOW + 1), "usr_b", "", 1.0, False),
        (Revocation("user", "usr_a", 900.0, NOW), "usr_a", "", 1.0, False),
        (Revocation("all", "", 900.0, NOW + 1), "usr_b", "", 899.0, True),
        (Revocation("all", "", 900.0, NOW + 1), "usr_b", "", 901.0, False),
    ],
)
def test_what_fits(revocation: Revocation, user: str, token: str, issued: float, fits: bool) -> None:
    assert Revoked([revocation]).fits(user, token, issued, NOW) is fits


def test_none() -> None:
    assert not Revoked()
    assert not Revoked().fits("usr_a", "t", 0.0, NOW)
