"""The upgrade request (row 1.1): who asks, for which framing, and why not. Plain Python.

An authentication problem is found here; whether there is room is the hub's to say.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable
from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import parse_qs, urlsplit

import orjson

from rayrealm_client.signing import read_point
from serve_apps.gateway.messages import Framing

TOKEN_PREFIX = "rayrealm.token."  # noqa: S105 - a subprotocol's prefix
RECOVERY_PREFIX = "rayrealm.recovery."
SIGN_PREFIX = "rayrealm.sign."
COOKIE = "rayrealm_token"
SESSION_ID = re.compile(r"ses_[A-Za-z0-9_-]{1,60}")
LAST = re.compile(r"([0-9a-f]{1,16})\.(0|[1-9][0-9]{0,18})")
VERSION = "13"  # of the WebSocket protocol (RFC 6455)
KEY_BYTES = 16


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


NO_SUCH_PATH = Refusal(HTTPStatus.NOT_FOUND, "not_found", "the WebSocket endpoint is /ws")


@dataclass(frozen=True, slots=True)
class Upgrade:
    """A request worth checking. `subprotocol` is what the answer must name, `framing` None when each frame decides.

    `session_id` is "" when none that could exist is asked for; `recovery`: the recovery token, or ""; `stream` and `last`: the
    newest reliable notification that the client has seen. `key` is the client's Sec-WebSocket-Key. `address`: the client's own.
    `sign`: the public key with which it wants to sign messages, or "". `trace`: its traceparent (W3C Trace Context), unchecked.
    """

    token: str
    session_id: str
    recovery: str
    stream: str
    last: int
    framing: Framing | None
    subprotocol: str
    key: str
    address: str = ""
    sign: str = ""
    trace: str = ""

    def handshake(self) -> bytes:
        """The same request with nothing in it but the handshake.

        A WebSocket library may refuse what browsers send: two words in Connection, many headers, long cookies.
        """
        return (
            "GET /ws HTTP/1.1\r\nHost: gateway\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Version: {VERSION}\r\nSec-WebSocket-Key: {self.key}\r\n\r\n"
        ).encode()


def parse_head(head: bytes) -> tuple[str, str, list[tuple[str, str]]]:
    """Method, request target, and the headers with names in lower case. The HTTP server has parsed `head` already."""
    lines = head.decode("latin-1").split("\r\n")
    method, target, _ = lines[0].split(" ", 2)
    headers = [(name.lower(), value.strip()) for name, _, value in (line.partition(":") for line in lines[1:] if line)]
    return method, target, headers


def read(method: str, target: str, headers: Iterable[tuple[str, str]]) -> Upgrade | Refusal:
    """Take an upgrade request apart, that the firewall has let pass."""
    fields: dict[str, str] = {}
    for name, value in headers:
        separator = "; " if name == "cookie" else ", "
        fields[name] = f"{fields[name]}{separator}{value}" if name in fields else value
    try:
        url = urlsplit(target)
    except ValueError:  # "//[": the start of an address that does not end
        return NO_SUCH_PATH
    if url.path.rstrip("/") != "/ws":
        return NO_SUCH_PATH
    key = fields.get("sec-websocket-key", "")
    if method != "GET" or fields.get("sec-websocket-version") != VERSION or not _is_key(key):
        detail = f"a WebSocket handshake is a GET with version {VERSION} and a key"
        return Refusal(HTTPStatus.BAD_REQUEST, "bad_request", detail)
    query = parse_qs(url.query)
    offered = [p.strip() for p in fields.get("sec-websocket-protocol", "").split(",") if p.strip()]
    chosen = next((p for p in offered if p in (f.value for f in Framing)), "")
    token, recovery = _token(fields, offered, query), _recovery(offered, query)
    if not token and not recovery:
        return Refusal(HTTPStatus.UNAUTHORIZED, "token_missing", "an access token is needed")
    session_id = query.get("session", [""])[0]
    if not SESSION_ID.fullmatch(session_id):
        session_id = ""
    seen = query.get("last", [""])[0]
    last = LAST.fullmatch(seen)
    if seen and last is None:
        return Refusal(HTTPStatus.BAD_REQUEST, "bad_sequence", "last is STREAM.SEQ, as session.ready told them")
    stream, seq = (last[1], int(last[2])) if last is not None else ("", 0)
    sign = _sign(offered, query)
    if isinstance(sign, Refusal):
        return sign
    framing = Framing(chosen) if chosen else None
    trace = fields.get("traceparent", "")
    return Upgrade(token, session_id, recovery, stream, seq, framing, chosen, key, sign=sign, trace=trace)


def _sign(offered: list[str], query: dict[str, list[str]]) -> str | Refusal:
    """The first of: subprotocol, query."""
    named = (p.removeprefix(SIGN_PREFIX) for p in offered if p.startswith(SIGN_PREFIX))
    point = next(named, query.get("sign", [""])[0])
    try:
        if point:
            read_point(point)
    except ValueError as error:
        return Refusal(HTTPStatus.BAD_REQUEST, "bad_signing_key", f"sign: {error}")
    return point


def _recovery(offered: list[str], query: dict[str, list[str]]) -> str:
    """The first of: subprotocol, query."""
    for protocol in offered:
        if protocol.startswith(RECOVERY_PREFIX):
            return protocol.removeprefix(RECOVERY_PREFIX)
    return query.get("recovery", [""])[0]


def _is_key(key: str) -> bool:
    """Sixteen bytes in base64 (RFC 6455, section 4.2.1)."""
    try:
        return len(base64.b64decode(key, validate=True)) == KEY_BYTES
    except (binascii.Error, ValueError):
        return False


def _token(fields: dict[str, str], offered: list[str], query: dict[str, list[str]]) -> str:
    """The first of: Authorization, subprotocol, cookie, query."""
    scheme, _, credentials = fields.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and credentials:
        return credentials.strip()
    for protocol in offered:
        if protocol.startswith(TOKEN_PREFIX):
            return protocol.removeprefix(TOKEN_PREFIX)
    for pair in fields.get("cookie", "").split(";"):  # the library's parser gives up at another site's odd cookie
        name, _, value = pair.partition("=")
        if name.strip() == COOKIE and value.strip(' "'):
            return value.strip(' "')
    return query.get("token", [""])[0]
