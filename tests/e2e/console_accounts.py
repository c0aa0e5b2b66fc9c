"""The mock console's operators: logins with a second factor, and invitations."""

from __future__ import annotations

import itertools
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from starlette.requests import HTTPConnection, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tests.e2e.console_own_login import QR, OwnLogin
from tests.e2e.console_parts import Params, Refusal

PASSWORD = "a long walk home"
CODE = "123456"
CSRF = "csrf-of-the-mock"
ROLES = {"viewer": 1, "operator": 2, "admin": 3}


@dataclass(slots=True)
class Account:
    role: str
    password: str = PASSWORD
    code: str = CODE
    recovery_left: int = 10
    tokens: list[Params] = field(default_factory=list)


class Logins:
    """`operations`: each one's role. `by_cookie`: whom each belongs to; without them nobody is logged in."""

    def __init__(self, operations: Mapping[str, str]) -> None:
        self.operations = operations
        self.accounts = {"ada": Account("admin"), "olga": Account("operator"), "vera": Account("viewer")}
        self.invited: dict[str, tuple[str, str]] = {"token-of-ivy": ("ivy", "operator")}
        self.by_cookie: dict[str, str] = {}
        self.csrf = CSRF
        self._ids = itertools.count(1)

    def routes(self, api: str) -> list[Route]:
        return [
            Route(f"{api}/login", self._welcome, methods=["GET"]),
            Route(f"{api}/login", self._login, methods=["POST"]),
            Route(f"{api}/logout", self._logout, methods=["POST"]),
            Route(f"{api}/me", self._me),
            Route(f"{api}/invitation", self._invitation, methods=["POST"]),
            Route(f"{api}/invitation/accept", self._accept, methods=["POST"]),
            *OwnLogin(self).routes(f"{api}/account"),
        ]

    def known(self, request: HTTPConnection) -> str:
        name = self.by_cookie.get(request.cookies.get("console", ""))
        if name is None:
            raise Refusal(401, "not_logged_in", "Nobody is logged in.")
        if (
            isinstance(request, Request)
            and request.method == "POST"
            and request.headers.get("x-csrf-token") != self.csrf
        ):
            raise Refusal(403, "csrf", "The request does not come from the console's page.")
        return name

    def may(self, name: str, operation: str) -> bool:
        return ROLES[self.accounts[name].role] >= ROLES[self.operations[operation]]

    def _told(self, name: str) -> Params:
        allowed = [each for each in self.operations if self.may(name, each)]
        return {
            "name": name,
            "role": self.accounts[name].role,
            "csrf": self.csrf,
            "mfa": True,
            "recovery_left": self.accounts[name].recovery_left,
            "expires_at": time.time() + 28_800,
            "idle_s": 1_800.0,
            "operations": allowed,
            "now": time.time(),
        }

    def enter(self, name: str, more: Params | None = None) -> Response:
        cookie = f"cookie-{next(self._ids)}"
        self.by_cookie[cookie] = name
        response = JSONResponse(self._told(name) | (more or {}))
        response.set_cookie("console", cookie, httponly=True, samesite="strict", path="/console")
        return response

    async def _login(self, request: Request) -> Response:
        given = await request.json()
        account = self.accounts.get(given["name"])
        if account is None or account.password != given["password"]:
            raise Refusal(401, "credentials_wrong", "the name or the password is wrong")
        if not given.get("code"):
            raise Refusal(401, "code_needed", "a code is needed too")
        if given["code"] != account.code:
            raise Refusal(401, "code_wrong", "the code is wrong, or was used before")
        return self.enter(given["name"])

    async def _logout(self, request: Request) -> Response:
        self.known(request)
        self.by_cookie.pop(request.cookies["console"])
        return JSONResponse({})

    async def _welcome(self, request: Request) -> Response:
        return JSONResponse({"realm": "mock", "mfa": True, "min_password": 12})

    async def _me(self, request: Request) -> Response:
        return JSONResponse(self._told(self.known(request)))

    async def _invitation(self, request: Request) -> Response:
        token = (await request.json())["token"]
        if token not in self.invited:
            raise Refusal(404, "invitation_unknown", "This invitation was used already, or is too old.")
        name, role = self.invited[token]
        said = {"name": name, "role": role, "expires_at": time.time() + 86_400, "qr": QR}
        return JSONResponse(said | {"secret": "JBSWY3DPEHPK3PXP", "uri": "otpauth://totp/mock", "min_password": 12})

    async def _accept(self, request: Request) -> Response:
        given = await request.json()
        if len(given["password"]) < 12:
            raise Refusal(422, "password_weak", "The password is too short: at least 12 characters.")
        if given["code"] != CODE:
            raise Refusal(401, "code_wrong", "The code is wrong, or was used before.")
        name, role = self.invited.pop(given["token"])
        self.accounts[name] = Account(role, given["password"])
        return self.enter(name, {"recovery_codes": [f"{n:04d}-{n * 7:04d}-{n * 13:04d}" for n in range(1001, 1011)]})
