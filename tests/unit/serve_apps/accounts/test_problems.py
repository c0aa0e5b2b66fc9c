from __future__ import annotations

import json
import logging

import pytest
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from structlog.testing import capture_logs

from cluster.errors import (
    Conflict,
    Fenced,
    InvalidInput,
    InvalidState,
    NotFound,
    Ours,
    RateLimited,
    SessionGone,
    SubscriptionLimit,
    Theirs,
    Unauthorized,
    Unavailable,
)
from cluster.ports.accounts import TokenReused
from serve_apps.accounts.passwords import Busy
from serve_apps.accounts.problems import problem_of


@pytest.mark.parametrize(
    ("error", "status", "reason"),
    [
        (InvalidInput([("name", "is wrong")]), 422, "invalid_input"),
        (Unauthorized("token_missing"), 401, "token_missing"),
        (Unauthorized("bad_credentials"), 401, "bad_credentials"),
        (TokenReused("usr_1", "fam_1"), 401, "token_invalid"),
        (NotFound("not_found"), 404, "not_found"),
        (SessionGone("session_gone"), 404, "session_gone"),
        (Conflict("name_taken"), 409, "name_taken"),
        (InvalidState("in_world", "in_world"), 409, "in_world"),
        (RateLimited("too_many_requests", 1.2), 429, "too_many_requests"),
        (SubscriptionLimit(3), 429, "subscription_limit"),
        (Theirs("odd"), 400, "odd"),
        (Unavailable("redis", 0.1), 503, "unavailable"),
        (HTTPException(404), 404, "not_found"),
        (HTTPException(405), 405, "method_not_allowed"),
        (HTTPException(413), 413, "too_large"),
        (HTTPException(418), 418, "http_418"),
        (Ours("a bug"), 500, "internal"),
        (Fenced(), 500, "internal"),
        (RuntimeError("boom"), 500, "internal"),
    ],
)
def test_every_error_is_a_problem(error: Exception, status: int, reason: str) -> None:
    with capture_logs():
        response = problem_of(error)
    body = json.loads(bytes(response.body))
    assert response.status_code == status == body["status"]
    assert response.headers["content-type"] == "application/problem+json"
    assert body["reason"] == reason
    assert body["type"] == "about:blank"
    assert body["title"]
    assert body["detail"]


@pytest.mark.parametrize(("seconds", "header"), [(0.0, "1"), (0.2, "1"), (1.0, "1"), (1.2, "2"), (60, "60")])
def test_retry_after_is_whole_seconds(seconds: float, header: str) -> None:
    with capture_logs():
        assert problem_of(Unavailable("redis", seconds)).headers["retry-after"] == header
    assert problem_of(RateLimited("slow", seconds)).headers["retry-after"] == header


@pytest.mark.parametrize(
    ("reason", "challenge"),
    [
        ("token_missing", "Bearer"),
        ("token_invalid", 'Bearer error="invalid_token"'),
        ("token_expired", 'Bearer error="invalid_token"'),
        ("bad_credentials", "Bearer"),
    ],
)
def test_a_401_says_how_to_authenticate(reason: str, challenge: str) -> None:
    assert problem_of(Unauthorized(reason)).headers["www-authenticate"] == challenge


def test_what_is_away_is_for_the_log_alone() -> None:
    with capture_logs() as logs:
        response = problem_of(Unavailable("redis"))
    assert b"redis" not in response.body
    (entry,) = logs
    assert (entry["event"], entry["what"], entry["log_level"]) == ("unavailable", "redis", "warning")


def test_a_bug_has_an_id_that_is_in_the_log_and_no_more() -> None:
    error = RuntimeError("secret internals")
    with capture_logs() as logs:
        response = problem_of(error)
    assert b"secret" not in response.body
    (entry,) = logs
    assert entry["error_id"] == json.loads(bytes(response.body))["error_id"]
    assert entry["exc_info"] is error
    assert logging.getLevelName(entry["log_level"].upper()) == logging.ERROR


class TestValidation:
    def test_fields_and_reasons(self) -> None:
        error = RequestValidationError(
            [
                {"type": "missing", "loc": ("body", "name"), "msg": "Field required", "input": {"p": "hunter2"}},
                {"type": "x", "loc": ("body", "a", 3, "b"), "msg": "Value error, must be nice", "input": "hunter2"},
                {"type": "missing", "loc": ("body",), "msg": "Field required", "input": None},
            ]
        )
        response = problem_of(error)
        assert json.loads(bytes(response.body))["errors"] == [
            {"field": "name", "reason": "Field required"},
            {"field": "a.3.b", "reason": "must be nice"},
            {"field": "body", "reason": "Field required"},
        ]
        assert b"hunter2" not in response.body

    def test_no_json(self) -> None:
        error = RequestValidationError([{"type": "json_invalid", "loc": ("body", 0), "msg": "x"}], body="{oops")
        response = problem_of(error)
        assert response.status_code == 400
        assert b"oops" not in response.body


def test_a_flood_writes_no_log() -> None:
    with capture_logs() as logs:
        answer = problem_of(Busy("password hashing", 2.0))
    assert (answer.status_code, answer.headers["retry-after"], logs) == (503, "2", [])
