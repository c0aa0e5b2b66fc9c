"""What a client sees of each error."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from structlog.testing import capture_logs

from cluster import errors
from cluster.errors import (
    Conflict,
    Fenced,
    InvalidInput,
    InvalidState,
    NotFound,
    RateLimited,
    SessionGone,
    SettingsError,
    StartRefused,
    SubscriptionLimit,
    Theirs,
    Unauthorized,
    Unavailable,
)
from serve_apps.gateway.faults import MAX_ERRORS, to_fault
from serve_apps.gateway.messages import MESSAGES, NO_ID, Code

KNOWN: list[tuple[Exception, Code, dict[str, Any]]] = [
    (
        InvalidInput([("zone", "no such zone"), ("a.b", "too long")]),
        Code.INVALID_PARAMS,
        {"errors": [{"field": "zone", "reason": "no such zone"}, {"field": "a.b", "reason": "too long"}]},
    ),
    (
        NotFound("no_such_entity"),
        Code.INVALID_PARAMS,
        {"errors": [{"field": "params", "reason": "no_such_entity"}]},
    ),
    (Unauthorized("character_not_yours"), Code.UNAUTHORIZED, {"reason": "character_not_yours"}),
    (RateLimited("zone_full", 3.5), Code.RATE_LIMITED, {"retryAfter": 3.5, "reason": "zone_full"}),
    (SessionGone("session_ended"), Code.SESSION_EXPIRED, {"reason": "session_ended"}),
    (InvalidState("wrong_state", "in_world"), Code.INVALID_STATE, {"state": "in_world", "reason": "wrong_state"}),
    (SubscriptionLimit(64), Code.SUBSCRIPTION_LIMIT, {"limit": 64}),
    (Conflict("stale", {"version": 3}), Code.CONFLICT, {"reason": "stale", "current": {"version": 3}}),
    (Unavailable("zone/zon_a", 2.0), Code.UNAVAILABLE, {"retryAfter": 2.0, "reason": "zone/zon_a is away"}),
]


@pytest.mark.parametrize(("error", "code", "data"), KNOWN, ids=lambda v: type(v).__name__)
@pytest.mark.parametrize("request_id", ["a", 1, None, NO_ID])
def test_what_is_known(error: Exception, code: Code, data: dict[str, Any], request_id: Any) -> None:
    with capture_logs() as logs:
        fault = to_fault(error, request_id, "m")
    assert (fault.code, fault.data, fault.id) == (code, data, request_id)
    assert logs == []


def test_every_error_of_the_realm_that_is_theirs_is_known() -> None:
    """One that is added to the tree must be added here, and to the mapping."""
    told = {type(error) for error, _, _ in KNOWN}
    assert {e for e in vars(errors).values() if isinstance(e, type) and issubclass(e, Theirs)} - {Theirs} <= told


class Params(BaseModel):
    model_config = ConfigDict(extra="forbid")
    x: float
    names: list[int] = Field(default_factory=list)


def wrong(params: dict[str, Any]) -> ValidationError:
    with pytest.raises(ValidationError) as caught:
        Params.model_validate(params)
    return caught.value


def test_wrong_params_name_their_fields() -> None:
    fault = to_fault(wrong({"names": [1, "secret"], "y": "secret"}), 1, "m")
    assert fault.code is Code.INVALID_PARAMS
    assert [error["field"] for error in fault.data["errors"]] == ["x", "names.1", "y"]
    assert all(error["reason"] for error in fault.data["errors"])
    assert "secret" not in str(fault.data)


def test_wrong_params_as_a_whole_are_called_params() -> None:
    with pytest.raises(ValidationError) as caught:
        Params.model_validate([])
    assert to_fault(caught.value, 1, "m").data["errors"][0]["field"] == "params"


def test_the_list_of_errors_is_bounded() -> None:
    assert len(to_fault(wrong({"names": ["x"] * 1_000}), 1, "m").data["errors"]) == MAX_ERRORS
    many = InvalidInput([("f", "bad")] * 1_000)
    assert len(to_fault(many, 1, "m").data["errors"]) == MAX_ERRORS


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("password=hunter2 at /srv/realm.py:12"),
        KeyError("hunter2"),
        Fenced("hunter2"),
        SettingsError([("redis", "hunter2")]),
        StartRefused("hunter2"),
        ExceptionGroup("hunter2", [ValueError("hunter2")]),
    ],
    ids=lambda e: type(e).__name__,
)
def test_anything_else_is_in_the_log_and_not_in_the_answer(error: Exception) -> None:
    with capture_logs() as logs:
        fault = to_fault(error, 9, "world.enter")
    assert (fault.code, fault.id) == (Code.INTERNAL_ERROR, 9)
    assert set(fault.data) == {"error_id"}
    assert "hunter2" not in str(fault.data)
    (line,) = logs
    assert (line["event"], line["log_level"]) == ("handler_failed", "error")
    assert (line["error_id"], line["method"]) == (fault.data["error_id"], "world.enter")
    assert line["exc_info"] is error


def test_each_failure_has_its_own_id() -> None:
    with capture_logs():
        ids = {to_fault(RuntimeError(), 1, "m").data["error_id"] for _ in range(50)}
    assert len(ids) == 50


def test_every_code_has_a_message() -> None:
    assert set(MESSAGES) == set(Code)
