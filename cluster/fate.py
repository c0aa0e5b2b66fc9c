"""Runs a program that ends when the process that started it ends, however that happens: `fate.py PARENT PROGRAM ARGS...`.

The kernel sends SIGTERM (prctl(2), PR_SET_PDEATHSIG) as soon as the *thread* that started the program ends, so start
it from one that lives as long as the program should. A file that is run by its path: Popen's own hook for this,
`preexec_fn`, may deadlock in a process with threads. Where there is no prctl (macOS) the program runs without the tie.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Sequence

PR_SET_PDEATHSIG = 1
EXIT_ORPHAN = 111


def tied(argv: Sequence[str], parent: int) -> list[str]:
    """What to start instead of `argv`; `parent` is the pid of the process that starts it."""
    return [sys.executable, "-I", "-S", __file__, str(parent), *argv]


def tie(parent: int) -> None:
    """For the program's side. Out of the terminal's process group too: Ctrl-C is the launcher's business."""
    if os.getpgrp() != os.getpid():
        os.setsid()
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:  # it ended before the tie was made
        sys.exit(EXIT_ORPHAN)


if __name__ == "__main__":
    tie(int(sys.argv[1]))
    os.execv(sys.argv[2], sys.argv[2:])  # noqa: S606 - no shell is wanted
