from __future__ import annotations

import pytest

from rayrealm_client.accounts import is_loopback, problem_of
from rayrealm_client.link import socket_url, subprotocols


@pytest.mark.parametrize(
    ("base", "session", "expected"),
    [
        ("http://127.0.0.1:8000", None, "ws://127.0.0.1:8000/ws"),
        ("https://realm.example/", "ses_a b", "wss://realm.example/ws?session=ses_a+b"),
        ("https://realm.example/eu", None, "wss://realm.example/eu/ws"),
    ],
)
def test_the_sockets_address_follows_the_http_one(base: str, session: str | None, expected: str) -> None:
    assert socket_url(base, session) == expected


def test_the_newest_notification_seen_is_in_the_address_and_the_recovery_token_is_not() -> None:
    assert socket_url("http://a", "ses_a", "s+1.5") == "ws://a/ws?session=ses_a&last=s%2B1.5"
    assert socket_url("http://a", None, "s.5") == "ws://a/ws?last=s.5"
    assert subprotocols("proto", None) == ["rayrealm.v1+proto"]
    assert subprotocols("json", "a.b-c_d") == ["rayrealm.v1+json", "rayrealm.recovery.a.b-c_d"]


@pytest.mark.parametrize("base", ["127.0.0.1:8000", "ftp://x", "http://"])
def test_an_address_that_is_none_is_refused(base: str) -> None:
    with pytest.raises(ValueError, match="address"):
        socket_url(base, None)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://127.0.0.1:1", True),
        ("http://localhost", True),
        ("http://[::1]:1", True),
        ("http://10.0.0.1", False),
        ("https://realm.example", False),
    ],
)
def test_no_proxy_for_this_machine(url: str, expected: bool) -> None:
    assert is_loopback(url) is expected


def test_problems() -> None:
    problem = problem_of(503, b'{"reason": "full", "detail": "no room"}', "2")
    assert (problem.status, problem.reason, problem.detail, problem.retry_after_s) == (
        503,
        "full",
        "no room",
        2.0,
    )
    for body in (b"<html>", b"[]", b"\xff"):
        assert problem_of(502, body, "Tue, 01 Jan 2030 00:00:00 GMT").reason == "http_502"
