"""A newer access token for the open socket, before the present one ends (PROTOCOL.md, "Renewing access")."""

from __future__ import annotations

import asyncio
import logging
import time

from rayrealm_client.accounts import Accounts
from rayrealm_client.asking import object_of
from rayrealm_client.models import Tokens
from rayrealm_client.policy import Backoff, Random
from rayrealm_client.wishes import Ask, insist

log = logging.getLogger("rayrealm_client")

SPREAD = 0.5  # of the time that is left: those who logged in together do not all renew together
NEWER_BY_S = 1.0


async def renew(accounts: Accounts, ask: Ask, expires_in: float, backoff: Backoff, rng: Random) -> None:
    """Keep asking until it is granted or refused. Without a refresh token it is the program's: `RealmClient.renew`."""
    ends_at = time.monotonic() + expires_in
    await asyncio.sleep(rng.random() * SPREAD * max(0.0, expires_in))
    tokens = accounts.tokens
    if tokens is None or not tokens.refresh_token:
        log.warning("the access token ends in %s s, and there is no refresh token", round(expires_in))
        return
    refusal = await insist(lambda: _once(accounts, ask, ends_at), backoff, rng)
    if refusal is not None:
        log.warning("the access token was not renewed: %s", refusal)


async def _once(accounts: Accounts, ask: Ask, ends_at: float) -> None:
    async with accounts.renewing:  # a refresh token works once
        tokens = accounts.tokens
        if tokens is None:
            return
        if tokens.expires_at > ends_at + NEWER_BY_S:  # a call of the HTTP API was first
            await ask("auth.renew", {"access_token": tokens.access_token})
            return
        body = object_of(await ask("auth.refresh", {"refresh_token": tokens.refresh_token}))
        if accounts.tokens is tokens:  # else logged out meanwhile, or someone else
            accounts.tokens = Tokens.of({**body, "user_id": tokens.user_id}, time.monotonic())
