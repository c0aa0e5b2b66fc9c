"""`rayrealm publish`, over a bus in memory."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from cluster.adapters.memory.bus import MemoryBus
from cluster.operations.desk import Desk
from cluster.subjects import Subjects
from cluster.world_control import asking, responder
from tests.unit.cluster.operator_rig import SPACE, make_desk, use
from tests.unit.cluster.operator_rig import run as run_command

Captured = pytest.CaptureFixture[str]


class Supervisor:
    def __init__(self) -> None:
        self.published: list[tuple[str, Any]] = []
        self.keys: set[str] = set()

    async def publish(self, topic: str, data: Any, key: str) -> bool:
        self.published.append((topic, data))
        self.keys.add(key)
        return True

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[Desk]:
        bus = MemoryBus()
        subject = Subjects(SPACE).world_control()
        await bus.respond(subject, responder({"publish": self.publish}))
        yield make_desk(bus, ask_world=asking(bus, subject, time.monotonic, asyncio.sleep))


@pytest.fixture
def supervisor(monkeypatch: pytest.MonkeyPatch) -> Supervisor:
    supervisor = Supervisor()
    use(monkeypatch, supervisor.opened)
    return supervisor


def run(monkeypatch: pytest.MonkeyPatch, *args: str) -> int:
    return run_command(monkeypatch, "publish", *args)


def test_everybody_who_listens_is_told(
    supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    assert run(monkeypatch, "news", '{"text": "hello"}') == 0
    assert capsys.readouterr().out == "published to news\n"
    assert run(monkeypatch, "news", '"again"') == 0
    assert supervisor.published == [("news", {"text": "hello"}), ("news", "again")]
    assert len(supervisor.keys) == 2


@pytest.mark.parametrize(
    ("topic", "data"),
    [
        ("news", "hello"),
        ("news", ""),
        ("chat:hall", "1"),
        ("", "1"),
        ("news", '"' + "x" * 9_000 + '"'),
        ("news", "[" * 9_000),
    ],
)
def test_what_cannot_be_published(
    supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch, topic: str, data: str
) -> None:
    assert run(monkeypatch, topic, data) == 2
    assert supervisor.published == []
