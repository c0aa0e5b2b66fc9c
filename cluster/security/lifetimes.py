"""How long a token can be of use (row 4.1): a revocation is remembered for so long, and no longer. Seconds."""

from __future__ import annotations

from cluster.settings import Settings


def access_s(settings: Settings) -> float:
    """Of an access token of the realm: then it has ended everywhere, and so have the sockets that it opened."""
    accounts = settings.accounts
    return accounts.access_ttl_s + accounts.clock_skew_s + settings.identity.grace_s


def longest_s(settings: Settings) -> float:
    """Of any access token, an outside issuer's as well. These may end `clock_skew_s` later than `longest_token_s` says."""
    identity, skew_s = settings.identity, settings.accounts.clock_skew_s
    if not identity.issuers:
        return access_s(settings)
    return max(access_s(settings), identity.longest_token_s + 2 * skew_s + identity.grace_s)


def login_s(settings: Settings) -> float:
    """Of all that came of a login, if nobody uses it: refresh tokens, too."""
    return max(longest_s(settings), settings.accounts.refresh_ttl_s + settings.accounts.clock_skew_s)
