"""`rayrealm ...` in a process of its own, against a realm of `tests/local_realm.py`."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from cluster import running
from cluster.running import RunningRealm
from tests.local_realm import LocalRealm

DEADLINE_S = 30.0


def registered(realm: LocalRealm, folder: Path, nats_token: str, nats_url: str = "") -> Path:
    """The state folder in which commands find the realm: `folder`. `nats_url`: another one than the realm's."""
    settings = realm.settings
    details = {
        "redis_url": settings.redis.url.get_secret_value(),
        "nats_url": nats_url or settings.nats.url.get_secret_value(),
        "nats_token": nats_token,
        **running.for_commands(settings),
    }
    here = RunningRealm.of_this_process("http://127.0.0.1:1", folder, settings.namespace)
    running.register(here, details, folder / "rayrealm" / "running")
    return folder


async def command(state: Path, *arguments: str) -> str:
    """What a `rayrealm` command printed. It must succeed, and complain of nothing."""
    code, out, err = await ended(state, *arguments)
    assert (code, err) == (0, ""), err
    return out


async def ended(state: Path, *arguments: str) -> tuple[int, str, str]:
    """The command's exit code, and what it printed to stdout and stderr."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RAYREALM_")}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "cluster.cli.main", *arguments,
        env=environment | {"XDG_STATE_HOME": str(state)}, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        async with asyncio.timeout(DEADLINE_S):
            out, err = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()
