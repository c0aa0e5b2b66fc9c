"""Acknowledged changes of state, attributes and status are there ever after (row 3.4).

Each bot changes its own entity only, one change at a time, each based on the version it knows. So the version that is read
must be the one that was acknowledged last, or later by changes whose outcome is not known; and hold the value that made it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from cluster.chaos.history import Event
from cluster.chaos.verdict import Violation

FIRST_VERSION = 1


@dataclass(slots=True)
class _Stay:
    """`tried`: version -> values of the changes that may have made it; `acked`: version -> value, acknowledged."""

    floor: int | None = None
    tried: dict[int, set[int]] = field(default_factory=dict)
    acked: dict[int, int] = field(default_factory=dict)
    unread: bool = False


class StateCheck:
    """Feed it all events in order, then take `violations`."""

    def __init__(self) -> None:
        self.violations: list[Violation] = []
        self._stays: dict[tuple[str, int], _Stay] = {}
        self._ops: dict[int, Event] = {}
        self._ended: set[tuple[str, int]] = set()

    def feed(self, event: Event) -> None:
        match event["k"]:
            case "invoked" if event["do"] in ("state", "leave"):
                self._ops[event["op"]] = event
                if event["do"] == "state":
                    self._stay(event).tried.setdefault(event["version"] + 1, set()).add(event["n"])
            case "acknowledged" if event["op"] in self._ops:
                self._acknowledged(self._ops.pop(event["op"]), event)
            case "failed" if event["op"] in self._ops:
                asked = self._ops.pop(event["op"])
                if asked["do"] == "state":
                    self._stay(asked).tried[asked["version"] + 1].discard(asked["n"])
            case "state":
                self._read(self._stay(event), event)

    def finish(self) -> None:
        for (bot, number), stay in self._stays.items():
            if stay.unread and (bot, number) not in self._ended:
                self._found("unread", 0.0, bot, f"version {stay.floor} of stay {number} was never read again")

    def _stay(self, event: Event) -> _Stay:
        return self._stays.setdefault((event["bot"], event["stay"]), _Stay())

    def _acknowledged(self, asked: Event, answer: Event) -> None:
        if asked["do"] == "leave":
            self._ended.add((asked["bot"], asked["stay"]))
            return
        stay, version, n = self._stay(asked), answer["version"], asked["n"]
        if version != asked["version"] + 1:
            what = f"a change of version {asked['version']} was acknowledged as version {version}"
            self._found("lost_acks", answer["t"], asked["bot"], what)
        elif version in stay.acked:
            what = f"two changes were acknowledged as version {version}: {stay.acked[version]} and {n}"
            self._found("lost_acks", answer["t"], asked["bot"], what)
        stay.acked[version] = n
        stay.floor = version
        stay.unread = True

    def _read(self, stay: _Stay, event: Event) -> None:
        version, n, bot, t = event["version"], event["n"], event["bot"], event["t"]
        stay.unread = False
        floor = FIRST_VERSION if stay.floor is None else stay.floor
        if version < floor:
            gone = {v: stay.acked.pop(v) for v in sorted(stay.acked) if v > version}
            what = f"version {version} is there, {floor} was; acknowledged and lost: {sorted(gone.values())}"
            self._found("lost_acks", t, bot, what, max(1, len(gone)))
        elif any(not stay.tried.get(v) for v in range(floor + 1, version + 1)):
            self._found("phantoms", t, bot, f"version {version} is there, and nobody asked for more than {floor}")
        elif n not in _allowed(stay, version):
            name = "lost_acks" if version in stay.acked else "phantoms"
            what = f"version {version} holds {n}, not {sorted(_allowed(stay, version), key=str)}"
            self._found(name, t, bot, what)
        stay.floor = version

    def _found(self, name: str, t: float, who: str, what: str, count: int = 1) -> None:
        self.violations.append(Violation(name, t, who, what, count))


def _allowed(stay: _Stay, version: int) -> set[int | None]:
    """The values that the version may hold; a fresh entity has none."""
    if version == FIRST_VERSION:
        return {None}
    if version in stay.acked:
        return {stay.acked[version]}
    return {*stay.tried.get(version, ())}


class RegisterCheck:
    """Attributes and the status are registers: the last acknowledged value, or one whose outcome is not known, however old."""

    STATUS = "its status"

    def __init__(self) -> None:
        self.violations: list[Violation] = []
        self._ops: dict[int, tuple[tuple[str, str], Any]] = {}
        self._acked: dict[tuple[str, str], Any] = {}
        self._maybe: dict[tuple[str, str], list[Any]] = {}
        self._unread: set[tuple[str, str]] = set()

    def feed(self, event: Event) -> None:
        match event["k"]:
            case "invoked" if event["do"] == "attribute":
                self._invoked(event["op"], (event["bot"], f"attribute {event['name']}"), event["n"])
            case "invoked" if event["do"] == "status":
                self._invoked(event["op"], (event["bot"], self.STATUS), event["status"])
            case "acknowledged" | "failed" if event["op"] in self._ops:
                register, value = self._ops.pop(event["op"])
                self._maybe[register].remove(value)
                if event["k"] == "acknowledged":
                    self._acked[register] = value
                    self._unread.add(register)
            case "attributes":
                for bot, name in self._acked:
                    if bot == event["bot"] and name != self.STATUS:
                        self._read((bot, name), event["values"].get(name.partition(" ")[2]), event["t"])
            case "status" if (event["bot"], self.STATUS) in self._acked:
                self._read((event["bot"], self.STATUS), event["value"], event["t"])

    def finish(self) -> None:
        for bot, name in sorted(self._unread):
            self.violations.append(Violation("unread", 0.0, bot, f"{name} was never read again"))

    def _invoked(self, op: int, register: tuple[str, str], value: Any) -> None:
        self._ops[op] = register, value
        self._maybe.setdefault(register, []).append(value)

    def _read(self, register: tuple[str, str], there: Any, t: float) -> None:
        self._unread.discard(register)
        if there != self._acked[register] and there not in self._maybe[register]:
            what = f"{register[1]} is {there}, {self._acked[register]} was acknowledged"
            self.violations.append(Violation("lost_acks", t, register[0], what))
