"""The console of a realm in this process: the real app on a real socket, over real Valkey and NATS, without Ray.

`async with console_rig(valkey_url, nats_url, nats_token, namespace) as rig:` gives `rig.url` (ends with /console/), `rig.http`,
`await rig.operator("ada", "admin")` (a logged in Visitor) and `rig.cookie(visitor)` for a browser.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
import socket
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pyotp
import uvicorn
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.routing import Mount
from websockets.asyncio.client import ClientConnection, connect

from cluster import operators
from cluster.adapters.redis.operators import RedisOperators
from cluster.operations.model import Registry
from cluster.operator_settings import ConsoleSettings
from cluster.ports.operators import RoleName
from cluster.settings import AccountSettings
from serve_apps.console.access import PLAIN_COOKIE
from serve_apps.console.console_app import start
from tests.local_realm import LocalRealm, local_realm

PASSWORD = "quite a long password"
PREFIX = "/console"
API = f"{PREFIX}/api/v1"
DEADLINE_S = 15.0


@dataclass
class Visitor:
    """An operator with a browser of their own. `key`: of TOTP, "" without."""

    name: str
    http: httpx.AsyncClient
    origin: str
    key: str = ""
    csrf: str = ""

    async def get(self, path: str, **params: Any) -> httpx.Response:
        return await self.http.get(f"{API}/{path}", params=params or None)

    async def post(self, path: str, body: Any = None, **headers: str) -> httpx.Response:
        said = {"Origin": self.origin, "X-CSRF-Token": self.csrf, **headers}
        return await self.http.post(f"{API}/{path}", json={} if body is None else body, headers=said)

    async def login(self, password: str = PASSWORD, code: str = "") -> httpx.Response:
        answer = await self.post("login", {"name": self.name, "password": password, "code": code})
        if answer.status_code == 200:
            self.csrf = answer.json()["csrf"]
        return answer

    async def act(self, name: str, params: dict[str, Any]) -> dict[str, Any]:
        """Orders an action, and waits for its end: the job."""
        answer = await self.post(f"actions/{name}", params)
        assert answer.status_code == 202, answer.text
        job: dict[str, Any] = answer.json()
        async with asyncio.timeout(DEADLINE_S):
            while job["ended_at"] is None:
                await asyncio.sleep(0.02)
                job = (await self.get(f"jobs/{job['id']}")).json()
        return job

    @property
    def cookie(self) -> str:
        return self.http.cookies.get(PLAIN_COOKIE) or ""

    @contextlib.asynccontextmanager
    async def live(self, *topics: str, **options: Any) -> AsyncIterator[ClientConnection]:
        """The live feed, following these topics."""
        url = self.origin.replace("http", "ws", 1) + f"{PREFIX}/ws"
        headers = {"Cookie": f"{PLAIN_COOKIE}={self.cookie}", **options.pop("headers", {})}
        async with connect(
            url, origin=options.pop("origin", self.origin), additional_headers=headers, proxy=None, **options
        ) as link:
            await link.send(json.dumps({"subscribe": topics}))
            yield link


async def told(link: ClientConnection, topic: str) -> Any:
    """The next data of the topic."""
    async with asyncio.timeout(DEADLINE_S):
        while True:
            said = json.loads(await link.recv())
            if said["topic"] == topic:
                return said["data"]


@dataclass
class ConsoleRig:
    """`url`: of the page. `realm.gateway`, `realm.actors` are the realm's own."""

    realm: LocalRealm
    url: str
    app: FastAPI
    _clients: list[httpx.AsyncClient]

    @property
    def origin(self) -> str:
        return self.url.removesuffix(f"{PREFIX}/")

    @property
    def store(self) -> RedisOperators:
        return RedisOperators(self.realm.gateway._runtime.redis, self.realm.settings.namespace)

    async def invite(self, name: str, role: RoleName) -> str:
        """The token of an invitation, as `rayrealm operators invite` makes one."""
        return (await operators.invite(self.store, name, role, "command", time.time(), 600.0)).secret

    def visitor(self, name: str = "nobody") -> Visitor:
        client = httpx.AsyncClient(base_url=self.origin, timeout=10.0, trust_env=False)
        self._clients.append(client)
        return Visitor(name, client, self.origin)

    async def operator(self, name: str, role: RoleName = "admin") -> Visitor:
        """Invited, enrolled and logged in."""
        visitor, token = self.visitor(name), await self.invite(name, role)
        invited = await visitor.post("invitation", {"token": token})
        assert invited.status_code == 200, invited.text
        visitor.key = invited.json()["secret"]
        code = pyotp.TOTP(visitor.key).now() if visitor.key else ""
        accepted = await visitor.post("invitation/accept", {"token": token, "password": PASSWORD, "code": code})
        assert accepted.status_code == 200, accepted.text
        visitor.csrf = accepted.json()["csrf"]
        return visitor

    def cookie(self, visitor: Visitor) -> dict[str, Any]:
        """For Playwright's `context.add_cookies`."""
        return {"name": PLAIN_COOKIE, "value": visitor.cookie, "url": self.url, "httpOnly": True, "sameSite": "Strict"}


@contextlib.asynccontextmanager
async def console(
    realm: LocalRealm,
    operations: Registry | None = None,
    page: Path | None = None,
    lease_s: float = 3.0,
    poll_s: float = 0.1,
    port: int = 0,
) -> AsyncIterator[tuple[FastAPI, str]]:
    """The console's process of a realm, and the address of its page."""
    app = await start(realm.realm, realm.open, operations, page, lease_s, poll_s)
    # Serve's prefix: it strips nothing from the path, and says so in `root_path`.
    under = Starlette(routes=[Mount(PREFIX, app=app)])
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    listener.listen(256)
    config = uvicorn.Config(
        under, log_config=None, ws="websockets-sansio", http="httptools", lifespan="off", timeout_graceful_shutdown=1
    )
    server = uvicorn.Server(config)
    async with app.router.lifespan_context(app):
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            yield app, f"http://127.0.0.1:{listener.getsockname()[1]}{PREFIX}/"
        finally:
            server.should_exit = True
            await serving


@contextlib.asynccontextmanager
async def console_rig(
    valkey_url: str,
    nats_url: str,
    nats_token: str,
    namespace: str = "",
    operations: Registry | None = None,
    page: Path | None = None,
    **overrides: Any,
) -> AsyncIterator[ConsoleRig]:
    """`overrides`: settings of the realm; `console` ones are ConsoleSettings (push_s and samples_s are short by default)."""
    chosen = {"push_s": 0.1, "samples_s": 0.2, **overrides.pop("console", {})}
    overrides.setdefault("accounts", AccountSettings(argon2_memory_kib=8, argon2_time_cost=1))
    namespace = namespace or f"test-{secrets.token_hex(6)}"
    clients: list[httpx.AsyncClient] = []
    overrides.setdefault("telemetry", {"beat_s": 0.2})
    async with (
        local_realm(
            valkey_url, nats_url, nats_token, namespace, console=ConsoleSettings(**chosen), **overrides
        ) as realm,
        console(realm, operations, page) as (app, url),
    ):
        yield ConsoleRig(realm, url, app, clients)
        for client in clients:
            await client.aclose()
        realm.gateway.hub.stop()
