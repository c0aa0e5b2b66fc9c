"""Operations on operators (row 7.8). For admins: who decides who is an operator can become anything.

Secrets in results are `SecretStr`: a job's record keeps none of them, and only who ordered the job is given it.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from cluster import operators
from cluster.errors import InvalidState
from cluster.operations.desk import Desk
from cluster.operations.model import Action, Job, Look, Nothing, Operation, Params, Preview, Result, Role
from cluster.ports.operators import OperatorRecord, RoleName

Name = Annotated[str, Field(min_length=1, max_length=64, description="The operator's name")]
LONGEST_TOKEN_S = 366 * 86_400.0
COMMAND = "command"  # whoever has a shell on the machine needs no admin
NO_ADMIN = "It is the last admin: who comes next is invited by `rayrealm operators invite` on the realm's machine."


class TokenView(BaseModel):
    """Times are Unix seconds."""

    model_config = ConfigDict(frozen=True)

    id: str
    label: str
    role: RoleName
    created_at: float
    expires_at: float


class OperatorView(BaseModel):
    """`state`: `invited` until the invitation is used, `expired` if it was not in time."""

    model_config = ConfigDict(frozen=True)

    name: str
    role: RoleName
    state: str
    mfa: bool
    recovery_left: int
    created_at: float
    by: str
    last_login_at: float
    invitation_expires_at: float
    tokens: list[TokenView]


class OperatorList(Result):
    total: int
    operators: list[OperatorView]


class Named(Params):
    name: Name


class Invite(Params):
    name: Name
    role: RoleName = "viewer"


class SetRole(Params):
    name: Name
    role: RoleName


class NewToken(Params):
    """`role`: at most the operator's own. `for_s`: seconds until it ends."""

    name: Name
    role: RoleName = "viewer"
    label: Annotated[str, Field(max_length=80)] = ""
    for_s: Annotated[float, Field(gt=0.0, le=LONGEST_TOKEN_S)] = 90 * 86_400.0


class EndToken(Params):
    name: Name
    token: Annotated[str, Field(min_length=1, max_length=64)]


class Invited(Result):
    """`token`: once, for whoever is invited: `/console/#invitation=TOKEN`."""

    name: str
    role: RoleName
    token: SecretStr
    expires_at: float


class Token(Result):
    """`token`: shown once."""

    name: str
    id: str
    role: RoleName
    token: SecretStr
    expires_at: float


class Changed(Result):
    name: str
    outcome: str


def view(record: OperatorRecord, now: float) -> OperatorView:
    invitation = record.invitation
    waits = "invited" if invitation is not None and invitation.expires_at > now else "expired"
    return OperatorView(
        name=record.name,
        role=record.role,
        state="active" if record.active else waits,
        mfa=bool(record.totp),
        recovery_left=len(record.recovery),
        created_at=record.created_at,
        by=record.by,
        last_login_at=record.last_login_at,
        invitation_expires_at=0.0 if invitation is None else invitation.expires_at,
        tokens=[
            TokenView(id=t.id, label=t.label, role=t.role, created_at=t.created_at, expires_at=t.expires_at)
            for t in record.tokens
            if t.expires_at > now
        ],
    )


async def _list(desk: Desk, _: Nothing) -> OperatorList:
    found = [view(record, desk.now()) for record in await desk.operators.all()]
    return OperatorList(total=len(found), operators=found)


async def _plan_invite(desk: Desk, params: Invite) -> Preview:
    name = operators.clean_name(params.name)
    there = await desk.operators.get(name)
    steps = [f"{name} gets an invitation as {params.role}, for {desk.settings.invitation_s / 3_600.0:g} h."]
    warnings = []
    if there is not None and there.active:
        warnings.append(f"{name} is an operator already: this will be refused.")
    elif there is not None:
        steps.append("The invitation before it counts no more.")
    return Preview(tuple(steps), tuple(warnings))


async def _invite(desk: Desk, params: Invite, job: Job) -> Invited:
    await job.tell(f"inviting {params.name}")
    given = await operators.invite(
        desk.operators, params.name, params.role, job.operator.name, desk.now(), desk.settings.invitation_s
    )
    return _invited(given)


async def _plan_reset(desk: Desk, params: Named) -> Preview:
    record = await operators.find(desk.operators, params.name)
    steps = (
        f"The password, second factor, recovery codes and {len(record.tokens)} tokens of {record.name} count no more.",
        "All sessions end.",
        "There is a new invitation.",
    )
    return Preview(steps, await _last_admin(desk, params.name))


async def _reset(desk: Desk, params: Named, job: Job) -> Invited:
    await job.tell(f"resetting {params.name}")
    await _leave_an_admin(desk, params.name, job)
    given = await operators.reset(
        desk.operators, params.name, job.operator.name, desk.now(), desk.settings.invitation_s
    )
    return _invited(given)


async def _plan_role(desk: Desk, params: SetRole) -> Preview:
    record = await operators.find(desk.operators, params.name)
    if record.role == params.role:
        return Preview((f"{record.name} is {record.role} already: nothing changes.",))
    steps = f"{record.name} becomes {params.role} instead of {record.role}.", "All sessions of theirs end."
    return Preview(steps, () if params.role == "admin" else await _last_admin(desk, params.name))


async def _role(desk: Desk, params: SetRole, job: Job) -> Changed:
    await job.tell(f"{params.name} becomes {params.role}")
    if params.role != "admin":
        await _leave_an_admin(desk, params.name, job)
    record = await operators.set_role(desk.operators, params.name, params.role)
    return Changed(name=record.name, outcome=f"is {record.role}")


async def _plan_remove(desk: Desk, params: Named) -> Preview:
    record = await operators.find(desk.operators, params.name)
    steps = f"{record.name} is no operator any more.", "All sessions and tokens of theirs end."
    return Preview(steps, await _last_admin(desk, params.name))


async def _remove(desk: Desk, params: Named, job: Job) -> Changed:
    await job.tell(f"removing {params.name}")
    await _leave_an_admin(desk, params.name, job)
    await operators.remove(desk.operators, params.name)
    return Changed(name=params.name, outcome="removed")


async def _plan_token(desk: Desk, params: NewToken) -> Preview:
    record = await operators.find(desk.operators, params.name)
    role = operators.lower(params.role, record.role)
    return Preview((f"{record.name} gets a token as {role}, for {params.for_s / 86_400.0:g} days.",))


async def _token(desk: Desk, params: NewToken, job: Job) -> Token:
    await job.tell(f"making a token for {params.name}")
    made, secret = await operators.give_token(
        desk.operators, params.name, params.role, params.label, desk.now(), params.for_s
    )
    return Token(name=params.name, id=made.id, role=made.role, token=SecretStr(secret), expires_at=made.expires_at)


async def _plan_revoke(desk: Desk, params: EndToken) -> Preview:
    record = await operators.find(desk.operators, params.name)
    label = next((token.label for token in record.tokens if token.id == params.token), None)
    if label is None:
        return Preview((), (f"{record.name} has no token {params.token}: this will be refused.",))
    return Preview((f"The token {label or params.token} of {record.name} counts no more.",))


async def _revoke(desk: Desk, params: EndToken, job: Job) -> Changed:
    await job.tell(f"ending a token of {params.name}")
    await operators.end_token(desk.operators, params.name, params.token)
    return Changed(name=params.name, outcome="token ended")


def _invited(given: operators.Given) -> Invited:
    record = given.record
    assert record.invitation is not None  # noqa: S101 - that is what was given
    return Invited(
        name=record.name,
        role=record.role,
        token=SecretStr(given.secret),
        expires_at=record.invitation.expires_at,
    )


async def _last_admin(desk: Desk, name: str) -> tuple[str, ...]:
    admins = [record.name for record in await desk.operators.all() if record.active and record.role == "admin"]
    return (NO_ADMIN,) if admins == [name] else ()


async def _leave_an_admin(desk: Desk, name: str, job: Job) -> None:
    """Raises InvalidState."""
    if job.operator.via != COMMAND and await _last_admin(desk, name):
        raise InvalidState("last_admin", "the only admin")


async def _settle_named(_: Desk, params: Named) -> Named:
    return Named(name=operators.clean_name(params.name))


OPERATIONS: tuple[Operation, ...] = (
    Look(
        name="operators.list",
        summary="Operators, their roles, invitations and tokens",
        params=Nothing,
        result=OperatorList,
        run=_list,
        command="operators list",
        role=Role.ADMIN,
    ),
    Action(
        name="operators.invite",
        summary="Invite an operator",
        params=Invite,
        result=Invited,
        plan=_plan_invite,
        run=_invite,
        target=lambda params: params.name,
        command="operators invite",
        role=Role.ADMIN,
    ),
    Action(
        name="operators.role",
        summary="Give an operator another role",
        params=SetRole,
        result=Changed,
        plan=_plan_role,
        run=_role,
        target=lambda params: params.name,
        command="operators role",
        role=Role.ADMIN,
    ),
    Action(
        name="operators.reset",
        summary="Reset an operator's password and second factor",
        params=Named,
        result=Invited,
        plan=_plan_reset,
        run=_reset,
        target=lambda params: params.name,
        command="operators reset",
        role=Role.ADMIN,
        settle=_settle_named,
        dangerous=True,
    ),
    Action(
        name="operators.remove",
        summary="Remove an operator",
        params=Named,
        result=Changed,
        plan=_plan_remove,
        run=_remove,
        target=lambda params: params.name,
        command="operators remove",
        role=Role.ADMIN,
        settle=_settle_named,
        dangerous=True,
    ),
    Action(
        name="operators.token",
        summary="Make a token for scripts",
        params=NewToken,
        result=Token,
        plan=_plan_token,
        run=_token,
        target=lambda params: params.name,
        command="operators token",
        role=Role.ADMIN,
    ),
    Action(
        name="operators.revoke",
        summary="End a token for scripts",
        params=EndToken,
        result=Changed,
        plan=_plan_revoke,
        run=_revoke,
        target=lambda params: params.name,
        command="operators revoke",
        role=Role.ADMIN,
    ),
)
