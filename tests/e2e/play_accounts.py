"""Users, tokens and characters of the mock realm: the HTTP API of PROTOCOL.md, in memory."""

from __future__ import annotations

import itertools
import secrets
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

Endpoint = Callable[[Request], Awaitable[Response]]
Json = dict[str, Any]
COMMON = "password1"  # the only one that is known here


class Accounts:
    def __init__(self) -> None:
        self.passwords: dict[str, str] = {}
        self.characters: dict[str, list[Json]] = {}
        self.access: dict[str, str] = {}
        self.refresh_tokens: dict[str, str] = {}
        self.refreshes = 0
        self.sign = False  # whether the realm wants signed messages; this one itself signs nothing
        self.locked: set[str] = set()
        self._ids = itertools.count(1)

    def routes(self) -> list[tuple[str, str, Endpoint]]:
        return [
            ("GET", "/v1/realm", self._realm),
            ("POST", "/v1/auth/register", self._register),
            ("POST", "/v1/auth/login", self._login),
            ("POST", "/v1/auth/refresh", self._refresh),
            ("POST", "/v1/auth/logout", self._logout),
            ("GET", "/v1/characters", self._list),
            ("POST", "/v1/characters", self._create),
        ]

    def user_of(self, token: str) -> str | None:
        return self.access.get(token)

    def expire_access_tokens(self) -> None:
        """Every access token ends now; refresh tokens stay."""
        self.access.clear()

    def character(self, user: str, character_id: str) -> Json | None:
        return next((each for each in self.characters[user] if each["character_id"] == character_id), None)

    async def _register(self, request: Request) -> Response:
        body = await request.json()
        if body["username"] in self.passwords:
            return problem(409, "username_taken", "This username is taken.")
        if len(body["password"]) < 8:
            errors = [{"field": "password", "reason": "shorter than 8 characters"}]
            return problem(422, "invalid_input", "password: shorter than 8 characters", errors=errors)
        if body["password"] == COMMON:
            errors = [{"field": "password", "reason": "is one that is tried first"}]
            return problem(422, "password_too_common", "password: is one that is tried first", errors=errors)
        self.passwords[body["username"]] = body["password"]
        self.characters[body["username"]] = []
        return JSONResponse(self._tokens(body["username"]), status_code=201)

    async def _realm(self, _request: Request) -> Response:
        return JSONResponse({"realm": "mock", "zones": [], "websocket": "/ws", "sign": self.sign})

    async def _login(self, request: Request) -> Response:
        body = await request.json()
        if body["username"] in self.locked:
            return problem(429, "locked", "Locked.", headers={"Retry-After": "30"})
        if self.passwords.get(body["username"]) != body["password"]:
            return problem(401, "bad_credentials", "Wrong username or password.")
        return JSONResponse(self._tokens(body["username"]))

    async def _refresh(self, request: Request) -> Response:
        user = self.refresh_tokens.pop((await request.json())["refresh_token"], None)
        if user is None:
            return problem(401, "token_invalid", "This refresh token is not valid.")
        self.refreshes += 1
        return JSONResponse(self._tokens(user))

    async def _logout(self, request: Request) -> Response:
        self.refresh_tokens.pop((await request.json())["refresh_token"], None)
        return Response(status_code=204)

    async def _list(self, request: Request) -> Response:
        user = self._bearer(request)
        if user is None:
            return problem(401, "token_invalid", "This token is not valid.")
        return JSONResponse({"characters": self.characters[user]})

    async def _create(self, request: Request) -> Response:
        user = self._bearer(request)
        if user is None:
            return problem(401, "token_invalid", "This token is not valid.")
        name = (await request.json())["name"]
        if any(each["name"].lower() == name.lower() for owned in self.characters.values() for each in owned):
            return problem(409, "name_taken", "This name is taken.")
        made = {
            "character_id": f"chr_{next(self._ids)}",
            "name": name,
            "zone": None,
            "position": None,
            "created_at": "",
        }
        self.characters[user].append(made)
        return JSONResponse(made, status_code=201)

    def _bearer(self, request: Request) -> str | None:
        return self.user_of(request.headers.get("Authorization", "").removeprefix("Bearer "))

    def _tokens(self, user: str) -> Json:
        access, refresh = secrets.token_urlsafe(24), secrets.token_urlsafe(24)
        self.access[access] = user
        self.refresh_tokens[refresh] = user
        return {
            "user_id": f"usr_{user}",
            "access_token": access,
            "token_type": "Bearer",
            "expires_in": 900,
            "refresh_token": refresh,
        }


def problem(status: int, reason: str, detail: str, headers: dict[str, str] | None = None, **more: Any) -> Response:
    body = {"type": "about:blank", "title": reason, "status": status, "detail": detail, "reason": reason, **more}
    return JSONResponse(body, status, headers, "application/problem+json")
