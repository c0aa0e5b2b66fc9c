"""What a process does not need it does not import: a killed actor is back as fast as its imports are."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = ("numpy", "scipy")


@pytest.mark.parametrize(
    ("module", "not_needed"),
    [
        ("actors.session.sessions_actor", HEAVY),
        ("actors.presence.presence_actor", HEAVY),
        ("actors.watch.watch_actor", (*HEAVY, "river", "pandas")),
        ("actors.world.supervisor_actor", ("river",)),
        ("serve_apps.gateway.gateway_app", ("scipy",)),
        ("rayrealm_client.client", (*HEAVY, "ray", "redis", "nats")),
    ],
)
def test_imports(module: str, not_needed: tuple[str, ...]) -> None:
    code = f"import sys, {module}; print(*(name for name in {not_needed!r} if name in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.split() == []
