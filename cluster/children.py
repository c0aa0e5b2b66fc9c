"""The processes that the launcher started, and those that they started."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator, Sequence

import psutil

END_DEADLINE_S = 3.0


@contextlib.contextmanager
def deaf_to_the_terminal() -> Iterator[None]:
    """Ctrl-C and a closed terminal reach the whole process group. Ray's processes inherit the block and leave it to us."""
    former = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGHUP})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, former)


@contextlib.contextmanager
def own_signal_handlers() -> Iterator[None]:
    """`ray.init` puts handlers in place of ours; its SIGTERM ends in an abort. Afterwards ours are back."""
    former = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)


def runs(process: psutil.Process) -> bool:
    """False for a zombie, too."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def end(processes: Sequence[psutil.Process]) -> None:
    """SIGTERM; SIGKILL for those that stay."""
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.terminate()
    _, stay = psutil.wait_procs(processes, timeout=END_DEADLINE_S)
    for process in stay:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(stay, timeout=END_DEADLINE_S)
