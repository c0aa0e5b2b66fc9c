"""The operation that ends tokens (rows 4.1 and 7.8)."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from cluster.errors import InvalidInput, NotFound, Unavailable
from cluster.operations.bans import told
from cluster.operations.desk import Desk
from cluster.operations.model import Action, Job, Operation, Params, Preview, Result
from cluster.operations.people import User
from cluster.operations.reaching import USER_ID, Known, find_user
from cluster.ports.protection import Revocation
from cluster.security.requests import LIFETIMES
from cluster.world_control import ask

ANSWER_S = 3.0
DAY_S = 86_400.0
MOST_DAYS = 400.0


class Revoke(Params):
    """One of `user` (all tokens of a user), `token` (one, by its `jti`) and `everybody`. `days`: for how long it is remembered at
    least.
    """

    user: User | None = None
    token: Annotated[str, Field(min_length=1, max_length=256)] | None = None
    everybody: bool = False
    days: float = Field(default=31.0, ge=0.01, le=MOST_DAYS)

    @model_validator(mode="after")
    def _one(self) -> Revoke:
        if (self.user is not None) + (self.token is not None) + self.everybody != 1:
            raise ValueError("one of user, token and everybody is needed")
        if self.token is not None and not self.token.isprintable():
            raise ValueError("token is a token's jti, not the token itself")
        return self


class Revoked(Result):
    """`kept_s`: for how long it is remembered."""

    kind: str
    subject: str
    kept_s: float


async def settle_revoke(desk: Desk, params: Revoke) -> Revoke:
    """Users of outside providers have no account here: their ids count as they are."""
    if params.user is None:
        return params
    try:
        known = await find_user(desk, params.user)
    except NotFound:
        if not USER_ID.fullmatch(params.user):
            raise
        known = Known(params.user, "")
    return params.model_copy(update={"user": known.user_id})


def whom(params: Revoke) -> str:
    """As the audit log has it."""
    if params.user is not None:
        return f"user {params.user}"
    return f"token {params.token}" if params.token is not None else "all"


async def plan_revoke(_desk: Desk, params: Revoke) -> Preview:
    everybody = "Everybody has to log in again."
    return Preview(
        (
            f"Tokens that were given out until now count no more: {whom(params)}.",
            "Sockets that came by them are closed with 4501 within seconds.",
        ),
        (everybody,) if params.everybody else (),
    )


async def revoke(desk: Desk, params: Revoke, job: Job) -> Revoked:
    """Until the job was ordered, however often it is begun: who has logged in since stays.

    Raises InvalidInput if there are too many revocations; Unavailable.
    """
    await job.tell(f"revoke {whom(params)}", 0.0)
    keep_s = max(params.days * DAY_S, await _needed_s(desk, "tokens_s" if params.token is not None else "logins_s"))
    before = job.began_at
    if params.user is not None:
        revocation = Revocation("user", params.user, before, before + keep_s)
    elif params.token is not None:
        revocation = Revocation("token", params.token, before, before + keep_s)
    else:
        revocation = Revocation("all", "", before, before + keep_s)
    await desk.protection.revoke(revocation)
    await job.tell(f"revoked: {whom(params)}", 0.5)
    await told(desk)
    return Revoked(kind=revocation.kind, subject=revocation.subject, kept_s=keep_s)


async def _needed_s(desk: Desk, which: str) -> float:
    """How long what is revoked could still be of use, by the realm's settings, which its web process knows. If it does not say,
    for as long as any setting allows."""
    try:
        lasts = await ask(desk.bus, desk.subjects.accounts(), LIFETIMES, {}, ANSWER_S)
    except (Unavailable, InvalidInput):
        return MOST_DAYS * DAY_S
    return float(lasts[which])


OPERATIONS: tuple[Operation, ...] = (
    Action(
        "token.revoke",
        "End tokens that were given out until now",
        Revoke,
        Revoked,
        plan_revoke,
        revoke,
        whom,
        "revoke",
        settle=settle_revoke,
        dangerous=True,
    ),
)
