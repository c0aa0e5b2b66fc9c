"""ASGI middleware: `request.state.address` is the client's address, `request.state.vouched` whether the edge said so (row 6.1)."""

from __future__ import annotations

from starlette.types import ASGIApp, Receive, Scope, Send

from cluster.security.vouched import address, vouched


class Addressed:
    """`secret`: of the edge (`Realm.edge_secret`), or "" where there is none."""

    def __init__(self, app: ASGIApp, secret: str) -> None:
        self._app = app
        self._secret = secret

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] in ("http", "websocket"):
            headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]]
            peer = scope["client"][0] if scope.get("client") else ""
            state = scope.setdefault("state", {})
            state["address"] = address(headers, peer, self._secret)
            state["vouched"] = vouched(headers, self._secret)
        await self._app(scope, receive, send)
