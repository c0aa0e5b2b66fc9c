"""What the mock console's operators can do to their own login."""

from __future__ import annotations

import itertools
import time
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tests.e2e.console_parts import Params, Refusal

if TYPE_CHECKING:
    from tests.e2e.console_accounts import Account, Logins

NEW_CODE = "654321"  # of the new authenticator
_CELLS = "".join(f"M{x} {y}h1v1h-1z" for x in range(25) for y in range(25) if (x * 7 + y * 5 + x * y) % 3 == 0)
QR = f'<svg xmlns="http://www.w3.org/2000/svg" width="25" height="25"><path d="{_CELLS}"/></svg>'


class OwnLogin:
    def __init__(self, logins: Logins) -> None:
        self._logins = logins
        self._ids = itertools.count(1)
        self._began_at = time.time()

    def routes(self, prefix: str) -> list[Route]:
        posts = {
            "password": self._password,
            "totp": self._factor,
            "totp/confirm": self._confirm,
            "recovery": self._recovery,
            "sessions/end": self._end_sessions,
            "tokens": self._token,
            "tokens/end": self._end_token,
        }
        return [
            Route(f"{prefix}/sessions", self._sessions, methods=["GET"]),
            Route(f"{prefix}/tokens", self._tokens, methods=["GET"]),
            *(Route(f"{prefix}/{path}", run, methods=["POST"]) for path, run in posts.items()),
        ]

    async def _given(self, request: Request, *, coded: bool = False) -> tuple[str, Account, Params]:
        """Whoever asks, after the password and, if `coded`, the code were right."""
        name, given = self._logins.known(request), await request.json()
        account = self._logins.accounts[name]
        if given["password"] != account.password:
            raise Refusal(422, "invalid_input", "password: is wrong")
        if coded and given["code"] != account.code:
            raise Refusal(422, "invalid_input", "code: is wrong, or was used before")
        return name, account, given

    async def _password(self, request: Request) -> Response:
        name, account, given = await self._given(request)
        if len(given["new"]) < 12:
            raise Refusal(422, "invalid_input", "new: must have at least 12 characters")
        account.password = given["new"]
        known = self._logins.by_cookie
        for cookie in [cookie for cookie, who in known.items() if who == name]:
            del known[cookie]
        self._logins.csrf = f"csrf-{next(self._ids)}"
        return self._logins.enter(name)

    async def _factor(self, request: Request) -> Response:
        await self._given(request, coded=True)
        said = {"enrolment": "sealed", "secret": "KRSXG5CTMVRXEZLU", "uri": "otpauth://totp/mock", "qr": QR}
        return JSONResponse(said | {"expires_at": time.time() + 600})

    async def _confirm(self, request: Request) -> Response:
        name, given = self._logins.known(request), await request.json()
        if (given["enrolment"], given["code"]) != ("sealed", NEW_CODE):
            raise Refusal(422, "invalid_input", "code: is wrong: it must be one of the new key")
        self._logins.accounts[name].code = NEW_CODE
        return JSONResponse({"name": name})

    async def _recovery(self, request: Request) -> Response:
        _, account, _ = await self._given(request, coded=True)
        account.recovery_left = 10
        return JSONResponse({"recovery_codes": [f"aaaaa-bbbbb-{n:05d}" for n in range(10)]})

    def _others(self, request: Request) -> list[str]:
        own, name = request.cookies["console"], self._logins.known(request)
        return [cookie for cookie, who in self._logins.by_cookie.items() if who == name and cookie != own]

    async def _sessions(self, request: Request) -> Response:
        cookies = [*self._others(request), request.cookies["console"]]
        times = {"began_at": self._began_at - 3_600, "used_at": self._began_at}
        found = [
            {"id": cookie, "address": f"192.0.2.{n}", "own": cookie == cookies[-1]} | times
            for n, cookie in enumerate(cookies, 1)
        ]
        return JSONResponse({"sessions": found})

    async def _end_sessions(self, request: Request) -> Response:
        wanted = (await request.json()).get("session")
        ending = [cookie for cookie in self._others(request) if wanted in (None, cookie)]
        for cookie in ending:
            del self._logins.by_cookie[cookie]
        return JSONResponse({"ended": len(ending)})

    async def _tokens(self, request: Request) -> Response:
        return JSONResponse({"tokens": self._logins.accounts[self._logins.known(request)].tokens})

    async def _token(self, request: Request) -> Response:
        name, account, given = await self._given(request)
        made = {"id": f"otk_{next(self._ids):016x}", "role": given["role"], "expires_at": time.time() + given["for_s"]}
        account.tokens.append(made | {"label": given["label"], "created_at": time.time()})
        return JSONResponse(made | {"token": f"rrop.{name}.secret"})

    async def _end_token(self, request: Request) -> Response:
        wanted = (await request.json())["token"]
        account = self._logins.accounts[self._logins.known(request)]
        account.tokens = [token for token in account.tokens if token["id"] != wanted]
        return JSONResponse({"ended": 1})
