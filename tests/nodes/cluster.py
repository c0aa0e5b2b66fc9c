"""A realm on a Ray cluster of several machines, started as an operator would start it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from cluster.edge.orders import private
from cluster.haproxy import ORDERS
from tests.nodes.machines import Machine, machines
from tests.servers import Nats, Valkey

RAY_PORT = 6379
PORT = 8000
MEMORY = 90 * 1024 * 1024  # bytes of each node's object store; the realm keeps nothing there
READY_DEADLINE_S = 240.0
CONFIG = """
host = "0.0.0.0"
[gateway]
capacity = 300
[accounts]
argon2_memory_kib = 256
argon2_time_cost = 1
[[world.zones]]
id = "zon_meadow"
name = "Meadow"
bounds = { min_x = 0, min_z = 0, max_x = 200, max_z = 200 }
"""


class OpenValkey(Valkey):
    """Reachable from the machines, too; its password is what protects it."""

    def __init__(self, directory: Path, address: str) -> None:
        super().__init__(directory)
        config = directory / "valkey.conf"
        config.write_text(config.read_text().replace("bind 127.0.0.1", f"bind 127.0.0.1 {address}"))


class OpenNats(Nats):
    def _start_argv(self, argv: list[str]) -> list[str]:
        return ["0.0.0.0" if word == "127.0.0.1" else word for word in argv]  # noqa: S104 - it has a token

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        loopback = self._argv
        self._argv = lambda port: self._start_argv(loopback(port))


@dataclass
class Cluster:
    """`head` runs Ray's head and the launcher and is never harmed; any of `workers` may be."""

    head: Machine
    workers: list[Machine]
    folder: Path
    redis_url: str
    nats_url: str
    nats_token: str
    environment: dict[str, str] = field(default_factory=dict)
    launcher: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://{self.head.address}:{PORT}"

    @property
    def namespace(self) -> str:
        return "rayrealm-realm"

    def start(self) -> None:
        """Ray on every machine, then the realm. Raises TimeoutError with what the launcher said."""
        toml = self.folder / "realm.toml"
        toml.write_text(CONFIG)
        self.environment = {
            "RAYREALM_CONFIG": str(toml),
            "RAYREALM_REDIS__URL": self.redis_url,
            "RAYREALM_NATS__URL": self.nats_url,
            "RAYREALM_NATS__TOKEN": self.nats_token,
            "XDG_STATE_HOME": str(self.folder / "state"),
            "RAYREALM_DATA": str(self.folder / "data"),
            "RAYREALM_FIREWALL__EXEMPT": '["0.0.0.0/0"]',  # all players come from one address here
            ORDERS: str(self.folder / "edge.json"),
        }
        edge = self.head.run(_rayrealm("config", "edge"), self.environment).stdout
        private(self.folder / "edge.json", edge)
        self.environment |= self._ray_environment() | self._haproxy_files()
        self.start_ray(self.head)
        for worker in self.workers:
            self.start_ray(worker)
        self._up()

    def _ray_environment(self) -> dict[str, str]:
        lines = self.head.run(_rayrealm("config", "ray-env"), self.environment).stdout.splitlines()
        return dict(line.removeprefix("export ").split("=", 1) for line in lines)

    def _haproxy_files(self) -> dict[str, str]:
        """Serve's defaults are in /tmp/haproxy-serve, and stay there."""
        files = {
            "CONFIG_FILE_LOC": "h/haproxy.cfg",
            "SOCKET_PATH": "h/admin.sock",
            "METRICS_SOCKET_PATH": "h/metrics.sock",
            "SERVER_STATE_BASE": "h",
            "SERVER_STATE_FILE": "h/server-state",
        }
        return {f"RAY_SERVE_HAPROXY_{name}": str(self.folder / file) for name, file in files.items()}

    def start_ray(self, machine: Machine) -> None:
        """Also again, after the machine was lost."""
        ray = str(Path(sysconfig.get_path("scripts")) / "ray")
        where = ["--head", f"--port={RAY_PORT}", "--include-dashboard=false"]
        if machine is not self.head:
            where = [f"--address={self.head.address}:{RAY_PORT}"]
        folder = self.folder / machine.name
        shutil.rmtree(folder, ignore_errors=True)
        machine.run(
            [
                *(ray, "start", f"--node-ip-address={machine.address}", *where, f"--temp-dir={folder}"),
                *(f"--object-store-memory={MEMORY}", "--num-cpus=4", "--disable-usage-stats"),
            ],
            self.environment,
        )

    def _up(self) -> None:
        log = self.folder / "up.log"
        address = f"{self.head.address}:{RAY_PORT}"
        argv = _rayrealm("up", "--ray-address", address, "--gateways", "2", "--port", str(PORT))
        self.launcher = self.head.start([*argv, "--data", str(self.folder / "data")], self.environment, log)
        until = time.monotonic() + READY_DEADLINE_S
        while "READY" not in (said := log.read_text(errors="replace")):
            if self.launcher.poll() is not None or time.monotonic() > until:
                raise TimeoutError(f"the realm did not start:\n{said[-4000:]}")
            time.sleep(0.2)

    def missed_at(self, machine: Machine, since: float) -> float:
        """When Ray's head gave it up, in Unix seconds; 0 if it has not since then. It says so in its log alone."""
        pattern = re.compile(
            rf"^\[(.{{23}}) W .*address: {re.escape(machine.address)} .*has been marked dead", re.MULTILINE
        )
        for log in (self.folder / self.head.name).glob("session_2*/logs/gcs_server.out"):
            for said in pattern.findall(log.read_text(errors="replace")):
                at = datetime.strptime(said, "%Y-%m-%d %H:%M:%S,%f").astimezone().timestamp()
                if at > since:
                    return at
        return 0.0

    def command(self, *arguments: str) -> str:
        """`rayrealm ARGUMENTS` on the head; what it printed."""
        return self.head.run(_rayrealm(*arguments), self.environment).stdout


def _rayrealm(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "cluster.cli.main", *arguments]


@contextmanager
def cluster(workers: int) -> Iterator[Cluster]:
    """Running, and at the end nothing is left of it. Its logs are kept if KEEP_LOGS names a folder."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="rr-")))  # Unix sockets have short paths
        gateway, made = stack.enter_context(machines(workers + 1))
        valkey = stack.enter_context(OpenValkey(folder, gateway))
        bus = stack.enter_context(OpenNats(folder))
        realm = Cluster(
            made[0],
            made[1:],
            folder,
            valkey.url.replace("127.0.0.1", gateway),
            bus.url.replace("127.0.0.1", gateway),
            bus.token,
        )
        if keep := os.environ.get("KEEP_LOGS"):
            stack.callback(_keep, folder, Path(keep))
        realm.start()
        yield realm


def _keep(folder: Path, keep: Path) -> None:
    shutil.rmtree(keep, ignore_errors=True)
    shutil.copytree(
        folder, keep, ignore=lambda _, names: [n for n in names if n in ("sockets", "jetstream")], symlinks=True
    )
