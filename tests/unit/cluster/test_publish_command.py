"""`rayrealm publish`, over a bus in memory."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from cluster import running
from cluster.adapters.memory.bus import MemoryBus
from cluster.cli import publish
from cluster.cli.main import main
from cluster.ports.bus import Bus
from cluster.running import RunningRealm
from cluster.subjects import Subjects
from cluster.world_control import responder

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
    async def bus(self, realm: RunningRealm) -> AsyncIterator[Bus]:
        bus = MemoryBus()
        await bus.respond(Subjects(realm.namespace).world_control(), responder({"publish": self.publish}))
        yield bus


@pytest.fixture
def supervisor(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Supervisor:
    supervisor = Supervisor()
    here = RunningRealm.of_this_process("http://127.0.0.1:8000", tmp_path, "rayrealm-realm")
    monkeypatch.setattr(running, "find", lambda *_: here)
    monkeypatch.setattr(publish, "bus", supervisor.bus)
    return supervisor


def run(monkeypatch: pytest.MonkeyPatch, *args: str) -> int:
    monkeypatch.setattr("sys.argv", ["rayrealm", "publish", *args])
    with pytest.raises(SystemExit) as ended:
        main()
    return int(ended.value.code or 0)


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
