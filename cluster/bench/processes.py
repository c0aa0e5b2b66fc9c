"""The processes of a realm on this machine: which they are, what they cost. From /proc and psutil."""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import psutil

_KINDS: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (kind, re.compile(pattern))
    for kind, pattern in (
        ("gateway", r"^ray::ServeReplica:gateway\b"),
        ("web", r"^ray::ServeReplica:"),
        ("serve", r"^ray::(ServeController|ProxyActor|HAProxyManager|SERVE_)"),
        ("zone", r"^ray::Zone"),
        ("sessions", r"^ray::Session"),
        ("presence", r"^ray::Presence"),
        ("watch", r"^ray::Watch"),
        ("supervisor", r"^ray::(World)?Supervisor"),
        ("ray_other", r"^ray::"),
        ("raylet", r"(^|/)raylet( |$)"),
        ("gcs", r"(^|/)gcs_server( |$)"),
        ("dashboard", r"ray/dashboard/"),
        ("ray_other", r"/ray/_private/"),
        ("haproxy", r"(^|/)haproxy( |$)"),
        ("nats", r"(^|/)nats-server( |$)"),
        ("valkey", r"(^|/)valkey-server( |$|\*)"),
        ("bots", r"cluster\.cli\.main bots|rayrealm bots"),
        ("launcher", r"cluster\.cli\.main up|rayrealm up"),
    )
)
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


def kind_of(cmdline: Iterable[str]) -> str:
    """What a process of a realm is, from its command line (Ray's workers write theirs)."""
    line = " ".join(cmdline)
    return next((kind for kind, pattern in _KINDS if pattern.search(line)), "other")


def of_realm(launcher: int, mark: tuple[str, str] | None = None, more: Iterable[int] = ()) -> dict[int, str]:
    """pid -> kind of a realm's processes: `launcher`, `more`, and all that they started.

    A process may have lost its parent; it is still found by its session (setsid(2)), or by the environment variable
    `mark` (name, value) that it inherited.
    """
    roots, found, by_parent = {launcher, *more}, dict[int, psutil.Process](), defaultdict[int, list[int]](list)
    for process in psutil.process_iter():
        try:
            by_parent[process.ppid()].append(process.pid)
            if process.pid in roots or os.getsid(process.pid) == launcher or _has(process, mark):
                roots.add(process.pid)
            found[process.pid] = process
        except (psutil.NoSuchProcess, ProcessLookupError):
            continue
    waiting, mine = [pid for pid in roots if pid in found], set[int]()
    while waiting:
        pid = waiting.pop()
        if pid not in mine:
            mine.add(pid)
            waiting += by_parent[pid]
    kinds = {}
    for pid in sorted(mine - {os.getpid()}):
        try:
            if found[pid].status() != psutil.STATUS_ZOMBIE:
                kinds[pid] = kind_of(found[pid].cmdline())
        except (KeyError, psutil.NoSuchProcess):
            continue
    return kinds


def marked(mark: tuple[str, str]) -> dict[int, str]:
    """pid -> kind of the processes that carry the environment variable `mark`."""
    found = {}
    for process in psutil.process_iter():
        try:
            if _has(process, mark) and process.pid != os.getpid():
                found[process.pid] = kind_of(process.cmdline())
        except psutil.NoSuchProcess:
            continue
    return found


def _has(process: psutil.Process, mark: tuple[str, str] | None) -> bool:
    if mark is None:
        return False
    try:
        return process.environ().get(mark[0]) == mark[1]
    except psutil.AccessDenied:  # another user's
        return False


def cpu_s(pids: Iterable[int]) -> dict[int, float]:
    """Seconds of user and system time since each process began. Those that have ended are left out."""
    used = {}
    for pid in pids:
        try:
            with open(f"/proc/{pid}/stat") as file:  # noqa: PTH123 - in the measuring window, cheap counts
                fields = file.read().rpartition(") ")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        used[pid] = (int(fields[11]) + int(fields[12])) / _TICKS_PER_S
    return used


@dataclass(frozen=True, slots=True)
class Memory:
    """KiB. PSS counts a page that k processes share as 1/k in each, so it can be added up; RSS counts it in full."""

    rss_kib: float
    pss_kib: float

    def __sub__(self, other: Memory) -> Memory:
        return Memory(self.rss_kib - other.rss_kib, self.pss_kib - other.pss_kib)


def memory(pids: Mapping[int, str]) -> dict[str, Memory]:
    """By kind, and "all"."""
    rss, pss = defaultdict[str, float](float), defaultdict[str, float](float)
    for pid, kind in pids.items():
        try:
            with open(f"/proc/{pid}/smaps_rollup") as file:  # noqa: PTH123
                lines = dict(line.split(":", 1) for line in file if line.startswith(("Rss:", "Pss:")))
        except (FileNotFoundError, ProcessLookupError):
            continue
        for name in (kind, "all"):
            rss[name] += float(lines["Rss"].split()[0])
            pss[name] += float(lines["Pss"].split()[0])
    return {kind: Memory(rss[kind], pss[kind]) for kind in rss}


def handles(pids: Mapping[int, str]) -> dict[psutil.Process, str]:
    """The same with what tells a process from a later one with its pid."""
    found = {}
    for pid, kind in pids.items():
        try:
            found[psutil.Process(pid)] = kind
        except psutil.NoSuchProcess:
            continue
    return found


def by_kind(used: Mapping[int, float], pids: Mapping[int, str]) -> dict[str, float]:
    """Sums of what `used` says of each process."""
    sums = defaultdict[str, float](float)
    for pid, value in used.items():
        sums[pids[pid]] += value
    return dict(sums)
