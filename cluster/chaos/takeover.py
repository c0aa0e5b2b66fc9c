"""Starts an impostor (`impostor.py`), sends it off, and waits for its end."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import AsyncIterator, Mapping
from typing import Any

from cluster.chaos.impostor import FENCED
from cluster.errors import Ours
from cluster.fate import tied

LOAD_S = 30.0
TAKE_S = 15.0
END_S = 5.0


class Impostor:
    """A process that has everything loaded, and waits to become a zone."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def take_over(self, actor: str) -> int:
        """Become the zone, as the actor of that name, which owns it. Returns the epoch. Raises Ours."""
        if self._process.stdin is None:
            raise Ours("the impostor cannot be told anything")
        self._process.stdin.write(f"{actor}\n".encode())
        return int((await self._told(TAKE_S))["epoch"])

    async def fenced(self, deadline_s: float) -> bool:
        """Whether a newer owner made it stop by itself."""
        try:
            async with asyncio.timeout(deadline_s):
                return await self._process.wait() == FENCED
        except TimeoutError:
            return False

    async def loaded(self) -> None:
        await self._told(LOAD_S)

    async def _told(self, deadline_s: float) -> dict[str, Any]:
        if self._process.stdout is None:
            raise Ours("the impostor says nothing")
        try:
            async with asyncio.timeout(deadline_s):
                # A library may have something to say before; what is ours is JSON.
                while not (line := await self._process.stdout.readline()).startswith(b"{"):
                    if not line:
                        raise Ours("the impostor ended")
        except TimeoutError:
            raise Ours(f"the impostor says nothing for {deadline_s:g} s") from None
        told: dict[str, Any] = json.loads(line)
        return told

    async def end(self) -> None:
        """Twice is fine."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            async with asyncio.timeout(END_S):
                await self._process.wait()
        except TimeoutError:
            self._process.kill()
            await self._process.wait()


@contextlib.asynccontextmanager
async def impostor(environment: Mapping[str, str]) -> AsyncIterator[Impostor]:
    """One that is loaded; it is gone at the end. `environment` is what the realm's processes have on top of this one's."""
    argv = tied([sys.executable, "-m", "cluster.chaos.impostor"], os.getpid())
    made = Impostor(
        await asyncio.create_subprocess_exec(
            *argv,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env={**os.environ, **environment},
        )
    )
    try:
        await made.loaded()
        yield made
    finally:
        await made.end()
