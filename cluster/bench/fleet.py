"""Hundreds of light clients on one gateway of a realm of our own, for what happens when they lose it."""

from __future__ import annotations

import asyncio
import json
import os
import random
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial

from pydantic import SecretStr

from cluster.bench.entrants import each, enlist
from cluster.bench.realm_under_test import Member, RunningRealm, members
from cluster.bench.returning import Decode, Returning
from cluster.errors import Ours
from rayrealm_client import codec
from rayrealm_client.accounts import Accounts, pool
from rayrealm_client.anys import Json

ACCOUNT_S = 60.0
REQUEST_S = 10.0
CONNECT_S = 90.0
COMMAND_S = 60.0
WHOLE_S = 60.0
LOOK_S = 0.5
POLL_S = 0.05
CONNECTING_AT_ONCE = 32
DRAIN_S = 1.0
GATEWAYS = 2
MOVES_OVER = 20  # attempts to get a socket of the other gateway


class Fleet:
    """Use it as `async with`: its clients run until the end. The realm must have two gateways for `gather` and `elsewhere`."""

    def __init__(self, realm: RunningRealm, seed: int, decode: Decode = codec.decode) -> None:
        self.realm = realm
        self._decode = decode
        self.clients: list[Returning] = []
        self.rng = random.Random(seed)  # noqa: S311 - backoff, no secret
        self._running: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Fleet:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
        for client in self.clients:
            client.close()

    async def enlist(self, count: int) -> list[Returning]:
        """Clients with an account and a character each, not connected yet. Raises RealmError of the client."""
        made = dict[int, Returning]()
        users, password = f"fleet-{secrets.token_hex(4)}", SecretStr(secrets.token_urlsafe(16))
        async with pool(self.realm.url, REQUEST_S) as http:

            async def one(number: int) -> None:
                accounts = Accounts(self.realm.url, REQUEST_S, http)
                name = f"{users}-{number}"
                entrant = await enlist(accounts, name, password, number, self.rng, ACCOUNT_S)
                made[number] = Returning(self.realm.url, await accounts.access_token(), self.rng, self._decode)
                made[number].character_id = entrant.character_id

            await each(range(count), one)
        clients = [made[number] for number in range(count)]
        self.clients += clients
        return clients

    def start(self, client: Returning) -> None:
        self._running.append(asyncio.create_task(client.run()))

    async def connect(self, clients: Sequence[Returning], then: Callable[[Returning], Awaitable[None]]) -> None:
        """All of them, some at a time; `then` is done with each as soon as it is there. Raises Ours."""

        async def one(number: int) -> None:
            client = clients[number]
            self.start(client)
            await until(lambda: client.connected, CONNECT_S, f"client {number} is connected", client)
            await then(client)

        await each(range(len(clients)), one, CONNECTING_AT_ONCE)

    async def gather(self, clients: Sequence[Returning], then: Callable[[Returning], Awaitable[None]]) -> Member:
        """All of them on one gateway, which is returned; the other one is new and empty. Raises Ours."""
        other, crowded = await self.gateways()
        await self.drain(other.name, DRAIN_S)  # so that everyone goes to the one that is left
        await self.connect(clients, then)
        os.kill(other.pid, signal.SIGKILL)  # what takes its place takes sockets again
        await self.replaced(other.name, GATEWAYS)
        astray = sum(client.gateway != crowded.name for client in clients)
        if astray:
            raise Ours(f"{astray} clients are not on {crowded.name}")
        return crowded

    async def elsewhere(self, client: Returning, gateway: Member) -> None:
        """A socket of another gateway than this one for the client. Raises Ours."""
        self.start(client)
        for attempt in range(1, MOVES_OVER):
            await until(partial(_connected, client, attempt), CONNECT_S, "a client is connected", client)
            if client.gateway != gateway.name:
                return
            client.move_over()
        raise Ours(f"no socket of another gateway than {gateway.name}")

    # --- the realm's gateways ----------------------------------------------------------------------------------

    async def gateways(self) -> list[Member]:
        listed = await asyncio.to_thread(members, self.realm.url, self.realm.environment)
        return sorted((member for member in listed if member.kind == "gateway"), key=lambda member: member.name)

    async def replaced(self, gone: str, count: int) -> None:
        """Until there are `count` gateways, and `gone` is none of them. Raises Ours."""
        end = time.monotonic() + WHOLE_S
        while True:
            names = [member.name for member in await self.gateways()]
            if len(names) >= count and gone not in names:
                return
            if time.monotonic() > end:
                raise Ours(f"{gone} was not replaced in {WHOLE_S:g} s: {names}")
            await asyncio.sleep(LOOK_S)

    async def drain(self, gateway: str, deadline_s: float) -> dict[str, Json]:
        """`rayrealm drain`, to its end: sockets, left, seconds. Raises Ours."""
        argv = [sys.executable, "-m", "cluster.cli.main", "drain", "--gateway", gateway, "--deadline", str(deadline_s)]
        argv += ["--url", self.realm.url, "--json", "--force"]
        done = await asyncio.to_thread(_command, argv, self.realm.environment)
        if done.returncode:
            raise Ours(f"rayrealm drain: {done.stderr[-2000:].strip()}")
        told: dict[str, Json] = json.loads(done.stdout)["gateways"][0]
        return told


def _connected(client: Returning, times: int) -> bool:
    return client.connects >= times


def _command(argv: list[str], environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 - our own program
        argv, env={**os.environ, **environment}, capture_output=True, text=True, timeout=COMMAND_S, check=False
    )


async def until(true: Callable[[], bool], deadline_s: float, what: str, client: Returning | None = None) -> None:
    """Raises Ours when it did not become true in time, or the client has given up."""
    end = time.monotonic() + deadline_s
    while not true():
        if client is not None and client.ended is not None:
            raise Ours(f"a client gave up: {client.ended}")
        if time.monotonic() > end:
            raise Ours(f"not in {deadline_s:g} s: {what}")
        await asyncio.sleep(POLL_S)
