"""Commands over a realm in memory: `tests/unit/cluster/operations/world_rig.py` instead of this user's realm."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from cluster.cli import desk
from cluster.cli.desk import Here, Shell
from cluster.cli.main import main
from cluster.operations.all import registry
from tests.unit.cluster.operations.world_rig import ADA, Rig


class CommandRig(Rig):
    """`listened`: how many beats of each process the operations wanted to hear."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.listened: list[int] = []
        self.urls: list[str | None] = []

    def take_over(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in os.environ:
            if name.startswith("RAYREALM_"):
                monkeypatch.delenv(name)
        monkeypatch.setenv("COLUMNS", "200")
        monkeypatch.setattr(desk, "opened", self.opened)

    @asynccontextmanager
    async def opened(self, url: str | None) -> AsyncIterator[Shell]:
        self.urls.append(url)

        async def listen(beats: int) -> None:
            self.listened.append(beats)

        yield Here(self.desk, registry(), listen, ADA)


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    """The exit code of `rayrealm ARGUMENTS`."""
    monkeypatch.setattr("sys.argv", ["rayrealm", *arguments])
    with pytest.raises(SystemExit) as caught:
        main()
    assert isinstance(caught.value.code, int)
    return caught.value.code
