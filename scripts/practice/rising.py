"""Starts a practice cluster: the two servers, Ray on every node, and the realm that joins it, as an operator would."""

from __future__ import annotations

import http.client
import json
import os
import secrets
import shutil
import signal
import sys
import sysconfig
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import psutil

from cluster.children import runs
from cluster.edge.orders import private
from cluster.embedded import NATS_MAX_PAYLOAD, nats_binary, valkey_binary
from cluster.export.upstreams import SOCKETS_HEALTH
from cluster.haproxy import ORDERS
from scripts.practice import places
from scripts.practice.places import Failed, Place
from scripts.practice.standing import HEAD, Standing

RAY_PORT = 6379
OBJECT_STORE = 90 * 1024 * 1024  # bytes on each node; the realm keeps nothing there
CPUS = 4  # of each node; no actor of the realm asks for any
SERVERS_DEADLINE_S = 15.0
READY_DEADLINE_S = 300.0
STOP_DEADLINE_S = 45.0
PAUSE_S = 0.1
HTTP_TIMEOUT_S = 5.0
HEALTHY = 200
LOG_SHOWN = 3_000
NO_GATEWAY = "no gateway runs on"  # nobody to send elsewhere
CONFIG = """\
[gateway]
capacity = 500
[world]
game = "actors.games.homestead:Homestead"
"""
# Where nodes share one machine's loopback these ports would collide; each node has its own.
OWN_PORTS = {
    "RAY_SERVE_HAPROXY_METRICS_PORT": 9101,
    "RAY_SERVE_HAPROXY_STATS_PORT": 8404,
    "RAY_SERVE_FALLBACK_PROXY_HTTP_PORT": 8500,
}

Say = Callable[[str], None]


class Rising:
    """`where` is the folder of what stands. `say` gets a line for each step."""

    def __init__(self, standing: Standing, where: Path, say: Say) -> None:
        self._standing = standing
        self._where = where
        self._folder = Path(standing.folder)
        self._say = say

    # --- the network and the servers ---------------------------------------------------------------------------

    def network(self) -> None:
        bridge = self._standing.bridge
        self._standing.save(self._where)
        if bridge is not None:
            bridge.make()
        self._standing.store.make()

    def servers(self) -> None:
        """Valkey and NATS, with passwords, where every node reaches them. Raises Failed."""
        standing, store = self._standing, self._standing.store
        redis_port, nats_port = standing.store_ports
        password, token = secrets.token_urlsafe(24), secrets.token_urlsafe(24)
        data = self._folder / "servers"
        data.mkdir(mode=0o700)
        valkey = (
            f'bind {store.address}\nport {redis_port}\nrequirepass {password}\ndir "{data}"\n'
            'appendonly yes\nsave ""\nmaxmemory-policy noeviction\n'
        )
        bus = (
            f'listen: "{store.address}:{nats_port}"\nauthorization {{ token: "{token}" }}\n'
            f'jetstream {{ store_dir: "{data / "jetstream"}" }}\nmax_payload: {NATS_MAX_PAYLOAD}\n'
        )
        private(data / "valkey.conf", valkey)
        private(data / "nats.conf", bus)
        own = dict(os.environ)
        places.start(store, [str(valkey_binary()), str(data / "valkey.conf")], own, self._folder / "valkey.log")
        places.start(store, [str(nats_binary()), "--config", str(data / "nats.conf")], own, self._folder / "nats.log")
        standing.environment |= {
            "RAYREALM_REDIS__URL": f"redis://:{password}@{store.address}:{redis_port}/0",
            "RAYREALM_NATS__URL": f"nats://{store.address}:{nats_port}",
            "RAYREALM_NATS__TOKEN": token,
        }
        until = time.monotonic() + SERVERS_DEADLINE_S
        while not standing.store_answers:
            if time.monotonic() > until:
                raise Failed(f"Valkey and NATS did not start: {self.tail('valkey')} {self.tail('nats')}")
            time.sleep(PAUSE_S)
        self._say(f"Valkey and NATS answer at {store.address}")

    # --- Ray ---------------------------------------------------------------------------------------------------

    def environment(self, config: Path | None) -> None:
        """What the nodes and the launcher are started with; the edge's orders, by `rayrealm config edge`."""
        standing, folder = self._standing, self._folder
        if config is None:
            config = folder / "realm.toml"
            config.write_text(CONFIG)
        near = f'["127.0.0.0/8", "{standing.network}.0/24"]' if standing.network else '["127.0.0.0/8"]'
        private(folder / "token", secrets.token_hex(32))
        standing.environment |= {
            "RAYREALM_CONFIG": str(config.resolve()),
            "RAYREALM_DATA": str(folder / "data"),
            "RAYREALM_HOST": "0.0.0.0",  # noqa: S104 - of each node's own network
            "RAYREALM_PORT": str(standing.port),
            "RAYREALM_GATEWAYS": str(standing.gateways),
            # This machine is the players' and the operators' side of the network.
            "RAYREALM_FIREWALL__EXEMPT": near,
            "RAYREALM_EDGE__METRICS_FROM": near,
            "RAYREALM_EDGE__CONSOLE_FROM": near,
            "XDG_STATE_HOME": str(folder / "state"),
            ORDERS: str(folder / "edge.json"),
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN_PATH": str(folder / "token"),
        }
        self._write_orders(standing.head)
        lines = places.run(standing.head, _rayrealm("config", "ray-env"), self._environment()).splitlines()
        standing.environment |= dict(line.removeprefix("export ").split("=", 1) for line in lines)
        files = {
            "CONFIG_FILE_LOC": "h/haproxy.cfg",
            "SOCKET_PATH": "h/admin.sock",
            "METRICS_SOCKET_PATH": "h/metrics.sock",
            "SERVER_STATE_BASE": "h",
            "SERVER_STATE_FILE": "h/server-state",
        }
        (folder / "h").mkdir(mode=0o700)
        standing.environment |= {f"RAY_SERVE_HAPROXY_{name}": str(folder / file) for name, file in files.items()}
        standing.environment |= {
            # Several nodes share this machine's cores: one that is busy is not lost. From a lost one the answer comes at once.
            "RAY_health_check_timeout_ms": "10000",
            "RAY_SERVE_HAPROXY_NBTHREAD": "1",
            "RAY_SERVE_CONTROL_LOOP_INTERVAL_S": "0.2",
            "RAY_enable_metrics_collection": "0",
            "RAY_task_events_report_interval_ms": "0",
        }
        if not standing.network:
            standing.environment["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"  # loopback stays loopback
        standing.save(self._where)

    def node(self) -> Place:
        """One more: the head first. Raises Failed."""
        place = self._standing.next_node()
        self._standing.save(self._where)
        place.make()
        return place

    def ray(self, place: Place) -> None:
        """`ray start` there. Raises Failed."""
        standing = self._standing
        address = f"{standing.head.address}:{RAY_PORT}"
        head = place.name == HEAD
        where = ["--head", f"--port={RAY_PORT}", "--include-dashboard=false"] if head else [f"--address={address}"]
        ray = str(Path(sysconfig.get_path("scripts")) / "ray")
        limits = [f"--object-store-memory={OBJECT_STORE}", f"--num-cpus={CPUS}", "--disable-usage-stats"]
        folder = [f"--temp-dir={self._folder / place.name}"]
        own = self._environment()
        if not standing.network:
            own |= self._apart(place)
        places.run(place, [ray, "start", f"--node-ip-address={place.address}", *where, *folder, *limits], own)
        self._say(f"Ray runs on {place.name} at {place.address}")

    def _apart(self, place: Place) -> dict[str, str]:
        """What keeps nodes on one loopback from each other's ports: orders that name the address, and ports by number."""
        number = self._standing.nodes[place.name]
        orders = self._write_orders(place)
        return {name: str(port + 1_000 + number) for name, port in OWN_PORTS.items()} | {ORDERS: str(orders)}

    def _write_orders(self, place: Place) -> Path:
        apart = not self._standing.network and place.name in self._standing.nodes
        target = self._folder / (f"edge-{place.name}.json" if apart else "edge.json")
        own = self._environment() | ({"RAYREALM_HOST": place.address} if apart else {})
        private(target, places.run(place, _rayrealm("config", "edge"), own))
        return target

    # --- the realm ---------------------------------------------------------------------------------------------

    def realm(self) -> None:
        """`rayrealm up` on the head, until a client can play. Raises Failed."""
        standing, log = self._standing, self._folder / "up.log"
        address = f"{standing.head.address}:{RAY_PORT}"
        argv = _rayrealm("up", "--ray-address", address, "--bots", "0")
        standing.launcher = places.start(standing.head, argv, self._environment(), log)
        standing.save(self._where)
        until = time.monotonic() + READY_DEADLINE_S
        shown = 0
        while True:
            lines = log.read_text(errors="replace").splitlines()
            for line in lines[shown:-1]:
                if " s  " in line:
                    self._say(line.partition(" s  ")[2])
            shown = max(shown, len(lines) - 1)
            if any(line.startswith("READY ") for line in lines):
                break
            if not launcher_runs(standing) or time.monotonic() > until:
                raise Failed(f"the realm did not start:\n{self.tail('up')}")
            time.sleep(PAUSE_S)
        standing.edges = [place.name for place in self.edges(until)]
        standing.ready = True
        standing.save(self._where)
        if standing.bots:
            walk = _rayrealm("bots", "--count", str(standing.bots), "--url", standing.url)
            places.start(standing.head, walk, self._environment(), self._folder / "bots.log")
            self._say(f"{standing.bots} bots are on their way")

    def edges(self, until: float) -> list[Place]:
        """The nodes that have an edge, once there is one for the head and each node with a gateway. Raises Failed.

        Serve runs HAProxy on its head and wherever there is a replica.
        """
        standing = self._standing
        said = places.run(standing.head, _rayrealm("status", "--json"), self._environment())
        hosts = {process["node"] for process in json.loads(said)["processes"] if process["kind"] in ("gateway", "web")}
        found = [place for place in standing.places() if place.name == HEAD or {place.name, place.address} & hosts]
        for place in found:
            while (answer := _asked(place.address, standing.port, SOCKETS_HEALTH)) != HEALTHY:
                if time.monotonic() > until:
                    raise Failed(f"the edge of {place.name} says {answer}, not {HEALTHY}")
                time.sleep(PAUSE_S)
        self._say(f"edges: {' '.join(place.name for place in found)}")
        return found

    def tail(self, name: str) -> str:
        """The end of a log."""
        try:
            return (self._folder / f"{name}.log").read_text(errors="replace")[-LOG_SHOWN:]
        except OSError:
            return ""

    def _environment(self) -> dict[str, str]:
        return environment(self._standing)


def _asked(host: str, port: int, path: str) -> int | str:
    """The status of a GET, or the name of what went wrong."""
    connection = http.client.HTTPConnection(host, port, timeout=HTTP_TIMEOUT_S)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        return type(error).__name__
    finally:
        connection.close()


def environment(standing: Standing) -> dict[str, str]:
    """Of a process of the cluster: the caller's own, and the cluster's."""
    return {**os.environ, **standing.environment}


def _rayrealm(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "cluster.cli.main", *arguments]


def launcher_runs(standing: Standing) -> bool:
    """A pid alone may be another process's by now: it must be on the head."""
    if not standing.launcher or HEAD not in standing.nodes or standing.launcher not in standing.head.pids():
        return False
    try:
        return runs(psutil.Process(standing.launcher))
    except psutil.NoSuchProcess:
        return False


def fall(standing: Standing, where: Path, say: Say, politely: bool, keep: str = "") -> None:
    """Ends and removes all of it. Twice is fine. `keep`: a folder for its logs. Raises Failed with what is left."""
    if politely and launcher_runs(standing):
        os.kill(standing.launcher, signal.SIGINT)
        until = time.monotonic() + STOP_DEADLINE_S
        while launcher_runs(standing) and time.monotonic() < until:
            time.sleep(PAUSE_S)
        say("the realm has stopped")
    problems = []
    for place in [*reversed(standing.places()), standing.store]:
        try:
            places.clear(place)
            place.remove()
        except Failed as problem:
            problems.append(str(problem))
    if standing.bridge is not None and not problems:
        standing.bridge.remove()
    if problems:
        raise Failed("; ".join(problems))
    if keep:
        try:
            _keep_logs(Path(standing.folder), Path(keep))
        except (OSError, shutil.Error) as problem:  # a folder that has logs already, or a file that went meanwhile
            say(f"not all logs are in {keep}: {str(problem)[:200]}")
    shutil.rmtree(standing.folder, ignore_errors=True)
    (where / "cluster.json").unlink(missing_ok=True)
    say("nothing of it is left")


def _keep_logs(folder: Path, target: Path) -> None:
    def others(_: str, names: list[str]) -> list[str]:
        secret = ("servers", "token", "data", "sockets", "h")  # and sockets, which cannot be copied
        return [name for name in names if name in secret or name.startswith("edge")]

    shutil.copytree(folder, target, ignore=others, symlinks=True, dirs_exist_ok=True)


def remove_node(standing: Standing, where: Path, name: str, say: Say, run: Mapping[str, str]) -> None:
    """Its zones and clients go elsewhere first, then it ends. Raises Failed."""
    place = standing.place(name)
    if name == HEAD:
        raise Failed("the head is the cluster: scripts/cluster down ends that")
    if launcher_runs(standing):
        _emptied(standing, place, say, dict(run))
    places.clear(place)
    place.remove()
    del standing.nodes[name]
    standing.save(where)
    say(f"{name} is gone")


def _emptied(standing: Standing, place: Place, say: Say, own: dict[str, str]) -> None:
    """What the node does not give up is told and goes with it: players reconnect, and zones start elsewhere."""
    steps = {
        "zones": ("zones", "drain", "--node", place.address),
        "clients": ("drain", "--node", place.name, "--force"),
    }
    for what, arguments in steps.items():
        try:
            places.run(standing.head, _rayrealm(*arguments), own)
        except Failed as problem:
            if NO_GATEWAY not in str(problem):
                say(str(problem).strip().splitlines()[-1].rpartition("rayrealm: ")[2])
                continue
        say(f"{place.name} has no {what} any more")
