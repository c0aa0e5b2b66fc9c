"""What operators' operations ask of single processes, over the bus (row 7.8): on any node, without a port or a shell there.

A request is `{"method", "params", "only"}`, JSON; `only` is the name of the process that is meant, or a list of names; null: all.
Those that are not meant stay silent. An answer is `{"process", "result"}` or `{"process", "refused"}`, as in
cluster/world_control.py.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Collection, Mapping
from typing import Any

import orjson
import structlog

from cluster.errors import NotFound, Unauthorized
from cluster.ports.bus import Bus
from cluster.subjects import Subjects
from cluster.world_control import Method, refused, responder, result_of

DIES_AFTER_S = 0.1  # so that the answer is on its way

ENDS = frozenset({"kill", "restart"})  # only ever one process

log = structlog.get_logger(__name__)


def end_at_once() -> None:
    """Like a crash: nothing is closed or written."""
    os.kill(os.getpid(), signal.SIGKILL)


def beat_now(bus: Bus, subjects: Subjects, only: Collection[str] | None = None) -> None:
    """Have those processes, or all, say at once how they are: who waits for something need not wait for a beat."""
    names = None if only is None else list(only)
    bus.publish(subjects.process_control(), orjson.dumps({"method": "beat", "params": {}, "only": names}))


class ProcessControl:
    """The methods of this process, named `process`; `add` more of them at any time. Methods are given the params by name.

    `beat` says how the process is, now (cluster/beating.py). `chaos`: whether it lets itself be killed (`console.chaos`); `die`
    does that.
    """

    def __init__(
        self, process: str, chaos: bool, beat: Callable[[], object], die: Callable[[], object] = end_at_once
    ) -> None:
        self._process = process
        self._chaos = chaos
        self._beat_now = beat
        self._die = die
        self._methods: dict[str, Method] = {"beat": self._beat, "kill": self._kill, "restart": self._restart}

    def add(self, method: str, handler: Method) -> None:
        """Raises ValueError if there is one of that name."""
        if method in self._methods:
            raise ValueError(f"two methods are called {method}")
        self._methods[method] = handler

    async def respond(self, data: bytes) -> bytes | None:
        """A responder for `subjects.process_control()`; None: say nothing."""
        try:
            said = orjson.loads(data)
            only, method = said.get("only"), said.get("method")
        except (ValueError, AttributeError):
            return None
        if only is not None and self._process not in (only if isinstance(only, list) else [only]):
            return None
        if method in ENDS and only != self._process:  # one message must not end the whole realm
            log.warning("many_told_to_end", method=method)
            return None
        answer = await responder(self._methods)(data)
        return orjson.dumps({"process": self._process, **orjson.loads(answer)})

    async def _beat(self) -> bool:
        self._beat_now()
        return True

    async def _kill(self) -> bool:
        if not self._chaos:
            raise Unauthorized("chaos_is_off", "console.chaos is off: processes are not killed from outside")
        log.warning("killed_by_operator", process=self._process)
        asyncio.get_running_loop().call_later(DIES_AFTER_S, self._die)
        return True

    async def _restart(self) -> bool:
        """It ends, and whoever watches over it starts another with the code that is installed now. What it holds is stored."""
        log.warning("restarted_by_operator", process=self._process)
        asyncio.get_running_loop().call_later(DIES_AFTER_S, self._die)
        return True


async def ask_process(
    bus: Bus, subjects: Subjects, process: str, method: str, params: Mapping[str, Any], timeout_s: float
) -> Any:
    """What that process answers. Raises what it raised; Unavailable if it says nothing."""
    data = orjson.dumps({"method": method, "params": dict(params), "only": process})
    return result_of(await bus.request(subjects.process_control(), data, timeout_s))


async def ask_processes(
    bus: Bus, subjects: Subjects, method: str, params: Mapping[str, Any], timeout_s: float, limit: int
) -> dict[str, Any]:
    """What each process answers within that time, by its name; those that refuse are left out and logged."""
    data = orjson.dumps({"method": method, "params": dict(params), "only": None})
    found: dict[str, Any] = {}
    for answer in await bus.gather(subjects.process_control(), data, timeout_s, limit):
        said = orjson.loads(answer)
        if refused(said) is None:
            found[said["process"]] = said["result"]
        else:
            log.warning("process_refuses", process=said["process"], method=method, why=str(refused(said)))
    return found


def no_such_process(process: str) -> NotFound:
    return NotFound("no_such_process", f"no process {process!r} is heard")
