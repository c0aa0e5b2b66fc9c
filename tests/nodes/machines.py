"""Machines on one machine: network namespaces on a bridge, each with an address and a host name of its own. Needs root and `ip`.

What can be done to one: killed, frozen, cut off from all others in both directions or in one. Frames that are lost are lost
silently, as on a real network: they go to a hardware address that nobody has.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal

NOBODY = "02:00:00:00:00:01"
END_DEADLINE_S = 20.0
COMMAND_DEADLINE_S = 60.0

Direction = Literal["both", "in", "out"]


def ip(*arguments: str) -> str:
    """`ip ARGUMENTS`. Raises CalledProcessError with what it said."""
    return subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True, timeout=10.0).stdout


class Machine:
    """One of `machines`. Its processes are those of its namespace, whoever started them."""

    def __init__(self, name: str, namespace: str, wire: str, address: str) -> None:
        self.name = name
        self.address = address
        self._namespace = namespace
        self._wire = wire
        self._others: list[Machine] = []
        self._bridge = ""
        self._gateway = ""

    def know(self, others: Sequence[Machine], bridge: str, gateway: str) -> None:
        """Whom it has to be cut off from."""
        self._others = [machine for machine in others if machine is not self]
        self._bridge, self._gateway = bridge, gateway

    # --- processes ---------------------------------------------------------------------------------------------

    def argv(self, command: Sequence[str]) -> list[str]:
        """What runs `command` there."""
        script = f'hostname {self.name} && exec "$@"'
        return ["ip", "netns", "exec", self._namespace, "unshare", "--uts", "sh", "-c", script, "sh", *command]

    def run(self, command: Sequence[str], environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
        """To its end. Raises RuntimeError with what it said."""
        done = subprocess.run(
            self.argv(command),
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=COMMAND_DEADLINE_S,
            check=False,
        )
        if done.returncode != 0:
            raise RuntimeError(f"{' '.join(command)} on {self.name}: {done.stdout[-2000:]}{done.stderr[-4000:]}")
        return done

    def start(self, command: Sequence[str], environment: Mapping[str, str], log: Path) -> subprocess.Popen[bytes]:
        with log.open("ab") as output:
            return subprocess.Popen(
                self.argv(command),
                env={**os.environ, **environment},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def pids(self) -> list[int]:
        return [int(pid) for pid in ip("netns", "pids", self._namespace).split()]

    def signal(self, number: signal.Signals) -> None:
        """To each of its processes."""
        for pid in self.pids():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def kill(self) -> None:
        """kill -9 of everything, also of what is started meanwhile. Returns when nothing is left."""
        until = time.monotonic() + END_DEADLINE_S
        while self.pids():
            self.signal(signal.SIGKILL)
            if time.monotonic() > until:
                raise TimeoutError(f"{self.name} still has processes {self.pids()}")
            time.sleep(0.05)

    def freeze(self) -> None:
        self.signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self.signal(signal.SIGCONT)

    # --- the wire ----------------------------------------------------------------------------------------------

    def cut(self, direction: Direction) -> None:
        """`in`: it hears nobody; `out`: nobody hears it."""
        if direction == "both":
            ip("link", "set", self._wire, "down")
        elif direction == "in":
            self._mislead(self.address, "dev", self._bridge)
            for other in self._others:
                other._mislead(self.address, "dev", "eth0", namespace=other._namespace)
        else:
            for address in (self._gateway, *(other.address for other in self._others)):
                self._mislead(address, "dev", "eth0", namespace=self._namespace)

    def _mislead(self, address: str, *where: str, namespace: str = "") -> None:
        within = ("-n", namespace) if namespace else ()
        ip(*within, "neigh", "replace", address, "lladdr", NOBODY, "nud", "permanent", *where)

    def heal(self) -> None:
        """Whatever `cut` did is undone."""
        ip("link", "set", self._wire, "up")
        _forget(self.address, self._bridge)
        for other in self._others:
            _forget(self.address, "eth0", "-n", other._namespace)
        for address in (self._gateway, *(other.address for other in self._others)):
            _forget(address, "eth0", "-n", self._namespace)


def _forget(address: str, device: str, *within: str) -> None:
    """Only what was put there by us; an entry that was learnt is right."""
    shown = ip(*within, "neigh", "show", address, "dev", device)
    if NOBODY in shown:
        ip(*within, "neigh", "del", address, "dev", device)


@contextlib.contextmanager
def machines(count: int) -> Iterator[tuple[str, list[Machine]]]:
    """This machine's address on their network, and the machines. At the end nothing of them is left."""
    mark = secrets.token_hex(2)
    bridge, network = f"rr{mark}", f"10.213.{secrets.randbelow(256)}"
    gateway = f"{network}.1"
    made: list[Machine] = []
    try:
        ip("link", "add", bridge, "type", "bridge")
        ip("addr", "add", f"{gateway}/24", "dev", bridge)
        ip("link", "set", bridge, "up")
        for number in range(count):
            namespace, wire, address = f"rr-{mark}-{number}", f"rr{mark}w{number}", f"{network}.{11 + number}"
            ip("netns", "add", namespace)
            made.append(Machine(f"node{number}", namespace, wire, address))
            ip("link", "add", wire, "type", "veth", "peer", "name", "eth0", "netns", namespace)
            ip("link", "set", wire, "master", bridge, "up")
            ip("-n", namespace, "link", "set", "lo", "up")
            ip("-n", namespace, "addr", "add", f"{address}/24", "dev", "eth0")
            ip("-n", namespace, "link", "set", "eth0", "up")
            ip("-n", namespace, "route", "add", "default", "via", gateway)
        for machine in made:
            machine.know(made, bridge, gateway)
        yield gateway, made
    finally:
        _remove(mark, bridge, made)


def _remove(mark: str, bridge: str, made: Sequence[Machine]) -> None:
    """Each step, whatever became of those before it."""
    problems: list[Exception] = []
    for number, machine in enumerate(made):
        try:
            machine.thaw()
            machine.kill()
            ip("netns", "del", f"rr-{mark}-{number}")
        except (subprocess.SubprocessError, TimeoutError, OSError) as error:
            problems.append(error)
    try:
        ip("link", "del", bridge)
    except subprocess.SubprocessError as error:
        problems.append(error)
    if problems:
        raise ExceptionGroup("the machines were not all removed", problems)
