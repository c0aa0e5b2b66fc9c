"""Time that jumps: a loop whose clock goes on when nothing is left to do, and processes in it that can be killed and stopped.

One seed is one history: nothing here waits for the machine, and nothing reads its clock. There is no I/O; whoever tries is told.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import heapq
import random
import secrets
import time
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, TypeVar
from unittest import mock

T = TypeVar("T")

WALL = 1_800_000_000.0
"""Unix seconds at the beginning of virtual time."""
BEGIN_S = 1_000.0
"""What the monotonic clock says then: not 0, as on no machine."""
AT_ONCE = 1_000_000
"""Callbacks without a step of the clock: more is a loop that never waits."""

OUTSIDE = contextvars.Context()
"""Of no process: what is on its way between two does not care whether either of them stands still."""

PROCESS: contextvars.ContextVar[Process | None] = contextvars.ContextVar("PROCESS", default=None)


class Deadlock(Exception):
    """Everyone waits, and no timer is set."""


class Runaway(Exception):
    """Something goes round and round without waiting."""


class Process:
    """What would be a process: its tasks, and what is sent to it. `PROCESS` names it wherever its code runs.

    A dead one can do nothing any more: what it still tries while its tasks are taken down must look at `alive`.
    """

    def __init__(self, name: str, number: int) -> None:
        self.name = name
        self.number = number
        self.alive = True
        self.stopped = False
        self.on_death: list[Callable[[], None]] = []
        self.tasks: dict[asyncio.Task[Any], None] = {}
        self.held: list[asyncio.Handle] = []
        self.context = contextvars.copy_context()
        self.context.run(PROCESS.set, self)

    def spawn(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Run it as a task of this process."""
        return asyncio.get_running_loop().create_task(work, context=self.context.copy())

    def kill(self) -> None:
        """kill -9: at once, wherever its tasks stand."""
        if not self.alive:
            return
        self.alive = False
        loop = asyncio.get_running_loop()
        if self.stopped and isinstance(loop, VirtualLoop):
            loop.resume(self)
        current = asyncio.current_task()
        for task in list(self.tasks):
            if task is not current:
                task.cancel()
        for step in self.on_death:
            step()
        self.on_death.clear()

    def __repr__(self) -> str:
        return f"<{self.name}#{self.number}>"


def me() -> Process | None:
    """The process whose code runs."""
    return PROCESS.get()


class _NoSelector:
    """In place of the wait for sockets: the clock is put forward."""

    def __init__(self, loop: VirtualLoop) -> None:
        self._loop = loop

    def select(self, timeout: float | None) -> list[Any]:
        self._loop.wait(timeout)
        return []


class VirtualLoop(asyncio.BaseEventLoop):
    """`time()` is virtual. Only one thread; no sockets, no executor."""

    def __init__(self) -> None:
        super().__init__()
        self._now = BEGIN_S
        self._turns = 0
        self._stopped: set[Process] = set()
        self._selector = _NoSelector(self)
        self.set_task_factory(_make_task)

    def time(self) -> float:
        return self._now

    def wait(self, timeout: float | None) -> None:
        """Nothing is ready for `timeout` seconds; None: for ever."""
        if timeout is None:
            raise Deadlock("everyone waits, and no timer is set")
        if timeout > 0:
            self._now += timeout
            self._turns = 0
            return
        self._turns += 1
        if self._turns > AT_ONCE:
            self._turns = 0
            raise Runaway(f"{AT_ONCE} turns of the loop without a step of the clock")

    # --- processes that are stopped ----------------------------------------------------------------------------

    def stop_process(self, process: Process) -> None:
        """SIGSTOP: what is ready and what is due waits, and so does what others send it."""
        if process.stopped or not process.alive:
            return
        process.stopped = True
        self._stopped.add(process)
        ready = list(self._ready)
        self._ready.clear()
        for handle in ready:
            (process.held if _of(handle) is process else self._ready).append(handle)
        timers = list(self._scheduled)
        self._scheduled.clear()
        for timer in timers:
            if _of(timer) is process:
                process.held.append(timer)
            else:
                self._scheduled.append(timer)
        heapq.heapify(self._scheduled)

    def resume(self, process: Process) -> None:
        """SIGCONT: everything goes on where it stood, later."""
        if not process.stopped:
            return
        process.stopped = False
        self._stopped.discard(process)
        held, process.held = process.held, []
        for handle in held:
            if isinstance(handle, asyncio.TimerHandle):
                heapq.heappush(self._scheduled, handle)
            else:
                self._ready.append(handle)

    def call_soon(
        self, callback: Callable[..., object], *args: Any, context: contextvars.Context | None = None
    ) -> asyncio.Handle:
        if self._stopped:
            context = contextvars.copy_context() if context is None else context
            process = context.get(PROCESS)
            if process in self._stopped:
                handle = asyncio.Handle(callback, args, self, context)
                process.held.append(handle)
                return handle
        return super().call_soon(callback, *args, context=context)

    # --- what there is none of ---------------------------------------------------------------------------------

    def _process_events(self, _events: list[Any]) -> None:
        """There are none."""

    def _write_to_self(self) -> None:
        raise RuntimeError("another thread: not in virtual time")

    def run_in_executor(self, *_: Any) -> Any:
        raise RuntimeError("a thread: not in virtual time")

    def close(self) -> None:
        super().close()
        self._selector = None


def _of(handle: asyncio.Handle) -> Process | None:
    context: contextvars.Context = handle._context  # type: ignore[attr-defined]
    process: Process | None = context.get(PROCESS)
    return process


def _make_task(
    loop: asyncio.AbstractEventLoop, work: Any, context: contextvars.Context | None = None
) -> asyncio.Task[Any]:
    context = contextvars.copy_context() if context is None else context
    process = context.get(PROCESS)
    if process is not None and not process.alive:
        work.close()
        raise asyncio.CancelledError(f"{process!r} is dead")
    task: asyncio.Task[Any] = asyncio.Task(work, loop=loop, context=context)
    if process is not None:
        process.tasks[task] = None
        task.add_done_callback(lambda done: process.tasks.pop(done, None))
    return task


class _Seeded:
    """In place of `secrets`: names that are the same in every run of a seed."""

    def __init__(self, seed: int) -> None:
        self._rng = random.Random(seed)

    def token_hex(self, size: int = 16) -> str:
        return self._rng.randbytes(size).hex()

    def token_bytes(self, size: int = 16) -> bytes:
        return self._rng.randbytes(size)

    def generator(self) -> type[random.Random]:
        """In place of `random.Random`: one that is not given a seed takes the next of this one's."""
        seeds = self._rng

        class Generator(random.Random):
            def __init__(self, seed: Any = None) -> None:
                super().__init__(seeds.getrandbits(64) if seed is None else seed)

        return Generator


@contextlib.contextmanager
def instead_of_the_machine(loop: VirtualLoop, seed: int) -> Iterator[None]:
    """The machine's clocks and its randomness are those of the loop and the seed."""
    names, before = _Seeded(seed), random.getstate()
    with (
        mock.patch.multiple(time, monotonic=loop.time, time=lambda: WALL + loop.time() - BEGIN_S),
        mock.patch.multiple(secrets, token_hex=names.token_hex, token_bytes=names.token_bytes),
        mock.patch.object(random, "Random", names.generator()),
    ):
        random.seed(seed)
        try:
            yield
        finally:
            random.setstate(before)


def run(work: Callable[[], Coroutine[Any, Any, T]], seed: int = 0) -> T:
    """Run it to its end in virtual time; what it leaves behind is cancelled."""
    loop = VirtualLoop()
    with instead_of_the_machine(loop, seed), contextlib.closing(loop):
        try:
            return loop.run_until_complete(work())
        finally:
            loop.run_until_complete(_clear())
            loop.run_until_complete(loop.shutdown_asyncgens())


async def _clear() -> None:
    left = asyncio.all_tasks() - {asyncio.current_task()}
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)
