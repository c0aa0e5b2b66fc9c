"""One believed owner for each zone at a time (DESIGN, "Fencing"; row 1.9): at the clients, on the bus, and in the store. And whole
views.
"""

from __future__ import annotations

from dataclasses import dataclass

from cluster.chaos.history import Event
from cluster.chaos.verdict import Violation

BELIEF_S = 2.0
"""So long after anyone has seen a newer owner, nobody is shown the older one any more."""
SURVIVAL_S = 5.0
"""So long may an owner that was replaced without its knowledge go on to speak: until its next write is refused."""
PAUSE_S = 1.0
"""An owner that was silent for so long has stopped speaking."""


@dataclass(slots=True)
class _Shown:
    """Where a bot is: `reset` named the zone and the epoch, whether it entered there or walked over a border.

    `beginning`: it enters the world, and the next view must begin with `reset`. `last`: when it got its last view.
    """

    zone: str = ""
    epoch: int = 0
    beginning: bool = False
    last: float = 0.0


class ViewCheck:
    """What bots are shown. Feed it all events in order, then take `violations`.

    A bot is in one zone after the other; each zone has epochs and ticks of its own, which go on where the bot comes back to it.
    `crossings`: of each walk over a border the seconds from the last view of the one zone to the first of the other; `undisturbed`:
    of those between two faults. `near`, `across`: how many others were looked for by where they truly were, and how many of these
    in another zone than the bot.
    """

    def __init__(self) -> None:
        self.violations: list[Violation] = []
        self.crossings: list[float] = []
        self.undisturbed: list[float] = []
        self.near = 0
        self.across = 0
        self._shown: dict[str, _Shown] = {}
        self._calm_since: float | None = 0.0
        self._ticks: dict[tuple[str, str, int], int] = {}
        self._epochs: dict[tuple[str, str], int] = {}
        self._newest: dict[str, list[tuple[int, float]]] = {}
        """zone -> (epoch, when anyone saw it first), ascending."""
        self._late: set[tuple[str, str, int]] = set()

    def feed(self, event: Event) -> None:
        match event["k"]:
            case "invoked" if event["do"] == "enter":
                self._shown.setdefault(event["bot"], _Shown()).beginning = True
            case "fault":
                self._calm_since = None
            case "recovered":
                self._calm_since = event["t"]
            case "view":
                self._view(event)
            case "sight":
                self.near += event["near"]
                self.across += event["across"]
                for wrong in event["wrong"]:
                    self.violations.append(Violation("wrong_views", event["t"], event["bot"], wrong))

    def _view(self, event: Event) -> None:
        bot, t, tick = event["bot"], event["t"], event["tick"]
        shown = self._shown.setdefault(bot, _Shown())
        if shown.beginning and not event.get("zone"):
            shown.beginning = False
            shown.zone, shown.epoch = "", 0
            self.violations.append(Violation("wrong_views", t, bot, "the views of a zone that it entered do not begin"))
        if event.get("zone"):
            if shown.zone not in ("", event["zone"]) and not shown.beginning:
                self.crossings.append(t - shown.last)
                if self._calm_since is not None and shown.last >= self._calm_since:
                    self.undisturbed.append(t - shown.last)
            shown.beginning = False
            shown.zone, shown.epoch = event["zone"], event["epoch"]
            before = self._epochs.get((bot, shown.zone), 0)
            if shown.epoch < before:
                self._found(t, bot, f"{shown.zone} went back from epoch {before} to {shown.epoch}")
            self._epochs[bot, shown.zone] = max(before, shown.epoch)
            self._first(shown.zone, shown.epoch, t)
        shown.last = t
        key = (bot, shown.zone, shown.epoch)
        last = self._ticks.get(key, -1)
        if tick <= last:
            self._found(t, bot, f"{shown.zone}, epoch {shown.epoch}: tick {tick} after {last}")
        self._ticks[key] = tick
        self._still_believed(bot, shown, t)

    def _first(self, zone: str, epoch: int, t: float) -> None:
        known = self._newest.setdefault(zone, [])
        if not known or epoch > known[-1][0]:
            known.append((epoch, t))

    def _still_believed(self, bot: str, shown: _Shown, t: float) -> None:
        known = self._newest.get(shown.zone)
        if not known or shown.epoch >= known[-1][0]:
            return
        newer, since = next((epoch, since) for epoch, since in known if epoch > shown.epoch)
        key = (bot, shown.zone, shown.epoch)
        if t - since > BELIEF_S and key not in self._late:
            self._late.add(key)
            what = f"{shown.zone}: shown epoch {shown.epoch}, {t - since:.2f} s after others saw {newer}"
            self._found(t, bot, what)

    def _found(self, t: float, who: str, what: str) -> None:
        self.violations.append(Violation("double_owners", t, who, what))


class WriteCheck:
    """What lands in the store: nothing of an incarnation that had been replaced before."""

    def __init__(self) -> None:
        self.violations: list[Violation] = []
        self._newest: dict[str, int] = {}
        self._by: dict[tuple[str, str], str] = {}

    def feed(self, event: Event) -> None:
        if event["k"] != "written":
            return
        zone, replaced = event["zone"], self._newest.get(event["zone"], 0)
        for kind, write in event["by"].items():
            epoch = int(write.partition(".")[0])
            if write != self._by.get((zone, kind), write) and epoch < replaced:
                what = f"{zone}: a write of {kind} by epoch {epoch} landed after {replaced} had taken over"
                self.violations.append(Violation("double_owners", event["t"], zone, what))
            self._by[zone, kind] = write
        self._newest[zone] = event["newest"]


@dataclass(slots=True)
class _Old:
    """An owner that speaks though a newer one has spoken."""

    since: float
    last: float
    told: bool = False


class OutputCheck:
    """What is on the bus. `stale`: outputs of owners that had been replaced; gateways drop them, so alone they are no violation."""

    def __init__(self) -> None:
        self.violations: list[Violation] = []
        self.stale = 0
        self._ticks: dict[tuple[str, int, str], tuple[int, set[int]]] = {}
        self._newest: dict[str, int] = {}
        self._old: dict[tuple[str, int], _Old] = {}

    def feed(self, event: Event) -> None:
        if event["k"] == "output":
            self._output(event)
        elif event["k"] == "fenced" and not event["ended"]:
            what = f"{event['who']} of {event['zone']} was replaced and goes on"
            self.violations.append(Violation("double_owners", event["t"], event["who"], what))

    def _output(self, event: Event) -> None:
        zone, epoch, tick, viewers, t = event["zone"], event["epoch"], event["tick"], set(event["viewers"]), event["t"]
        key = (zone, epoch, event["gateway"])
        last, seen = self._ticks.get(key, (-1, set()))
        if tick < last or (tick == last and viewers & seen):
            what = f"{zone}, epoch {epoch}: tick {tick} after {last} to {event['gateway']}: two speak as one"
            self.violations.append(Violation("double_owners", t, zone, what))
        self._ticks[key] = (tick, viewers | seen if tick == last else viewers)
        if epoch >= self._newest.get(zone, 0):
            self._newest[zone] = epoch
            return
        self.stale += 1
        old = self._old.get((zone, epoch))
        if old is None or t - old.last > PAUSE_S:
            old = self._old[zone, epoch] = _Old(t, t)
        old.last = t
        if t - old.since > SURVIVAL_S and not old.told:
            old.told = True
            what = f"{zone}: epoch {epoch} still speaks, {t - old.since:.1f} s after {self._newest[zone]} has spoken"
            self.violations.append(Violation("double_owners", t, zone, what))
