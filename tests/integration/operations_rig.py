"""An operator of a realm of `tests/local_realm.py`: its operations over the real stores and the real bus."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from cluster.adapters.nats_bus import NatsBus
from cluster.adapters.redis.accounts import RedisAccounts
from cluster.adapters.redis.audit import RedisAuditLog
from cluster.adapters.redis.bans import RedisBans
from cluster.adapters.redis.characters import RedisCharacters
from cluster.adapters.redis.connection import connect
from cluster.adapters.redis.kept import kept
from cluster.adapters.redis.operators import RedisOperators
from cluster.adapters.redis.protection import RedisProtection
from cluster.adapters.redis.sessions import RedisSessionStore
from cluster.adapters.redis.topics import RedisTopicLog
from cluster.beats import Beats
from cluster.errors import Unavailable
from cluster.operations import conduct
from cluster.operations.all import registry
from cluster.operations.conduct import Cancelled
from cluster.operations.desk import Desk
from cluster.operations.model import Operator, Preview, Role
from cluster.operator_settings import ConsoleSettings
from cluster.ports.audit import AuditEntry
from cluster.publishing import Publisher
from cluster.subjects import Subjects
from cluster.world_control import ask
from tests.local_realm import LocalRealm

ADA = Operator("operator:ada", Role.ADMIN, "console", "192.0.2.1")


@dataclass
class TestJob:
    """`cancelled`: the operator has cancelled it."""

    __test__ = False
    operator: Operator = ADA
    id: str = field(default_factory=lambda: f"job_{secrets.token_hex(8)}")
    steps: list[str] = field(default_factory=list)
    cancelled: bool = False
    began_at: float = field(default_factory=time.time)

    async def tell(self, step: str, done: float = 0.0) -> None:
        self.steps.append(step)
        if self.cancelled:
            raise Cancelled


@dataclass
class Operations:
    """`look` and `act` are what every shell does, as `who`. Results are JSON."""

    desk: Desk
    who: Operator = ADA

    async def look(self, name: str, /, **params: Any) -> dict[str, Any]:
        result = await conduct.look(self.desk, registry(), self.who, name, params)
        return result.model_dump(mode="json")

    async def plan(self, name: str, /, **params: Any) -> Preview:
        return await conduct.preview(self.desk, registry(), self.who, name, params)

    async def act(self, name: str, job: TestJob | None = None, /, **params: Any) -> dict[str, Any]:
        action = conduct.action(registry(), name, self.who)
        given = conduct.read(action, params)
        result = await conduct.carry_out(self.desk, action, given, job or TestJob(self.who))
        return result.model_dump(mode="json")

    async def audit(self, action: str) -> list[AuditEntry]:
        """The oldest first."""
        return [entry for entry in (await self.desk.audit.newest(1_000))[::-1] if entry.action == action]


@asynccontextmanager
async def operations(realm: LocalRealm) -> AsyncIterator[Operations]:
    settings = realm.settings
    namespace, subjects = settings.namespace, Subjects(settings.namespace)
    client = connect(settings.redis, "operator")
    bus = await NatsBus.connect(settings.nats, "operator")
    beats = Beats(time.monotonic)
    await bus.subscribe(subjects.beats(), beats.heard)

    async def no_serve(application: str, deployment: str, replicas: int) -> None:
        raise Unavailable("serve")

    async def ask_world(method: str, params: dict[str, Any]) -> Any:
        return await ask(bus, subjects.world_control(), method, params, 5.0)

    async def ask_console(method: str, params: dict[str, Any]) -> Any:
        return await ask(bus, subjects.console_control(), method, params, 1.0)

    yield Operations(
        Desk(
            namespace=namespace,
            subjects=subjects,
            bus=bus,
            beats=beats,
            accounts=RedisAccounts(client, namespace),
            characters=RedisCharacters(client, namespace),
            bans=RedisBans(client, namespace),
            protection=RedisProtection(client, namespace),
            sessions=RedisSessionStore(client, namespace),
            audit=RedisAuditLog(client, namespace, 1_000),
            publisher=Publisher(RedisTopicLog(client, namespace), bus, subjects, 1_000),
            settings=ConsoleSettings(),
            clock=time.monotonic,
            now=time.time,
            pause=asyncio.sleep,
            scale=no_serve,
            ask_world=ask_world,
            kept=kept(client, namespace),
            operators=RedisOperators(client, namespace),
            ask_console=ask_console,
        )
    )
    await bus.close()
    await client.aclose()
