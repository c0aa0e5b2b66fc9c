"""Says every few seconds how this process is (cluster/beats.py)."""

from __future__ import annotations

import asyncio
import os
import platform
import time
from collections.abc import Callable
from typing import Any

import psutil
import structlog

from cluster.beats import Beat, Values
from cluster.version import LOADED_AT, VERSION

log = structlog.get_logger(__name__)


class Beating:
    """`add` values that the process has to tell with each beat; a name that is given twice is merged, the later one wins."""

    def __init__(self, kind: str, name: str, node: str, beat_s: float, tell: Callable[[bytes], None]) -> None:
        self._kind, self._name, self._node, self._beat_s, self._tell = kind, name, node, beat_s, tell
        self._values: list[Values] = []
        self._process = psutil.Process()
        self._host = platform.node()
        self._task: asyncio.Task[None] | None = None

    def add(self, values: Values) -> None:
        self._values.append(values)

    def start(self) -> None:
        psutil.cpu_percent(None)  # it tells the share since the call before
        self._task = asyncio.create_task(self._for_ever())

    def now(self) -> None:
        """One beat more, for somebody who has just begun to listen."""
        self._tell(self.beat().dump())

    def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()

    def beat(self) -> Beat:
        """How it is now."""
        values: dict[str, Any] = {}
        for add in self._values:
            values |= add()
        memory = psutil.virtual_memory()
        times = self._process.cpu_times()
        return Beat(
            kind=self._kind,
            name=self._name,
            pid=os.getpid(),
            host=self._host,
            node=self._node,
            version=VERSION,
            started_at=LOADED_AT,
            at=time.time(),
            beat_s=self._beat_s,
            cpu_s=times.user + times.system,
            rss=self._process.memory_info().rss,
            node_cpu=psutil.cpu_percent(None),
            node_memory=(memory.used, memory.total),
            values=values,
        )

    async def _for_ever(self) -> None:
        while True:
            try:
                self._tell(self.beat().dump())
            except Exception:  # what it tells is for people: it must not end what it tells about
                log.exception("beat_failed", name=self._name)
            await asyncio.sleep(self._beat_s)
