"""The JetStream streams that other services read (row 4.3), as data: what they should be, and what is different at a server. Plain.

Members have JetStream's own names (its API, `$JS.API.STREAM.CREATE` and `.UPDATE`); durations are nanoseconds there.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from cluster.ports.events import StreamKind
from cluster.social_settings import EventSettings

NANOSECONDS = 1_000_000_000
LEAST_NATS = (2, 9)  # what the example consumer's requests need
REPEATED_S = 120.0  # an event that comes again within that time is kept once

_NOT_IN_A_TOKEN = re.compile(r"[^!-~]|[.*>]")

# What JetStream never changes of a stream that exists.
FIXED = frozenset({"retention", "storage"})


@dataclass(frozen=True, slots=True)
class StreamSpec:
    """`max_msgs` -1: no limit. `duplicates_s`: within that time a message id counts once; never longer than `max_age_s`."""

    kind: StreamKind
    name: str
    subjects: str  # of all that it takes; `>` at the end
    about: str  # what an event's subject has before the key
    retention: Literal["workqueue", "limits"]
    storage: Literal["file", "memory"]
    max_age_s: float
    max_msgs: int
    duplicates_s: float
    max_bytes: int

    def of(self, key: str) -> str:
        """The subject of events about `key`. What a token of a subject must not have becomes `_`."""
        return self.about + (_NOT_IN_A_TOKEN.sub("_", key) or "_")

    def config(self) -> dict[str, Any]:
        """A StreamConfig of JetStream's API. The oldest go when it is full: the realm does not wait for who reads slowly."""
        return {
            "name": self.name,
            "description": "Rayrealm: docs/events.md",
            "subjects": [self.subjects],
            "retention": self.retention,
            "storage": self.storage,
            "discard": "old",
            "max_age": int(self.max_age_s * NANOSECONDS),
            "max_msgs": self.max_msgs,
            "max_bytes": self.max_bytes,
            "duplicate_window": int(self.duplicates_s * NANOSECONDS),
        }


def specs(settings: EventSettings) -> dict[StreamKind, StreamSpec]:
    """The three streams. With a prefix `eu` they are EU_PRESENCE and so on, and their subjects `eu.presence.>` and so on."""
    names = f"{settings.prefix.upper()}_" if settings.prefix else ""
    before = f"{settings.prefix}." if settings.prefix else ""
    most = settings.max_bytes

    def queue(kind: StreamKind, name: str, about: str, max_age_s: float) -> StreamSpec:
        start = f"{before}{kind}."
        return StreamSpec(
            kind, names + name, start + ">", f"{start}{about}.", "workqueue", "file", max_age_s, -1, REPEATED_S, most
        )

    start = f"{before}position."
    return {
        "presence": queue("presence", "PRESENCE", "user", 3_600.0),
        "state": queue("state", "STATE_SYNC", "zone", 300.0),
        # Half a minute of places: not worth a disk.
        "position": StreamSpec(
            "position", names + "POSITION", start + ">", start + "zone.", "limits", "memory", 30.0, 100_000, 30.0, most
        ),
    }


@dataclass(frozen=True, slots=True)
class Difference:
    """A member of a stream's configuration that is not as it should be. `fixed`: JetStream cannot change it."""

    stream: str
    member: str
    wanted: Any
    found: Any

    @property
    def fixed(self) -> bool:
        return self.member in FIXED

    def __str__(self) -> str:
        return f"{self.stream}: {self.member} is {_said(self.found)} and should be {_said(self.wanted)}"


def differences(spec: StreamSpec, found: Mapping[str, Any]) -> list[Difference]:
    """`found`: the configuration that the server has for the stream of that name."""
    return [
        Difference(spec.name, member, wanted, found.get(member))
        for member, wanted in spec.config().items()
        if member != "name" and found.get(member) != wanted
    ]


def somebody_elses(spec: StreamSpec, found: Mapping[str, Any]) -> bool:
    """It has that name and is not for our events: none of its subjects would take one."""
    return not any(covers(subject, spec.of("x")) for subject in found.get("subjects") or ())


def covers(pattern: str, subject: str) -> bool:
    """Whether a message on `subject` fits a subject with `*` and `>` (NATS, "Subject-Based Messaging")."""
    wanted, tokens = pattern.split("."), subject.split(".")
    for place, part in enumerate(wanted):
        if part == ">":
            return len(tokens) > place
        if place >= len(tokens) or part not in ("*", tokens[place]):
            return False
    return len(wanted) == len(tokens)


def updated(spec: StreamSpec, found: Mapping[str, Any]) -> dict[str, Any]:
    """What to ask JetStream for: `found` with what is ours to say, and what it has beyond that (replicas, placement) as it is."""
    return {**found, **{member: value for member, value in spec.config().items() if member not in FIXED}}


def report(spec: StreamSpec, found: Mapping[str, Any]) -> list[str]:
    """Sentences for the operator: what is different, and what becomes of it. Empty if nothing is."""
    if somebody_elses(spec, found):
        others = ", ".join(found.get("subjects") or ()) or "none"
        return [
            f"{spec.name}: a stream of that name is for other subjects ({others}); it is left alone and {spec.kind} events are not "
            "kept: choose a name with events.prefix"
        ]
    return [
        f"{difference}; "
        + (
            "it cannot be changed and stays: delete the stream to have it made anew"
            if difference.fixed
            else "it was changed"
        )
        for difference in differences(spec, found)
    ]


def _said(value: Any) -> str:
    return "not set" if value is None else ", ".join(map(str, value)) if isinstance(value, list) else str(value)
