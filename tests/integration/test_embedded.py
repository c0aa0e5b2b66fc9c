"""Real servers, without Ray."""

from __future__ import annotations

import os
import queue
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
import redis
from nats.aio.client import Client as NatsClient

from cluster import embedded
from cluster.datafolder import DataFolder
from cluster.embedded import EmbeddedServer, Spec
from cluster.errors import StartRefused

DEADLINE_S = 20.0
FALSE = Path("/bin/false")


class Said:
    """What the server announced, and how it was lost."""

    def __init__(self) -> None:
        self.lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        self.lost: queue.SimpleQueue[str] = queue.SimpleQueue()


@pytest.fixture
def data(tmp_path: Path) -> Iterator[DataFolder]:
    folder = DataFolder.open(tmp_path / "data")
    yield folder
    folder.close()


@pytest.fixture
def said() -> Said:
    return Said()


Launch = Callable[[Spec], EmbeddedServer]


@pytest.fixture
def launch(data: DataFolder, said: Said) -> Iterator[Launch]:
    """Starts a server and waits for it; all of them are stopped at the end."""
    servers: list[EmbeddedServer] = []

    def launch(spec: Spec) -> EmbeddedServer:
        server = EmbeddedServer(spec, data, said.lines.put, said.lost.put)
        servers.append(server)
        server.start()
        server.wait_ready()
        return server

    yield launch
    for server in servers:
        server.stop()
        assert server.pid is None or not psutil.pid_exists(server.pid)


def until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.01)


class TestValkey:
    def test_private_and_durable(self, data: DataFolder, launch: Launch) -> None:
        spec, url_of = embedded.valkey(data)
        server = launch(spec)
        with redis.Redis(port=server.port) as stranger, pytest.raises(redis.AuthenticationError):
            stranger.get("key")
        with redis.from_url(url_of(server.port)) as client:
            assert client.config_get("appendonly") == {"appendonly": "yes"}
            assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
            assert client.config_get("bind") == {"bind": "127.0.0.1"}

    def test_no_secret_for_others(self, data: DataFolder, launch: Launch) -> None:
        server = launch(embedded.valkey(data)[0])
        password = data.secret("valkey/password")
        assert password not in " ".join(psutil.Process(server.pid).cmdline())
        files = [path for path in data.root.rglob("*") if path.is_file() and password.encode() in path.read_bytes()]
        assert {path.name for path in files} == {"password", "valkey.conf"}
        assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in files)

    def test_in_a_folder_that_others_may_enter(self, data: DataFolder, launch: Launch) -> None:
        """As a volume may be that was mounted there: what the servers write is nobody else's all the same."""
        data.root.chmod(0o755)
        spec, url_of = embedded.valkey(data)
        launch(embedded.nats(data)[0])
        with redis.from_url(url_of(launch(spec).port)) as client:
            client.set("account", "hash")
        written = [path for path in data.root.rglob("*") if path.name not in {"valkey.log", "nats.log"}]
        assert {"appendonlydir", "jetstream", "password", "token", "valkey.conf", "nats.conf"} <= {
            path.name for path in written
        }
        assert not [path for path in written if stat.S_IMODE(path.stat().st_mode) & 0o077]

    def test_killed_and_back_with_what_was_acknowledged(self, data: DataFolder, launch: Launch, said: Said) -> None:
        spec, url_of = embedded.valkey(data)
        server = launch(spec)
        port, pid = server.port, server.pid
        assert pid is not None
        with redis.from_url(url_of(port)) as client:
            for number in range(200):
                client.set(f"key-{number}", number)
            os.kill(pid, signal.SIGKILL)
        line = said.lines.get(timeout=DEADLINE_S)
        assert line.startswith(f"valkey ended with code -9: restarted on port {port}, ready after ")
        assert server.pid != pid
        with redis.from_url(url_of(port)) as client:
            assert client.dbsize() == 200

    def test_survives_a_restart_of_the_realm(self, data: DataFolder, launch: Launch) -> None:
        spec, url_of = embedded.valkey(data)
        first = launch(spec)
        with redis.from_url(url_of(first.port)) as client:
            client.set("key", "value")
        first.stop()
        spec, url_of = embedded.valkey(data)
        with redis.from_url(url_of(launch(spec).port)) as client:
            assert client.get("key") == b"value"

    def test_silent_and_replaced(
        self, data: DataFolder, launch: Launch, said: Said, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(embedded, "DEAF_AFTER_S", 0.5)
        monkeypatch.setattr(embedded, "PING_TIMEOUT_S", 0.2)
        monkeypatch.setattr(embedded, "PING_EVERY_S", 0.1)
        server = launch(embedded.valkey(data)[0])
        assert server.pid is not None
        os.kill(server.pid, signal.SIGSTOP)
        assert "was silent for" in said.lines.get(timeout=DEADLINE_S)


class TestNats:
    async def test_private_with_jetstream(self, data: DataFolder, launch: Launch) -> None:
        spec, token = embedded.nats(data)
        server = launch(spec)
        assert token not in " ".join(psutil.Process(server.pid).cmdline())
        assert stat.S_IMODE((data.root / "nats" / "nats.conf").stat().st_mode) == 0o600
        client = NatsClient()
        await client.connect(f"nats://127.0.0.1:{server.port}", token=token, allow_reconnect=False)
        assert client.max_payload == embedded.NATS_MAX_PAYLOAD
        await client.jetstream().add_stream(name="events", subjects=["events.*"])
        await client.close()

    async def test_killed_and_back(self, data: DataFolder, launch: Launch, said: Said) -> None:
        spec, token = embedded.nats(data)
        server = launch(spec)
        assert server.pid is not None
        os.kill(server.pid, signal.SIGKILL)
        assert f"restarted on port {server.port}" in said.lines.get(timeout=DEADLINE_S)
        client = NatsClient()
        await client.connect(f"nats://127.0.0.1:{server.port}", token=token, allow_reconnect=False)
        await client.close()


class TestWhenItCannot:
    def test_its_last_words(self, data: DataFolder, said: Said) -> None:
        spec, _ = embedded.valkey(data)
        broken = replace(spec, config=lambda port: f"port {port}\nno-such-directive yes\n")
        server = EmbeddedServer(broken, data, said.lines.put, said.lost.put)
        server.start()
        with pytest.raises(StartRefused, match=r"valkey does not start: it ended with code 1.*Bad directive"):
            server.wait_ready()
        server.stop()

    def test_lost_after_so_many_restarts(
        self, data: DataFolder, launch: Launch, said: Said, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(embedded, "RESTARTS", 3)
        monkeypatch.setattr(embedded, "LAST_PAUSE_S", 0.05)
        server = launch(embedded.nats(data)[0])
        assert server.pid is not None
        server.spec = replace(server.spec, binary=FALSE)
        os.kill(server.pid, signal.SIGKILL)
        assert "3 restarts did not help" in said.lost.get(timeout=DEADLINE_S)

    def test_another_server_on_the_port_is_not_taken_for_ours(self, data: DataFolder, launch: Launch) -> None:
        server = launch(embedded.nats(data)[0])
        assert server._ping() is None
        stranger, _ = embedded.valkey(data)
        with socket.create_connection(("127.0.0.1", server.port), 5.0) as connection:
            connection.settimeout(5.0)
            with pytest.raises(embedded.NotReadyError):
                stranger.ping(connection)

    def test_stop_before_start_and_twice(self, data: DataFolder, said: Said) -> None:
        server = EmbeddedServer(embedded.nats(data)[0], data, said.lines.put, said.lost.put)
        server.stop()
        server.stop()
        assert server.pid is None


OWNER = """
import sys, time
from pathlib import Path
from cluster import embedded
from cluster.datafolder import DataFolder
data = DataFolder.open(Path(sys.argv[1]))
servers = [embedded.EmbeddedServer(spec, data, print, print) for spec in (embedded.valkey(data)[0], embedded.nats(data)[0])]
for server in servers:
    server.start()
for server in servers:
    server.wait_ready()
print(*(server.pid for server in servers), flush=True)
time.sleep(60)
"""


def test_nothing_outlives_a_killed_launcher(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", OWNER, str(tmp_path)], stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        pids = [int(pid) for pid in owner.stdout.readline().split()]
        assert len(pids) == 2
        with pytest.raises(StartRefused):
            DataFolder.open(tmp_path, wait_s=0.0)
        owner.kill()
    # The servers inherited the lock: it is free when they have ended, and not before.
    DataFolder.open(tmp_path, wait_s=DEADLINE_S).close()
    until(lambda: all(not _runs(pid) for pid in pids), "the servers outlived their launcher")


def _runs(pid: int) -> bool:
    """A zombie that init has not collected yet does not."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


class TestPortFree:
    def test_free_and_taken(self) -> None:
        port = embedded.free_port()
        assert embedded.port_free("127.0.0.1", port)
        with socket.socket() as listener:
            # As HAProxy does it: another one that asks for the same would share the port.
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            listener.bind(("127.0.0.1", port))
            listener.listen()
            assert not embedded.port_free("127.0.0.1", port)
            assert not embedded.port_free("0.0.0.0", port)  # noqa: S104 - what an operator may ask for

    def test_no_address_of_ours(self) -> None:
        with pytest.raises(StartRefused, match="RAYREALM_HOST"):
            embedded.port_free("no.such.host.invalid", 8000)
