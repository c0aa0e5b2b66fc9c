"""The one place that decides what an HTTP client sees of an error: problem details (RFC 9457)."""

from __future__ import annotations

import math
import secrets
from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cluster.errors import (
    Conflict,
    InvalidInput,
    InvalidState,
    NotFound,
    RateLimited,
    SessionGone,
    SubscriptionLimit,
    Theirs,
    Unauthorized,
    Unavailable,
)
from serve_apps.accounts.maintenance import REASON as CLOSED
from serve_apps.accounts.maintenance import InMaintenance
from serve_apps.accounts.models import FieldError, Problem
from serve_apps.accounts.passwords import Busy

MEDIA_TYPE = "application/problem+json"

# The first that fits counts.
_STATUS: tuple[tuple[type[Theirs], HTTPStatus], ...] = (
    (InvalidInput, HTTPStatus.UNPROCESSABLE_ENTITY),
    (Unauthorized, HTTPStatus.UNAUTHORIZED),
    (NotFound, HTTPStatus.NOT_FOUND),
    (SessionGone, HTTPStatus.NOT_FOUND),
    (Conflict, HTTPStatus.CONFLICT),
    (InvalidState, HTTPStatus.CONFLICT),
    (RateLimited, HTTPStatus.TOO_MANY_REQUESTS),
    (SubscriptionLimit, HTTPStatus.TOO_MANY_REQUESTS),
    (Theirs, HTTPStatus.BAD_REQUEST),
)

# Phrases change from one Python to the next, reasons may not.
_REASONS: dict[int, str] = {
    HTTPStatus.BAD_REQUEST: "bad_request",
    HTTPStatus.NOT_FOUND: "not_found",
    HTTPStatus.METHOD_NOT_ALLOWED: "method_not_allowed",
    HTTPStatus.REQUEST_TIMEOUT: "request_timeout",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "too_large",
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: "unsupported_media_type",
}

log = structlog.get_logger(__name__)


def problem(
    status: int,
    reason: str,
    detail: str,
    *,
    headers: Mapping[str, str] | None = None,
    errors: Sequence[tuple[str, str]] | None = None,
    error_id: str | None = None,
    more: Mapping[str, object] | None = None,
) -> JSONResponse:
    """A response of `application/problem+json`; `errors` are (field, reason), `more` extension members (RFC 9457, 3.2)."""
    body = Problem(
        title=HTTPStatus(status).phrase,
        status=status,
        detail=detail,
        reason=reason,
        errors=None if errors is None else [FieldError(field=field, reason=why) for field, why in errors],
        error_id=error_id,
    )
    said = {**(more or {}), **body.model_dump(exclude_none=True)}
    return JSONResponse(said, status, dict(headers or {}), MEDIA_TYPE)


def problem_of(error: Exception) -> JSONResponse:
    """What the client sees of `error`. Nothing of what it sent is quoted: it may be a password."""
    if isinstance(error, RequestValidationError):
        return _of_validation(error)
    if isinstance(error, HTTPException):
        reason = _REASONS.get(error.status_code, f"http_{error.status_code}")
        return problem(error.status_code, reason, error.detail, headers=error.headers)
    if isinstance(error, InMaintenance):
        return problem(
            HTTPStatus.SERVICE_UNAVAILABLE,
            CLOSED,
            "the realm is closed for maintenance: try again later",
            headers=_retry_after(error.retry_after_s),
        )
    if isinstance(error, Unavailable):
        if not isinstance(error, Busy):  # an attacker decides how often; it is counted (login_metrics.py)
            log.warning("unavailable", what=error.what, cause=str(error.__cause__))
        return problem(
            HTTPStatus.SERVICE_UNAVAILABLE,
            "unavailable",
            "a part of the realm is away; safe to retry",
            headers=_retry_after(error.retry_after_s),
        )
    if isinstance(error, Theirs):
        return _of_theirs(error)
    error_id = f"err_{secrets.token_hex(8)}"
    log.error("request_failed", error_id=error_id, exc_info=error)
    return problem(
        HTTPStatus.INTERNAL_SERVER_ERROR,
        "internal",
        "something went wrong here; quote the error_id to the operator",
        error_id=error_id,
    )


def _of_theirs(error: Theirs) -> JSONResponse:
    status = next(status for kind, status in _STATUS if isinstance(error, kind))
    headers: dict[str, str] = {}
    if status == HTTPStatus.UNAUTHORIZED:
        # RFC 6750, section 3: no error code for a request that brought no token.
        invalid = error.reason in {"token_invalid", "token_expired", "token_revoked"}
        headers["WWW-Authenticate"] = 'Bearer error="invalid_token"' if invalid else "Bearer"
    if isinstance(error, RateLimited):
        headers |= _retry_after(error.retry_after_s)
    errors = error.errors if isinstance(error, InvalidInput) else None
    return problem(status, error.reason, str(error), headers=headers, errors=errors)


def _of_validation(error: RequestValidationError) -> JSONResponse:
    if isinstance(error.body, bytes):  # the framework reads what is declared to be JSON
        wanted = HTTPException(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "send the body as application/json")
        return problem_of(wanted)
    found = error.errors()
    if any(each["type"] == "json_invalid" for each in found):
        return problem(HTTPStatus.BAD_REQUEST, "bad_request", "the body is not JSON")
    errors = []
    for each in found:
        where, *path = each["loc"]
        field = ".".join(str(part) for part in path) or str(where)
        errors.append((field, str(each["msg"]).removeprefix("Value error, ")))
    return _of_theirs(InvalidInput(errors))


def _retry_after(seconds: float) -> dict[str, str]:
    """Whole seconds, as RFC 9110 has them, and never 0: that would be a busy loop."""
    return {"Retry-After": str(max(1, math.ceil(seconds)))}


class _CatchAll:
    """ASGI middleware: an exception that nothing foresaw becomes a problem, unless an answer has begun."""

    def __init__(self, app: ASGIApp, answer: Callable[[Exception], JSONResponse]) -> None:
        self._app = app
        self._answer = answer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = False

        async def watch(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self._app(scope, receive, watch)
        except Exception as error:
            if started or scope["type"] != "http":
                raise
            await self._answer(error)(scope, receive, send)


def install(app: FastAPI, answer: Callable[[Exception], JSONResponse] = problem_of) -> None:
    """Have every error of `app` answered by `answer`."""

    async def handle(_: Request, error: Exception) -> JSONResponse:
        return answer(error)

    for kind in (RequestValidationError, HTTPException, Theirs, Unavailable):
        app.add_exception_handler(kind, handle)
    app.add_middleware(_CatchAll, answer=answer)
