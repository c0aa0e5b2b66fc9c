"""Which realms this user runs on this machine: one file each in the state folder (XDG base directories)."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import psutil

from cluster.errors import StartRefused
from cluster.settings import Settings

REALM_FILE = "realm.json"
START_TIME_TOLERANCE_S = 1.0


@dataclass(frozen=True, slots=True)
class RunningRealm:
    """`started_at` is the launcher's start in Unix seconds, as the kernel tells it: with `pid` it names one process."""

    pid: int
    started_at: float
    url: str
    data: str
    namespace: str

    @classmethod
    def of_this_process(cls, url: str, data: Path, namespace: str) -> Self:
        process = psutil.Process()
        return cls(process.pid, process.create_time(), url, str(data), namespace)

    def alive(self) -> bool:
        """The launcher still runs, and its pid was not given to another process."""
        process = self.process()
        return process is not None and process.status() != psutil.STATUS_ZOMBIE

    def process(self) -> psutil.Process | None:
        try:
            process = psutil.Process(self.pid)
            same = abs(process.create_time() - self.started_at) < START_TIME_TOLERANCE_S
        except psutil.NoSuchProcess:
            return None
        return process if same else None

    def details(self) -> dict[str, Any]:
        """What `realm.json` says: `redis_url` and the rest. Empty if the realm is just stopping."""
        try:
            document = json.loads((Path(self.data) / REALM_FILE).read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError):
            return {}
        return document if isinstance(document, dict) else {}


def for_commands(settings: Settings) -> dict[str, Any]:
    """Of the settings, what the commands have to go by (cluster/cli/desk.py)."""
    kept = {"topic_log": settings.session.topic_log, "audit_log": settings.abuse.audit_log}
    return {"console": settings.console.model_dump(mode="json"), "kept": kept}


def folder() -> Path:
    """Where the entries are."""
    base = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(base) / "rayrealm" / "running"


def register(realm: RunningRealm, details: dict[str, Any], where: Path) -> None:
    """Say that it runs: the entry in `where` and `realm.json` in the data folder, readable by this user alone."""
    where.mkdir(mode=0o700, parents=True, exist_ok=True)
    _write(Path(realm.data) / REALM_FILE, {**asdict(realm), **details})
    _write(_entry(realm, where), asdict(realm))


def unregister(realm: RunningRealm, where: Path) -> None:
    """Twice is fine."""
    _entry(realm, where).unlink(missing_ok=True)
    (Path(realm.data) / REALM_FILE).unlink(missing_ok=True)


def realms(where: Path) -> list[RunningRealm]:
    """Those that run, the oldest first. Entries of realms that were killed are removed."""
    return sorted(_living(where), key=lambda realm: realm.started_at)


def find(where: Path, url: str | None = None) -> RunningRealm:
    """The one that runs here, or the one at `url`. Raises StartRefused if there is none or more than one."""
    found = realms(where)
    if url is not None:
        found = [realm for realm in found if realm.url == url.rstrip("/")]
        if not found:
            raise StartRefused(f"no realm of yours runs on this machine at {url}")
    if not found:
        raise StartRefused("no realm of yours runs on this machine: start one with `rayrealm up`")
    if len(found) > 1:
        urls = ", ".join(realm.url for realm in found)
        raise StartRefused(f"several realms run here ({urls}): choose one with --url")
    return found[0]


def _living(where: Path) -> Iterator[RunningRealm]:
    for path in where.glob("*.json"):
        try:
            realm = RunningRealm(**json.loads(path.read_text(encoding="utf-8")))
        except FileNotFoundError:  # it stopped this moment
            continue
        except (ValueError, TypeError):  # written by another version, or by nobody who should
            path.unlink(missing_ok=True)
            continue
        if realm.alive():
            yield realm
        else:
            path.unlink(missing_ok=True)


def _entry(realm: RunningRealm, where: Path) -> Path:
    return where / f"{realm.pid}.json"


def _write(path: Path, document: dict[str, Any]) -> None:
    """Complete or not at all."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(document, file)
    draft.replace(path)
