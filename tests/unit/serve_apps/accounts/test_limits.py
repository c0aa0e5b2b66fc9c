from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable

import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import Message, Receive, Scope, Send

from serve_apps.accounts.limits import BodyLimit, DefaultHeaders

LIMIT = 100


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    body = await Request(scope, receive).body()
    await PlainTextResponse(body)(scope, receive, send)


class Call:
    """One request, message by message."""

    def __init__(self, messages: Iterable[Message], headers: dict[str, str] | None = None) -> None:
        self.pending = list(messages)
        self.sent: list[Message] = []
        self.scope: Scope = {
            "type": "http",
            "method": "POST",
            "path": "/",
            "query_string": b"",
            "headers": [(name.encode(), value.encode()) for name, value in (headers or {}).items()],
        }

    async def receive(self) -> Message:
        if not self.pending:
            await asyncio.Event().wait()
        return self.pending.pop(0)

    async def send(self, message: Message) -> None:
        self.sent.append(message)

    async def run(self, deadline_s: float = 5.0) -> None:
        async with asyncio.timeout(10):
            await BodyLimit(echo, LIMIT, deadline_s)(self.scope, self.receive, self.send)

    @property
    def status(self) -> int:
        return int(self.sent[0]["status"])

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.sent)


def chunks(*bodies: bytes) -> list[Message]:
    last = len(bodies) - 1
    return [{"type": "http.request", "body": body, "more_body": n < last} for n, body in enumerate(bodies)]


class TestBodyLimit:
    async def test_a_body_arrives_whole(self) -> None:
        call = Call(chunks(b"a" * 40, b"b" * 60))
        await call.run()
        assert (call.status, call.body) == (200, b"a" * 40 + b"b" * 60)

    @pytest.mark.parametrize("bodies", [(b"a" * 101,), (b"a" * 60, b"b" * 41), tuple([b"x"] * 101)])
    async def test_one_byte_too_many(self, bodies: tuple[bytes, ...]) -> None:
        call = Call(chunks(*bodies))
        await call.run()
        assert call.status == 413
        assert json.loads(call.body)["reason"] == "too_large"
        assert (b"connection", b"close") in call.sent[0]["headers"]

    @pytest.mark.parametrize("declared", ["101", "9" * 30])
    async def test_a_declared_length_is_refused_before_anything_is_read(self, declared: str) -> None:
        call = Call([], {"content-length": declared})
        await call.run()
        assert call.status == 413

    async def test_a_slow_body(self) -> None:
        call = Call(chunks(b"a", b"b")[:1])
        await call.run(deadline_s=0.01)
        assert call.status == 408
        assert json.loads(call.body)["reason"] == "request_timeout"

    async def test_a_client_that_goes_away_gets_nothing(self) -> None:
        call = Call([*chunks(b"a", b"b")[:1], {"type": "http.disconnect"}])
        await call.run()
        assert call.sent == []

    async def test_the_app_still_learns_of_a_disconnect(self) -> None:
        call = Call([*chunks(b"a"), {"type": "http.disconnect"}])
        seen: list[str] = []

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            seen.extend([(await receive())["type"], (await receive())["type"]])

        await BodyLimit(app, LIMIT)(call.scope, call.receive, call.send)
        assert seen == ["http.request", "http.disconnect"]

    async def test_other_scopes_pass(self) -> None:
        seen: list[str] = []

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            seen.append(scope["type"])

        call = Call([])
        await BodyLimit(app)({"type": "lifespan"}, call.receive, call.send)
        assert seen == ["lifespan"]


class TestDefaultHeaders:
    async def headers(self, own: dict[str, str]) -> dict[str, str]:
        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await PlainTextResponse("x", headers=own)(scope, receive, send)

        call = Call([])
        await DefaultHeaders(app)(call.scope, call.receive, call.send)
        return {name.decode(): value.decode() for name, value in call.sent[0]["headers"]}

    async def test_what_is_not_said(self) -> None:
        headers = await self.headers({})
        assert headers["cache-control"] == "no-store"
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["content-security-policy"].startswith("default-src 'none'")

    async def test_what_is_said_stays(self) -> None:
        headers = await self.headers({"Cache-Control": "no-cache"})
        assert headers["cache-control"] == "no-cache"
