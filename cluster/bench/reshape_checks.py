"""What players notice of a world that is reshaped under them (rows 7.3 and 7.4), and what is too much. Plain: times are
arguments, in seconds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from cluster.bench.border_checks import FAULTS
from rayrealm_client.view import View

COMMAND_GAP_MS = 500
KILL_GAP_MS = 2_000
STANDBY_GAP_MS = 500
AHEAD_TICKS = 40  # a view may be late, and the next one then comes at once
# Nobody may see one of these at any time. The other faults are looked for once it has settled; after a kill, what a zone forgot
# that it had not yet kept, and the corrections that follow, are as they should be.
NEVER = ("doubled", "oneself", "refused", "own_missing")
LOOKED_FOR = ("missing", "ghosts", "stale", "wrong", "astray")
BY_COMMAND = ("ack_back", "corrections")


class Sight:
    """The views of one player: how long it went without, and whose they were. `tick_hz`: of the zones.

    `old_views`: of an incarnation of a zone that was not the newest any more, as far as the player can tell: a reset says which one
    it is from; without it, the ticks go on where they were, and no move that was judged is forgotten.
    """

    def __init__(self, tick_hz: float) -> None:
        self.resets = 0
        self.old_views = 0
        self._tick_hz = tick_hz
        self._epochs: dict[str, int] = {}
        self._last: float | None = None
        self._tick = self._ack = 0
        self._worst_s = 0.0

    def begin(self) -> None:
        """From now on, but the gap that is open now counts whole."""
        self.resets, self._worst_s = 0, 0.0

    def gap_s(self, now: float) -> float:
        """The longest time without a view since `begin`; that from the last one until now is one, too."""
        return max(self._worst_s, now - self._last if self._last is not None else 0.0)

    def saw(self, at: float, view: View) -> None:
        gap = 0.0 if self._last is None else at - self._last
        self._last = at
        self._worst_s = max(self._worst_s, gap)
        if view.reset is not None:
            self.resets += 1
            newest = self._epochs.get(view.reset.zone, 0)
            self.old_views += view.reset.epoch < newest
            self._epochs[view.reset.zone] = max(newest, view.reset.epoch)
        else:
            ahead = view.tick - self._tick
            in_turn = 0 < ahead <= AHEAD_TICKS + 2.0 * self._tick_hz * gap
            self.old_views += not in_turn or view.ack < self._ack
        self._tick, self._ack = view.tick, view.ack


def gaps_ms(gaps_s: Sequence[float]) -> dict[str, int]:
    """Over all players: the median, p99 and the longest of their longest gaps."""
    given = gaps_s or [0.0]
    figures = {"p50": np.percentile(given, 50), "p99": np.percentile(given, 99), "max": max(given)}
    return {name: round(float(gap) * 1_000) for name, gap in figures.items()}


def shortcomings(clients: int, events: Sequence[Mapping[str, Any]]) -> list[str]:
    """In words, all of them. See `reshape.py` for what an event says."""
    return [f"{event['event']}: {problem}" for event in events for problem in _problems(clients, event)]


def _problems(clients: int, event: Mapping[str, Any]) -> list[str]:
    found = []
    if event["gap_ms"]["max"] > event["bar_ms"]:
        found.append(f"a player saw nothing for {event['gap_ms']['max']} ms, more than {event['bar_ms']}")
    found += [
        f"{name} {count} at {when}"
        for when, counts, bad in (
            ("the event", event["faults"], (*NEVER, *(BY_COMMAND if event["by_command"] else ()))),
            ("the looks after it", event["faults_after"], FAULTS),
        )
        for name in bad
        if (count := counts.get(name, 0))
    ]
    found += [f"{name} {event[name]}" for name in ("old_epoch_views", "new_logins") if event[name]]
    if event["population"] != clients:
        found.append(f"the zones have {event['population']} players of {clients}")
    if not event["looks"]:
        found.append("the load itself stood still: nobody looked afterwards")
    if event["old_process"] not in ("", "ended"):
        found.append(f"the old process {event['old_process']}")
    if event["trouble"]:
        found.append(event["trouble"])
    return found
