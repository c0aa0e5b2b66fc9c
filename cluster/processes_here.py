"""Which processes make up the realm: those that registered in Redis, and those that only the launcher's tree knows."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import psutil

CLOCK_TOLERANCE_S = 2.0
KINDS = {
    "valkey-server": "valkey",
    "nats-server": "nats",
    "haproxy": "haproxy",
    "bots": "bots",
    "guard": "guard",
}  # others: Ray's own


@dataclass(frozen=True, slots=True)
class Process:
    """`alive` is None for a process of another node, which cannot be seen from here."""

    kind: str
    name: str
    pid: int
    node: str
    alive: bool | None

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Seen:
    """A process of the launcher's tree. `title` is its name or, for Ray's workers, what Ray calls them."""

    pid: int
    title: str
    started_at: float


def merged(registered: Mapping[str, str | bytes], tree: Iterable[Seen], node: str, launcher: int) -> list[Process]:
    """All of them, by kind and name. `registered`: name to JSON, as in Redis; `node` is this machine."""
    seen = {process.pid: process for process in tree}
    found = []
    for text in registered.values():
        entry = json.loads(text)
        alive = _is_it(seen.get(entry["pid"]), entry["started_at"]) if entry["node"] == node else None
        if alive:
            del seen[entry["pid"]]
        found.append(Process(entry["kind"], entry["name"], entry["pid"], entry["node"], alive))
    for process in seen.values():
        kind = "launcher" if process.pid == launcher else KINDS.get(process.title, "ray")
        found.append(Process(kind, process.title, process.pid, node, True))
    return sorted(found, key=lambda process: (process.kind, process.name, process.pid))


def _is_it(process: Seen | None, registered_at: float) -> bool:
    """A process registers after it has started; one that started later got the pid of one that ended."""
    return process is not None and process.started_at <= registered_at + CLOCK_TOLERANCE_S


def tree(pid: int) -> list[Seen]:
    """The process and its descendants. Raises psutil.NoSuchProcess."""
    root = psutil.Process(pid)
    return [found for process in (root, *root.children(recursive=True)) if (found := _seen(process)) is not None]


def outside(registered: Mapping[str, str | bytes], family: Iterable[Seen], node: str) -> list[Seen]:
    """Registered processes of this machine that the launcher did not start: those of a Ray that it joined."""
    known = {process.pid for process in family}
    found = []
    for entry in map(json.loads, registered.values()):
        if entry["node"] == node and entry["pid"] not in known:
            with contextlib.suppress(psutil.NoSuchProcess):
                seen = _seen(psutil.Process(entry["pid"]))
                if seen is not None and _is_it(seen, entry["started_at"]):
                    found.append(seen)
    return found


def _seen(process: psutil.Process) -> Seen | None:
    try:
        with process.oneshot():
            if process.status() == psutil.STATUS_ZOMBIE:
                return None
            command = process.cmdline()
            title = command[0] if command and command[0].startswith("ray::") else process.name()
            if "cluster.cli.main" in command and "bots" in command:
                title = "bots"
            elif "cluster.guard" in command:
                title = "guard"
            return Seen(process.pid, title, process.create_time())
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return None
