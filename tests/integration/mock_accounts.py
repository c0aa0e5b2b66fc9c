"""The HTTP API of the mock realm: accounts and characters, in memory."""

from __future__ import annotations

import itertools
from typing import Any


class MockAccounts:
    def __init__(self) -> None:
        self.users: dict[str, str] = {}
        self.characters: dict[str, list[dict[str, Any]]] = {}
        self.tokens: dict[str, str] = {}  # access token -> user
        self.refresh_is_good = True
        self.expires_in = 900
        self.refreshed = 0
        self._refresh: dict[str, str] = {}
        self._count = itertools.count(1)

    def answer(
        self, method: str, target: str, headers: dict[str, str], body: dict[str, Any]
    ) -> tuple[int, dict[str, Any] | None]:
        if target in ("/v1/auth/register", "/v1/auth/login"):
            name, password = body["username"], body["password"]
            if target.endswith("register"):
                if name in self.users:
                    return 409, {"status": 409, "reason": "username_taken", "detail": "taken"}
                self.users[name] = password
                return 201, self._issue(name)
            if self.users.get(name) != password:
                return 401, {"status": 401, "reason": "bad_credentials", "detail": "no"}
            return 200, self._issue(name)
        if target == "/v1/auth/refresh":
            user = self._refresh.pop(body["refresh_token"], None)
            if user is None or not self.refresh_is_good:
                return 401, {"status": 401, "reason": "token_invalid", "detail": "used"}
            self.refreshed += 1
            return 200, self._issue(user)
        if target == "/v1/auth/logout":
            self._refresh.pop(body["refresh_token"], None)
            return 204, None
        owner = self.tokens.get(headers.get("authorization", "").removeprefix("bearer "))
        if owner is None:
            return 401, {"status": 401, "reason": "token_expired", "detail": "old"}
        mine = self.characters.setdefault(owner, [])
        if method == "GET":
            return 200, {"characters": mine}
        if method == "POST":
            made = {"character_id": f"chr_{next(self._count)}", "name": body["name"]}
            made |= {"zone": None, "position": None, "created_at": 0}
            mine.append(made)
            return 201, made
        self.characters[owner] = [c for c in mine if not target.endswith(c["character_id"])]
        found = len(self.characters[owner]) < len(mine)
        return (204, None) if found else (404, {"status": 404, "reason": "not_found", "detail": "no"})

    def _issue(self, user: str) -> dict[str, Any]:
        access, refresh = f"access-{next(self._count)}", f"refresh-{next(self._count)}"
        self.tokens[access], self._refresh[refresh] = user, user
        user_id = f"usr_{user}"
        kind = {"token_type": "Bearer", "expires_in": self.expires_in}
        return {"user_id": user_id, "access_token": access, "refresh_token": refresh} | kind
