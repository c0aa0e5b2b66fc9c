"""One owner for each zone and epoch, and nobody writes who was replaced (DESIGN, "Fencing"; row 7.5)."""

from __future__ import annotations

from cluster.chaos.history import Event
from cluster.chaos.verdict import Violation
from cluster.chaos.world_history import Trouble

SURVIVAL_S = 5.0
"""So long may an owner that was replaced without its knowledge take itself for the owner, when nothing else is wrong."""
SETTLE_S = 3.0
"""So long after a fault its effects are no wonder."""


class OwnerCheck:
    """Feed it all events in order, then take `violations`."""

    def __init__(self) -> None:
        self.violations: list[Violation] = []
        self._trouble = Trouble(SETTLE_S)
        self._takers: dict[tuple[str, int], int] = {}
        self._newest: dict[str, int] = {}
        self._survived: dict[tuple[str, int, int], float] = {}
        """(zone, epoch, process) -> seconds without trouble in which it was an owner and a newer one was there."""
        self._told: set[tuple[object, ...]] = set()
        self._resets: dict[tuple[str, str], int] = {}
        self._sampled_at: float | None = None

    def feed(self, event: Event) -> None:
        self._trouble.feed(event)
        match event["k"]:
            case "taken":
                self._taken(event)
            case "wrote":
                self._wrote(event)
            case "sample":
                self._sample(event)
            case "reset":
                self._reset(event)

    def _taken(self, event: Event) -> None:
        zone, epoch, by, t = event["zone"], event["epoch"], event["by"], event["t"]
        other = self._takers.setdefault((zone, epoch), by)
        if other != by:
            self._found("double_owners", t, zone, f"epoch {epoch} was given to process {other} and to process {by}")
        if epoch < self._newest.get(zone, 0):
            self._found("double_owners", t, zone, f"epoch {epoch} was given out after {self._newest[zone]}")
        self._newest[zone] = max(epoch, self._newest.get(zone, 0))

    def _wrote(self, event: Event) -> None:
        zone, epoch, by, t, what = event["zone"], event["epoch"], event["by"], event["t"], event["what"]
        newest = self._newest.get(zone, 0)
        if epoch < newest:
            self._found(
                "unfenced_writes", t, zone, f"{what} of epoch {epoch}, process {by}, after {newest} was given out"
            )
        owner = self._takers.get((zone, epoch))
        if owner != by:
            self._found("double_owners", t, zone, f"process {by} wrote with epoch {epoch}, which is process {owner}'s")

    def _sample(self, event: Event) -> None:
        t, seen = event["t"], set()
        passed = 0.0 if self._sampled_at is None or self._trouble.at(t) else t - self._sampled_at
        self._sampled_at = t
        for owner in event["owners"]:
            zone, epoch, by = owner["zone"], owner["epoch"], owner["by"]
            taker = self._takers.get((zone, epoch))
            if taker != by:
                self._found("double_owners", t, zone, f"process {by} owns it at epoch {epoch}, which is {taker}'s")
            if epoch >= self._newest.get(zone, 0):
                continue
            key = (zone, epoch, by)
            seen.add(key)
            self._survived[key] = self._survived.get(key, 0.0) + passed
            if self._survived[key] > SURVIVAL_S:
                newest = self._newest[zone]
                what = f"process {by} still owns it at epoch {epoch}, long after {newest} was given out"
                self._found("double_owners", t, zone, what)
        for key in self._survived.keys() - seen:
            del self._survived[key]

    def _reset(self, event: Event) -> None:
        bot, zone, epoch = event["bot"], event["zone"], event["epoch"]
        before = self._resets.get((bot, zone), 0)
        if epoch < before:
            self._found("double_owners", event["t"], bot, f"was shown {zone} at epoch {before}, then at {epoch}")
        if (zone, epoch) not in self._takers:
            self._found("double_owners", event["t"], bot, f"was shown {zone} at epoch {epoch}, which nobody was given")
        self._resets[bot, zone] = max(before, epoch)

    def _found(self, name: str, t: float, who: str, what: str) -> None:
        if (name, who, what) not in self._told:
            self._told.add((name, who, what))
            self.violations.append(Violation(name, t, who, what))
