"""The upgrade request (row 1.1): who asks, for which framing, and why not. Plain Python.

An authentication problem is found here; whether there is room is the hub's to say.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from http import HTTPStatus
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs, urlsplit

import orjson

from serve_apps.gateway.messages import Framing

TOKEN_PREFIX = "rayrealm.token."  # noqa: S105 - a subprotocol's prefix
COOKIE = "rayrealm_token"
MAX_SESSION_ID = 64


@dataclass(frozen=True, slots=True)
class Refusal:
    """An answer instead of an upgrade."""

    status: HTTPStatus
    reason: str
    detail: str
    retry_after_s: int = 0

    def body(self) -> bytes:
        """RFC 9457 problem details."""
        return orjson.dumps(
            {
                "type": f"urn:rayrealm:problem:{self.reason}",
                "title": self.status.phrase,
                "status": self.status.value,
                "detail": self.detail,
                "reason": self.reason,
            }
        )


@dataclass(frozen=True, slots=True)
class Upgrade:
    """A request worth checking. `subprotocol` is what the answer must name, `framing` None when each frame decides."""

    token: str
    session_id: str
    framing: Framing | None
    subprotocol: str


def parse_head(head: bytes) -> tuple[str, list[tuple[str, str]]]:
    """The request target, and the headers with names in lower case. `head` is what the HTTP server has parsed already."""
    lines = head.decode("latin-1").split("\r\n")
    target = lines[0].split(" ")[1]
    headers = [(name.lower(), value.strip()) for name, _, value in (line.partition(":") for line in lines[1:] if line)]
    return target, headers


def read(target: str, headers: Iterable[tuple[str, str]], allowed_origins: tuple[str, ...]) -> Upgrade | Refusal:
    """Take an upgrade request apart."""
    fields: dict[str, str] = {}
    for name, value in headers:
        fields[name] = f"{fields[name]}, {value}" if name in fields else value
    url = urlsplit(target)
    if url.path.rstrip("/") != "/ws":
        return Refusal(HTTPStatus.NOT_FOUND, "not_found", "the WebSocket endpoint is /ws")
    origin = fields.get("origin")
    if origin is not None and "*" not in allowed_origins and origin not in allowed_origins:
        return Refusal(HTTPStatus.FORBIDDEN, "origin_refused", "this origin may not connect")
    query = parse_qs(url.query)
    offered = [p.strip() for p in fields.get("sec-websocket-protocol", "").split(",") if p.strip()]
    chosen = next((p for p in offered if p in (f.value for f in Framing)), "")
    token = _token(fields, offered, query)
    if not token:
        return Refusal(HTTPStatus.UNAUTHORIZED, "token_missing", "an access token is needed")
    session_id = query.get("session", [""])[0][:MAX_SESSION_ID]
    return Upgrade(token, session_id, Framing(chosen) if chosen else None, chosen)


def _token(fields: dict[str, str], offered: list[str], query: dict[str, list[str]]) -> str:
    """The first of: Authorization, subprotocol, cookie, query."""
    scheme, _, credentials = fields.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and credentials:
        return credentials.strip()
    for protocol in offered:
        if protocol.startswith(TOKEN_PREFIX):
            return protocol.removeprefix(TOKEN_PREFIX)
    try:
        cookie = SimpleCookie(fields.get("cookie", "")).get(COOKIE)
    except CookieError:
        cookie = None
    if cookie is not None and cookie.value:
        return cookie.value
    return query.get("token", [""])[0]
