"""A gateway's admission before real session hosts, over stores in memory."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from actors.session.attaching import Attached
from actors.session.host import SessionHost
from actors.session.lane import ReliableLane
from actors.session.outbox import Body
from actors.session.table import SessionTable
from cluster.adapters.memory.bans import MemoryBans
from cluster.adapters.memory.bus import MemoryBus
from cluster.adapters.memory.calls import MemoryCalls
from cluster.adapters.memory.characters import MemoryCharacters
from cluster.adapters.memory.epochs import MemoryEpochStore
from cluster.adapters.memory.outbox import MemoryOutboxLog
from cluster.adapters.memory.sessions import MemorySessionStore
from cluster.adapters.memory.topics import MemoryTopicLog
from cluster.ports.bus import Subscription
from cluster.ports.sessions import Fence
from cluster.realm import Realm
from cluster.security.keys import KeyRing
from cluster.security.recovery import RecoveryClaims, sign_recovery
from cluster.security.tokens import sign_access
from cluster.settings import GatewaySettings, SessionSettings, Settings
from serve_apps.gateway.admission import Admission
from serve_apps.gateway.identity import Identity
from serve_apps.gateway.messages import Framing
from serve_apps.gateway.upgrade import Refusal, Upgrade
from tests.hearings import listening
from tests.journeys import journey
from tests.unit.serve_apps.gateway.fakes import KEY, SECRET, SUBJECTS, Clock, checker_of

NOW = 1_800_000_000.0


def asking(token: str = "", session_id: str = "", recovery: str = "", stream: str = "", last: int = 0) -> Upgrade:
    return Upgrade(token, session_id, recovery, stream, last, Framing.JSON, Framing.JSON.value, KEY)


class Supervisor:
    """Starts another session actor when it is asked for one."""

    def __init__(self, scene: Scene) -> None:
        self.asked = 0
        self._scene = scene

    async def more_sessions(self) -> None:
        self.asked += 1
        await self._scene.start(f"sessions/{self.asked}")


class Scene:
    """A gateway's admission before session actors in this process. `lanes`: theirs, by name."""

    def __init__(self, *, gateway: dict[str, Any] | None = None, **session: Any) -> None:
        self.clock = Clock()
        # How long an actor that is away is asked again.
        limits = GatewaySettings(**{"attach_deadline_s": 0.02, **(gateway or {})})
        self.settings = Settings(realm="test", session=SessionSettings(**session), gateway=limits)
        self.keys = KeyRing.create(NOW)
        self.epochs = MemoryEpochStore()
        self.bans = MemoryBans(lambda: NOW)
        self.store = MemorySessionStore(self.epochs, self.bans)
        self.bus = MemoryBus()
        self.topics = MemoryTopicLog()
        self.outbox_log = MemoryOutboxLog(self.epochs, self.store)
        self.actors: dict[str, Any] = {}
        self.lanes: dict[str, ReliableLane] = {}
        self.supervisor = self.actors["supervisor"] = Supervisor(self)
        self.admission = self.gateway("gtw_1")

    def gateway(self, gateway_id: str) -> Admission:
        realm = Realm(self.settings, self.keys, SECRET)
        self.checker = checker_of(realm)
        calls = MemoryCalls(self.actors)
        return Admission(gateway_id, realm, self.store, calls, self.clock, lambda: NOW, self.checker)

    async def start(self, name: str) -> SessionHost:
        fence = Fence(name, await self.epochs.take("sessions", name))
        limits = self.settings.session
        table = SessionTable(fence, self.store, limits.record_ttl_s, self.clock)
        lane = self.lanes[name] = ReliableLane(
            fence,
            limits,
            self.outbox_log,
            table.sessions,
            lambda _gateway_id, _data: None,
            lambda session: host.outrun(session),
            self.clock,
            lambda: NOW,
            random.Random(1),
        )
        _, hearing = listening(fence, self.topics, self.outbox_log, lane, self._listen, table.sessions, lambda: NOW)
        host = SessionHost(
            table,
            lane,
            hearing,
            self.settings,
            MemoryCharacters(lambda _session: True),
            journey(self.settings, MemoryCalls(self.actors), MemoryCharacters(lambda _session: True), 1),
            lambda _change: None,
            lambda *_close: None,
            self.clock,
            lambda: NOW,
            random.Random(1),
        )
        await self.store.register_actor(fence)
        self.actors[name] = host
        return host

    async def _listen(self, topic: str, handler: Callable[[bytes], None]) -> Subscription:
        return await self.bus.subscribe(SUBJECTS.topic(topic), handler)

    def token(self, user_id: str = "usr_a", ttl: float = 60.0, now: float = NOW) -> str:
        return sign_access(self.keys, user_id, now, ttl, self.settings.namespace)

    def recovery(
        self, attached: Attached, user_id: str = "", ttl: float = 600.0, now: float = NOW, role: str = ""
    ) -> str:
        """The token that the client of this attach was given. `role`: what its newest access token said."""
        claims = RecoveryClaims(user_id or attached.user_id, attached.session_id, attached.attach_epoch, role=role)
        return sign_recovery(SECRET, claims, now, ttl, self.settings.namespace)

    async def attach(self, user_id: str = "usr_a", session_id: str = "") -> tuple[Attached, str]:
        attached = await self.admission.attach(asking(session_id=session_id), Identity(user_id))
        assert not isinstance(attached, Refusal), attached
        return attached

    async def refused(self, user_id: str = "usr_a", session_id: str = "") -> Refusal:
        refusal = await self.admission.attach(asking(session_id=session_id), Identity(user_id))
        assert isinstance(refusal, Refusal)
        return refusal

    async def say(self, session_id: str, *texts: bytes) -> None:
        """Reliable notifications for the session, in the log."""
        lane = self.lanes["sessions/0"]
        for text in texts:
            lane.put([session_id], Body("n", text))
            await lane.flush()
