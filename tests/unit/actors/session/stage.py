"""A session host on memory stores, real zones, and a clock that stands still until a test moves it."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from actors.presence.changes import SessionPresence
from actors.session.attaching import Attach, Attached
from actors.session.belongings import Belongings
from actors.session.following import Following
from actors.session.host import SessionHost
from actors.session.lane import ReliableLane
from actors.session.moves import Moves
from actors.session.table import SessionTable
from actors.zone.arrivals import Arrival, Standing
from actors.zone.zone import Zone
from cluster.adapters.memory.bus import MemoryBus
from cluster.adapters.memory.calls import MemoryCalls
from cluster.adapters.memory.characters import MemoryCharacters
from cluster.adapters.memory.epochs import MemoryEpochStore
from cluster.adapters.memory.outbox import MemoryOutboxLog
from cluster.adapters.memory.parties import MemoryPartyStore
from cluster.adapters.memory.sessions import MemorySessionStore
from cluster.adapters.memory.social import MemorySocialStore
from cluster.adapters.memory.topics import MemoryTopicLog
from cluster.errors import RealmError, Unavailable
from cluster.ports.accounts import Character
from cluster.ports.bus import Subscription
from cluster.ports.calls import zone_actor
from cluster.ports.sessions import Fence, SessionRecord
from cluster.settings import GatewaySettings, SessionSettings, Settings
from cluster.subjects import Subjects
from realm_proto import internal_pb2
from tests.hearings import listening
from tests.journeys import journey

ACTOR = "sessions/0"
WALL = 1_800_000_000.0
TTL_S = 300.0
SUBJECTS = Subjects("test")
MEADOW, FOREST = "zon_meadow", "zon_forest"


class Flaky:
    """Stands before a store or an actor: its methods fail when told to, before they act or after."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner
        self.called: list[str] = []
        self._failures: defaultdict[str, list[tuple[RealmError, bool]]] = defaultdict(list)

    def fail(self, method: str, error: RealmError | None = None, *, acted: bool = False, times: int = 1) -> None:
        """The next calls of `method` raise; `acted`: they do their work first, as when only the answer is lost."""
        self._failures[method] += [(error or Unavailable("test"), acted)] * times

    def heal(self) -> None:
        self._failures.clear()

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        method = getattr(self.inner, name)

        async def call(*args: Any, **named: Any) -> Any:
            self.called.append(name)
            error, acted = self._failures[name].pop(0) if self._failures[name] else (None, True)
            result = await method(*args, **named) if acted else None
            if error is not None:
                raise error
            return result

        return call


@dataclass(frozen=True)
class Parts:
    """What one incarnation of the session actor is made of."""

    lane: ReliableLane
    following: Following
    belongings: Belongings


class ZoneDouble:
    """The zone actor's control lane without its store: what sessions call."""

    def __init__(self, zone: Zone) -> None:
        self.zone = zone

    async def enter(self, who: Arrival) -> Standing:
        return self.zone.enter(who, 0.0)

    async def attach(self, session_id: str, gateway_id: str, attach_epoch: int, instead_of: int = 0) -> Standing:
        return self.zone.attach(session_id, gateway_id, attach_epoch, instead_of)

    async def detach(self, session_id: str, attach_epoch: int, instead_of: int = 0) -> bool:
        self.zone.detach(session_id, attach_epoch, instead_of)
        return session_id in self.zone.table.by_session

    async def leave(self, session_id: str) -> Standing | None:
        return self.zone.leave(session_id)


class Stage:
    """`told` and `closed` are what the host said, `sent` what its lane did; `actors` may lose a zone, which then is away.

    `lane`, `following`, `hearing`, `moves` and `belongings` are the newest host's; `parts` has those of each.
    """

    def __init__(self, **session: Any) -> None:
        self.settings = Settings(
            realm="test",
            session=SessionSettings(record_ttl_s=TTL_S, **session),
            # Calls to a zone that is away are given up after 40 ms, undoing after 20 (see conftest.py).
            gateway=GatewaySettings(call_deadline_s=0.05),
        )
        self.now = 1000.0
        self.epochs = MemoryEpochStore()
        self.records = MemorySessionStore(self.epochs)
        self.store = Flaky(self.records)
        self.characters = Flaky(MemoryCharacters(self._exists))
        world = self.settings.world
        self.zones = {spec.id: Flaky(ZoneDouble(Zone(spec, world, 1))) for spec in world.zones}
        self.actors: dict[str, Any] = {zone_actor(zone_id): zone for zone_id, zone in self.zones.items()}
        self.calls = MemoryCalls(self.actors, seed=1)
        self.outbox_log = Flaky(MemoryOutboxLog(self.epochs, self.records))
        self.topics = Flaky(MemoryTopicLog())
        self.social = Flaky(MemorySocialStore())
        self.parties = Flaky(MemoryPartyStore())
        self.bus = MemoryBus()
        self.sent: list[tuple[str, internal_pb2.ReliableBatch]] = []
        self.told: list[SessionPresence] = []
        self.closed: list[tuple[str, str, int, int, str]] = []
        self.parts: dict[SessionHost, Parts] = {}
        self._made = 0

    def _exists(self, session_id: str) -> bool:
        return session_id in self.records._records

    def zone(self, zone_id: str = MEADOW) -> Zone:
        found: Zone = self.zones[zone_id].inner.zone
        return found

    async def host(self) -> SessionHost:
        """A new incarnation of the session actor, with what the store has for it."""
        epoch = await self.epochs.take("sessions", ACTOR)
        fence, limits = Fence(ACTOR, epoch), self.settings.session
        table = SessionTable(fence, self.store, limits.record_ttl_s, lambda: self.now)  # type: ignore[arg-type]
        lane = ReliableLane(
            fence,
            limits,
            self.outbox_log,  # type: ignore[arg-type]
            table.sessions,
            lambda gateway_id, data: self.sent.append((gateway_id, internal_pb2.ReliableBatch.FromString(data))),
            lambda session: host.outrun(session),
            lambda: self.now,
            lambda: WALL + self.now,
            random.Random(4),
        )
        following, hearing = listening(
            fence,
            self.topics,  # type: ignore[arg-type]
            self.outbox_log,  # type: ignore[arg-type]
            lane,
            self._listen,
            table.sessions,
            lambda: WALL + self.now,
            self.social,  # type: ignore[arg-type]
            self.parties,  # type: ignore[arg-type]
        )
        host = SessionHost(
            table,
            lane,
            hearing,
            self.settings,
            self.characters,  # type: ignore[arg-type]
            journey(self.settings, self.calls, self.characters, 3),  # type: ignore[arg-type]
            self.told.append,
            lambda *close: self.closed.append(close),
            lambda: self.now,
            lambda: WALL + self.now,
            random.Random(3),
        )
        self.lane, self.following = lane, following
        self.belongings = Belongings(table, hearing, host.announce, limits.max_subscriptions, self.settings.presence)
        self.hearing, self.moves = hearing, Moves(table, hearing, host.announce)
        self.parts[host] = Parts(lane, following, self.belongings)
        await host.restore()
        await self.records.register_actor(host.fence)
        return host

    async def _listen(self, topic: str, handler: Callable[[bytes], None]) -> Subscription:
        return await self.bus.subscribe(SUBJECTS.topic(topic), handler)

    async def place(self, user_id: str = "usr_a") -> str:
        """A new session of the user, as a gateway places it."""
        self._made += 1
        placed = await self.records.place("", f"ses_{self._made}", user_id, 100, 1000, TTL_S, WALL + self.now)
        assert placed.actor == ACTOR
        return placed.session_id

    async def attach(self, host: SessionHost, user_id: str = "usr_a", gateway: str = "gtw_a") -> Attached:
        return await host.attach(Attach(await self.place(user_id), user_id, gateway))

    async def character(self, user_id: str = "usr_a", name: str = "Ann", zone: str = "", x: float = 0.0) -> str:
        character_id = f"chr_{name.lower()}"
        made = Character(character_id, user_id, name, zone, x, 0.0, x, 0.0, WALL)
        await self.characters.inner.create(made, 8)
        return character_id

    async def enter(
        self, host: SessionHost, user_id: str = "usr_a", name: str = "Ann", gateway: str = "gtw_a"
    ) -> Attached:
        """A session in the world at (20, 20) of the meadow."""
        attached = await self.attach(host, user_id, gateway)
        character_id = await self.character(user_id, name, MEADOW, 20.0)
        await host.enter(attached.session_id, attached.attach_epoch, "first", character_id, "")
        return attached

    async def record(self, session_id: str) -> SessionRecord:
        record = await self.records.get(session_id)
        assert record is not None
        return record

    async def hero(self, character_id: str = "chr_ann") -> Character:
        found: Character | None = await self.characters.inner.get(character_id)
        assert found is not None
        return found

    async def wait(self, host: SessionHost, seconds: float, *alive: str) -> None:
        """Time goes by, with a sweep each second and one at the end. `alive`: gateways that are heard all the while."""
        until = self.now + seconds
        while self.now < until:
            self.now = min(self.now + 1.0, until)
            for gateway in alive:
                host.heard(gateway)
            await host.sweep()
