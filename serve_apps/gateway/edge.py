"""What a gateway tells the proxy before it, so that a client hears of a full or leaving gateway as late as possible (row 1.6).

HAProxy behind `cluster/haproxy.py` marks its requests. A refusal that another gateway may not share goes to it as 425 (RFC 8470:
not processed, try again), which it tries elsewhere, and shows as 503 if nobody has room. Its health checks fail meanwhile, so
that new sockets go elsewhere in the first place; open ones are left alone.

It also says whose address a request has: `address` (row 6.1).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from http import HTTPStatus
from typing import Any

from cluster.security.vouched import MARK
from cluster.security.vouched import address as address
from serve_apps.gateway.upgrade import Refusal

HEALTH = "/-/healthz"
ELSEWHERE = frozenset({"full", "draining", "busy"})

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]


def status(refusal: Refusal, headers: Iterable[tuple[str, str]]) -> HTTPStatus:
    """The status line's code for a refusal; its body stays the same. `headers`: of the request, names in lower case."""
    if refusal.reason in ELSEWHERE and any(name == MARK for name, _ in headers):
        return HTTPStatus.TOO_EARLY
    return refusal.status


class HealthGate:
    """ASGI middleware before Serve's own health check. `room` says why no socket is taken at the moment, if so."""

    def __init__(self, app: App, room: Callable[[], Refusal | None]) -> None:
        self._app = app
        self._room = room

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        refusal = self._room() if scope["type"] == "http" and scope["path"] == HEALTH else None
        if refusal is None:
            await self._app(scope, receive, send)
            return
        body = refusal.reason.encode()
        headers = [(b"content-type", b"text/plain"), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": refusal.status.value, "headers": headers})
        await send({"type": "http.response.body", "body": body})
