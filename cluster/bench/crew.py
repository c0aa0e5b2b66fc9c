"""What a crowd of bots lives through: views, gaps in them, corrections, reconnects. Times are arguments, in seconds."""

from __future__ import annotations

import statistics
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

GAP_S = 0.25  # five ticks without a view: more than a busy machine's hiccup
GAPS_KEPT = 256


@dataclass(slots=True)
class BotStats:
    """`logins`: how often it had to give its password; `entered`: how often it was in a world anew, by whatever way."""

    username: str
    name: str = ""
    zone: str = ""
    logins: int = 0
    entered: int = 0
    reconnects: int = 0
    corrections: int = 0
    moves: int = 0
    views: int = 0
    last_view: float | None = None
    last_judged: float | None = None
    last_trouble: str = ""
    clock: Callable[[], float] = time.monotonic
    _acked: int = 0
    _gaps: deque[tuple[float, float]] = field(default_factory=lambda: deque(maxlen=GAPS_KEPT))

    def saw(self, ack: int) -> None:
        """A view came; `ack` is the bot's newest move that it says was judged."""
        now = self.clock()
        if self.last_view is not None and now - self.last_view > GAP_S:
            self._gaps.append((self.last_view, now))
        self.last_view = now
        self.views += 1
        if ack > self._acked:
            self._acked, self.last_judged = ack, now

    def gaps(self, since: float) -> list[float]:
        """Lengths of the gaps that ended after `since`, and of the one that has not ended, oldest first.

        A gap is from the last view before to the first after; nothing shorter than GAP_S counts.
        """
        lengths = [end - start for start, end in self._gaps if end > since]
        if self.last_view is not None and self.clock() - self.last_view > GAP_S:
            lengths.append(self.clock() - self.last_view)
        return lengths

    def walking(self, within_s: float) -> bool:
        """It saw something, and a move of its own was judged, in the last `within_s`."""
        now = self.clock()
        return (
            self.last_view is not None
            and self.last_judged is not None
            and now - self.last_view <= within_s
            and now - self.last_judged <= within_s
        )


class Crew:
    """All bots of one run."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self.bots: list[BotStats] = []
        self._counted = (clock(), 0)

    def add(self, username: str) -> BotStats:
        bot = BotStats(username, clock=self.clock)
        self.bots.append(bot)
        return bot

    def all_walking(self, within_s: float) -> bool:
        return bool(self.bots) and all(bot.walking(within_s) for bot in self.bots)

    def worst_gaps(self, since: float) -> list[float]:
        """Of each bot the longest gap after `since`, 0 without one."""
        return [max(bot.gaps(since), default=0.0) for bot in self.bots]

    def total(self, counter: str) -> int:
        return sum(getattr(bot, counter) for bot in self.bots)

    def summary(self, within_s: float = 2.0) -> dict[str, Any]:
        """One line of figures; views a second are since the last summary, or the beginning."""
        now, views = self.clock(), self.total("views")
        since, before = self._counted
        self._counted = (now, views)
        return {
            "bots": len(self.bots),
            "walking": sum(bot.walking(within_s) for bot in self.bots),
            "views_per_s": round((views - before) / (now - since), 1) if now > since else 0.0,
            **{name: self.total(name) for name in ("logins", "reconnects", "corrections", "moves")},
        }


@dataclass(frozen=True, slots=True)
class Recovery:
    """Seconds without views of each bot that had any such; `hit` is how many. `recovered`: all walk again."""

    gaps_s: tuple[float, ...]
    recovered: bool

    @property
    def hit(self) -> int:
        return len(self.gaps_s)

    @property
    def p50_s(self) -> float:
        return statistics.median(self.gaps_s) if self.gaps_s else 0.0

    @property
    def max_s(self) -> float:
        return max(self.gaps_s, default=0.0)
