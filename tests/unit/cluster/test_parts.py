"""Which applications a realm has (cluster/parts.py)."""

from __future__ import annotations

from cluster.operator_settings import ConsoleSettings
from cluster.parts import Parts
from cluster.settings import Settings


def test_a_console_if_it_is_wanted() -> None:
    assert dict(Parts.of(Settings()).applications) == {
        **Parts().applications,
        "console": ("serve_apps.console.console_app:build", "/console"),
    }
    assert Parts.of(Settings(console=ConsoleSettings(enabled=False))) == Parts()
