"""A realm in one process: the real gateway on a real socket, real Valkey and NATS, the actors' own classes, but no Ray.

Everything that does not concern processes is tested here, fast; what does is tested against a realm that `rayrealm up` started.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Iterable
from typing import Any

import uvicorn
from prometheus_client import CollectorRegistry
from pydantic import SecretStr

from actors.presence.presence_actor import PresenceRunner
from actors.session.sessions_actor import SessionsRunner
from actors.watch.watch_actor import WatchRunner
from actors.world.supervisor_actor import SupervisorRunner
from actors.zone.zone_actor import ZoneRunner
from cluster.adapters.memory.calls import MemoryCalls
from cluster.adapters.nats_bus import NatsBus
from cluster.adapters.redis.characters import RedisCharacters
from cluster.adapters.redis.connection import connect
from cluster.adapters.redis.epochs import RedisEpochStore
from cluster.adapters.runtime import Runtime, until_available
from cluster.beating import Beating
from cluster.ports.accounts import Character
from cluster.ports.actors import ANYWHERE, ActorKind, Node, Place
from cluster.process_control import ProcessControl
from cluster.realm import Realm
from cluster.security.keys import KeyRing
from cluster.security.tokens import sign_access
from cluster.security_settings import AbuseSettings
from cluster.settings import NatsSettings, RedisSettings, Settings
from cluster.subjects import Subjects
from cluster.telemetry.scrape import serve_metrics
from serve_apps.gateway import picows_app
from serve_apps.gateway.gateway_app import GatewayRunner, http

START_DEADLINE_S = 20.0
STOP_DEADLINE_S = 30.0  # a bus whose server is gone takes two seconds to close
CANCEL_S, CANCELS = 1.0, 10
# Tests say what they have to say as fast as they can; those of the limits set their own.
WIDE = {"per_s": 100_000.0, "burst": 1_000_000}
WIDE_LIMITS = {"user": WIDE, "address": WIDE, "in_all": WIDE, "methods": {}}


class LocalActors:
    """Implements `cluster.ports.actors.Actors` in this process; there are no nodes."""

    def __init__(self, realm: LocalRealm) -> None:
        self._realm = realm

    async def make(self, kind: ActorKind, name: str, place: Place = ANYWHERE) -> None:
        if name not in self._realm.actors:
            self._realm.make(None, name, self._realm.realm, name)

    async def kill(self, name: str) -> None:
        await self._realm.kill(name)

    async def nodes(self) -> list[Node]:
        return []


class LocalRealm:
    """`url` is the WebSocket's; `character(user)` makes a character, `token(user)` lets a user in."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.keys = KeyRing.create(time.time())
        self.realm = Realm(settings, self.keys, b"recovery tokens of this test only")
        self.actors: dict[str, Any] = {}
        self.calls = MemoryCalls(self.actors)
        self.url = ""
        self.gateway: GatewayRunner
        self._runtimes: list[Runtime] = []
        self._runners: list[Any] = []
        self._dying: set[asyncio.Task[None]] = set()

    async def open(self, realm: Realm, kind: str, name: str, registry: CollectorRegistry) -> Runtime:
        client = connect(realm.settings.redis, name.replace("/", "-"))
        bus = await until_available(lambda: NatsBus.connect(realm.settings.nats, name))
        subjects = Subjects(realm.settings.namespace)
        epochs = RedisEpochStore(client, realm.settings.namespace)
        beat_s = realm.settings.telemetry.beat_s
        beating = Beating(kind, name, "", beat_s, lambda data: bus.publish(subjects.beats(), data))
        control = ProcessControl(name, realm.settings.console.chaos, beating.now, lambda: self._dies(name))
        await bus.respond(subjects.process_control(), control.respond)
        await serve_metrics(bus, subjects, registry, name)
        beating.start()
        runtime = Runtime(realm, kind, name, subjects, client, bus, self.calls, epochs, registry, beating, control)
        self._runtimes.append(runtime)
        return runtime

    def make(self, runner: Any, name: str, realm: Realm, argument: str) -> None:
        classes = {"zone": ZoneRunner, "sessions": SessionsRunner, "presence": PresenceRunner, "watch": WatchRunner}
        self.actors[name] = classes[name.split("/", 1)[0]](realm, argument, self.open)
        self._runners.append(self.actors[name])

    async def kill(self, name: str) -> None:
        """What a process's death looks like from outside: its loops stop and its connections close."""
        runner = self.actors.pop(name, None)
        if runner is None:
            return
        await runner._started
        for loop in runner._loops:
            loop.cancel()
        await asyncio.gather(*runner._loops, return_exceptions=True)
        await runner._runtime.close()

    def _dies(self, name: str) -> None:
        """Of SIGKILL, if it had a process of its own."""
        self._dying.add(dying := asyncio.create_task(self.kill(name)))
        dying.add_done_callback(self._dying.discard)

    async def supervise(self) -> None:
        """Start a supervisor, the first or the next one; ready when every zone has an owner."""
        supervisor = SupervisorRunner(self.realm, lambda _: LocalActors(self), self.open)
        self.actors["supervisor"] = supervisor
        self._runners.append(supervisor)
        await supervisor.ready()

    async def start(self) -> None:
        await self.supervise()
        self.gateway = GatewayRunner(self.open)
        await self.gateway.start(self.realm)

    def missing(self) -> str:
        """Which parts have not started, and why, if that is known."""
        waiting = [f"the bus of {each.name} is away" for each in self._runtimes if not each.bus.connected]
        for name, runner in self.actors.items():
            started = runner._started
            if not started.done():
                waiting.append(f"{name} has not started")
            elif started.cancelled() or started.exception():
                waiting.append(f"{name} ended: {'cancelled' if started.cancelled() else repr(started.exception())}")
            elif name.startswith("zone/") and runner._roles.owner is None:
                waiting.append(f"{name} does not own its zone")
        return ", ".join(waiting) or "the gateway has not started"

    async def give_up(self, others: Iterable[asyncio.Task[Any]]) -> None:
        """After a start that failed: end all tasks but `others`, then close what was opened. It cannot hang."""
        kept = {*others, asyncio.current_task()}
        for _ in range(CANCELS):  # a task may swallow one cancellation (github.com/python/cpython/issues/86296)
            if not (left := asyncio.all_tasks() - kept):
                break
            for task in left:
                task.cancel()
            await asyncio.wait(left, timeout=CANCEL_S)
        closing = [asyncio.create_task(runtime.close()) for runtime in self._runtimes]
        if closing:
            _, left = await asyncio.wait(closing, timeout=STOP_DEADLINE_S)
            for task in left:
                task.cancel()

    async def stop(self) -> None:
        self.gateway.stop()
        for runner in self._runners:
            for loop in getattr(runner, "_loops", []):
                loop.cancel()
        for runtime in self._runtimes:
            await runtime.close()
        picows_app.Door.hub = picows_app.Door.admission = picows_app.Door.firewall = None

    def token(self, user_id: str, ttl_s: float = 600.0, role: str = "player") -> str:
        return sign_access(self.keys, user_id, time.time(), ttl_s, self.settings.namespace, role)

    async def character(self, user_id: str, name: str = "", at: tuple[float, float] | None = None) -> str:
        """A new character of the user; `at`: where it stands in the first zone, x and z in metres."""
        store = RedisCharacters(self._runtimes[0].redis, self.settings.namespace)
        character_id = f"chr_{secrets.token_hex(6)}"
        made = Character(
            character_id=character_id,
            user_id=user_id,
            name=name or f"Hero {secrets.token_hex(4)}",
            zone=self.settings.world.zones[0].id if at else "",
            x=at[0] if at else 0.0,
            y=0.0,
            z=at[1] if at else 0.0,
            yaw=0.0,
            created_at=time.time(),
        )
        await store.create(made, self.settings.accounts.max_characters)
        return character_id


class NotStartedError(Exception):
    """A realm did not start in time; says which of its parts is missing."""


async def within(step: Awaitable[None], what: str) -> None:
    """Raises TimeoutError, which says what it was."""
    try:
        async with asyncio.timeout(STOP_DEADLINE_S):
            await step
    except TimeoutError as error:
        raise TimeoutError(f"{what}: not within {STOP_DEADLINE_S:g} s") from error


@contextlib.asynccontextmanager
async def local_realm(
    valkey_url: str, nats_url: str, nats_token: str, namespace: str, send_buffer: int = 0, **overrides: Any
) -> AsyncIterator[LocalRealm]:
    """`overrides` are settings; nobody watches for abuse unless they say so (its library takes a second of this process).

    `send_buffer` bytes is what the kernel takes for a client that does not read."""
    overrides.setdefault("abuse", AbuseSettings(enabled=False))
    settings = Settings(
        realm=namespace,
        redis=RedisSettings(url=SecretStr(valkey_url)),
        nats=NatsSettings(url=SecretStr(nats_url), token=SecretStr(nats_token)),
        **{"limits": WIDE_LIMITS, **overrides},
    )
    realm = LocalRealm(settings)
    picows_app.install()
    listener = socket.socket()
    if send_buffer:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, send_buffer)  # its connections inherit it
    listener.bind(("127.0.0.1", 0))
    listener.listen(4096)  # clients that connect before the server runs wait here
    server = uvicorn.Server(uvicorn.Config(http, lifespan="off", log_config=None, ws="auto", http="httptools"))
    others = asyncio.all_tasks()
    try:
        async with asyncio.timeout(START_DEADLINE_S):
            await realm.start()
    except Exception as error:
        missing = realm.missing()
        listener.close()
        await realm.give_up(others)
        raise NotStartedError(f"{error!r}; {missing}") from error
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    realm.url = f"ws://127.0.0.1:{listener.getsockname()[1]}/ws"
    try:
        yield realm
    finally:
        realm.gateway.hub.stop()
        server.should_exit = True
        try:
            await within(serving, "the end of the realm's server")
        finally:
            await within(realm.stop(), "the end of the realm")
