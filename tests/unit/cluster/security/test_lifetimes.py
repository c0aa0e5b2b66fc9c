"""How long revocations are remembered."""

from __future__ import annotations

from typing import Any

import pytest

from cluster.security.lifetimes import access_s, login_s, longest_s
from cluster.security_settings import IdentitySettings, IssuerSettings
from cluster.settings import AccountSettings, Settings

DAY = 86_400.0
ISSUER = IssuerSettings(issuer="https://id.example", audience="game", jwks_url="https://id.example/jwks")


def settings(issuers: tuple[IssuerSettings, ...] = (), **accounts: Any) -> Settings:
    identity = IdentitySettings(issuers=issuers, longest_token_s=DAY, grace_s=30.0)
    return Settings(realm="test", accounts=AccountSettings(clock_skew_s=5.0, **accounts), identity=identity)


def test_an_access_token_and_the_sockets_it_opened() -> None:
    assert access_s(settings(access_ttl_s=900.0)) == 900 + 5 + 30


@pytest.mark.parametrize(("access_ttl_s", "longest"), [(900.0, DAY + 40), (2 * DAY, 2 * DAY + 35)])
def test_outside_tokens_may_last_longer(access_ttl_s: float, longest: float) -> None:
    assert longest_s(settings(access_ttl_s=access_ttl_s)) == access_ttl_s + 35
    assert longest_s(settings((ISSUER,), access_ttl_s=access_ttl_s)) == longest


@pytest.mark.parametrize(("refresh_ttl_s", "lasts"), [(60 * DAY, 60 * DAY + 5), (60.0, DAY + 40)])
def test_a_login(refresh_ttl_s: float, lasts: float) -> None:
    assert login_s(settings((ISSUER,), refresh_ttl_s=refresh_ttl_s)) == lasts
