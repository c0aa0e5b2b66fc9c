"""ASGI middleware: tells how each request was answered, by the path's template, never by the path."""

from __future__ import annotations

from collections.abc import Callable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

# (route, status, seconds); the route is "" when no route took the request.
Answered = Callable[[str, int, float], None]


class Measured:
    def __init__(self, app: ASGIApp, answered: Answered, clock: Callable[[], float]) -> None:
        self._app = app
        self._answered = answered
        self._clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = self._clock()
        status = 0

        async def watch(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, watch)
        finally:
            if status:  # else the client went away before there was an answer
                route = getattr(scope.get("route"), "path", "")
                self._answered(route, status, self._clock() - started)
