"""Who the live feed takes in (serve_apps/console/feed.py)."""

from __future__ import annotations

from typing import Any, cast

from starlette.websockets import WebSocket

from cluster.operations.model import Operator, Role
from cluster.ports.operators import OperatorRecord
from serve_apps.console.accounts import OperatorAccounts, Who
from serve_apps.console.feed import MOST_OF_ONE, Feed, _Reader


def who(name: str) -> Who:
    return Who(Operator(f"operator:{name}", Role.VIEWER, "api"), OperatorRecord(name, "viewer", "g", 0.0, "test"))


class Accounts:
    async def by_token(self, secret: str, address: str) -> Who:
        return who(secret)

    async def still(self, asks: Who) -> bool:
        return True


async def opened(feed: Feed, name: str) -> dict[str, Any]:
    """What an upgrade of that operator is answered first; then the client goes."""
    sent: list[dict[str, Any]] = []
    coming = [{"type": "websocket.connect"}, {"type": "websocket.disconnect", "code": 1000}]

    async def receive() -> Any:
        return coming.pop(0)

    async def send(message: Any) -> None:
        sent.append(message)

    headers = [(b"authorization", b"Bearer " + name.encode())]
    scope = {"type": "websocket", "path": "/ws", "headers": headers, "state": {"address": "127.0.0.1", "vouched": True}}
    await feed.serve(WebSocket(scope, receive, send), cast(OperatorAccounts, Accounts()))
    return sent[0]


async def test_one_operator_does_not_keep_the_others_out() -> None:
    feed = Feed(lambda name, asks: None, 1.0, lambda: 0.0)
    feed._readers |= {_Reader(who("ada")) for _ in range(MOST_OF_ONE)}
    refused = await opened(feed, "ada")
    assert (refused["type"], refused["status"]) == ("websocket.http.response.start", 429)
    assert (await opened(feed, "bob"))["type"] == "websocket.accept"
    assert feed.readers == MOST_OF_ONE
