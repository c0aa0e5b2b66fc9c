"""The one place that decides what a client sees of an error (row 2.4)."""

from __future__ import annotations

import secrets

import structlog
from pydantic import ValidationError

from cluster.errors import (
    Conflict,
    InvalidInput,
    InvalidState,
    NotFound,
    RateLimited,
    SessionGone,
    SubscriptionLimit,
    Unauthorized,
    Unavailable,
)
from serve_apps.gateway.messages import Code, Fault, NoId, RequestId

MAX_ERRORS = 10

log = structlog.get_logger(__name__)


def to_fault(error: Exception, request_id: RequestId | NoId, method: str) -> Fault:
    """Never tells internals: what is not known here becomes -32603 with an id that is in the log."""
    match error:
        case ValidationError():
            wrong = [
                {"field": ".".join(str(part) for part in e["loc"]) or "params", "reason": e["msg"]}
                for e in error.errors(include_url=False, include_context=False, include_input=False)[:MAX_ERRORS]
            ]
            return Fault(Code.INVALID_PARAMS, {"errors": wrong}, request_id)
        case InvalidInput():
            wrong = [{"field": field, "reason": why} for field, why in error.errors[:MAX_ERRORS]]
            return Fault(Code.INVALID_PARAMS, {"errors": wrong}, request_id)
        case NotFound():
            return Fault(Code.INVALID_PARAMS, {"errors": [{"field": "params", "reason": error.reason}]}, request_id)
        case Unauthorized():
            return Fault(Code.UNAUTHORIZED, {"reason": error.reason}, request_id)
        case RateLimited():
            data = {"retryAfter": error.retry_after_s, "reason": error.reason}
            return Fault(Code.RATE_LIMITED, data, request_id)
        case SessionGone():
            return Fault(Code.SESSION_EXPIRED, {"reason": error.reason}, request_id)
        case InvalidState():
            return Fault(Code.INVALID_STATE, {"state": error.state, "reason": error.reason}, request_id)
        case SubscriptionLimit():
            return Fault(Code.SUBSCRIPTION_LIMIT, {"limit": error.limit}, request_id)
        case Conflict():
            return Fault(Code.CONFLICT, {"reason": error.reason, "current": error.current}, request_id)
        case Unavailable():
            return Fault(
                Code.UNAVAILABLE,
                {"retryAfter": error.retry_after_s, "reason": f"{error.what} is away"},
                request_id,
            )
    error_id = secrets.token_hex(6)
    log.error("handler_failed", method=method, error_id=error_id, exc_info=error)
    return Fault(Code.INTERNAL_ERROR, {"error_id": error_id}, request_id)
