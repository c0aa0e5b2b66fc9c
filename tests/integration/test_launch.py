"""`rayrealm up`, `down` and `status` with everything behind them."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from tests.real_realm import RealRealm, real_realm

pytestmark = pytest.mark.realm

DEADLINE_S = 30.0
SLOW_HEAD_S = 5.0  # firewall.head_s
HANDSHAKE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "cmF5cmVhbG0tcmVhZHktPw==",
}


def until(condition: Callable[[], bool], what: str, deadline_s: float = DEADLINE_S) -> float:
    """How long it took."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < deadline_s, what
        time.sleep(0.05)
    return time.monotonic() - began


def healthy(realm: RealRealm) -> bool:
    try:
        return realm.get("/v1/healthz")[0] == 200
    except OSError:
        return False


def runs(process: psutil.Process) -> bool:
    """A zombie that init has not collected yet does not."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


class TestReady:
    @pytest.mark.parametrize(
        ("path", "content_type"),
        [
            ("/v1/healthz", "application/json"),
            ("/v1/docs", "text/html"),
            ("/play/", "text/html"),
            ("/metrics", "text/plain"),
        ],
    )
    def test_addresses(self, realm: RealRealm, path: str, content_type: str) -> None:
        status, kind, body = realm.get(path)
        assert (status, kind) == (200, content_type)
        assert body

    def test_the_gateway_wants_a_token(self, realm: RealRealm) -> None:
        status, kind, body = realm.get("/ws", HANDSHAKE)
        assert (status, kind, json.loads(body)["reason"]) == (401, "application/problem+json", "token_missing")

    def test_what_was_printed(self, realm: RealRealm) -> None:
        log = realm.own.log.read_text()
        for step in ("valkey answers", "nats answers", "Ray is up", "Serve is up", "the zones are up"):
            assert f" s  {step}" in log
        assert "Traceback" not in log


class TestStatus:
    def test_what_runs(self, realm: RealRealm) -> None:
        processes = realm.processes()
        kinds = Counter(process["kind"] for process in processes if process["alive"])
        assert kinds["gateway"] == 2
        assert kinds["zone"] == 4
        for kind in ("launcher", "valkey", "nats", "haproxy", "web", "supervisor", "sessions", "presence"):
            assert kinds[kind] == 1, kind
        assert all(process["node"] == socket.gethostname() for process in processes)

    def test_zones(self, realm: RealRealm) -> None:
        done = realm.command("zones", "list", "--json")
        rows = json.loads(done.stdout)["zones"]
        assert {row["zone"] for row in rows} == {"zon_meadow", "zon_harbour", "zon_forest", "zon_ridge"}
        assert sorted(row["pid"] for row in rows) == sorted(realm.pids("zone"))

    def test_found_by_its_address(self, realm: RealRealm) -> None:
        assert realm.command("status", "--url", realm.url).returncode == 0
        assert realm.command("status", "--url", "http://127.0.0.1:1").returncode == 2


class TestNeighbours:
    def test_what_others_can_reach(self, realm: RealRealm) -> None:
        """Nothing: this realm is for this machine alone."""
        pids = {process["pid"]: process["kind"] for process in realm.processes() if process["alive"]}
        listening = [c for c in psutil.net_connections("tcp") if c.status == psutil.CONN_LISTEN and c.pid in pids]
        assert realm.port in {connection.laddr.port for connection in listening}
        here = {"127.0.0.1", "::1", "::ffff:127.0.0.1"}
        assert [(pids[c.pid or 0], c.laddr) for c in listening if c.laddr.ip not in here] == []

    def test_secrets_are_in_no_command_line(self, realm: RealRealm) -> None:
        names = ("valkey/password", "nats/token", "ray-token", "recovery-secret", "edge-secret")
        secrets = [(realm.data / name).read_text() for name in names]
        assert all((realm.data / name).stat().st_mode & 0o077 == 0 for name in (*names, "keys.json"))
        for process in realm.processes():
            if process["alive"]:
                line = " ".join(psutil.Process(process["pid"]).cmdline())
                assert not any(secret in line for secret in secrets), process["name"]

    def test_a_head_that_never_ends(self, realm: RealRealm) -> None:
        with socket.create_connection(("127.0.0.1", realm.port)) as slow:
            slow.settimeout(SLOW_HEAD_S + DEADLINE_S)
            slow.sendall(b"GET /v1/healthz HTTP/1.1\r\nHost: x\r\nX-Slow: ")
            began = time.monotonic()
            answer = slow.recv(4096)
            assert time.monotonic() - began >= SLOW_HEAD_S - 1
            assert answer.startswith(b"HTTP/1.1 408 ")


class TestRepair:
    @pytest.mark.parametrize("kind", ["valkey", "nats"])
    def test_a_killed_server_is_back_and_said_so(self, realm: RealRealm, kind: str) -> None:
        (pid,) = realm.pids(kind)
        psutil.Process(pid).kill()
        until(lambda: f"{kind} ended with code -9: restarted on port " in realm.own.log.read_text(), kind)
        until(lambda: healthy(realm), "the realm is not healthy again")
        assert realm.pids(kind) != [pid]

    def test_a_killed_haproxy_is_replaced(self, realm: RealRealm) -> None:
        (pid,) = realm.pids("haproxy")
        psutil.Process(pid).kill()
        took = until(lambda: healthy(realm), "the port does not answer again")
        assert took < DEADLINE_S
        assert realm.pids("haproxy") != [pid]


class TestRefused:
    """One line, exit code 2, and nothing was started."""

    def refused(self, realm: RealRealm, *arguments: str) -> str:
        before = {process["pid"] for process in realm.processes() if process["alive"]}
        done = realm.command("up", *arguments)
        assert done.returncode == 2
        assert done.stdout == ""
        lines = [line for line in done.stderr.splitlines() if not line.endswith("s  stopped")]
        assert len(lines) == 1, done.stderr
        assert before == {process["pid"] for process in realm.processes() if process["alive"]}
        return lines[0]

    def test_port_taken(self, realm: RealRealm, tmp_path: Path) -> None:
        line = self.refused(realm, "--port", str(realm.port), "--data", str(tmp_path))
        (haproxy,) = realm.pids("haproxy")
        assert f"is taken by haproxy (pid {haproxy}): stop it or choose another with --port" in line

    def test_data_taken(self, realm: RealRealm, free_port: int) -> None:
        line = self.refused(realm, "--port", str(free_port), "--data", str(realm.data))
        assert f"another realm uses the data folder {realm.data}" in line

    @pytest.mark.parametrize(("option", "scheme"), [("--redis", "redis"), ("--nats", "nats")])
    def test_a_server_that_is_not_there(
        self, realm: RealRealm, tmp_path: Path, free_port: int, option: str, scheme: str
    ) -> None:
        with socket.socket() as nobody:  # bound, and does not listen
            nobody.bind(("127.0.0.1", 0))
            url = f"{scheme}://127.0.0.1:{nobody.getsockname()[1]}"
            done = realm.command("up", "--port", str(free_port), "--data", str(tmp_path), option, url)
        assert done.returncode == 2
        assert "does not answer" in done.stderr.splitlines()[-1]
        assert option in done.stderr.splitlines()[-1]


@pytest.fixture
def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_gone(processes: list[psutil.Process]) -> None:
    """Names those that stay."""
    deadline = time.monotonic() + DEADLINE_S
    while left := [process for process in processes if runs(process)]:
        assert time.monotonic() < deadline, [(process.pid, process.status(), process.cmdline()) for process in left]
        time.sleep(0.05)


def family(realm: RealRealm) -> list[psutil.Process]:
    launcher = psutil.Process(realm.own.launcher.pid)
    return [launcher, *launcher.children(recursive=True)]


def session_of(realm: RealRealm) -> Path:
    return Path(json.loads((realm.data / "realm.json").read_text())["session"])


def test_stopped_by_command(tmp_path: Path) -> None:
    """Nothing is left but the data and the logs."""
    with real_realm(tmp_path, gateways=1) as realm:
        session, everyone = session_of(realm), family(realm)
        assert len(everyone) > 15
        assert session.is_dir()
        done = realm.command("down")
        assert (done.returncode, done.stdout) == (0, f"stopped {realm.url}\n")
        assert realm.own.launcher.wait(DEADLINE_S) == 0
        assert [process for process in everyone if runs(process)] == []
        assert not session.exists()
        assert not (realm.data / "realm.json").exists()
        assert (realm.data / "logs" / "gcs_server.out").is_file()
        assert not (realm.data / "logs").is_symlink()
        assert realm.command("status").returncode == 2


def test_killed_launcher(tmp_path: Path) -> None:
    """kill -9 of the launcher: everything ends by itself, and the next start cleans up and works on the same data."""
    with real_realm(tmp_path, gateways=1) as realm:
        session, everyone = session_of(realm), family(realm)
        realm.own.launcher.kill()
        wait_gone(everyone)
        assert realm.command("status").returncode == 2
        assert session.is_dir()  # nobody was there to remove it
        again = subprocess.Popen(
            realm.own.launcher.args,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, **realm.environment},
        )
        try:
            assert again.stdout is not None
            assert again.stdout.readline() == f"READY {realm.url}\n".encode()
            assert not session.exists()
            assert (realm.data / "logs.1" / "gcs_server.out").is_file()
        finally:
            again.send_signal(signal.SIGINT)
            assert again.wait(DEADLINE_S) == 0
            again.stdout.close()


def test_interrupted_start(tmp_path: Path, free_port: int) -> None:
    """Ctrl-C while Serve starts: nothing is left, and the exit code says so."""
    argv = [sys.executable, "-m", "cluster.cli.main", "up", "--port", str(free_port), "--data", str(tmp_path / "data")]
    environment = {**os.environ, "XDG_STATE_HOME": str(tmp_path / "state")}
    with subprocess.Popen(argv, stderr=subprocess.PIPE, text=True, env=environment, start_new_session=True) as launcher:
        assert launcher.stderr is not None
        said = iter(launcher.stderr.readline, "")
        assert any("Ray is up" in line for line in said)
        everyone = psutil.Process(launcher.pid).children(recursive=True)
        os.killpg(launcher.pid, signal.SIGINT)  # as a terminal does it: to everybody in the foreground
        rest = list(said)
        assert launcher.wait(DEADLINE_S) == 130
    assert any(line.startswith("SIGINT: stopping") for line in rest)
    assert rest[-1].endswith("s  stopped\n")
    assert not any("READY" in line for line in rest)
    assert [process for process in everyone if runs(process)] == []
