"""What of login_guard.py and password_rules.py a client sees."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest
from fastapi import FastAPI

from tests.unit.serve_apps.accounts.test_http import PASSWORD, assert_problem, register


class TestGuesses:
    @pytest.fixture
    async def stranger(self, app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
        transport = httpx.ASGITransport(app, client=("203.0.113.9", 40_000))
        async with httpx.AsyncClient(transport=transport, base_url="http://realm") as http:
            yield http

    @pytest.mark.parametrize("username", ["ada", "nobody", "no name"])
    async def test_locked(self, http: httpx.AsyncClient, stranger: httpx.AsyncClient, username: str) -> None:
        await register(http)
        for _ in range(10):
            answer = await stranger.post("/v1/auth/login", json={"username": username, "password": "wrong horse"})
            assert_problem(answer, 401, "bad_credentials")
        texts = set()
        for password in (PASSWORD, "wrong horse"):
            answer = await stranger.post("/v1/auth/login", json={"username": username, "password": password})
            assert_problem(answer, 429, "locked")
            assert answer.headers["retry-after"] == "30"
            texts.add(answer.text)
        assert len(texts) == 1

    async def test_too_many_attempts(self, stranger: httpx.AsyncClient) -> None:
        for n in range(20):
            answer = await stranger.post("/v1/auth/login", json={"username": f"name-{n}", "password": "wrong horse"})
            assert_problem(answer, 401, "bad_credentials")
        answer = await stranger.post("/v1/auth/login", json={"username": "name-20", "password": "wrong horse"})
        assert_problem(answer, 429, "too_many_attempts")
        assert answer.headers["retry-after"] == "2"

    async def test_too_many_registrations(self, stranger: httpx.AsyncClient) -> None:
        for n in range(20):
            await register(stranger, f"name-{n}")
        answer = await stranger.post("/v1/auth/register", json={"username": "name-20", "password": PASSWORD})
        assert_problem(answer, 429, "too_many_attempts")
        assert answer.headers["retry-after"] == "50"

    async def test_an_address_that_is_only_claimed_changes_nothing(self, stranger: httpx.AsyncClient) -> None:
        answers = [
            await stranger.post(
                "/v1/auth/login",
                json={"username": f"name-{n}", "password": "wrong horse"},
                headers={"X-Forwarded-For": f"198.51.100.{n}", "X-Real-IP": f"198.51.100.{n}"},
            )
            for n in range(21)
        ]
        assert [answer.status_code for answer in answers] == [401] * 20 + [429]

    @pytest.mark.parametrize("password", ["Password1", "ada.lovelace", "aaaaaaaa"])
    async def test_a_common_password(self, http: httpx.AsyncClient, password: str) -> None:
        body = {"username": "ada.lovelace", "password": password}
        problem = assert_problem(await http.post("/v1/auth/register", json=body), 422, "password_too_common")
        assert [error["field"] for error in problem["errors"]] == ["password"]
