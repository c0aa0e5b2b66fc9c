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
from collections.abc import Iterable, Sequence

import psutil

GRACE_S = 0.5


class Guard:
    """The launcher's side."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(  # noqa: S603 - our own program
            [sys.executable, "-m", __name__], stdin=subprocess.PIPE, start_new_session=True
        )

    def watch(self, processes: Iterable[psutil.Process]) -> None:
        """Add some. The broken pipe of a guard that was killed is no reason not to start."""
        if self._process.stdin is not None:
            with contextlib.suppress(BrokenPipeError, psutil.NoSuchProcess):
                self._process.stdin.write(named(processes))
                self._process.stdin.flush()

    def close(self) -> None:
        """It ends what is left of the processes, and itself."""
        if self._process.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                self._process.stdin.close()
        self._process.wait()


def named(processes: Iterable[psutil.Process]) -> bytes:
    """A line; with its start a pid names one process for ever."""
    return json.dumps([(process.pid, process.create_time()) for process in processes]).encode() + b"\n"


def left(lines: Sequence[bytes]) -> list[psutil.Process]:
    """Those that still run."""
    found = []
    for line in lines:
        for pid, started_at in json.loads(line):
            with contextlib.suppress(psutil.NoSuchProcess):
                process = psutil.Process(pid)
                if process.create_time() == started_at:
                    found.append(process)
    return found


def main() -> None:
    lines = sys.stdin.buffer.readlines()  # until the launcher ends
    time.sleep(GRACE_S)
    for process in left(lines):
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()


if __name__ == "__main__":
    main()
