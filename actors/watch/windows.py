"""What many subjects did within the last minute: counts by name, in slots of a few seconds. Plain; time is an argument."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping


class Windows:
    """`keep_s`: the longest window that may be asked for. `most` subjects; those heard of longest ago go first.

    A window of W seconds holds between W and W + `slot_s` seconds. `gauges` are no counts: of them the highest in the window is
    asked for, not the sum.
    """

    def __init__(self, keep_s: float, slot_s: float, most: int, gauges: Iterable[str] = ()) -> None:
        self._slot_s = slot_s
        self._slots = int(keep_s // slot_s) + 1
        self._most = most
        self._gauges = frozenset(gauges)
        self._kept: dict[str, deque[tuple[int, dict[str, float]]]] = {}

    def __len__(self) -> int:
        return len(self._kept)

    def add(self, subject: str, counts: Mapping[str, float], now: float) -> None:
        """Names that are 0 need not be there."""
        slot = int(now // self._slot_s)
        kept = self._kept.pop(subject, None)
        if kept is None:
            if len(self._kept) >= self._most:
                del self._kept[next(iter(self._kept))]
            kept = deque(maxlen=self._slots)
        self._kept[subject] = kept
        if not kept or kept[-1][0] < slot:
            kept.append((slot, dict(counts)))
            return
        newest = kept[-1][1]
        for name, count in counts.items():
            before = newest.get(name, 0.0)
            newest[name] = max(before, count) if name in self._gauges else before + count

    def total(self, subject: str, names: Iterable[str], window_s: float, now: float) -> float:
        """Of all names together."""
        kept = self._kept.get(subject)
        if kept is None:
            return 0.0
        since = int((now - window_s) // self._slot_s)
        found = 0.0
        for name in names:
            within = [counts[name] for slot, counts in kept if slot >= since and name in counts]
            if within:
                found += max(within) if name in self._gauges else sum(within)
        return found

    def forget(self, subject: str) -> None:
        """As if it had never done anything."""
        self._kept.pop(subject, None)

    def sweep(self, now: float) -> None:
        """Subjects that did nothing for longer than any window are forgotten."""
        before = int(now // self._slot_s) - self._slots
        for subject in [s for s, kept in self._kept.items() if kept[-1][0] < before]:
            del self._kept[subject]
