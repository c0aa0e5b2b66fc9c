"""Outlives a launcher that was killed, for a second: ends those of Ray's processes that would not end by themselves.

Ray ties its servers to the launcher, and workers to the raylet. But two agents of Ray 2.60 first spend a minute trying to tell a
GCS that is gone that the raylet has died. The guard reads processes from its standard input, which ends when the launcher does.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Iterable

import psutil

GRACE_S = 0.5


def start(processes: Iterable[psutil.Process]) -> subprocess.Popen[bytes]:
    """A guard for these, which ends with SIGTERM. Keep what is returned: it holds the other end of its standard input."""
    guard = subprocess.Popen(  # noqa: S603 - our own program
        [sys.executable, "-m", __name__], stdin=subprocess.PIPE, start_new_session=True
    )
    if guard.stdin is not None:
        guard.stdin.write(named(processes))
        guard.stdin.flush()
    return guard


def named(processes: Iterable[psutil.Process]) -> bytes:
    """With its start a pid names one process for ever."""
    found = []
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            found.append((process.pid, process.create_time()))
    return json.dumps(found).encode()


def left(names: bytes) -> list[psutil.Process]:
    """Those of `named` that still run."""
    found = []
    for pid, started_at in json.loads(names):
        with contextlib.suppress(psutil.NoSuchProcess):
            process = psutil.Process(pid)
            if process.create_time() == started_at:
                found.append(process)
    return found


def main() -> None:
    names = sys.stdin.buffer.read()  # until the launcher ends
    time.sleep(GRACE_S)
    for process in left(names):
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()


if __name__ == "__main__":
    main()
