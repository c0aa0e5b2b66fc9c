"""The Redis and the NATS that the launcher of a realm at `--url` started: they can be killed and paused, and that is all."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time

from pydantic import SecretStr

from cluster.adapters.nats_bus import NatsBus
from cluster.adapters.redis.connection import connect, guard
from cluster.chaos.backends import BACK_DEADLINE_S, NATS, PING_PAUSE_S, PING_S, REDIS
from cluster.errors import Ours, Unavailable
from cluster.processes_here import KINDS, tree
from cluster.settings import NatsSettings, RedisSettings

TITLES = {REDIS: "valkey", NATS: "nats"}


class ForeignServers:
    """Implements `backends.Servers`. `launcher`: the pid of `rayrealm up`, whose descendants they are."""

    def __init__(self, launcher: int, redis_url: str, nats_url: str, nats_token: str) -> None:
        self._launcher = launcher
        self._redis = RedisSettings(url=SecretStr(redis_url), timeout_s=PING_S)
        self._nats = NatsSettings(url=SecretStr(nats_url), token=SecretStr(nats_token), timeout_s=PING_S)

    def has(self, name: str) -> bool:
        """Whether the realm runs it itself."""
        return self._pid(name) is not None

    async def kill(self, name: str) -> None:
        self._signal(name, signal.SIGKILL)

    async def back(self, name: str) -> None:
        until = time.monotonic() + BACK_DEADLINE_S
        while not await self._answers(name):
            if time.monotonic() > until:
                raise Ours(f"{name} did not come back in {BACK_DEADLINE_S:g} s")
            await asyncio.sleep(PING_PAUSE_S)

    def pause(self, name: str) -> None:
        self._signal(name, signal.SIGSTOP)

    def resume(self, name: str) -> None:
        self._signal(name, signal.SIGCONT)

    def _pid(self, name: str) -> int | None:
        return next((seen.pid for seen in tree(self._launcher) if KINDS.get(seen.title) == TITLES[name]), None)

    def _signal(self, name: str, number: signal.Signals) -> None:
        pid = self._pid(name)
        if pid is None:
            raise Ours(f"the realm does not run {name} itself")
        with contextlib.suppress(ProcessLookupError):  # it ended meanwhile, and its launcher starts another one
            os.kill(pid, number)

    async def _answers(self, name: str) -> bool:
        try:
            if name == REDIS:
                client = connect(self._redis, "chaos-ping")
                try:
                    async with guard(PING_S):
                        await client.ping()
                finally:
                    await client.aclose()
            else:
                await (await NatsBus.connect(self._nats, "chaos-ping")).close()
        except Unavailable:
            return False
        return True
