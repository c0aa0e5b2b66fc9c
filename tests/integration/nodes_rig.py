"""A realm on a Ray of several nodes, all on this machine: `ray.cluster_utils.Cluster` with the launcher in one process of its own.

`nodes_realm` starts that process, and has it add and remove nodes. HAProxy and Serve's replicas are on the head node, which is
never removed, so that what tests see of a lost node is the zones and the session actors. `tests/nodes` loses gateways, too.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import secrets
import subprocess
import sys
import sysconfig
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from cluster import guard, machine, rayenv
from cluster import settings as realm_settings
from cluster.datafolder import DataFolder
from cluster.edge.local import SECRET
from cluster.edge.plan import orders_of
from cluster.embedded import free_port
from cluster.fate import tied
from cluster.haproxy import ORDERS
from cluster.launch import Launch
from cluster.own_realm import OwnRealm
from cluster.parts import Parts
from cluster.realm import Realm
from cluster.settings import RaySettings, Settings
from cluster.telemetry.logs import configure
from tests.real_realm import RealRealm

HEAD = "head"
CPUS = 8  # of each node; no actor of the realm asks for any
MEMORY = 90 * 1024 * 1024  # bytes of each node's object store; the realm keeps nothing there
START_DEADLINE_S = 90.0
NODE_DEADLINE_S = 60.0
STOP_DEADLINE_S = 60.0
GATEWAYS = 1

# --- the side of the tests -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class RayNode:
    """`id` is Ray's; `raylet` the pid of the process whose children are the node's actors."""

    id: str
    raylet: int


@dataclass(frozen=True, slots=True)
class NodesRealm(RealRealm):
    """`nodes`: by name, without the lost ones."""

    nodes: dict[str, RayNode]
    _lines: queue.SimpleQueue[str]

    def add(self, name: str) -> None:
        """A node joins."""
        self.nodes[name] = RayNode(**json.loads(self._ask(f"add {name}")))

    def lose(self, name: str) -> RayNode:
        """kill -9 of everything on a node. Returns what it was."""
        self._ask(f"lose {name}")
        return self.nodes.pop(name)

    def node_of(self, pid: int) -> str:
        """Where a process runs, by its parents; empty if it does not."""
        try:
            parents = {parent.pid for parent in psutil.Process(pid).parents()}
        except psutil.NoSuchProcess:
            return ""
        return next((name for name, node in self.nodes.items() if node.raylet in parents), "")

    def _ask(self, order: str) -> str:
        stdin = self.own.launcher.stdin
        assert stdin is not None
        stdin.write(f"{order}\n")
        stdin.flush()
        return self._answer(NODE_DEADLINE_S)

    def _answer(self, deadline_s: float) -> str:
        try:
            line = self._lines.get(timeout=deadline_s)
        except queue.Empty:
            line = ""
        assert line.startswith("OK "), self.own.log.read_text(errors="replace")[-4000:]
        return line.removeprefix("OK ").strip()


@contextmanager
def nodes_realm(folder: Path, config: str, workers: tuple[str, ...]) -> Iterator[NodesRealm]:
    """With `config` as its realm.toml. `folder` must have a short path: Unix sockets are made below it."""
    (folder / "ray").mkdir()
    toml, log = folder / "realm.toml", folder / "launch.log"
    toml.write_text(config)
    environment = {"RAYREALM_CONFIG": str(toml), "XDG_STATE_HOME": str(folder / "state")}
    port = free_port()
    argv = [sys.executable, "-m", "tests.integration.nodes_rig", str(folder), str(port), HEAD, *workers]
    with log.open("wb") as errors:
        launcher = subprocess.Popen(
            tied(argv, os.getpid()),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            start_new_session=True,
            env={**os.environ, **environment},
        )
    lines: queue.SimpleQueue[str] = queue.SimpleQueue()
    reading = threading.Thread(target=_read, args=(launcher, lines), daemon=True)
    reading.start()
    try:
        own = OwnRealm(f"http://127.0.0.1:{port}", folder / "data", log, launcher)
        realm = NodesRealm(own, environment, {}, lines)
        for name, node in json.loads(realm._answer(START_DEADLINE_S)).items():
            realm.nodes[name] = RayNode(**node)
        yield realm
    finally:
        _stop(launcher)
        reading.join(STOP_DEADLINE_S)


def _read(launcher: subprocess.Popen[str], lines: queue.SimpleQueue[str]) -> None:
    assert launcher.stdout is not None
    with launcher.stdout as output:
        for line in output:
            lines.put(line)
    lines.put("")


def _stop(launcher: subprocess.Popen[str]) -> None:
    """The end of its standard input is its order to stop."""
    assert launcher.stdin is not None
    launcher.stdin.close()
    try:
        launcher.wait(STOP_DEADLINE_S)
    except subprocess.TimeoutExpired:
        launcher.kill()
        launcher.wait()


# --- the process that has the cluster ------------------------------------------------------------------------------


def gateway_on_head(realm: Realm) -> Any:
    """As serve_apps.gateway.gateway_app:build, but it goes nowhere else."""
    from serve_apps.gateway.gateway_app import Gateway

    deployment: Any = Gateway
    options = {"num_replicas": realm.settings.gateways, "ray_actor_options": _on_head()}
    return deployment.options(**options).bind(realm.without_private_keys())


def web_on_head(realm: Realm) -> Any:
    """As serve_apps.accounts.web_app:build."""
    from serve_apps.accounts.web_app import Web

    deployment: Any = Web
    return deployment.options(ray_actor_options=_on_head()).bind(realm)


def _on_head() -> dict[str, Any]:
    return {"num_cpus": 0, "resources": {"node:__internal_head__": 0.001}}


PARTS = Parts(
    applications={
        "web": ("tests.integration.nodes_rig:web_on_head", "/"),
        "gateway": ("tests.integration.nodes_rig:gateway_on_head", "/ws"),
    }
)


class Nodes:
    """The first one is the head."""

    def __init__(self) -> None:
        from ray.cluster_utils import Cluster

        self._cluster = Cluster()
        self._nodes: dict[str, Any] = {}
        self._guards: list[subprocess.Popen[bytes]] = []

    @property
    def address(self) -> str:
        address: str = self._cluster.address
        return address

    def add(self, name: str) -> dict[str, Any]:
        """RayNode's members."""
        self._nodes[name] = self._cluster.add_node(
            node_name=name,
            node_ip_address="127.0.0.1",
            num_cpus=CPUS,
            object_store_memory=MEMORY,
            include_dashboard=False,
        )
        self._guards.append(guard.start(self._family(name)))
        return self.described(name)

    def described(self, name: str) -> dict[str, Any]:
        node = self._nodes[name]
        return {"id": node.node_id, "raylet": node.all_processes["raylet"][0].process.pid}

    def lose(self, name: str) -> dict[str, Any]:
        """Ray's own processes, and those that would end when they notice: actors and agents."""
        lost, family = self.described(name), self._family(name)
        self._cluster.remove_node(self._nodes.pop(name), allow_graceful=False)
        for process in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        return lost

    def _family(self, name: str) -> list[psutil.Process]:
        return psutil.Process(self.described(name)["raylet"]).children(recursive=True)


def _ray_environment(settings: Settings, folder: Path) -> dict[str, str]:
    """What an operator sets before `ray start`, and what keeps this Ray apart from others on the machine."""
    token = folder / "token"
    token.write_text(secrets.token_hex(32))
    orders = folder / "edge.json"
    orders_of(settings, DataFolder(settings.data, -1).secret(SECRET)).write(orders)
    flags = rayenv.serve_flags(settings, machine.open_files(), PARTS.replica_callback)
    flags |= rayenv.node_flags(Path(sysconfig.get_path("scripts")), {"RAY_AUTH_MODE": "token", ORDERS: str(orders)})
    flags |= {
        "RAY_AUTH_TOKEN_PATH": str(token),
        "RAY_TMPDIR": str(folder),
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # on Linux: 127.0.0.1 is not made into the address of the machine
        "RAY_health_check_timeout_ms": "10000",  # a node that is busy is not lost; from a lost one the answer comes at once
        "RAY_SERVE_CONTROL_LOOP_INTERVAL_S": "0.2",
        "RAY_SERVE_HAPROXY_NBTHREAD": "1",
        "RAY_enable_metrics_collection": "0",
        "RAY_task_events_report_interval_ms": "0",
        "RAY_SERVE_HAPROXY_METRICS_PORT": str(free_port()),
        "RAY_SERVE_HAPROXY_STATS_PORT": str(free_port()),
        "RAY_SERVE_FALLBACK_PROXY_HTTP_PORT": str(free_port()),
    }
    files = {
        "CONFIG_FILE_LOC": "h/haproxy.cfg",
        "SOCKET_PATH": "h/admin.sock",
        "METRICS_SOCKET_PATH": "h/metrics.sock",
        "SERVER_STATE_BASE": "h",
        "SERVER_STATE_FILE": "h/server-state",
    }
    return flags | {f"RAY_SERVE_HAPROXY_{name}": str(folder / file) for name, file in files.items()}


def main(folder: Path, port: int, names: list[str]) -> None:
    """Obeys its standard input until that ends. A line to its standard output answers each order, and says that it is ready."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # Ray prints
    began = time.monotonic()

    def say(line: str) -> None:
        print(f"{time.monotonic() - began:7.1f} s  {line}", file=sys.stderr, flush=True)  # noqa: T201

    configure("warning")
    settings = realm_settings.load(port=port, data=folder / "data", gateways=GATEWAYS)
    os.environ.update(_ray_environment(settings, folder))
    nodes = Nodes()
    described = {name: nodes.add(name) for name in names}
    say(f"Ray has the nodes {described}")
    joined = settings.model_copy(update={"ray": RaySettings(address=nodes.address)})
    launch = Launch(joined, say, parts=PARTS)
    try:
        launch.start()
        answers.write(f"OK {json.dumps(described)}\n")
        for line in sys.stdin:
            order, name = line.split()
            answers.write(f"OK {json.dumps(nodes.add(name) if order == 'add' else nodes.lose(name))}\n")
    finally:
        launch.stop()
        say("stopped")
        sys.stderr.flush()
        os._exit(0)  # Ray's exit handlers would look for what has been stopped


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3:])
