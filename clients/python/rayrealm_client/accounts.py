"""The HTTP API: accounts and characters (PROTOCOL.md, "HTTP API")."""

from __future__ import annotations

import asyncio
import functools
import ipaddress
import json
import ssl
import time
from typing import Any, Self
from urllib.parse import urlsplit

import httpx

from rayrealm_client.errors import CodecError, DeadlineExceeded, HttpProblem, NotConnected, Unauthorized
from rayrealm_client.models import Character, Tokens

REFRESH_MARGIN_S = 40.0  # more than a realm's identity.grace_s, within which a token opens no socket


def is_loopback(url: str) -> bool:
    """A proxy from the environment is of no use for a server on this machine."""
    host = urlsplit(url).hostname or ""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


@functools.cache
def _tls() -> ssl.SSLContext:
    return httpx.create_ssl_context()  # takes longer than most calls: one for all


def pool(base_url: str, timeout_s: float) -> httpx.AsyncClient:
    """Connections to a realm's HTTP API."""
    return httpx.AsyncClient(base_url=base_url, timeout=timeout_s, trust_env=not is_loopback(base_url), verify=_tls())


class Accounts:
    """Calls that need no socket, and the tokens of one user. Each call has a deadline of `timeout_s`.

    Raises HttpProblem for an answer that is an error, DeadlineExceeded, NotConnected when nobody listens.
    """

    def __init__(self, base_url: str, timeout_s: float, http: httpx.AsyncClient | None = None) -> None:
        """`http`: a connection pool of `pool` that several share; whoever made it closes it."""
        self.tokens: Tokens | None = None
        self._timeout_s = timeout_s
        self.renewing = asyncio.Lock()  # held while the refresh token is used
        self._shared = http is not None
        self._http = http or pool(base_url, timeout_s)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.close()

    async def close(self) -> None:
        if not self._shared:
            await self._http.aclose()

    async def register(self, username: str, password: str) -> Tokens:
        """Raises HttpProblem: `username_taken`, `password_too_common`, `invalid_input`, `too_many_attempts`."""
        return await self._sign_in("register", username, password)

    async def login(self, username: str, password: str) -> Tokens:
        """Raises HttpProblem: `bad_credentials`, and `locked` or `too_many_attempts` with `retry_after_s`."""
        return await self._sign_in("login", username, password)

    async def change_password(self, current: str, new: str) -> Tokens:
        """Every login of the user's ends, on every device; these tokens are of a new one.

        Raises HttpProblem: `bad_credentials`, `password_too_common`, `locked`, `too_many_attempts`.
        """
        # Not repeated with a newer token after a 401: a wrong password would be a second wrong guess.
        token = await self.access_token()
        # The socket ends before the answer comes: what connects it again waits for the new tokens.
        async with self.renewing:
            body = await self._call("POST", "/v1/auth/password", {"current": current, "new": new}, token)
            self.tokens = Tokens.of(body, time.monotonic())
            return self.tokens

    async def logout(self) -> None:
        """Ends the refresh token's family; without tokens it does nothing."""
        tokens, self.tokens = self.tokens, None
        if tokens is not None:
            await self._call("POST", "/v1/auth/logout", {"refresh_token": tokens.refresh_token})

    async def access_token(self, *, newer_than: str | None = None) -> str:
        """A token that is good for a while yet; `newer_than` names one that was refused.

        Raises Unauthorized without a login, HttpProblem when the refresh token is no longer good.
        """
        async with self.renewing:  # a refresh token works once
            if self.tokens is None:
                raise Unauthorized(-32000, "not logged in", {"reason": "token_missing"})
            refused = newer_than == self.tokens.access_token
            if refused or self.tokens.expires_at - time.monotonic() < REFRESH_MARGIN_S:
                if not self.tokens.refresh_token:
                    raise Unauthorized(-32000, "the access token has ended", {"reason": "token_expired"})
                body = await self._call("POST", "/v1/auth/refresh", {"refresh_token": self.tokens.refresh_token})
                self.tokens = Tokens.of(body, time.monotonic())
            return self.tokens.access_token

    async def characters(self) -> list[Character]:
        body = await self._authorised("GET", "/v1/characters")
        return [Character.of(item) for item in body.get("characters", [])]

    async def create_character(self, name: str) -> Character:
        return Character.of(await self._authorised("POST", "/v1/characters", {"name": name}))

    async def delete_character(self, character_id: str) -> None:
        await self._authorised("DELETE", f"/v1/characters/{character_id}")

    async def _sign_in(self, what: str, username: str, password: str) -> Tokens:
        body = await self._call("POST", f"/v1/auth/{what}", {"username": username, "password": password})
        self.tokens = Tokens.of(body, time.monotonic())
        return self.tokens

    async def _authorised(self, method: str, path: str, body: object = None) -> dict[str, Any]:
        token = await self.access_token()
        try:
            return await self._call(method, path, body, token)
        except HttpProblem as problem:
            if problem.status != 401:
                raise
        return await self._call(method, path, body, await self.access_token(newer_than=token))

    async def _call(self, method: str, path: str, body: object = None, token: str | None = None) -> dict[str, Any]:
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        try:
            async with asyncio.timeout(self._timeout_s):
                answer = await self._http.request(method, path, json=body, headers=headers)
        except (TimeoutError, httpx.TimeoutException) as error:
            raise DeadlineExceeded(f"{method} {path}: no answer in {self._timeout_s} s") from error
        except httpx.TransportError as error:
            raise NotConnected(f"{method} {path}: {error or type(error).__name__}") from error
        if answer.is_success:
            return _parsed(answer.content) if answer.content else {}
        raise problem_of(answer.status_code, answer.content, answer.headers.get("Retry-After"))


def problem_of(status: int, content: bytes, retry_after: str | None) -> HttpProblem:
    """The problem an error answer describes; a proxy's own error has no body that helps."""
    try:
        body = _parsed(content)
    except CodecError:
        body = {}
    reason = str(body.get("reason") or f"http_{status}")
    detail = str(body.get("detail") or body.get("title") or "")
    try:
        wait = max(0.0, float(retry_after or 0))
    except ValueError:  # an HTTP date: the backoff will do
        wait = 0.0
    return HttpProblem(status, reason, detail, wait)


def _parsed(content: bytes) -> dict[str, Any]:
    try:
        body = json.loads(content)
    except (ValueError, UnicodeDecodeError, RecursionError) as error:
        raise CodecError("the answer is no JSON") from error
    if not isinstance(body, dict):
        raise CodecError("the answer is no JSON object")
    return body
