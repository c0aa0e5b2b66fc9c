"""Every test of sessions has a stage of its own."""

from __future__ import annotations

import pytest

from actors.session import journey
from cluster import zone_calls
from tests.unit.actors.session.stage import Stage


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Stage:
    monkeypatch.setattr(journey, "UNDO_DEADLINE_S", 0.02)
    monkeypatch.setattr(zone_calls, "FIRST_PAUSE_S", 0.002)
    return Stage()
