"""auth.*: a newer access token for an open socket (row 4.1)."""

from __future__ import annotations

from typing import Annotated, Any

import orjson
from pydantic import Field, SecretStr

from cluster.errors import Unauthorized, Unavailable
from cluster.security.requests import REFRESH
from cluster.security.tokens import MAX_TOKEN_BYTES, AccessClaims
from cluster.world_control import ask
from serve_apps.gateway.client import Client
from serve_apps.gateway.identity import Identity
from serve_apps.gateway.outgoing import Priority
from serve_apps.gateway.router import Params, Router
from serve_apps.gateway.services import Services

MAX_REFRESH_BYTES = 1_024


class Refresh(Params):
    refresh_token: Annotated[SecretStr, Field(min_length=1, max_length=MAX_REFRESH_BYTES)]


class Renew(Params):
    access_token: Annotated[SecretStr, Field(min_length=1, max_length=MAX_TOKEN_BYTES)]


async def refresh(services: Services, client: Client, params: Refresh) -> dict[str, Any]:
    """By the web process, which alone makes tokens. Whether it did is not known when it does not answer: the refresh token may be
    used up."""
    authority, subjects = services.authority, services.subjects
    asked = {
        "refresh_token": params.refresh_token.get_secret_value(),
        "user_id": client.identity.user_id,
        "session_id": client.session_id,
    }
    try:
        tokens = await ask(services.bus, subjects.accounts(), REFRESH, asked, services.settings.gateway.call_deadline_s)
    except Unauthorized as error:
        authority.refused(error.reason)
        raise
    except Unavailable as error:
        # A subject's name is nobody's business.
        raise Unavailable("accounts" if error.what == subjects.accounts() else error.what) from None
    claims = await authority.checker.check(tokens["access_token"], services.wall_clock())
    _adopt(services, client, claims)
    return {name: tokens[name] for name in ("access_token", "expires_in", "refresh_token")}


async def renew(services: Services, client: Client, params: Renew) -> dict[str, Any]:
    authority, now = services.authority, services.wall_clock()
    try:
        claims = await authority.checker.check(params.access_token.get_secret_value(), now)
        if claims.expires_at - now < services.settings.identity.grace_s:
            raise Unauthorized("token_expiring")
        if claims.user_id != client.identity.user_id:
            raise Unauthorized("other_user")
    except Unauthorized as error:
        authority.refused(error.reason)
        raise
    _adopt(services, client, claims)
    return {"expires_in": round(claims.expires_at - now, 3)}


def _adopt(services: Services, client: Client, claims: AccessClaims) -> None:
    """The socket is for the newer token from now on, and so is the recovery token that the client is given."""
    if client.closed:
        return
    services.authority.renewed(client, Identity.of_access(claims))
    left_s = round(claims.expires_at - services.wall_clock(), 3)
    services.notify(client, "auth.token.refreshed", orjson.dumps({"expires_in": left_s}), Priority.IMMEDIATE)
    services.hub.give_token(client, Priority.IMMEDIATE)


def add_to(router: Router) -> None:
    router.add("auth.refresh", Refresh, refresh)
    router.add("auth.renew", Renew, renew, max_bytes=MAX_TOKEN_BYTES + 1_024)
