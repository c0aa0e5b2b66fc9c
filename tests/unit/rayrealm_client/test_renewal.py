"""Renewing an access token over the socket: when, with what, and what is done about no."""

from __future__ import annotations

import time
from typing import Any

import pytest

from rayrealm_client.accounts import Accounts
from rayrealm_client.anys import Json
from rayrealm_client.errors import DeadlineExceeded, Unauthorized, Unavailable
from rayrealm_client.models import Tokens
from rayrealm_client.policy import Backoff
from rayrealm_client.renewal import renew

FAST = Backoff(first_s=0.001, cap_s=0.001)
FRESH = {"access_token": "a2", "expires_in": 900, "refresh_token": "r2"}


class Zero:
    def random(self) -> float:
        return 0.0


class Socket:
    """Gives one answer after the other; errors are raised."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[str, dict[str, Json]]] = []

    async def ask(self, method: str, params: dict[str, Json]) -> Json:
        self.asked.append((method, params))
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.fixture
async def accounts() -> Accounts:
    """Logged in, with an access token for 60 s; nothing listens at its address."""
    accounts = Accounts("http://127.0.0.1:9", 1.0)
    accounts.tokens = Tokens("usr_a", "a1", "r1", time.monotonic() + 60.0)
    await accounts.close()
    return accounts


async def test_by_the_refresh_token(accounts: Accounts) -> None:
    socket = Socket(FRESH)
    await renew(accounts, socket.ask, 60.0, FAST, Zero())
    assert socket.asked == [("auth.refresh", {"refresh_token": "r1"})]
    tokens = accounts.tokens
    assert tokens is not None
    assert (tokens.user_id, tokens.access_token, tokens.refresh_token) == ("usr_a", "a2", "r2")
    assert 890 < tokens.expires_at - time.monotonic() <= 900


async def test_by_a_token_that_a_call_of_the_http_api_has_got_meanwhile(accounts: Accounts) -> None:
    socket = Socket({"expires_in": 60.0})
    await renew(accounts, socket.ask, 20.0, FAST, Zero())
    assert socket.asked == [("auth.renew", {"access_token": "a1"})]


async def test_again_until_there_is_an_answer(accounts: Accounts) -> None:
    away = Unavailable(-32006, "away", {"retryAfter": 0.001})
    socket = Socket(away, DeadlineExceeded("late"), FRESH)
    await renew(accounts, socket.ask, 60.0, FAST, Zero())
    assert [method for method, _ in socket.asked] == ["auth.refresh"] * 3
    assert {str(params["refresh_token"]) for _, params in socket.asked} == {"r1"}, "the realm knows the same call again"
    assert accounts.tokens is not None
    assert accounts.tokens.refresh_token == "r2"


async def test_a_refusal_is_final(accounts: Accounts, caplog: pytest.LogCaptureFixture) -> None:
    socket = Socket(Unauthorized(-32000, "no", {"reason": "token_invalid"}))
    with caplog.at_level("WARNING"):
        await renew(accounts, socket.ask, 60.0, FAST, Zero())
    assert len(socket.asked) == 1
    assert "not renewed" in caplog.text
    assert "r1" not in caplog.text


@pytest.mark.parametrize("tokens", [None, Tokens("usr_a", "a1", "", 0.0)])
async def test_without_a_refresh_token(accounts: Accounts, tokens: Tokens | None) -> None:
    accounts.tokens = tokens
    socket = Socket()
    await renew(accounts, socket.ask, 1.0, FAST, Zero())
    assert socket.asked == []


async def test_who_logged_out_meanwhile_stays_so(accounts: Accounts) -> None:
    class LogsOut(Socket):
        async def ask(self, method: str, params: dict[str, Json]) -> Json:
            accounts.tokens = None
            return await super().ask(method, params)

    await renew(accounts, LogsOut(FRESH).ask, 60.0, FAST, Zero())
    assert accounts.tokens is None
