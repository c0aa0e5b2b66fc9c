"""A desk of operations over stores and a bus in memory, and commands that work with it instead of a realm."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from cluster.adapters.memory.accounts import MemoryAccounts
from cluster.adapters.memory.audit import MemoryAuditLog
from cluster.adapters.memory.bans import MemoryBans
from cluster.adapters.memory.bus import MemoryBus
from cluster.adapters.memory.characters import MemoryCharacters
from cluster.adapters.memory.chat import MemoryChatStore
from cluster.adapters.memory.device_keys import MemoryDeviceKeys
from cluster.adapters.memory.epochs import MemoryEpochStore
from cluster.adapters.memory.log_levels import MemoryLogLevels
from cluster.adapters.memory.operators import MemoryOperators
from cluster.adapters.memory.parties import MemoryPartyStore
from cluster.adapters.memory.protection import MemoryProtection
from cluster.adapters.memory.sessions import MemorySessionStore
from cluster.adapters.memory.social import MemorySocialStore
from cluster.adapters.memory.topics import MemoryTopicLog
from cluster.beats import Beats
from cluster.cli import desk as command_desk
from cluster.cli.desk import Here, Shell, who
from cluster.cli.main import main
from cluster.errors import Unavailable
from cluster.operations.all import registry
from cluster.operations.desk import Desk, Kept
from cluster.operations.model import Operator, Role
from cluster.operator_settings import ConsoleSettings
from cluster.publishing import Publisher
from cluster.subjects import Subjects

SPACE = "rayrealm-realm"


async def _nobody(method: str, params: dict[str, Any]) -> Any:
    raise Unavailable(method)


async def _no_serve(application: str, deployment: str, replicas: int) -> None:
    raise Unavailable("serve")


def make_desk(bus: MemoryBus | None = None, **parts: Any) -> Desk:
    """`parts` take the place of what is in memory otherwise."""
    bus = bus or MemoryBus()
    bans = parts.get("bans") or MemoryBans(time.time)
    topics = MemoryTopicLog()
    subjects = Subjects(SPACE)
    given: dict[str, Any] = {
        "namespace": SPACE,
        "subjects": subjects,
        "bus": bus,
        "beats": Beats(time.monotonic),
        "accounts": MemoryAccounts(),
        "characters": MemoryCharacters(lambda session_id: False),
        "bans": bans,
        "protection": MemoryProtection(time.time),
        "sessions": MemorySessionStore(MemoryEpochStore(), bans),
        "audit": MemoryAuditLog(10_000),
        "publisher": Publisher(topics, bus, subjects, 1_000),
        "settings": ConsoleSettings(),
        "clock": time.monotonic,
        "now": time.time,
        "pause": asyncio.sleep,
        "scale": _no_serve,
        "ask_world": _nobody,
        "kept": Kept(
            MemorySocialStore(),
            MemoryPartyStore(),
            MemoryChatStore(topics, lambda session_id: None, time.time),
            MemoryDeviceKeys(),
            topics,
            MemoryLogLevels(),
        ),
        "operators": MemoryOperators(time.time),
        "ask_console": _nobody,
    }
    return Desk(**{**given, **parts})


def use(
    monkeypatch: pytest.MonkeyPatch,
    opened: Callable[[], Any],
    operator: Callable[[], str] = who,
) -> None:
    """Commands find `opened()`, an async context manager of a desk, in place of a realm."""

    @asynccontextmanager
    async def shell(url: str | None) -> AsyncIterator[Shell]:
        async with opened() as desk:
            yield Here(desk, registry(), _heard, Operator(operator(), Role.ADMIN, "command"))

    monkeypatch.setattr(command_desk, "opened", shell)


async def _heard(rounds: int) -> None:
    """Beats are what the test has put there."""


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    """The exit code of `rayrealm ...`."""
    monkeypatch.setattr("sys.argv", ["rayrealm", *arguments])
    with pytest.raises(SystemExit) as caught:
        main()
    return int(caught.value.code or 0)
