"""Every test of sessions has a stage of its own."""

from __future__ import annotations

import pytest

from actors.session import host as host_module
from tests.unit.actors.session.stage import Stage


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Stage:
    monkeypatch.setattr(host_module, "UNDO_DEADLINE_S", 0.02)
    return Stage()
