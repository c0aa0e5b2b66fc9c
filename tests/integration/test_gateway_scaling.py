"""Gateways come and go, other applications are replaced, and nobody who plays is cut off (rows 1.6 and 1.9). On a whole realm."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from pydantic import SecretStr

from cluster.bench.bots import run_bots, watch_recovery
from cluster.bench.crew import Crew
from rayrealm_client.client import RealmClient
from tests.real_realm import RealRealm

pytestmark = [pytest.mark.realm, pytest.mark.slow]

BOTS = 24
SEEDS = itertools.count(61)  # other bots in each test: those of the last are in the world for a while
WALK_DEADLINE_S = 60.0
SETTLE_DEADLINE_S = 60.0
KUBERNETES_S = 30.0
SCALE = """
import asyncio
from cluster import running
from cluster.adapters.serve_scale import scale_from_outside
realm = running.find(running.folder())
asyncio.run(scale_from_outside({**realm.details(), "data": realm.data})("web", "Web", %d))
"""


class Scene:
    """A realm, and bots that walk in it."""

    def __init__(self, realm: RealRealm, crew: Crew) -> None:
        self.realm, self.crew = realm, crew

    async def command(self, *arguments: str) -> str:
        done = await asyncio.to_thread(self.realm.command, *arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout

    async def sockets(self) -> dict[str, int]:
        """Of each gateway."""
        listed = json.loads(await self.command("gateways", "list", "--json"))["gateways"]
        return {gateway["gateway"]: gateway["sockets"] for gateway in listed}

    async def scale_web(self, replicas: int) -> None:
        """Another application gets more or fewer replicas; returns when HAProxy has been started anew for it."""
        proxies = set(self.realm.pids("haproxy"))
        argv = [sys.executable, "-c", SCALE % replicas]
        environment = {**os.environ, **self.realm.environment}
        await asyncio.to_thread(subprocess.run, argv, env=environment, check=True, timeout=60.0, capture_output=True)
        await self.until(lambda: bool(set(self.realm.pids("haproxy")) - proxies))

    async def until(self, true: Callable[[], bool]) -> None:
        until = time.monotonic() + SETTLE_DEADLINE_S
        while not await asyncio.to_thread(true):
            assert time.monotonic() < until
            await asyncio.sleep(0.2)

    async def walk_again(self, since: float) -> None:
        """All of them; nobody logged in anew. How long they saw nothing is for `rayrealm bench drain` to measure."""
        recovery = await watch_recovery(self.crew, since, within_s=1.0, steady_s=3.0, deadline_s=WALK_DEADLINE_S)
        assert recovery.recovered, self.crew.summary()
        assert self.crew.total("logins") == BOTS

    async def a_newcomer_plays(self) -> None:
        async with RealmClient(self.realm.url) as client:
            await client.register(f"new-{secrets.token_hex(6)}", secrets.token_hex(12))
            assert (await client.zones())[0].zone


@asynccontextmanager
async def scene(realm: RealRealm) -> AsyncIterator[Scene]:
    crew, password = Crew(), SecretStr(secrets.token_urlsafe(16))
    running = asyncio.create_task(run_bots(realm.url, BOTS, None, next(SEEDS), password=password, crew=crew))
    try:
        made = Scene(realm, crew)
        async with asyncio.timeout(WALK_DEADLINE_S):
            while len(crew.bots) < BOTS or not crew.all_walking(1.0):  # noqa: ASYNC110 - a crew tells nobody
                await asyncio.sleep(0.1)
        await watch_recovery(crew, crew.clock(), within_s=1.0, steady_s=3.0, deadline_s=WALK_DEADLINE_S)
        yield made
    finally:
        running.cancel()
        await asyncio.wait({running})


async def test_more_gateways_and_another_application_cut_nobody(realm: RealRealm) -> None:
    """HAProxy is started anew at each of these changes; its former processes keep their sockets."""
    async with scene(realm) as made:
        before, since = await made.sockets(), made.crew.clock()
        assert sum(before.values()) == BOTS
        await made.command("gateways", "scale", "3")
        await made.scale_web(2)
        await made.scale_web(1)
        await made.a_newcomer_plays()
        await made.walk_again(since)
        after = await made.sockets()
        assert made.crew.total("reconnects") == 0
        assert {name: after[name] for name in before} == before
        assert len(after) == 3


async def test_fewer_gateways_send_their_clients_elsewhere(realm: RealRealm) -> None:
    """Serve stops a replica: it takes nobody, asks everybody away, and ends in time."""
    async with scene(realm) as made:
        since = made.crew.clock()
        await made.command("gateways", "scale", "1")
        await made.until(lambda: len(realm.pids("gateway")) == 1)
        took = made.crew.clock() - since
        await made.walk_again(since)
        (left,) = (await made.sockets()).values()
        assert left == BOTS
        assert 0 < made.crew.total("reconnects") <= BOTS
        assert took < KUBERNETES_S
        await made.command("gateways", "scale", "2")


async def test_a_drained_gateway_is_empty_and_takes_nobody(realm: RealRealm) -> None:
    async with scene(realm) as made:
        before, since = await made.sockets(), made.crew.clock()
        leaving = max(before, key=lambda name: before[name])
        assert before[leaving] > 0
        told = json.loads(await made.command("drain", "--gateway", leaving, "--json"))["gateways"]
        assert [(one["gateway"], one["sockets"], one["left"]) for one in told] == [(leaving, before[leaving], 0)]
        await made.a_newcomer_plays()
        await made.walk_again(since)
        assert made.crew.total("reconnects") == before[leaving]
        assert (await made.sockets())[leaving] == 0
        pid = next(p["pid"] for p in realm.processes() if p["name"] == leaving)
        os.kill(pid, signal.SIGKILL)  # Serve starts another one
        await made.until(lambda: pid not in realm.pids("gateway") and len(realm.pids("gateway")) == 2)
