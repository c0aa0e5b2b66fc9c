"""What the console's clients see of an error: as those of the accounts (serve_apps/accounts/problems.py), and a little more."""

from __future__ import annotations

from http import HTTPStatus

from starlette.responses import JSONResponse

from cluster.errors import Conflict, InvalidState, RateLimited, Unauthorized
from serve_apps.accounts import problems

# Known, and not allowed: logging in again would change nothing.
FORBIDDEN = frozenset(
    {"role_too_low", "csrf", "origin_refused", "console_refused", "token_not_enough", "session_needed"}
)


def problem_of(error: Exception) -> JSONResponse:
    if isinstance(error, Unauthorized) and error.reason in FORBIDDEN:
        return problems.problem(HTTPStatus.FORBIDDEN, error.reason, str(error))
    if isinstance(error, InvalidState):
        detail = f"{error} ({error.state})" if error.state else str(error)
        return problems.problem(HTTPStatus.CONFLICT, error.reason, detail, more={"state": error.state})
    if isinstance(error, Conflict) and error.current:
        known = ", ".join(f"{name}: {value}" for name, value in error.current.items())
        return problems.problem(
            HTTPStatus.CONFLICT, error.reason, f"{error} ({known})", more={"current": error.current}
        )
    answer = problems.problem_of(error)
    if isinstance(error, RateLimited) and error.reason == "locked":
        wait_s = answer.headers.get("Retry-After", "")
        return problems.problem(
            HTTPStatus.TOO_MANY_REQUESTS,
            error.reason,
            f"too many failed logins: wait {wait_s} s",
            headers={"Retry-After": wait_s},
        )
    return answer
