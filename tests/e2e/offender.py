"""A client that tries out methods that there are none of, until it is cut off: `python -m tests.e2e.offender URL NAME`.

The watch on abuse counts it (`method_spray`: actors/watch/patterns.py) and keeps its user out for a while.
"""

from __future__ import annotations

import asyncio
import secrets
import subprocess
import sys
from pathlib import Path

from rayrealm_client.client import RealmClient
from rayrealm_client.errors import RealmError

ROOT = Path(__file__).parents[2]
DEADLINE_S = 60.0
TRIES = 200
EVERY_S = 0.05


def offend(url: str, name: str) -> None:
    """To its end. Raises CalledProcessError, TimeoutExpired."""
    subprocess.run([sys.executable, "-m", "tests.e2e.offender", url, name], cwd=ROOT, timeout=DEADLINE_S, check=True)


async def _offend(url: str, name: str) -> None:
    async with RealmClient(url, reconnect=False) as client:
        await client.register(name, secrets.token_urlsafe(16))
        await client.connect()
        try:
            for number in range(TRIES):
                await client.notify(f"secret.method{number}")
                await asyncio.sleep(EVERY_S)
        except RealmError as cut_off:
            print(f"cut off: {cut_off}")  # noqa: T201 - for who runs it by hand


if __name__ == "__main__":
    asyncio.run(_offend(sys.argv[1], sys.argv[2]))
