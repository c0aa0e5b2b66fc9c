"""ASGI middleware: tells how each request was answered, by the path's template, never by the path."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from starlette.types import ASGIApp, Message, Receive, Scope, Send

# (route, status, seconds); the route is "" when no route took the request.
Answered = Callable[[str, int, float], None]


class Measured:
    """`plain` are the paths of routes that do not tell their template: one that ends in / stands for all below it."""

    def __init__(self, app: ASGIApp, plain: Sequence[str], answered: Answered, clock: Callable[[], float]) -> None:
        self._app = app
        self._exact = frozenset(path for path in plain if not path.endswith("/"))
        self._below = tuple(path for path in plain if path.endswith("/"))
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
                self._answered(self._route(scope), status, self._clock() - started)

    def _route(self, scope: Scope) -> str:
        route, path = scope.get("route"), scope["path"]
        if route is not None:
            return str(route.path)
        if path in self._exact:
            return str(path)
        return next((prefix for prefix in self._below if path.startswith(prefix)), "")
