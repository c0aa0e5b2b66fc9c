"""The routes for one's own login; any role may, with a session (no token for scripts)."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response

from cluster.operations.operators import view
from serve_apps.console import access
from serve_apps.console.account_models import (
    Confirm,
    Ended,
    EndOwnToken,
    EndSessions,
    Factor,
    GivenToken,
    NewOwnToken,
    NewPassword,
    Proof,
    RecoveryCodes,
    SessionList,
    SessionView,
    TokenList,
)
from serve_apps.console.models import Me
from serve_apps.console.own_account import OwnAccount, short
from serve_apps.console.routes import AWAY, BODY, FORBIDDEN, NOBODY, OFTEN, PREFIX, Asks, Deps, refusals

ANSWERS = {**NOBODY, **AWAY, 403: f"{FORBIDDEN[403]}, `session_needed`"}
PROVED = refusals({**BODY, **OFTEN, **ANSWERS, 422: "`invalid_input`: also where the password is wrong"})
CODED = refusals(
    {
        **BODY,
        **OFTEN,
        **ANSWERS,
        409: "`no_second_factor`",
        422: "`invalid_input`: also where the password is wrong",
    }
)

router = APIRouter(prefix=f"{PREFIX}/account", tags=["account"])


async def _own(deps: Deps) -> OwnAccount:
    return OwnAccount(deps.accounts)


Own = Annotated[OwnAccount, Depends(_own)]


@router.post("/password", operation_id="account.password", responses=PROVED)
async def password(body: NewPassword, asks: Asks, own: Own, deps: Deps, request: Request, response: Response) -> Me:
    """Choose another password. Other logins end; this one goes on with another cookie and CSRF token."""
    entered = await own.password(asks, body.password.get_secret_value(), body.new.get_secret_value())
    access.set_cookie(response, request, entered.secret, deps.accounts.settings.session_s)
    return deps.accounts.me(entered.who, deps.registry)


@router.post("/totp", operation_id="account.totp", responses=CODED)
async def factor(body: Proof, asks: Asks, own: Own) -> Factor:
    """A new key for the authenticator. The present one holds until the new one is confirmed."""
    return await own.factor(asks, body.password.get_secret_value(), body.code)


@router.post(
    "/totp/confirm",
    operation_id="account.totp.confirm",
    responses=refusals(
        {
            **BODY,
            **OFTEN,
            **ANSWERS,
            404: "`enrolment_unknown`",
            409: "`no_second_factor`",
            422: "`invalid_input`: also where the code is wrong",
        }
    ),
)
async def confirm(body: Confirm, asks: Asks, own: Own, deps: Deps) -> Me:
    """The new key counts from here on."""
    return deps.accounts.me(await own.confirm(asks, body.enrolment.get_secret_value(), body.code), deps.registry)


@router.post("/recovery", operation_id="account.recovery", responses=CODED)
async def recovery(body: Proof, asks: Asks, own: Own) -> RecoveryCodes:
    """New recovery codes. The older ones count no more."""
    return RecoveryCodes(recovery_codes=await own.recovery(asks, body.password.get_secret_value(), body.code))


@router.get("/sessions", operation_id="account.sessions", responses=refusals(ANSWERS))
async def sessions(asks: Asks, own: Own) -> SessionList:
    """One's logins."""
    found = [
        SessionView(
            id=short(held.hash),
            address=held.session.address,
            began_at=held.session.began_at,
            used_at=held.used_at,
            own=held.hash == asks.session_hash,
        )
        for held in await own.sessions(asks)
    ]
    return SessionList(sessions=found)


@router.post(
    "/sessions/end",
    operation_id="account.sessions.end",
    responses=refusals({**BODY, **ANSWERS, 404: "`no_such_session`"}),
)
async def end_sessions(body: EndSessions, asks: Asks, own: Own) -> Ended:
    """End another login, or all others."""
    return Ended(ended=await own.end_sessions(asks, body.session))


@router.get("/tokens", operation_id="account.tokens", responses=refusals({**NOBODY, **FORBIDDEN, **AWAY}))
async def tokens(asks: Asks, deps: Deps) -> TokenList:
    """One's tokens for scripts, without their secrets."""
    return TokenList(tokens=view(asks.record, deps.accounts.clock()).tokens)


@router.post(
    "/tokens",
    operation_id="account.token",
    responses=refusals(
        {**BODY, **OFTEN, **ANSWERS, 409: "`too_many_tokens`", 422: "`invalid_input`: also where the password is wrong"}
    ),
)
async def token(body: NewOwnToken, asks: Asks, own: Own) -> GivenToken:
    """A token for scripts, of at most one's own role."""
    made, secret = await own.token(asks, body.password.get_secret_value(), body.role, body.label, body.for_s)
    return GivenToken(id=made.id, role=made.role, token=secret, expires_at=made.expires_at)


@router.post(
    "/tokens/end",
    operation_id="account.token.end",
    responses=refusals({**BODY, **ANSWERS, 404: "`no_such_token`"}),
)
async def end_token(body: EndOwnToken, asks: Asks, own: Own) -> Ended:
    """End one of them."""
    await own.end_token(asks, body.token)
    return Ended(ended=1)
