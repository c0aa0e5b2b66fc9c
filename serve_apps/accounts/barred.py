"""ASGI middleware: banned addresses get nothing of the HTTP API (row 6.1), as they get no socket."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus

from starlette.types import ASGIApp, Receive, Scope, Send

from serve_apps.accounts.problems import problem

REASON = "address_banned"


class Barred:
    """Inside of `Addressed`, whose word for the address counts. `banned(address)` returns at once."""

    def __init__(self, app: ASGIApp, banned: Callable[[str], bool]) -> None:
        self._app = app
        self._banned = banned

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and self._banned(scope["state"]["address"]):
            refusal = problem(HTTPStatus.FORBIDDEN, REASON, "this address may not connect")
            await refusal(scope, receive, send)
            return
        await self._app(scope, receive, send)
