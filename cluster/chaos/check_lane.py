"""The reliable lane of each session: numbers without gap or repetition, on the session of the start (rows 1.6, 2.5)."""

from __future__ import annotations

from dataclasses import dataclass

from cluster.chaos.history import Event
from cluster.chaos.verdict import Violation

RELIABLE = frozenset({"chat.message", "presence.changed", "system.topic", "session.gap"})


@dataclass(slots=True)
class _Lane:
    session: str
    stream: str
    seq: int


class LaneCheck:
    """Feed it all events in order, then take `violations`. `holes`: bot -> when it missed something for good."""

    def __init__(self) -> None:
        self.violations: list[Violation] = []
        self.holes: dict[str, list[float]] = {}
        self.sessions = 0
        self._lanes: dict[str, _Lane] = {}

    def feed(self, event: Event) -> None:
        if event["k"] == "ready":
            self._ready(event)
        elif event["k"] == "notice":
            self._notice(event)
        elif event["k"] == "ended":
            self._found("lost_sessions", event, f"the realm sent it away: {event['why']}")

    def _ready(self, event: Event) -> None:
        bot, stream, seq = event["bot"], event["stream"], event["seq"]
        lane = self._lanes.get(bot)
        self._lanes[bot] = _Lane(event["session"], stream, seq)
        if lane is None:
            self.sessions += 1
        elif event["session"] != lane.session or not event["resumed"]:
            self.sessions += 1
            self._hole(bot, event["t"])
            self._found("lost_sessions", event, f"{lane.session} became {event['session']}")
        elif not event["recovered"]:
            self._hole(bot, event["t"])
            self._found("gaps", event, f"not recovered after {lane.stream}.{lane.seq}; it goes on at {stream}.{seq}")
        elif stream != lane.stream:
            self._hole(bot, event["t"])
            self._found("gaps", event, f"recovered another stream: {stream}, not {lane.stream}")
        elif seq > lane.seq:
            self._hole(bot, event["t"])
            self._found("gaps", event, f"recovered from {seq}, but {lane.seq} was the last", seq - lane.seq)
        elif seq < lane.seq:
            what = f"recovered from {seq}, but {lane.seq} had come"
            self._found("duplicates", event, what, lane.seq - seq)

    def _notice(self, event: Event) -> None:
        lane, seq = self._lanes[event["bot"]], event["seq"]
        if seq is None:
            if event["method"] in RELIABLE:
                self._found("gaps", event, f"{event['method']} without a number")
            return
        if seq <= lane.seq:
            self._found("duplicates", event, f"{seq} after {lane.seq}: {event['method']}")
            return
        if seq > lane.seq + 1:
            self._hole(event["bot"], event["t"])
            self._found("gaps", event, f"{seq} after {lane.seq}", seq - lane.seq - 1)
        if event["method"] == "session.gap":
            self._hole(event["bot"], event["t"])
            self._found("gaps", event, "session.gap")
        lane.seq = seq

    def _hole(self, bot: str, t: float) -> None:
        self.holes.setdefault(bot, []).append(t)

    def _found(self, name: str, event: Event, what: str, count: int = 1) -> None:
        self.violations.append(Violation(name, event["t"], event["bot"], what, count))


class WorldCheck:
    """Who is in the world stays there until it leaves, in one zone, whichever it has walked to. Who has joined a channel is a
    member.
    """

    def __init__(self) -> None:
        self.violations: list[Violation] = []
        self._ops: dict[int, Event] = {}
        self._channels: dict[str, set[str]] = {}
        self._inside: set[str] = set()
        """Bots that must be in the world; not those that come or go."""

    def feed(self, event: Event) -> None:
        match event["k"]:
            case "invoked" if event["do"] in ("leave", "enter", "join"):
                self._ops[event["op"]] = event
                if event["do"] != "join":
                    self._inside.discard(event["bot"])
            case "acknowledged" if event["op"] in self._ops:
                asked = self._ops.pop(event["op"])
                if asked["do"] == "join":
                    self._channels.setdefault(asked["bot"], set()).add(asked["channel"])
                elif asked["do"] == "enter":
                    self._inside.add(asked["bot"])
            case "ready" if event["resumed"]:
                self._stands(event)
            case "session":
                self._stands(event)
                if event["zone"] is not None and event["zone"] != event["shown"]:
                    self._found(
                        "wrong_views", event, f"it is shown {event['shown']}, its session is in {event['zone']}"
                    )
                missing = self._channels.get(event["bot"], set()) - set(event["channels"])
                if missing:
                    self._found("lost_acks", event, f"it had joined {', '.join(sorted(missing))}", len(missing))
            case "held":
                self._held(event)

    def _stands(self, event: Event) -> None:
        if event["bot"] in self._inside and event["zone"] is None:
            self._found("lost_acks", event, "its character is not in the world, which it had entered")
            self._inside.discard(event["bot"])

    def _held(self, event: Event) -> None:
        """What the store says of a character in the world, at the end: one zone has it, the one whose views it gets."""
        zones = event["zones"]
        if not zones:
            self._found("lost_acks", event, f"its character is in no zone; it is shown {event['zone']}")
        elif len(zones) > 1:
            self._found("double_owners", event, f"its character is in {' and '.join(zones)}")
        elif zones != [event["zone"]]:
            self._found("wrong_views", event, f"it is shown {event['zone']}, and its character is in {zones[0]}")

    def _found(self, name: str, event: Event, what: str, count: int = 1) -> None:
        self.violations.append(Violation(name, event["t"], event["bot"], what, count))
