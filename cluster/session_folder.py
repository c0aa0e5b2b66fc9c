"""The folder of one start: Ray's session, HAProxy's files. Short, because the paths of Unix sockets end at 107 bytes."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import psutil

PARENT = Path("/tmp")  # noqa: S108 - made by mkdtemp, for this user alone
PREFIX = "rr-"
OWNER = "owner"
OWN_LOGS = "logs"
RAY = "r"  # Ray opens its folder to everybody; nobody gets through ours


def create(parent: Path = PARENT) -> Path:
    """A new folder that says whose it is."""
    path = Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent))
    process = psutil.Process()
    (path / OWNER).write_text(f"{process.pid} {process.create_time()}")
    return path


def sweep(parent: Path = PARENT) -> list[Path]:
    """Remove the folders of this user's launchers that were killed; those removed."""
    removed = []
    for path in parent.glob(f"{PREFIX}*"):
        try:
            pid, started = (path / OWNER).read_text().split()
            if _alive(int(pid), float(started)):
                continue
        except (OSError, ValueError):  # not ours, another user's, or made this moment
            continue
        remove(path)
        removed.append(path)
    return removed


def remove(path: Path) -> None:
    """Processes that are just ending may still write: what cannot be removed is left to the next sweep."""
    shutil.rmtree(path, ignore_errors=True)


def _alive(pid: int, started: float) -> bool:
    try:
        process = psutil.Process(pid)
        return abs(process.create_time() - started) < 1.0 and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def show_logs(logs: Path, session: Path, joined: bool = False) -> None:
    """While the realm runs, `logs` in the data folder is a link to those of this session. Earlier ones become `logs.1`.

    `joined`: to a cluster, whose Ray has its session elsewhere. Then there are only those of what runs beside the launcher.
    """
    former = logs.with_name(f"{logs.name}.1")
    if logs.is_dir():
        shutil.rmtree(former, ignore_errors=True)
        shutil.move(logs.resolve(), former)
    logs.unlink(missing_ok=True)
    if joined:
        (session / OWN_LOGS).mkdir()
    logs.symlink_to(session / OWN_LOGS if joined else session / RAY / "session_latest" / "logs")


def keep_logs(logs: Path) -> None:
    """At the end the logs move out of the session folder to where the link was."""
    if not logs.is_symlink():
        return
    target = logs.resolve()
    logs.unlink()
    if target.is_dir():
        shutil.move(target, logs)
