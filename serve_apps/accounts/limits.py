"""ASGI middleware: what a request may cost at most, and the headers that every answer carries."""

from __future__ import annotations

import asyncio
from http import HTTPStatus

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serve_apps.accounts.problems import problem_of

MAX_BODY_BYTES = 64 * 1024
BODY_DEADLINE_S = 10.0
NO_CONTENT_ALLOWED = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

# The rest of a refused body may still be on its way: nothing else can follow on its connection.
_CLOSE = {"Connection": "close"}


class BodyLimit:
    """Reads a body before anything else happens: at most `max_bytes` (413), within `deadline_s` (408)."""

    def __init__(self, app: ASGIApp, max_bytes: int = MAX_BODY_BYTES, deadline_s: float = BODY_DEADLINE_S) -> None:
        self._app = app
        self._max_bytes = max_bytes
        self._deadline_s = deadline_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            body = await self._read(Headers(scope=scope).get("content-length", ""), receive)
        except HTTPException as refusal:
            await problem_of(refusal)(scope, receive, send)
            return
        if body is not None:
            await self._app(scope, _replay(body, receive), send)

    async def _read(self, declared: str, receive: Receive) -> bytes | None:
        """The body, or None if the client went away. Raises HTTPException."""
        if declared.isdecimal() and int(declared[:20]) > self._max_bytes:
            raise self._too_large()
        body = bytearray()
        try:
            async with asyncio.timeout(self._deadline_s):
                while True:
                    message = await receive()
                    if message["type"] != "http.request":
                        return None
                    body += message.get("body", b"")
                    if len(body) > self._max_bytes:
                        raise self._too_large()
                    if not message.get("more_body", False):
                        return bytes(body)
        except TimeoutError:
            detail = f"the body did not arrive within {self._deadline_s:g} s"
            raise HTTPException(HTTPStatus.REQUEST_TIMEOUT, detail, _CLOSE) from None

    def _too_large(self) -> HTTPException:
        detail = f"a body has at most {self._max_bytes} bytes"
        return HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, detail, _CLOSE)


def _replay(body: bytes, receive: Receive) -> Receive:
    """A `receive` that gives `body` once, and then what really comes: the disconnect."""
    given = False

    async def replay() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay


class DefaultHeaders:
    """Sets what an answer did not set itself: nothing is cached, guessed, framed or told to other sites."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def with_defaults(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.setdefault("Cache-Control", "no-store")
                headers.setdefault("Content-Security-Policy", NO_CONTENT_ALLOWED)
                headers.setdefault("Referrer-Policy", "no-referrer")
                headers.setdefault("X-Content-Type-Options", "nosniff")
            await send(message)

        await self._app(scope, receive, with_defaults if scope["type"] == "http" else send)
