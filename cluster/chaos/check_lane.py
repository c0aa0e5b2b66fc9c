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
    """Who is in the world stays there, in its zone, until it leaves; who has joined a channel is a member."""

    def __init__(self) -> None:
        self.violations: list[Violation] = []
        self._ops: dict[int, Event] = {}
        self._channels: dict[str, set[str]] = {}
        self._zones: dict[str, str | None] = {}
        """bot -> the zone where it must be; None while it comes or goes."""

    def feed(self, event: Event) -> None:
        match event["k"]:
            case "invoked" if event["do"] in ("leave", "enter", "join"):
                self._ops[event["op"]] = event
                if event["do"] != "join":
                    self._zones[event["bot"]] = None
            case "acknowledged" if event["op"] in self._ops:
                asked = self._ops.pop(event["op"])
                if asked["do"] == "join":
                    self._channels.setdefault(asked["bot"], set()).add(asked["channel"])
                else:
                    self._zones[asked["bot"]] = asked["zone"] if asked["do"] == "enter" else None
            case "ready" if event["resumed"]:
                self._stands(event)
            case "session":
                self._stands(event)
                missing = self._channels.get(event["bot"], set()) - set(event["channels"])
                if missing:
                    self._lost(event, f"it had joined {', '.join(sorted(missing))}", len(missing))

    def _stands(self, event: Event) -> None:
        wanted = self._zones.get(event["bot"])
        if wanted is not None and event["zone"] != wanted:
            self._lost(event, f"its character is in {event['zone']}, it had entered {wanted}")
            self._zones[event["bot"]] = event["zone"]

    def _lost(self, event: Event, what: str, count: int = 1) -> None:
        self.violations.append(Violation("lost_acks", event["t"], event["bot"], what, count))
