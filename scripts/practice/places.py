"""Where the nodes of a practice cluster run: network namespaces on a bridge, or, without root, addresses of loopback.

Everything is named by one random mark. What has that mark is ours, and nothing else is ever ended or removed.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import psutil

COMMAND_DEADLINE_S = 90.0
END_DEADLINE_S = 15.0
POLITE_S = 5.0
MARK = "PRACTICE_CLUSTER"


class Failed(Exception):
    """A step did not work; the message says what it said."""


class Place(Protocol):
    """One machine of the cluster. Its processes are those that `pids` finds, whoever started them."""

    @property
    def name(self) -> str: ...

    @property
    def address(self) -> str: ...

    def make(self) -> None:
        """Raises Failed."""

    def argv(self, command: Sequence[str]) -> list[str]:
        """What runs `command` there."""

    def environment(self) -> dict[str, str]:
        """What its processes need besides."""

    def pids(self) -> list[int]:
        """Of all that runs there."""

    def remove(self) -> None:
        """When nothing runs there any more. What is gone already is fine."""


def ip(*arguments: str) -> str:
    """`ip ARGUMENTS`. Raises Failed."""
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True, timeout=10.0, check=False)
    if done.returncode != 0:
        raise Failed(f"ip {' '.join(arguments)}: {done.stderr.strip()}")
    return done.stdout


@dataclass(frozen=True, slots=True)
class Bridge:
    """The network of the namespaces. This machine has its first address."""

    mark: str
    network: str
    """Without its last number, as 10.213.7."""

    @property
    def device(self) -> str:
        return f"rrc{self.mark}"

    @property
    def address(self) -> str:
        return f"{self.network}.1"

    def make(self) -> None:
        ip("link", "add", self.device, "type", "bridge")
        ip("addr", "add", f"{self.address}/24", "dev", self.device)
        ip("link", "set", self.device, "up")

    def remove(self) -> None:
        if self.device in ip("-brief", "link", "show", "type", "bridge"):
            ip("link", "del", self.device)


@dataclass(frozen=True, slots=True)
class Namespace:
    """A network namespace with one wire to the bridge and a host name of its own."""

    name: str
    number: int
    bridge: Bridge

    @property
    def address(self) -> str:
        return f"{self.bridge.network}.{10 + self.number}"

    @property
    def _namespace(self) -> str:
        return f"rrc-{self.bridge.mark}-{self.name}"

    def make(self) -> None:
        wire, namespace = f"rrc{self.bridge.mark}w{self.number}", self._namespace
        ip("netns", "add", namespace)
        ip("link", "add", wire, "type", "veth", "peer", "name", "eth0", "netns", namespace)
        ip("link", "set", wire, "master", self.bridge.device, "up")
        ip("-n", namespace, "link", "set", "lo", "up")
        ip("-n", namespace, "addr", "add", f"{self.address}/24", "dev", "eth0")
        ip("-n", namespace, "link", "set", "eth0", "up")
        ip("-n", namespace, "route", "add", "default", "via", self.bridge.address)

    def argv(self, command: Sequence[str]) -> list[str]:
        script = f'hostname {self.name} && exec "$@"'
        return ["ip", "netns", "exec", self._namespace, "unshare", "--uts", "sh", "-c", script, "sh", *command]

    def environment(self) -> dict[str, str]:
        return {}

    def pids(self) -> list[int]:
        return [int(pid) for pid in ip("netns", "pids", self._namespace).split()] if self._there() else []

    def remove(self) -> None:
        if self._there():  # its end of the wire goes with it, and so does the other
            ip("netns", "del", self._namespace)

    def _there(self) -> bool:
        return self._namespace in {line.split()[0] for line in ip("netns", "list").splitlines() if line}


@dataclass(frozen=True, slots=True)
class Loopback:
    """One of 127.0.0.0/8. Its processes are those that were started with its mark, and their children."""

    name: str
    number: int
    mark: str

    @property
    def address(self) -> str:
        return f"127.0.0.{10 + self.number}"

    def make(self) -> None:
        """Linux has all these addresses."""

    def argv(self, command: Sequence[str]) -> list[str]:
        return list(command)

    def environment(self) -> dict[str, str]:
        return {MARK: f"{self.mark}-{self.name}"}

    def pids(self) -> list[int]:
        found: dict[int, None] = {}
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if process.environ().get(MARK) == f"{self.mark}-{self.name}":
                    found[process.pid] = None
                    # Ray's workers write over the memory where their environment was.
                    found.update((child.pid, None) for child in process.children(recursive=True))
        return list(found)

    def remove(self) -> None:
        """Nothing was made."""


def namespaces_work() -> bool:
    """Whether this user may make network namespaces here."""
    return os.geteuid() == 0 and shutil.which("ip") is not None and shutil.which("unshare") is not None


def run(place: Place, command: Sequence[str], environment: Mapping[str, str]) -> str:
    """To its end; what it printed. Raises Failed with what it said."""
    try:
        done = subprocess.run(
            place.argv(command),
            env={**environment, **place.environment()},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=COMMAND_DEADLINE_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise Failed(f"{' '.join(command)} on {place.name} took more than {COMMAND_DEADLINE_S:.0f} s") from None
    if done.returncode != 0:
        raise Failed(f"{' '.join(command)} on {place.name}: {done.stdout[-2000:]}{done.stderr[-3000:]}")
    return done.stdout


def start(place: Place, command: Sequence[str], environment: Mapping[str, str], log: Path) -> int:
    """It outlives this process. Its pid."""
    with log.open("ab") as output:
        return subprocess.Popen(
            place.argv(command),
            env={**environment, **place.environment()},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        ).pid


def clear(place: Place) -> None:
    """Ends all that runs there: SIGTERM, then SIGKILL, also for what is started meanwhile. Raises Failed."""
    began = time.monotonic()
    for number, patience in ((signal.SIGTERM, POLITE_S), (signal.SIGKILL, END_DEADLINE_S)):
        signal_at = 0.0
        while left := list(_living(place)):
            now = time.monotonic()
            if now - began > patience:
                break
            if now >= signal_at:
                for pid in left:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, number)
                signal_at = now + (patience if number == signal.SIGTERM else 0.2)
            time.sleep(0.05)
        else:
            return
        began = time.monotonic()
    raise Failed(f"{place.name} still has processes {left}")


def _living(place: Place) -> Iterator[int]:
    """A zombie ends with whoever started it."""
    for pid in place.pids():
        with contextlib.suppress(psutil.NoSuchProcess):
            if psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
                yield pid
