"""Bots in a process of their own, which say what they live through: `python -m tests.e2e.crowd URL COUNT SEED`.

For each line on standard input there is a JSON object on standard output, on what was since the line before: see `Told`. It ends
with its input. `late_s` is the longest that this process itself was kept from running: views that wait for it are no fault of
the realm's.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import uvloop
from pydantic import SecretStr

from cluster.bench.bots import run_bots
from cluster.bench.crew import Crew

ROOT = Path(__file__).parents[2]
PULSE_S = 0.02
STOP_S = 20.0


@dataclass(frozen=True, slots=True)
class Told:
    """`gaps_s`: of each bot with any the longest time without a view (more than GAP_S of crew.py), longest first."""

    bots: int
    walking: int
    logins: int
    reconnects: int
    gaps_s: list[float]
    late_s: float


class Crowd:
    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def ask(self) -> Told:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return Told(**json.loads(self._process.stdout.readline()))


@contextmanager
def crowd(url: str, count: int, seed: int, log: Path) -> Iterator[Crowd]:
    """On their way when it begins; gone when it ends."""
    with log.open("ab") as trouble:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.e2e.crowd", url, str(count), str(seed)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=trouble,
            text=True,
        )
        try:
            yield Crowd(process)
        finally:
            assert process.stdin is not None
            process.stdin.close()
            try:
                process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            assert process.stdout is not None
            process.stdout.close()


async def _run(url: str, count: int, seed: int) -> None:
    crew, late = Crew(), [0.0]
    password = SecretStr(secrets.token_urlsafe(16))
    tasks: list[asyncio.Task[Any]] = [
        asyncio.create_task(run_bots(url, count, None, seed, password=password, crew=crew)),
        asyncio.create_task(_pulse(late)),
    ]
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    since = crew.clock()
    while await reader.readline():
        gaps = sorted((round(gap, 3) for gap in crew.worst_gaps(since) if gap > 0.0), reverse=True)
        walking = sum(bot.walking(1.0) for bot in crew.bots)
        told = Told(len(crew.bots), walking, crew.total("logins"), crew.total("reconnects"), gaps, round(late[0], 3))
        since, late[0] = crew.clock(), 0.0
        print(json.dumps(asdict(told)), flush=True)  # noqa: T201 - what it is asked for
    for task in tasks:
        task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await asyncio.gather(*tasks)


async def _pulse(late: list[float]) -> None:
    while True:
        began = time.monotonic()
        await asyncio.sleep(PULSE_S)
        late[0] = max(late[0], time.monotonic() - began - PULSE_S)


if __name__ == "__main__":
    import logging

    import structlog

    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    uvloop.run(_run(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
