"""The Redis and the NATS of a realm under test: servers of our own behind proxies, or those that a foreign realm has."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from cluster.chaos.proxy import LOOPBACK
from cluster.datafolder import DataFolder
from cluster.embedded import EmbeddedServer, NotReadyError, nats, valkey
from cluster.errors import Ours
from cluster.fate import tied

REDIS, NATS = "redis", "nats"
PING_S = 1.0
PING_PAUSE_S = 0.01
BACK_DEADLINE_S = 30.0
PROXY_DEADLINE_S = 10.0

Say = Callable[[str], None]


class Servers(Protocol):
    """What can be done to a realm's servers; `name` is REDIS or NATS."""

    async def kill(self, name: str) -> None:
        """kill -9. It comes back by itself, but nobody gets to it before `back`, where that can be held."""

    async def back(self, name: str) -> None:
        """Return as soon as it can be used again. Raises Ours after BACK_DEADLINE_S."""

    def pause(self, name: str) -> None:
        """SIGSTOP."""

    def resume(self, name: str) -> None:
        """SIGCONT. Harmless where it is not stopped."""


class Proxies:
    """The process of `cluster/chaos/proxy.py`. `ports`: where to connect to, by name."""

    def __init__(self, targets: dict[str, int]) -> None:
        argv = [sys.executable, "-m", "cluster.chaos.proxy", *(f"{name}={port}" for name, port in targets.items())]
        self._process = subprocess.Popen(  # noqa: S603 - our own program
            tied(argv, os.getpid()), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
        )
        self.ports: dict[str, int] = self._answer()

    def tell(self, name: str, do: str, **more: float) -> dict[str, Any]:
        """A command of `proxy.obey`, done when it returns. Raises Ours when the process has ended."""
        if self._process.stdin is None:
            raise Ours("the proxies cannot be told anything")
        try:
            self._process.stdin.write(json.dumps({"proxy": name, "do": do, **more}) + "\n")
            self._process.stdin.flush()
        except OSError as error:
            raise Ours(f"the proxies have ended: {error}") from error
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        line = self._process.stdout.readline() if self._process.stdout is not None else ""
        if not line:
            raise Ours("the proxies have ended")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def stop(self) -> None:
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            self._process.wait(PROXY_DEADLINE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()


class OwnServers:
    """Made by `own_servers`. `direct_...` go past the proxies, for whoever watches."""

    def __init__(self, servers: dict[str, EmbeddedServer], proxies: Proxies, redis_url: str, nats_token: str) -> None:
        self.direct_redis = redis_url
        self.direct_nats = f"nats://{LOOPBACK}:{servers[NATS].port}"
        self.nats_token = nats_token
        self._servers = servers
        self._proxies = proxies

    def config(self) -> str:
        """Sections of realm.toml: the realm connects to the proxies."""
        ports = self._proxies.ports
        redis = self.direct_redis.replace(f":{self._servers[REDIS].port}/", f":{ports[REDIS]}/")
        return f"""
[redis]
url = "{redis}"

[nats]
url = "nats://{LOOPBACK}:{ports[NATS]}"
token = "{self.nats_token}"
"""

    async def kill(self, name: str) -> None:
        self._proxies.tell(name, "refuse")
        pid = self._servers[name].pid
        if pid is not None:
            os.kill(pid, signal.SIGKILL)

    async def back(self, name: str) -> None:
        server = self._servers[name]
        until = time.monotonic() + BACK_DEADLINE_S
        while not await asyncio.to_thread(_answers, server):
            if time.monotonic() > until:
                raise Ours(f"{name} did not come back in {BACK_DEADLINE_S:g} s")
            await asyncio.sleep(PING_PAUSE_S)
        self._proxies.tell(name, "admit")

    def pause(self, name: str) -> None:
        self._signal(name, signal.SIGSTOP)

    def resume(self, name: str) -> None:
        self._signal(name, signal.SIGCONT)

    def cut(self, name: str) -> int:
        """How many connections there were."""
        return int(self._proxies.tell(name, "cut")["cut"])

    def slow(self, name: str, delay_s: float) -> None:
        """Every answer so late; 0 ends it."""
        self._proxies.tell(name, "delay", delay_s=delay_s)

    def _signal(self, name: str, number: signal.Signals) -> None:
        pid = self._servers[name].pid
        if pid is not None:
            with contextlib.suppress(ProcessLookupError):  # it ended: the thread that watches it starts another one
                os.kill(pid, number)


def _answers(server: EmbeddedServer) -> bool:
    try:
        with socket.create_connection((LOOPBACK, server.port), PING_S) as connection:
            server.spec.ping(connection)
    except (OSError, NotReadyError):
        return False
    return True


@contextmanager
def own_servers(folder: Path, say: Say) -> Iterator[OwnServers]:
    """Valkey and NATS with their data in `folder`, and the proxies before them. Raises StartRefused, Ours.

    Enter it from the main thread, and before any event loop.
    """
    data = DataFolder.open(folder)
    lost: list[str] = []
    with contextlib.ExitStack() as stack:
        stack.callback(data.close)
        (redis, redis_url), (bus, token) = valkey(data), nats(data)
        servers = {name: EmbeddedServer(spec, data, say, lost.append) for name, spec in ((REDIS, redis), (NATS, bus))}
        for server in servers.values():
            stack.callback(server.stop)
            server.start()
        for server in servers.values():
            server.wait_ready()
        proxies = Proxies({name: server.port for name, server in servers.items()})
        stack.callback(proxies.stop)
        made = OwnServers(servers, proxies, redis_url(servers[REDIS].port), token)
        for name in servers:
            stack.callback(made.resume, name)  # a stopped process does not end by SIGTERM
        yield made
    if lost:
        raise Ours("; ".join(lost))
