"""Who may ask the console what: by address, by cookie or token, and from which page (row 7.8).

A cookie comes with whatever a browser sends, so what changes something must also come from the console's own page: its Origin is
the host that was asked (RFC 6454), and it knows the session's CSRF token, which no other page can read. A token for scripts is sent
on purpose, and needs neither.
"""

from __future__ import annotations

import hmac
import math
from collections.abc import Iterable

from starlette.requests import HTTPConnection
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from cluster.errors import Unauthorized
from cluster.security.addresses import Network, within
from serve_apps.console.accounts import OperatorAccounts, Who
from serve_apps.console.refusing import problem_of
from serve_apps.gateway.origins import SELF, Origins

# Only ever sent over TLS, to this host alone, for all of it (draft-ietf-httpbis-rfc6265bis, section 4.1.3.2).
SECURE_COOKIE, PLAIN_COOKIE = "__Host-rayrealm-operator", "rayrealm-operator"
COOKIE_PATH = "/console"
CSRF = "X-CSRF-Token"
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_OWN = Origins((SELF,), needed=True)


class FromHere:
    """ASGI middleware inside of Addressed: `edge.console_from`, as the edge refuses it already. `guarded`: there is an edge, so
    that whoever did not come through it has no address to go by.
    """

    def __init__(self, app: ASGIApp, networks: Iterable[Network], guarded: bool) -> None:
        self._app = app
        self._networks = tuple(networks)
        self._guarded = guarded

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] in ("http", "websocket") and not self._allowed(scope["state"]):
            refused = Unauthorized("console_refused", "the console is not for this address (edge.console_from)")
            await refuse(refused, scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _allowed(self, state: dict[str, object]) -> bool:
        placed = bool(state["vouched"]) or not self._guarded
        return placed and within(str(state["address"]), self._networks)


async def refuse(error: Exception, scope: Scope, receive: Receive, send: Send) -> None:
    """As problem details, of a request or of an upgrade."""
    answer = problem_of(error)
    if scope["type"] == "http":
        await answer(scope, receive, send)
        return
    headers = [(name, value) for name, value in answer.raw_headers if name != b"content-length"]
    await send({"type": "websocket.http.response.start", "status": answer.status_code, "headers": headers})
    await send({"type": "websocket.http.response.body", "body": bytes(answer.body)})


async def who(connection: HTTPConnection, accounts: OperatorAccounts) -> Who:
    """Raises Unauthorized("not_logged_in", "token_invalid", "csrf", "origin_refused"), Unavailable."""
    address = str(connection.scope["state"]["address"])
    kind, _, token = connection.headers.get("authorization", "").partition(" ")
    if kind:
        found = await accounts.by_token(token.strip(), address) if kind.lower() == "bearer" else None
        if found is None:
            raise Unauthorized("token_invalid", "the token is none, or counts no more")
        return found
    upgrade = connection.scope["type"] == "websocket"
    changes = not upgrade and connection.scope["method"] not in SAFE
    if upgrade or changes:
        expect_own_page(connection)
    secret = cookie(connection)
    found = await accounts.by_session(secret, address) if secret else None
    if found is None:
        raise Unauthorized("not_logged_in", "nobody is logged in")
    if changes:
        said = connection.headers.get(CSRF, "")
        if not hmac.compare_digest(said.encode(), found.csrf.encode()):
            raise Unauthorized("csrf", f"{CSRF} is missing, or not this session's")
    return found


def expect_own_page(connection: HTTPConnection) -> None:
    """Raises Unauthorized("origin_refused")."""
    if not _OWN.allow(connection.headers.get("origin"), connection.headers.get("host", "")):
        raise Unauthorized("origin_refused", "this does not come from the console's own page")


def cookie(connection: HTTPConnection) -> str:
    """The session's secret, or "". Over TLS only the cookie counts that nobody could have set in the clear."""
    cookies = connection.cookies
    return cookies.get(SECURE_COOKIE) or ("" if _secure(connection) else cookies.get(PLAIN_COOKIE, ""))


def set_cookie(response: Response, connection: HTTPConnection, secret: str, longest_s: float) -> None:
    secure = _secure(connection)
    response.set_cookie(
        SECURE_COOKIE if secure else PLAIN_COOKIE,
        secret,
        max_age=math.ceil(longest_s),
        path="/" if secure else COOKIE_PATH,
        secure=secure,
        httponly=True,
        samesite="strict",
    )


def end_cookies(response: Response, connection: HTTPConnection) -> None:
    for name, path, secure in ((SECURE_COOKIE, "/", True), (PLAIN_COOKIE, COOKIE_PATH, False)):
        if name in connection.cookies:
            response.delete_cookie(name, path=path, secure=secure, httponly=True, samesite="strict")


def _secure(connection: HTTPConnection) -> bool:
    """The edge says it, or the browser: TLS may end before the edge."""
    vouched = bool(connection.scope["state"]["vouched"])
    forwarded = vouched and connection.headers.get("x-forwarded-proto") == "https"
    own = connection.headers.get("origin", "").lower().startswith("https://")
    return forwarded or own or connection.url.scheme in ("https", "wss")
