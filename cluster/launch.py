"""Starts a realm on this machine, or on a Ray cluster that it joins, and stops all of it again.

What is above this layer is reached by import string alone: `Parts`. Ray is imported inside functions, because Ray and
Serve read their environment (`cluster/rayenv.py`) as they are imported.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import logging
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import psutil
from pydantic import SecretStr

from cluster import guard, machine, preflight, rayenv, running, session_folder
from cluster.background import Background
from cluster.children import deaf_to_the_terminal, end, own_signal_handlers, runs
from cluster.contacts import first_contact, last_words
from cluster.datafolder import DataFolder
from cluster.edge.knock import status, url_of
from cluster.edge.local import SECRET, LocalEdge
from cluster.embedded import LOOPBACK, EmbeddedServer, answers, free_port, nats, valkey
from cluster.errors import Ours, StartRefused
from cluster.fate import tied
from cluster.parts import Parts, load
from cluster.realm import Realm
from cluster.security.keys import KeyRing
from cluster.settings import Settings

WORLD_DEADLINE_S = 120.0
READY_DEADLINE_S = 60.0
READY_PAUSE_S, READY_LAST_PAUSE_S = 0.05, 1.0  # growing: the edge may count this machine, too
TASK_DEADLINE_S = 60.0
SERVE_END_DEADLINE_S = 20.0
RAY_CPUS = 64  # no actor of the realm asks for any: it is only to be no limit
# A full WebSocket handshake (RFC 6455, 4.1) without a token: the gateway answers it, and with 401.
HANDSHAKE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "cmF5cmVhbG0tcmVhZHktPw==",
}

Progress = Callable[[str], None]


class Launch:
    """One realm, from its start to its end. `failure` says why it cannot go on, once something that matters has ended.

    Use it from the main thread, which must outlive the realm. `progress` gets a line for each step, from any thread.
    `checkpoint` is called between the steps of the start, and may raise to give it up.
    """

    def __init__(
        self,
        settings: Settings,
        progress: Progress,
        checkpoint: Callable[[], None] = lambda: None,
        parts: Parts | None = None,
    ) -> None:
        self.settings = settings
        self.failure: str | None = None
        self._progress = progress
        self._checkpoint = checkpoint
        self._parts = parts or Parts.of(settings)
        self._data: DataFolder | None = None
        self._session: Path | None = None
        self._edge: LocalEdge | None = None
        self._servers: list[EmbeddedServer] = []
        self._ray_started = False
        self._serve_started = False
        self._core: list[psutil.Process] = []
        self._guard: subprocess.Popen[bytes] | None = None
        self._bots: subprocess.Popen[bytes] | None = None
        self._entry: running.RunningRealm | None = None

    @property
    def url(self) -> str:
        return url_of(self.settings)

    @property
    def authority(self) -> Path | None:
        """The certificate that clients must trust, if it was made for this machine."""
        return self._edge.authority if self._edge is not None else None

    @property
    def logs(self) -> Path:
        return self.settings.data / "logs"

    # --- the start ---------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Returns when a client can play. Raises StartRefused with what to do about it, Ours for what should not happen.

        Whatever it raises, KeyboardInterrupt included: call `stop` then, too.
        """
        facts = machine.gather(self.settings)
        _refuse(preflight.problems(self.settings, facts))
        self._data = DataFolder.open(self.settings.data)
        self.settings = self.settings.model_copy(update={"data": self._data.root})
        keys = KeyRing.load_or_create(self._data.keys, time.time())
        self._session = session_folder.create()
        session_folder.show_logs(self.logs, self._session, joined=bool(self.settings.ray.address))
        session_folder.sweep()  # after the logs of a launcher that was killed have been saved
        self._start_servers(self._data)
        self._set_environment(self._data, self._session, facts)
        self._start_ray(self._session)
        secrets = self._data.secret("recovery-secret").encode(), self._data.secret(SECRET)
        realm = Realm(self.settings, keys, *secrets)
        self._step("Ray is up")
        # Loaded here, not in the threads that run them: two threads that import parts of Ray at once broke each other's imports.
        start_world = load(self._parts.world)
        applications = self._build(realm)
        world = Background(lambda: start_world(realm), "world")
        self._start_serve(applications)
        self._step("the applications are deployed")
        world.wait(WORLD_DEADLINE_S, self._checkpoint)
        self._step("the zones are up")
        self._wait_ready()
        if self._edge is not None:
            self._edge.watch()
        self._register(self._data)

    def _step(self, done: str) -> None:
        self._progress(done)
        self._checkpoint()

    def _start_servers(self, data: DataFolder) -> None:
        """Both at once; their addresses go into the settings."""
        redis, bus = self.settings.redis, self.settings.nats
        if not redis.url.get_secret_value():
            spec, url_of = valkey(data)
            redis_server = self._server(EmbeddedServer(spec, data, self._progress, self._lost))
        if not bus.url.get_secret_value():
            spec, token = nats(data)
            bus_server = self._server(EmbeddedServer(spec, data, self._progress, self._lost))
        for server in self._servers:
            server.wait_ready()
            self._step(f"{server.spec.name} answers on port {server.port}")
        if not redis.url.get_secret_value():
            redis = redis.model_copy(update={"url": SecretStr(url_of(redis_server.port))})
        if not bus.url.get_secret_value():
            url = SecretStr(f"nats://{LOOPBACK}:{bus_server.port}")
            bus = bus.model_copy(update={"url": url, "token": SecretStr(token)})
        self.settings = self.settings.model_copy(update={"redis": redis, "nats": bus})

    def _server(self, server: EmbeddedServer) -> EmbeddedServer:
        self._servers.append(server)
        server.start()
        return server

    def _lost(self, why: str) -> None:
        self.failure = why

    def _set_environment(self, data: DataFolder, session: Path, facts: preflight.Facts) -> None:
        flags = rayenv.serve_flags(self.settings, facts.open_files, self._parts.replica_callback)
        if self.settings.ray.address:
            flags |= rayenv.joined_flags(os.environ)
        else:
            data.secret("ray-token")
            self._edge = LocalEdge(self.settings, data, session, self._progress)
            ports = (free_port(), free_port(), free_port())
            flags |= rayenv.local_flags(
                self.settings,
                rayenv.RayFacts(facts.cpus, session, data.root / "ray-token", self._edge.script, ports),
            )
        os.environ.update(flags)

    def _start_ray(self, session: Path) -> None:
        contact = Background(lambda: asyncio.run(first_contact(self.settings, self._progress)), "Redis and NATS")
        import ray

        contact.wait(TASK_DEADLINE_S, self._checkpoint)
        settings = self.settings.ray
        if settings.address and not answers(settings.address):  # Ray itself would try for longer than anybody waits
            raise StartRefused(f"no Ray answers at {settings.address}: start it, or correct --ray-address")
        common: dict[str, Any] = {
            "namespace": self.settings.namespace,
            "log_to_driver": False,
            "logging_level": logging.WARNING,
        }
        with own_signal_handlers(), deaf_to_the_terminal():
            self._ray_started = True
            if settings.address:
                ray.init(address=settings.address, **common)
            else:
                ray.init(
                    address="local",
                    num_cpus=RAY_CPUS,
                    object_store_memory=settings.object_store_mib * 1024 * 1024,
                    include_dashboard=settings.dashboard_port > 0,
                    dashboard_host=LOOPBACK,
                    dashboard_port=settings.dashboard_port or None,
                    _temp_dir=str(session / session_folder.RAY),
                    **common,
                )
        if settings.address:
            self._check_joined()
        else:
            servers = {server.pid for server in self._servers}
            family = [child for child in psutil.Process().children(recursive=True) if child.pid not in servers]
            self._guard = guard.start(family)
            self._core = [process for process in family if process.name() in {"gcs_server", "raylet"}]

    def _check_joined(self) -> None:
        """Raises StartRefused if the cluster cannot carry the realm."""
        import ray

        nodes = ray.nodes()  # type: ignore[no-untyped-call]
        addresses = [node["NodeManagerAddress"] for node in nodes if node["Alive"]]
        own = frozenset({LOOPBACK, ray.util.get_node_ip_address()})  # type: ignore[no-untyped-call]
        problem = preflight.reachable_only_here(self.settings, addresses, own)
        _refuse([problem] if problem else [])
        found = ray.get(ray.remote(_environment).options(num_cpus=0).remote(), timeout=TASK_DEADLINE_S)
        wanted = rayenv.serve_flags(self.settings, 0, self._parts.replica_callback)
        if missing := rayenv.differences(wanted, found):
            raise StartRefused(
                f"Ray was started without what Serve needs: {' '.join(missing)} (rayrealm config ray-env)"
            )

    def _start_serve(self, applications: Mapping[str, tuple[Any, str]]) -> None:
        from ray import serve
        from ray.exceptions import RayError
        from ray.serve.api import RunTarget

        logging.getLogger("ray.serve").setLevel(logging.WARNING)
        local = not self.settings.ray.address
        targets = [
            RunTarget(target=application, name=name, route_prefix=prefix, external_scaler_enabled=True)
            for name, (application, prefix) in applications.items()
        ]
        self._serve_started = True
        try:
            serve.start(
                proxy_location="HeadOnly" if local else "EveryNode",
                http_options={
                    "host": LOOPBACK if local else self.settings.host,  # cluster/haproxy.py widens it
                    "port": self.settings.port,
                },
            )
            self._step("Serve is up")
            serve.run_many(targets)
        except (RayError, RuntimeError, TimeoutError) as error:
            raise Ours(f"Serve could not start the applications: {error}; see {self.logs}") from error

    def _build(self, realm: Realm) -> dict[str, tuple[Any, str]]:
        return {name: (load(build)(realm), prefix) for name, (build, prefix) in self._parts.applications.items()}

    def _wait_ready(self) -> None:
        """Until a client can play: the health check passes, and the gateway asks for a token. Raises Ours."""
        until = time.monotonic() + READY_DEADLINE_S
        wanted, pause = (200, 401), READY_PAUSE_S
        while (got := (status(self.settings, "/v1/healthz", {}), status(self.settings, "/ws", HANDSHAKE))) != wanted:
            self._checkpoint()
            if time.monotonic() > until:
                raise Ours(f"{self.url} answers {got} to /v1/healthz and /ws, not {wanted}; see {self.logs}")
            time.sleep(pause)
            pause = min(1.5 * pause, READY_LAST_PAUSE_S)

    def _register(self, data: DataFolder) -> None:
        import ray

        settings = self.settings
        self._entry = running.RunningRealm.of_this_process(self.url, data.root, settings.namespace)
        details = {
            "redis_url": settings.redis.url.get_secret_value(),
            "nats_url": settings.nats.url.get_secret_value(),
            "nats_token": settings.nats.token.get_secret_value(),
            "ray_address": ray.get_runtime_context().gcs_address,
            "session": str(self._session),
            "joined": bool(settings.ray.address),
            "authority": str(self.authority or ""),
            "gateways": settings.gateways,
            "zones": [zone.model_dump() for zone in settings.world.zones],
            **running.for_commands(settings),
        }
        running.register(self._entry, details, running.folder())

    # --- while it runs -----------------------------------------------------------------------------------------

    def start_bots(self, count: int) -> None:
        """Players of the demonstration, in a process of their own; what it says goes to the logs."""
        argv = [sys.executable, "-m", "cluster.cli.main", "bots", "--count", str(count), "--url", self.url]
        with (self.logs / "bots.log").open("ab") as output:
            self._bots = subprocess.Popen(  # noqa: S603 - our own program
                tied(argv, os.getpid()),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env=os.environ | ({"SSL_CERT_FILE": str(self.authority)} if self.authority is not None else {}),
            )

    def check(self) -> None:
        """To be called every second or so: sets `failure` when Ray has ended, and says so when the bots have."""
        dead = [process for process in self._core if not runs(process)]
        if dead and self.failure is None:
            self.failure = f"Ray has ended ({', '.join(str(process.pid) for process in dead)}); see {self.logs}"
        if self._bots is not None and self._bots.poll() is not None:
            self._progress(f"the bots ended with code {self._bots.returncode}; see {self.logs / 'bots.log'}")
            self._bots = None

    # --- the end -----------------------------------------------------------------------------------------------

    def stop(self) -> None:
        """End what was started, players first and data last, and nothing else. Twice is fine.

        May take long if Ray hangs: the caller watches the time and calls `kill`.
        """
        if self._edge is not None:
            self._edge.stop()
        others = [server.pid for server in self._servers]
        started = [child for child in psutil.Process().children(recursive=True) if child.pid not in others]
        if self._bots is not None:
            self._bots.terminate()
            self._bots = None
        if self._ray_started:
            self._stop_ray()
            self._ray_started = False
        # HAProxy is not Ray's child any more if the actor that started it was killed: ended here, by its own pid.
        end(started)
        for server in self._servers:
            server.stop()
        self._clean()

    def kill(self) -> None:
        """At once: every process of the realm gets SIGKILL."""
        for server in self._servers:
            server.kill()
        for child in psutil.Process().children(recursive=True):
            with contextlib.suppress(psutil.NoSuchProcess):
                child.kill()
        self._clean()

    def _stop_ray(self) -> None:
        import ray

        # A thread of Ray prints there that Serve's controller, which ends itself, has ended.
        with contextlib.redirect_stdout(io.StringIO()):
            try:
                self._need_ray()
                if ray.is_initialized():
                    Background(self._end_applications, "Serve").wait(SERVE_END_DEADLINE_S, self._need_ray)
                    self._progress("players are disconnected and the actors have ended")
                ray.shutdown()
            except (ray.exceptions.RayError, RuntimeError, TimeoutError, Ours) as error:
                self._progress(f"killing what is left of Ray: {error}")

    def _need_ray(self) -> None:
        """Raises Ours once Ray has ended. To go on would mean to wait for it, and to be ended by it after a minute."""
        if not all(runs(process) for process in self._core):
            raise Ours("it has ended")

    def _end_applications(self) -> None:
        """A Ray of our own loses all of Serve; one that we joined keeps it, without our applications."""
        from ray import serve

        asyncio.run(last_words(self.settings))
        if self._serve_started and self.settings.ray.address:
            for name in self._parts.applications:
                serve.delete(name)
        elif self._serve_started:
            serve.shutdown()  # type: ignore[no-untyped-call]
        self._end_actors()

    def _end_actors(self) -> None:
        import ray

        for actor in ray.util.list_named_actors(all_namespaces=True):
            if actor["namespace"] == self.settings.namespace:
                with contextlib.suppress(ValueError):  # gone since it was listed
                    ray.kill(ray.get_actor(**actor), no_restart=True)

    def _clean(self) -> None:
        if self._entry is not None:
            running.unregister(self._entry, running.folder())
        if self._data is not None:
            session_folder.keep_logs(self.logs)
            self._data.close()
        if self._session is not None:
            session_folder.remove(self._session)


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name.startswith(("RAY", "FORWARDED_"))}


def _refuse(found: list[str]) -> None:
    if found:
        raise StartRefused("; ".join(found))
