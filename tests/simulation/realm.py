"""A realm in virtual time: the real actors and gateways in simulated processes, around a simulated store and bus."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from http import HTTPStatus
from typing import Any
from unittest import mock

import structlog
from prometheus_client import CollectorRegistry

from actors.presence import presence_actor
from actors.session import sessions_actor
from actors.world import supervisor_actor
from actors.zone import zone_actor
from actors.zone.roles import Roles
from actors.zone.zone import Zone
from cluster.adapters import runtime as runtime_module
from cluster.adapters.runtime import Runtime
from cluster.beating import Beating
from cluster.chaos.history import History
from cluster.ports.accounts import Character
from cluster.ports.calls import SUPERVISOR
from cluster.process_control import ProcessControl
from cluster.realm import Realm
from cluster.security.keys import KeyRing
from cluster.security.tokens import sign_access
from cluster.settings import Settings
from cluster.subjects import Subjects
from serve_apps.gateway import gateway_app
from serve_apps.gateway.admission import Admission
from serve_apps.gateway.client import Client
from serve_apps.gateway.hub import Hub
from serve_apps.gateway.identity import Identity
from serve_apps.gateway.upgrade import Refusal, Upgrade
from tests.simulation.machines import Actor, Machines, SimActors, SimCalls
from tests.simulation.network import Network, ProcessBus, Roughness
from tests.simulation.recorder import Recorder
from tests.simulation.server import Fates, Server, SimRedis
from tests.simulation.sockets import Socket
from tests.simulation.virtual_time import Process, me

SHELLS = (zone_actor, sessions_actor, presence_actor, supervisor_actor, gateway_app)
ADAPTERS = {
    "RedisZoneStore": "zones",
    "RedisWorldStore": "world",
    "RedisSessionStore": "sessions",
    "RedisAccounts": "accounts",
    "RedisCharacters": "characters",
    "RedisOutboxLog": "outbox",
    "RedisTopicLog": "topics",
    "RedisSocialStore": "social",
    "RedisPartyStore": "parties",
    "RedisEpochStore": "epochs",
    "RedisProtection": "protection",
    "RedisBans": "bans",
}
NODES = ("node1", "node2", "node3")
TOKEN_S = 10_000_000.0
BUSY = Refusal(HTTPStatus.SERVICE_UNAVAILABLE, "busy", "simulated", 1)


class SimGate:
    """A gateway in a process of its own, as players reach it (`players.Gate`)."""

    def __init__(self, process: Process, runner: Any, admission: Admission) -> None:
        self.process = process
        self.runner = runner
        self._admission = admission
        self._sockets: list[Socket] = []

    @property
    def hub(self) -> Hub:
        hub: Hub = self.runner.hub
        return hub

    async def attach(self, upgrade: Upgrade) -> tuple[Any, str] | Refusal:
        if not self.process.alive:
            return BUSY
        task = self.process.spawn(self._attach(upgrade))
        await asyncio.wait([task])
        return BUSY if task.cancelled() else task.result()

    async def _attach(self, upgrade: Upgrade) -> tuple[Any, str] | Refusal:
        who = await self._admission.authenticate(upgrade)
        return who if isinstance(who, Refusal) else await self._admission.attach(upgrade, who)

    def connect(self, attached: Any, actor: str, upgrade: Upgrade, socket: Socket) -> Client:
        self._sockets = [known for known in self._sockets if known.open] + [socket]
        client: Client = self._inside(self.hub.connect, attached, actor, upgrade, Identity(attached.user_id), socket)
        return client

    def break_sockets(self) -> None:
        """The process is gone; so are its sockets, and nobody detaches them."""
        for socket in self._sockets:
            socket.cut("its gateway died")

    def receive(self, client: Client, payload: bytes) -> None:
        self._inside(self.hub.receive, client, False, payload, True)

    def heard(self, client: Client) -> None:
        self._inside(self.hub.heard, client)

    def disconnected(self, client: Client) -> None:
        self._inside(self.hub.disconnected, client)

    def _inside(self, call: Callable[..., Any], *args: Any) -> Any:
        return self.process.context.copy().run(call, *args) if self.process.alive else None


class Complaints:
    """What the realm logs as an error or a warning, counted; errors are kept."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.errors: list[dict[str, Any]] = []

    def __call__(self, _logger: Any, level: str, event: dict[str, Any]) -> dict[str, Any]:
        if level in ("warning", "error", "critical", "exception"):
            self.counts[str(event.get("event"))] += 1
        if level in ("error", "critical", "exception") and event.get("event") not in EXPECTED and len(self.errors) < 50:
            process = me()
            self.errors.append({**event, "at": round(time.monotonic(), 3), "process": repr(process)})
        raise structlog.DropEvent


# No wonder: who was replaced says so as it ends, a gateway may find a session actor away for long, and how long a hook
# takes is the machine's own time.
EXPECTED = frozenset({"fenced", "detach_failed", "game_slow"})


class SimRealm:
    """`make_zone(realm, argument, open)` and the like are the actors' own classes."""

    def __init__(self, settings: Settings, seed: int, history: History, fates: Fates, rough: Roughness) -> None:
        self.rng = random.Random(seed)
        self.settings = settings
        self.history = history
        self.recorder = Recorder(history)
        self.server = Server(random.Random(self.rng.random()), fates, self.recorder)
        self.network = Network(random.Random(self.rng.random()), rough)
        self.machines = Machines(random.Random(self.rng.random()), self._died)
        self.complaints = Complaints()
        self.keys = KeyRing.create(time.time())
        self.realm = Realm(settings, self.keys, b"recovery tokens of simulations only")
        self.gates: list[SimGate] = []
        self._opened = 0
        self.nodes: list[str] = []
        self._tokens: dict[str, str] = {}
        self._deaths: list[Callable[[Process, str], None]] = []

    def _died(self, process: Process, why: str) -> None:
        self.history.add("died", by=process.number, why=why)

    # --- what every process opens ------------------------------------------------------------------------------

    async def open(self, realm: Realm, kind: str, name: str, registry: CollectorRegistry) -> Runtime:
        process = me()
        if process is None:
            raise RuntimeError(f"{name} runs in no process")
        await asyncio.sleep(0.01)
        redis: Any = SimRedis(self.server, process)
        bus: Any = ProcessBus(self.network, process)
        calls = SimCalls(self.machines, process.number)
        subjects = Subjects(realm.settings.namespace)
        silent = Beating(kind, name, "", realm.settings.telemetry.beat_s, lambda data: None)
        deaf = ProcessControl(name, chaos=False, beat=silent.now)
        return Runtime(realm, kind, name, subjects, redis, bus, calls, redis.epochs, registry, silent, deaf)

    def fenced(self, _what: str = "") -> None:
        """os._exit: the code that calls this goes no further."""
        process = me()
        if process is not None:
            self.machines.end(process, "fenced")
        raise asyncio.CancelledError

    @contextlib.contextmanager
    def patched(self) -> Iterator[None]:
        """The shells build their adapters over the simulated store, and log into `complaints`."""
        configured = structlog.get_config()
        structlog.configure(processors=[self.complaints], cache_logger_on_first_use=False)
        with contextlib.ExitStack() as stack:
            for module in (*SHELLS, runtime_module):
                for name, attribute in ADAPTERS.items():
                    if hasattr(module, name):
                        stack.enter_context(mock.patch.object(module, name, _adapter(attribute)))
                if hasattr(module, "stop_fenced"):
                    stack.enter_context(mock.patch.object(module, "stop_fenced", self.fenced))
            try:
                yield
            finally:
                structlog.configure(**configured)

    # --- zones -------------------------------------------------------------------------------------------------

    def zone_actors(self, *, alive: bool = True) -> list[Actor]:
        """Those that run and are not stopped; or all that have a name."""
        found = self.machines.running() if alive else list(self.machines.actors.values())
        return [actor for actor in found if actor.name.startswith("zone/")]

    def role(self, actor: Actor) -> str:
        """As it says itself; empty before it says anything."""
        roles: Roles | None = getattr(actor.runner, "_roles", None)
        return "" if roles is None else roles.role

    def owners(self) -> list[tuple[int, Zone]]:
        """(process, zone) of every process that takes itself for an owner."""
        found = []
        for actor in self.zone_actors():
            roles: Roles | None = getattr(actor.runner, "_roles", None)
            if roles is not None and roles.owner is not None and actor.process is not None:
                found.append((actor.process.number, roles.owner.zone))
        return found

    def start_world(self) -> None:
        """The supervisor, which starts everything else."""
        self.machines.nodes = list(NODES)
        self.machines.start(SUPERVISOR, NODES[0], self._make_supervisor)

    def _make_supervisor(self, process: Process) -> Any:
        actors = SimActors(self.machines, process, self._make)
        return supervisor_actor.SupervisorRunner(self.realm, lambda _realm: actors, self.open)

    def _make(self, kind: str, name: str, node: str) -> Any:
        shells: dict[str, Any] = {
            "zone": zone_actor.ZoneRunner,
            "sessions": sessions_actor.SessionsRunner,
            "presence": presence_actor.PresenceRunner,
        }
        runner = shells[kind](self.realm, name, self.open)
        if kind == "zone":
            runner._node = node  # Ray tells it
        return runner

    # --- gateways ----------------------------------------------------------------------------------------------

    async def open_gate(self) -> None:
        self._opened += 1
        process = self.machines.process(f"gateway/{self._opened}")
        runner = gateway_app.GatewayRunner(self.open)
        await process.spawn(runner.start(self.realm))
        admission = gateway_app.Door.admission
        assert admission is not None
        self.gates.append(SimGate(process, runner, admission))

    def kill_gate(self, gate: SimGate) -> None:
        self.gates.remove(gate)
        self.machines.end(gate.process, "killed")
        gate.break_sockets()

    # --- players -----------------------------------------------------------------------------------------------

    def token(self, user_id: str) -> str:
        if user_id not in self._tokens:
            self._tokens[user_id] = sign_access(self.keys, user_id, time.time(), TOKEN_S, self.settings.namespace)
        return self._tokens[user_id]

    async def character(self, user_id: str) -> str:
        made = Character(f"chr_{user_id}", user_id, f"Hero {user_id}", "", 0.0, 0.0, 0.0, 0.0, time.time())
        await self.server.characters.create(made, 8)
        return made.character_id


def _adapter(attribute: str) -> Callable[[Any, str], Any]:
    def make(client: Any, _namespace: str) -> Any:
        return getattr(client, attribute)

    return make
