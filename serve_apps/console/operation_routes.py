"""Routes made of operations: `GET /api/v1/zones/list` for a look, `POST /api/v1/actions/zones.split[/plan]` for an action.

Each has its params and its result in OpenAPI. Whoever may not is told so before what they sent is looked at.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from enum import Enum
from typing import Annotated, Any

from fastapi import APIRouter, Body, Depends, Query
from starlette.responses import Response

from cluster.operations import conduct
from cluster.operations.model import Action, Look, Operation, Params, Registry
from serve_apps.console.accounts import Who
from serve_apps.console.models import JobView, PreviewView
from serve_apps.console.routes import (
    AWAY,
    BODY,
    FORBIDDEN,
    NOBODY,
    PREFIX,
    Asks,
    ConsoleDeps,
    Deps,
    deps_of,
    job_view,
    refusals,
)

JSON = "application/json"
REFUSED = {**NOBODY, **FORBIDDEN, **AWAY, 404: "there is no such thing", 409: "not now"}
Endpoint = Callable[..., Awaitable[Any]]


def build(registry: Registry) -> APIRouter:
    router = APIRouter(prefix=PREFIX)
    for name, operation in sorted(registry.operations.items()):
        if isinstance(operation, Look):
            _add_look(router, name, operation)
        else:
            _add_action(router, name, operation)
    return router


def _add_look(router: APIRouter, name: str, look: Look[Any, Any]) -> None:
    async def endpoint(deps: ConsoleDeps, asks: Who, params: Params) -> Response:
        result = await conduct.look(deps.desk, deps.registry, asks.operator, name, _given(params))
        return Response(result.model_dump_json(), media_type=JSON)

    router.add_api_route(
        "/" + name.replace(".", "/"),
        _signed(endpoint, look, Query()),
        methods=["GET"],
        operation_id=name,
        summary=look.summary,
        description=_words(look),
        tags=[name.partition(".")[0]],
        response_class=Response,
        response_model=None,
        responses={
            200: {"model": look.result, "description": "What there is"},
            **refusals({**REFUSED, 422: BODY[422]}),
        },
    )


def _add_action(router: APIRouter, name: str, action: Action[Any, Any]) -> None:
    async def plan(deps: ConsoleDeps, asks: Who, params: Params) -> PreviewView:
        given = _given(params)
        preview = await conduct.preview(deps.desk, deps.registry, asks.operator, name, given)
        settled = await conduct.settled(deps.desk, action, conduct.read(action, given))
        return PreviewView(
            action=name,
            summary=action.summary,
            target=action.target(settled),
            steps=list(preview.steps),
            warnings=list(preview.warnings),
            dangerous=action.dangerous,
            cancellable=action.cancel is not None,
        )

    async def run(deps: ConsoleDeps, asks: Who, params: Params) -> JobView:
        job = await deps.jobs.order(asks.operator, name, _given(params))
        return job_view(deps.jobs, job, asks.operator)

    path = f"/actions/{name}"
    tags: list[str | Enum] = [name.partition(".")[0]]
    said = {**REFUSED, **BODY}
    router.add_api_route(
        f"{path}/plan",
        _signed(plan, action, Body()),
        methods=["POST"],
        operation_id=f"{name}.plan",
        summary=f"{action.summary}: what would be done",
        description=f"{_words(action)} Changes nothing.",
        tags=tags,
        response_model=PreviewView,
        responses=refusals(said),
    )
    router.add_api_route(
        path,
        _signed(run, action, Body()),
        methods=["POST"],
        operation_id=name,
        summary=action.summary,
        description=f"{_words(action)} The answer is a job, whose `result` will be `{action.result.__name__}`.",
        tags=tags,
        status_code=202,
        response_model=JobView,
        responses=refusals({**said, 429: "`too_many_jobs`"}),
    )


def _words(operation: Operation) -> str:
    return f"Role: {operation.role.name.lower()}. Command: `rayrealm {operation.command}`."


def _given(params: Params) -> dict[str, Any]:
    return params.model_dump(mode="json", exclude_unset=True)


def _signed(endpoint: Endpoint, operation: Operation, source: Any) -> Endpoint:
    """With the types that FastAPI is to read, in the order in which they are to be asked for."""

    async def allowed(asks: Asks, deps: Deps) -> Who:
        conduct.find(deps.registry, operation.name, asks.operator)
        return asks

    kind = inspect.Parameter.KEYWORD_ONLY
    signature = inspect.Signature(
        [
            inspect.Parameter("deps", kind, annotation=Annotated[ConsoleDeps, Depends(deps_of)]),
            inspect.Parameter("asks", kind, annotation=Annotated[Who, Depends(allowed)]),
            inspect.Parameter("params", kind, annotation=Annotated[operation.params, source]),
        ]
    )
    endpoint.__signature__ = signature  # type: ignore[attr-defined]
    return endpoint
