"""The operations of a realm over its HTTP API (row 7.8), for commands that are given RAYREALM_TOKEN and an address."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from ipaddress import ip_address
from typing import Any, Self
from urllib.parse import urlsplit

import httpx

from cluster.errors import (
    Conflict,
    InvalidInput,
    InvalidState,
    NotFound,
    Ours,
    RateLimited,
    RealmError,
    StartRefused,
    Theirs,
    Unauthorized,
    Unavailable,
)
from cluster.operations.model import Preview

TOKEN = "RAYREALM_TOKEN"  # noqa: S105 - the name of a variable
PLAIN = "RAYREALM_TOKEN_OVER_HTTP"  # "1": this network is trusted
API = "/console/api/v1"
TIMEOUT_S = 30.0
PAUSE_S = 0.25  # between looks at a job
PATIENCE_S = 30.0  # the console may be restarting: its next process goes on with the job

Say = Callable[[str, float], None]


class Remote:
    """Implements cluster.cli.desk.Shell. Refusals are RFC 9457 problem details, and become the errors that they were."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http

    @classmethod
    @asynccontextmanager
    async def opened(cls, url: str | None, token: str) -> AsyncIterator[Self]:
        """Raises StartRefused without an address, and if everybody on the way there could read the token."""
        if not url:
            raise StartRefused(f"{TOKEN} is for a realm at an address: say --url or RAYREALM_URL")
        if readable(url) and os.environ.get(PLAIN) != "1":
            raise StartRefused(
                f"{url} is no https: whoever is on the way could read {TOKEN}. {PLAIN}=1 sends it all the same"
            )
        async with httpx.AsyncClient(
            base_url=url.rstrip("/") + API,
            headers={"Authorization": f"Bearer {token}"},
            timeout=TIMEOUT_S,
            verify=httpx.create_ssl_context(),
            trust_env=False,
        ) as http:
            yield cls(http)

    async def look(self, name: str, params: Mapping[str, Any]) -> dict[str, Any]:
        query = {key: value for key, value in params.items() if value is not None}
        return await self._ask("GET", f"/{name.replace('.', '/')}", params=query)

    async def preview(self, name: str, params: Mapping[str, Any]) -> Preview:
        plan = await self._ask("POST", f"/actions/{name}/plan", json=dict(params))
        return Preview(tuple(plan["steps"]), tuple(plan["warnings"]))

    async def act(self, name: str, params: Mapping[str, Any], say: Say, wait_s: float | None) -> dict[str, Any]:
        job = await self._ask("POST", f"/actions/{name}", json=dict(params))
        try:
            async with asyncio.timeout(wait_s):
                return await self._ended(str(job["id"]), say)
        except asyncio.CancelledError:
            await self._cancel(str(job["id"]), say)
            raise

    async def _ended(self, job_id: str, say: Say) -> dict[str, Any]:
        told = 0
        while True:
            job = await self._patiently(f"/jobs/{job_id}")
            for step in job["steps"][told:]:
                say(step["text"], job["done"])
            told = len(job["steps"])
            if job["state"] == "done":
                return dict(job["result"] or {})
            if job["state"] in ("failed", "cancelled"):
                raise Ours(f"{job['state']}: {job['error']}" if job["error"] else job["state"])
            await asyncio.sleep(PAUSE_S)

    async def _patiently(self, path: str) -> dict[str, Any]:
        loop = asyncio.get_running_loop()
        until = loop.time() + PATIENCE_S
        while True:
            try:
                return await self._ask("GET", path)
            except Unavailable:
                if loop.time() > until:
                    raise
            await asyncio.sleep(PAUSE_S)

    async def _cancel(self, job_id: str, say: Say) -> None:
        try:
            await self._ask("POST", f"/jobs/{job_id}/cancel")
            say("cancelled", 0.0)
        except RealmError as error:
            say(f"not cancelled: {error}", 0.0)

    async def _ask(self, method: str, path: str, **more: Any) -> dict[str, Any]:
        try:
            answer = await self._http.request(method, path, **more)
            said = answer.json() if answer.content else {}
        except (httpx.TransportError, ValueError) as error:
            raise Unavailable(str(self._http.base_url.host)) from error
        if answer.is_success and isinstance(said, dict):
            return said
        raise refusal(answer.status_code, said if isinstance(said, dict) else {})


def readable(url: str) -> bool:
    """Whether others could read what is sent there: it goes to another machine without TLS."""
    try:
        parts = urlsplit(url)
        host = (parts.hostname or "").rstrip(".")
    except ValueError:
        return True
    if parts.scheme == "https":
        return False
    if host == "localhost" or host.endswith(".localhost"):  # RFC 6761, section 6.3
        return False
    try:
        return not ip_address(host).is_loopback
    except ValueError:
        return True


def refusal(status: int, problem: Mapping[str, Any]) -> RealmError:
    """The error that a problem details object tells of."""
    reason = str(problem.get("reason", "") or f"status_{status}")
    message = str(problem.get("detail") or problem.get("title") or reason)
    match status:
        case 400 | 422 if problem.get("errors"):
            return InvalidInput([(str(e.get("field", "")), str(e.get("reason", ""))) for e in problem["errors"]])
        case 401 | 403:
            return Unauthorized(reason, message)
        case 404:
            return NotFound(reason, message)
        case 409 if "state" in problem:
            return InvalidState(reason, str(problem["state"]))
        case 409:
            return Conflict(reason, dict(problem.get("current") or {}))
        case 429:
            return RateLimited(reason, float(problem.get("retry_after_s") or 1.0))
        case 502 | 503 | 504:
            return Unavailable("the realm's console", float(problem.get("retry_after_s") or 1.0))
        case _ if status < 500:
            return Theirs(reason, message)
        case _:
            return Ours(message)
