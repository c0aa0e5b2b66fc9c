"""What the server says about a session has the agreed shape, or is refused."""

from __future__ import annotations

from typing import Any

import pytest

from rayrealm_client.errors import CodecError
from rayrealm_client.models import MoveOver, Ready, RecoveryToken

READY: dict[str, Any] = {
    "session_id": "ses_1",
    "user_id": "usr_1",
    "resumed": True,
    "recovered": True,
    "stream": "s",
    "seq": 5,
    "recovery": {"token": "aB0-_.x", "expires_in": 600},
    "state": "authenticated",
    "realm": "realm",
    "gateway": "gw_1",
    "protocol": 1,
    "limits": {"max_frame_bytes": 65_536, "max_pending_requests": 32, "max_subscriptions": 64},
    "topics": ["news", "chat:trade"],
    "degraded": ["redis"],
    "world": None,
}


def test_ready() -> None:
    ready = Ready.of(READY)
    assert (ready.recovered, ready.stream, ready.seq) == (True, "s", 5)
    assert ready.recovery == RecoveryToken("aB0-_.x", 600.0)
    assert ready.topics == ("news", "chat:trade")
    assert ready.degraded == {"redis"}
    assert "aB0" not in repr(ready)


@pytest.mark.parametrize("member", ["recovered", "stream", "seq", "recovery", "topics", "degraded", "session_id"])
def test_nothing_may_be_missing(member: str) -> None:
    with pytest.raises(CodecError):
        Ready.of({name: value for name, value in READY.items() if name != member})


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("recovered", 1),
        ("stream", ""),
        ("stream", 5),
        ("seq", -1),
        ("seq", "5"),
        ("seq", True),
        ("recovery", None),
        ("recovery", {"token": "a b", "expires_in": 1}),
        ("recovery", {"token": "", "expires_in": 1}),
        ("recovery", {"token": "a", "expires_in": -1}),
        ("recovery", {"token": "a", "expires_in": float("inf")}),
        ("recovery", {"token": "a"}),
        ("topics", "news"),
        ("degraded", [1]),
    ],
)
def test_nothing_may_be_something_else(member: str, value: object) -> None:
    with pytest.raises(CodecError):
        Ready.of(READY | {member: value})


def test_moving_over() -> None:
    told = MoveOver.of({"token": "t", "expires_in": 600, "reason": "draining", "within_s": 0.5})
    assert told == MoveOver(RecoveryToken("t", 600.0), "draining", 0.5)
    for within_s in (-1, float("nan"), "1", None):
        with pytest.raises(CodecError):
            MoveOver.of({"token": "t", "expires_in": 600, "reason": "draining", "within_s": within_s})
