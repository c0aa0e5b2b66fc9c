"""A gateway without sockets, for its unit tests: time stands still until a test moves it, and what is written is kept."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

import orjson

from actors.chat.filtering import load_filter
from actors.session.attaching import Attached
from cluster.adapters.memory.bans import MemoryBans
from cluster.adapters.memory.bus import MemoryBus
from cluster.adapters.memory.calls import MemoryCalls
from cluster.adapters.memory.characters import MemoryCharacters
from cluster.adapters.memory.chat import MemoryChatStore
from cluster.adapters.memory.device_keys import MemoryDeviceKeys
from cluster.adapters.memory.limits import MemoryLimiter
from cluster.adapters.memory.parties import MemoryPartyStore
from cluster.adapters.memory.social import MemorySocialStore
from cluster.adapters.memory.topics import MemoryTopicLog
from cluster.errors import Unavailable
from cluster.realm import Realm
from cluster.security.checking import TokenChecker
from cluster.security.issuers import Issuers
from cluster.security.keys import KeyRing
from cluster.security.rotation import LiveKeys
from cluster.settings import GatewaySettings, SessionSettings, Settings
from cluster.subjects import Subjects
from cluster.telemetry.gateway_metrics import GatewayMetrics
from realm_proto import realtime_pb2 as pb
from serve_apps.gateway.authority import Authority
from serve_apps.gateway.client import Client
from serve_apps.gateway.connection import Close, Connection
from serve_apps.gateway.dispatch import Dispatcher
from serve_apps.gateway.hub import Hub
from serve_apps.gateway.identity import Identity
from serve_apps.gateway.messages import Framing
from serve_apps.gateway.outgoing import Outgoing
from serve_apps.gateway.proto_framing import MOVE_METHOD
from serve_apps.gateway.router import Router
from serve_apps.gateway.services import Services
from serve_apps.gateway.upgrade import Upgrade

KEY = "AAAAAAAAAAAAAAAAAAAAAA=="
SUBJECTS = Subjects("test")
WALL = 1_800_000_000.0
SECRET = b"the secret of recovery tokens in tests"


@dataclass
class Clock:
    now: float = 1_000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Wire:
    """A `client.Socket`: what was written, pinged and closed."""

    frames: list[tuple[bytes, Framing]] = field(default_factory=list)
    pings: int = 0
    closed: list[tuple[int, str]] = field(default_factory=list)

    def send(self, frame: bytes, framing: Framing) -> None:
        self.frames.append((frame, framing))

    def ping(self) -> None:
        self.pings += 1

    def close(self, code: int, reason: str) -> None:
        self.closed.append((code, reason))

    def json(self) -> list[Any]:
        """What JSON frames said so far; forgets them."""
        said = [orjson.loads(frame) for frame, framing in self.frames if framing is Framing.JSON]
        self.frames.clear()
        return said

    def proto(self) -> list[pb.WebSocketMessage]:
        said = [pb.WebSocketMessage.FromString(f) for f, framing in self.frames if framing is Framing.PROTO]
        self.frames.clear()
        return said


def attached(
    session_id: str = "ses_1",
    user_id: str = "usr_1",
    attach_epoch: int = 1,
    world: dict[str, Any] | None = None,
    subscriptions: tuple[str, ...] = (),
    **more: Any,
) -> Attached:
    state = "in_world" if world else "authenticated"
    return Attached(session_id, user_id, attach_epoch, attach_epoch > 1, state, world, subscriptions, "a1", **more)


def a_world(number: int = 7, zone: str = "zon_meadow") -> dict[str, Any]:
    """As much of the result of world.enter as a gateway looks at."""
    return {"zone": zone, "number": number, "name": "Ann"}


def a_client(
    framing: Framing | None = Framing.JSON,
    world: dict[str, Any] | None = None,
    limits: GatewaySettings | None = None,
    session_id: str = "ses_1",
    **more: Any,
) -> tuple[Client, Wire]:
    """A client that no hub knows."""
    limits = limits or GatewaySettings()
    connection, wire = Connection(framing, limits, 0.0), Wire()
    outgoing = Outgoing(connection.framing, limits.slow_consumer_bytes, limits.slow_consumer_s)
    return Client(
        attached(session_id, world=world, **more), "sessions/0", connection, outgoing, wire, 0.0, Identity("usr_a")
    ), wire


def an_upgrade(framing: Framing | None = Framing.JSON) -> Upgrade:
    return Upgrade("token", "", "", "", 0, framing, framing.value if framing else "", KEY)


class SessionsActor:
    """Says yes to what a gateway asks of a session's actor, and remembers it."""

    def __init__(self) -> None:
        self.detached: list[tuple[str, int]] = []
        self.topics: tuple[str, ...] = ()
        self.world: dict[str, Any] = a_world()

    async def detach(self, session_id: str, attach_epoch: int) -> None:
        self.detached.append((session_id, attach_epoch))

    async def subscribe(self, _session: str, _epoch: int, add: list[str], remove: list[str]) -> tuple[str, ...]:
        self.topics = tuple(t for t in dict.fromkeys((*self.topics, *add)) if t not in remove)
        return self.topics

    async def enter(self, _session: str, _epoch: int, _key: str, _character: str, _zone: str) -> dict[str, Any]:
        return self.world

    async def leave(self, _session: str, _epoch: int) -> None: ...


class Gateway:
    """A hub with a router, over a bus and calls inside this process."""

    def __init__(self, router: Router | None = None, **limits: Any) -> None:
        self.clock = Clock()
        self.settings = Settings(realm="test", gateway=GatewaySettings(**limits), session=SessionSettings())
        self.bus = MemoryBus()
        self.sessions = SessionsActor()
        self.actors: dict[str, Any] = {"sessions/0": self.sessions}
        self.calls = MemoryCalls(self.actors)
        self.router = router or Router()
        self.metrics = GatewayMetrics(self.router.methods | {MOVE_METHOD}, list(Close))
        self.realm = Realm(self.settings, KeyRing.create(WALL), SECRET)
        self.hub = Hub("gtw_1", self.realm, self.bus, SUBJECTS, self.calls, self.clock, lambda: WALL, self.metrics)
        self.topics = MemoryTopicLog()
        self.checker = checker_of(self.realm)
        self.bans = MemoryBans(self.clock)
        self.authority = Authority(
            self.settings.identity,
            self.checker,
            self.bans,
            self.hub.notify,
            self.hub.close,
            self.hub.spawn,
            lambda: WALL,
            self.metrics,
        )
        self.services = Services(
            self.settings,
            self.hub,
            self.calls,
            MemoryCharacters(lambda _session: False),
            self.topics,
            self.bus,
            SUBJECTS,
            lambda: WALL,
            MemorySocialStore(),
            MemoryPartyStore(),
            MemoryChatStore(self.topics, lambda _session: "online", lambda: WALL + self.clock.now),
            MemoryLimiter(self.clock),
            load_filter("", self.settings.chat.words, self.settings.chat.max_text),
            MemoryDeviceKeys(),
            self.authority,
        )
        self.hub.use(
            Dispatcher(self.router, self.services, self.clock, self.settings.gateway.max_pending_requests, self.metrics)
        )

    def connect(self, framing: Framing | None = Framing.JSON, **what: Any) -> tuple[Client, Wire]:
        """A socket is open; session.ready is forgotten."""
        wire = Wire()
        client = self.hub.connect(attached(**what), "sessions/0", an_upgrade(framing), Identity("usr_a"), wire)
        client.sighted = True  # as if its first view had come
        wire.frames.clear()
        return client, wire

    async def say(self, client: Client, document: Any) -> None:
        """A text frame from the client, and all that follows from it."""
        self.hub.receive(client, True, orjson.dumps(document), True)
        await settled(client)

    def closes(self) -> dict[str, int]:
        """Sockets closed, by code."""
        return {
            sample.labels["code"]: int(sample.value)
            for family in self.metrics.registry.collect()
            for sample in family.samples
            if sample.name == "rayrealm_gateway_closes_total" and sample.value
        }


def checker_of(realm: Realm) -> TokenChecker:
    """As a gateway has it, without outside providers."""

    async def nobody(url: str) -> bytes:
        raise Unavailable(url)

    settings = realm.settings
    issuers = Issuers(settings.identity, nobody, time.monotonic, settings.accounts.clock_skew_s)
    return TokenChecker(settings, LiveKeys(realm.keys.public_only()), issuers)


async def settled(client: Client) -> None:
    """Until the client's worker has nothing left to do."""
    while client.worker is not None:
        await client.worker
