"""A gateway and the web process of one realm, in this process, behind one address."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
import uvicorn
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from cluster.adapters.redis.protection import RedisProtection
from cluster.guarding import tell_change
from cluster.ports.protection import Revocation
from cluster.security_settings import FirewallSettings, IdentitySettings
from cluster.settings import AccountSettings
from cluster.subjects import Subjects
from rayrealm_client.codec import Framing
from serve_apps.accounts.web_app import start
from tests.local_realm import LocalRealm, local_realm
from tests.players import Player

PASSWORD = "correct horse battery"
DEADLINE_S = 10.0
LATE_S = 5.0  # the bound of row 4.1: within it every process knows what is revoked
REFRESH_S = 0.3  # how often processes look at the store


@dataclass
class Rig:
    """`url` is the HTTP API's, and its /ws the gateway's."""

    realm: LocalRealm
    http: httpx.AsyncClient
    url: str

    async def login(self, name: str) -> dict[str, Any]:
        """The tokens of a new account."""
        answer = await self.http.post("/v1/auth/register", json={"username": name, "password": PASSWORD})
        assert answer.status_code == 201, answer.text
        made: dict[str, Any] = answer.json()
        return made

    async def join(self, access_token: str, framing: Framing = "json") -> Player:
        return await Player.open(self.ws, framing, {"Authorization": f"Bearer {access_token}"})

    @property
    def ws(self) -> str:
        return self.url.replace("http", "ws", 1) + "/ws"

    async def refused(self, access_token: str = "", recovery: str = "") -> tuple[int, str]:
        """Status and reason of an upgrade that is refused."""
        headers = {"Authorization": f"Bearer {access_token}"} if access_token else {}
        query = f"?recovery={recovery}" if recovery else ""
        with pytest.raises(InvalidStatus) as caught:
            await connect(self.ws + query, additional_headers=headers, proxy=None)
        answer = caught.value.response
        return answer.status_code, httpx.Response(200, content=bytes(answer.body or b"")).json()["reason"]

    async def api(self, access_token: str) -> tuple[int, str]:
        """Status and reason of a call of the HTTP API."""
        answer = await self.http.get("/v1/characters", headers={"Authorization": f"Bearer {access_token}"})
        return answer.status_code, answer.json().get("reason", "")

    async def api_refuses(self, access_token: str, reason: str) -> None:
        """Raises TimeoutError. The HTTP API learns by itself what the gateways know: it may be later than they are."""
        await eventually(lambda: self._answers(access_token, (401, reason)), LATE_S)

    async def _answers(self, access_token: str, answer: tuple[int, str]) -> bool:
        return await self.api(access_token) == answer

    async def revoke(self, kind: Any, subject: str, before: float | None = None) -> None:
        """As the command does, without it."""
        now = time.time()
        runtime = self.realm.gateway._runtime
        await RedisProtection(runtime.redis, self.realm.settings.namespace).revoke(
            Revocation(kind, subject, now if before is None else before, now + 3_600.0)
        )
        tell_change(runtime.bus, runtime.subjects)

    @property
    def subjects(self) -> Subjects:
        return self.realm.gateway._runtime.subjects


def closed(player: Player) -> Callable[[], bool]:
    return lambda: player.code is not None


def told(player: Player, method: str) -> list[Any]:
    return [notice.params for notice in player.notices if notice.method == method]


async def eventually(true: Callable[[], Awaitable[bool]], deadline_s: float = 5.0) -> None:
    """Raises TimeoutError. Asked again and again: nothing tells when another process has learned something."""
    async with asyncio.timeout(deadline_s):
        while not await true():  # noqa: ASYNC110
            await asyncio.sleep(0.05)


@contextlib.asynccontextmanager
async def web(realm: LocalRealm) -> AsyncIterator[tuple[httpx.AsyncClient, str]]:
    """The web process of a realm; upgrades that come to it are the gateway's (picows_app.install)."""
    app = await start(realm.realm, realm.open)
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(256)
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,  # as Serve starts it (test_tokens_unlogged.py)
        ws="auto",
        http="httptools",
        timeout_graceful_shutdown=1,
    )
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    try:
        async with httpx.AsyncClient(base_url=url, timeout=10, trust_env=False) as client:
            yield client, url
    finally:
        server.should_exit = True
        await serving


@contextlib.asynccontextmanager
async def identity_rig(
    valkey_url: str,
    nats_url: str,
    nats_token: str,
    namespace: str,
    ttl_s: float = 60.0,
    **identity: Any,
) -> AsyncIterator[Rig]:
    """`ttl_s`: of access tokens. `identity`: its settings."""
    accounts = AccountSettings(argon2_memory_kib=8, argon2_time_cost=1, access_ttl_s=ttl_s, clock_skew_s=0.0)
    chosen = {"grace_s": 1.0, "key_lead_s": 0.0, **identity}
    async with (
        local_realm(
            valkey_url,
            nats_url,
            nats_token,
            namespace,
            accounts=accounts,
            identity=IdentitySettings(**chosen),
            firewall=FirewallSettings(refresh_s=REFRESH_S),
        ) as realm,
        web(realm) as (client, url),
    ):
        yield Rig(realm, client, url)
        realm.gateway.hub.stop()
