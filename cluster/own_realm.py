"""A realm for one benchmark or one test run: started by `rayrealm up` on a free port in a temporary folder, and stopped."""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cluster.embedded import free_port
from cluster.errors import Ours
from cluster.fate import tied
from cluster.security.certificates import local_files

START_DEADLINE_S = 180.0
STOP_DEADLINE_S = 60.0
READY = "READY "


@dataclass(frozen=True, slots=True)
class OwnRealm:
    """`launcher` is the process of `rayrealm up`; what it printed on standard error is in `log`."""

    url: str
    data: Path
    log: Path
    launcher: subprocess.Popen[str]

    @property
    def authority(self) -> Path | None:
        """What its clients must trust, if it has TLS."""
        return local_files(self.data).authority if self.url.startswith("https:") else None


@contextmanager
def own_realm(gateways: int = 2, environment: Mapping[str, str] | None = None, tls: bool = False) -> Iterator[OwnRealm]:
    """Stopped as by Ctrl-C at the end; it stops itself if this process is killed. Raises Ours when it does not start.

    `environment` is added to this process's own.
    """
    with tempfile.TemporaryDirectory(prefix="rayrealm-") as folder:
        data, log = Path(folder) / "data", Path(folder) / "launch.log"
        port = free_port()
        argv = [sys.executable, "-m", "cluster.cli.main", "up", "--port", str(port), "--data", str(data)]
        argv += ["--gateways", str(gateways), "--bots", "0", *(["--tls"] if tls else [])]
        with log.open("wb") as errors:
            launcher = subprocess.Popen(  # noqa: S603 - our own program
                tied(argv, os.getpid()),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                start_new_session=True,
                env={**os.environ, **(environment or {})},
            )
        try:
            yield OwnRealm(_wait_ready(launcher, log), data, log, launcher)
        finally:
            _stop(launcher)


def _wait_ready(launcher: subprocess.Popen[str], log: Path) -> str:
    lines: queue.SimpleQueue[str] = queue.SimpleQueue()

    def read() -> None:
        if launcher.stdout is not None:
            with launcher.stdout as output:
                for line in output:
                    lines.put(line)
        lines.put("")

    threading.Thread(target=read, daemon=True).start()  # until the launcher closes its end
    until = time.monotonic() + START_DEADLINE_S
    while (left := until - time.monotonic()) > 0:
        try:
            line = lines.get(timeout=left)
        except queue.Empty:
            break
        if line.startswith(READY):
            return line.removeprefix(READY).strip()
        if not line:
            break
    raise Ours(f"the realm did not start:\n{log.read_text(errors='replace')[-4000:]}")


def _stop(launcher: subprocess.Popen[str]) -> None:
    if launcher.poll() is None:
        launcher.send_signal(signal.SIGINT)
    try:
        launcher.wait(STOP_DEADLINE_S)
    except subprocess.TimeoutExpired:
        launcher.kill()
        launcher.wait()
