"""The console's own routes: logins, invitations, jobs. Those of operations are made of them (operation_routes.py)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response
from starlette.requests import HTTPConnection

from cluster.errors import NotFound
from cluster.operations.desk import Desk
from cluster.operations.model import Action, Operator, Registry
from cluster.ports.jobs import JobRecord, JobStore
from serve_apps.accounts.problems import MEDIA_TYPE
from serve_apps.console import access
from serve_apps.console.accounts import OperatorAccounts, Who
from serve_apps.console.jobs import Jobs
from serve_apps.console.models import (
    Accept,
    Accepted,
    InvitationToken,
    InvitationView,
    JobList,
    JobView,
    Login,
    Me,
    OperationList,
    OperationView,
    StepView,
    Welcome,
)

PREFIX = "/api/v1"


@dataclass(frozen=True, slots=True)
class ConsoleDeps:
    """What the console is made of. `page`: the folder of the page, or None for an API alone."""

    desk: Desk
    registry: Registry
    accounts: OperatorAccounts
    jobs: Jobs
    job_store: JobStore
    page: Path | None = None


async def deps_of(connection: HTTPConnection) -> ConsoleDeps:
    deps: ConsoleDeps = connection.app.state.deps
    return deps


Deps = Annotated[ConsoleDeps, Depends(deps_of)]


async def who_asks(connection: HTTPConnection, deps: Deps) -> Who:
    return await access.who(connection, deps.accounts)


Asks = Annotated[Who, Depends(who_asks)]


async def _own_page(connection: HTTPConnection) -> None:
    access.expect_own_page(connection)


async def _address(connection: HTTPConnection) -> str:
    return str(connection.scope["state"]["address"])


Address = Annotated[str, Depends(_address)]
OWN_PAGE = [Depends(_own_page)]


def refusals(described: dict[int, str]) -> dict[int | str, dict[str, Any]]:
    """For OpenAPI: what else a route answers, all of it problem details."""
    schema = {"schema": {"$ref": "#/components/schemas/Problem"}}
    return {
        status: {"description": text, "content": {MEDIA_TYPE: schema}} for status, text in sorted(described.items())
    }


BODY = {
    400: "`bad_request`: no JSON",
    413: "`too_large`: over 64 KiB",
    415: "`unsupported_media_type`",
    422: "`invalid_input`: see `errors`",
}
AWAY = {503: "`unavailable`: wait `Retry-After` seconds"}
NOBODY = {401: "`not_logged_in`, `token_invalid`"}
FORBIDDEN = {403: "`console_refused`, `role_too_low`, `csrf`, `origin_refused`"}
OWN = {403: "`console_refused`, `origin_refused`"}
OFTEN = {429: "`too_many_attempts` from this address, or `locked` for this name: wait `Retry-After` seconds"}

router = APIRouter(prefix=PREFIX)


@router.get("/login", tags=["login"], operation_id="welcome")
async def welcome(deps: Deps) -> Welcome:
    """What a login page may know before a login."""
    accounts = deps.accounts
    return Welcome(realm=accounts.realm, mfa=accounts.settings.mfa_needed, min_password=accounts.min_password)


@router.post(
    "/login",
    tags=["login"],
    operation_id="login",
    dependencies=OWN_PAGE,
    responses=refusals(
        {**BODY, **OWN, **OFTEN, **AWAY, 401: "`credentials_wrong`, `code_needed`, `code_wrong`, `mfa_missing`"}
    ),
)
async def login(body: Login, deps: Deps, address: Address, request: Request, response: Response) -> Me:
    """Log in by cookie. Where a second factor is needed, the first try may be without a code."""
    entered = await deps.accounts.login(body.name, body.password.get_secret_value(), body.code, address)
    access.set_cookie(response, request, entered.secret, deps.accounts.settings.session_s)
    return deps.accounts.me(entered.who, deps.registry)


@router.post(
    "/logout",
    tags=["login"],
    operation_id="logout",
    responses=refusals({**NOBODY, **FORBIDDEN, **AWAY}),
)
async def logout(asks: Asks, deps: Deps, request: Request, response: Response) -> dict[str, str]:
    """End the session."""
    if asks.session_hash:
        await deps.accounts.logout(asks)
    access.end_cookies(response, request)
    return {}


@router.get("/me", tags=["login"], operation_id="me", responses=refusals({**NOBODY, **FORBIDDEN, **AWAY}))
async def me(asks: Asks, deps: Deps) -> Me:
    """Who is logged in, and what they may do."""
    return deps.accounts.me(asks, deps.registry)


@router.post(
    "/invitation",
    tags=["login"],
    operation_id="invitation",
    dependencies=OWN_PAGE,
    responses=refusals({**BODY, **OWN, **OFTEN, **AWAY, 404: "`invitation_unknown`"}),
)
async def invitation(body: InvitationToken, deps: Deps, address: Address) -> InvitationView:
    """What an invitation is for, and the key of its second factor: the same one until it is accepted."""
    return await deps.accounts.invited(body.token.get_secret_value(), address)


@router.post(
    "/invitation/accept",
    tags=["login"],
    operation_id="invitation.accept",
    dependencies=OWN_PAGE,
    responses=refusals(
        {**BODY, **OWN, **OFTEN, **AWAY, 401: "`code_wrong`", 404: "`invitation_unknown`", 422: "`password_too_common`"}
    ),
)
async def accept(body: Accept, deps: Deps, address: Address, request: Request, response: Response) -> Accepted:
    """Choose a password, and log in. An invitation works once."""
    entered, codes = await deps.accounts.accept(
        body.token.get_secret_value(), body.password.get_secret_value(), body.code, address
    )
    access.set_cookie(response, request, entered.secret, deps.accounts.settings.session_s)
    told = deps.accounts.me(entered.who, deps.registry)
    return Accepted(**told.model_dump(), recovery_codes=codes)


@router.get(
    "/operations",
    tags=["jobs"],
    operation_id="operations",
    responses=refusals({**NOBODY, **FORBIDDEN, **AWAY}),
)
async def operations(asks: Asks, deps: Deps) -> OperationList:
    """Every operation that there is, and the role that it needs."""
    found = [
        OperationView(
            name=name,
            summary=operation.summary,
            kind="action" if isinstance(operation, Action) else "look",
            role=operation.role.name.lower(),
            dangerous=isinstance(operation, Action) and operation.dangerous,
            cancellable=isinstance(operation, Action) and operation.cancel is not None,
        )
        for name, operation in sorted(deps.registry.operations.items())
    ]
    return OperationList(operations=found)


@router.get("/jobs", tags=["jobs"], operation_id="jobs", responses=refusals({**NOBODY, **FORBIDDEN, **AWAY}))
async def list_jobs(
    asks: Asks,
    deps: Deps,
    offset: Annotated[int, Query(ge=0)] = 0,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
) -> JobList:
    """The actions that were ordered, the newest first."""
    total, found = await deps.job_store.newest(offset, limit)
    return JobList(total=total, jobs=[job_view(deps.jobs, job, asks.operator) for job in found])


@router.get(
    "/jobs/{job_id}",
    tags=["jobs"],
    operation_id="jobs.show",
    responses=refusals({**NOBODY, **FORBIDDEN, **AWAY, 404: "`no_such_job`"}),
)
async def show_job(job_id: str, asks: Asks, deps: Deps) -> JobView:
    """One of them."""
    job = await deps.job_store.get(job_id)
    if job is None:
        raise NotFound("no_such_job", "there is no such job")
    return job_view(deps.jobs, job, asks.operator)


@router.post(
    "/jobs/{job_id}/cancel",
    tags=["jobs"],
    operation_id="jobs.cancel",
    responses=refusals(
        {**NOBODY, **FORBIDDEN, **AWAY, 404: "`no_such_job`", 409: "`job_has_ended`, `job_cannot_be_cancelled`"}
    ),
)
async def cancel_job(job_id: str, asks: Asks, deps: Deps) -> JobView:
    """End it, if it still can be."""
    return job_view(deps.jobs, await deps.jobs.cancel(asks.operator, job_id), asks.operator)


def job_view(jobs: Jobs, job: JobRecord, operator: Operator) -> JobView:
    """As `operator` may see it."""
    state: Any = "waiting" if job.state == "planned" else job.state
    return JobView(
        id=job.id,
        action=job.operation,
        params=job.params,
        target=jobs.target(job),
        operator=job.operator.removeprefix("operator:"),
        state="cancelling" if job.open and job.cancelling else state,
        steps=[StepView(at=step.at, text=step.text) for step in job.steps],
        done=job.done,
        result=jobs.result(job, operator),
        secrets=jobs.secrets(job),
        error=job.error,
        cancellable=jobs.cancellable(job),
        created_at=job.created_at,
        ended_at=job.ended_at or None,
    )
