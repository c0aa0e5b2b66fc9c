"""JWK sets over HTTP: asynchronous, with one deadline for all of it, so that no identity provider holds a gateway up."""

from __future__ import annotations

import asyncio
import functools
import ssl
import time

import httpx

from cluster.errors import Unavailable
from cluster.security.issuers import MAX_SET_BYTES, Fetch, Issuers
from cluster.settings import Settings
from rayrealm_client.accounts import is_loopback

_HEADERS = {"Accept": "application/jwk-set+json, application/json", "User-Agent": "rayrealm"}


def issuers_of(settings: Settings) -> Issuers:
    """The identity providers of the settings, over HTTP."""
    identity = settings.identity
    return Issuers(identity, fetcher(identity.jwks_timeout_s), time.monotonic, settings.accounts.clock_skew_s)


def fetcher(timeout_s: float) -> Fetch:
    """Reads little more than MAX_SET_BYTES, within `timeout_s`, and follows no redirects. Raises Unavailable for whatever goes
    wrong."""

    async def fetch(url: str) -> bytes:
        try:
            async with asyncio.timeout(timeout_s):
                verify = await asyncio.to_thread(_tls) if url.startswith("https:") else False
                return await _read(url, timeout_s, verify)
        except (TimeoutError, OSError, ValueError, httpx.HTTPError, httpx.InvalidURL):
            raise Unavailable("identity provider") from None

    return fetch


async def _read(url: str, timeout_s: float, verify: ssl.SSLContext | bool) -> bytes:
    body = bytearray()
    async with (
        httpx.AsyncClient(timeout=timeout_s, verify=verify, trust_env=not is_loopback(url), headers=_HEADERS) as client,
        client.stream("GET", url) as answer,
    ):
        if answer.status_code != httpx.codes.OK:
            raise Unavailable("identity provider")
        async for piece in answer.aiter_bytes():
            body += piece
            if len(body) > MAX_SET_BYTES:
                break
    return bytes(body)


@functools.cache
def _tls() -> ssl.SSLContext:
    """The system's certificates: reading them takes a while, hence once, and in a thread."""
    return httpx.create_ssl_context()
