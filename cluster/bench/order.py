"""Whether several people heard things in one order."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from itertools import pairwise
from typing import TypeVar

T = TypeVar("T", bound=Hashable)


def tangled(lists: Iterable[Sequence[T]]) -> set[T]:
    """What no single order can hold: what Kahn's algorithm leaves of the graph of "came next". Repetitions do not count."""
    after: dict[T, set[T]] = defaultdict(set)
    before: Counter[T] = Counter()
    for heard in lists:
        items = list(dict.fromkeys(heard))
        for item in items:
            before.setdefault(item, 0)
        for earlier, later in pairwise(items):
            if later not in after[earlier]:
                after[earlier].add(later)
                before[later] += 1
    free = [item for item, waits in before.items() if not waits]
    while free:
        item = free.pop()
        del before[item]
        for later in after.pop(item, ()):
            before[later] -= 1
            if not before[later]:
                free.append(later)
    return _cycles(after, set(before))


def _cycles(after: Mapping[T, set[T]], left: set[T]) -> set[T]:
    """Of what is left those that also lead to what is left: not only behind a knot, but in one, or between two."""
    while True:
        ends = {item for item in left if not after.get(item, set()) & left}
        if not ends:
            return left
        left = left - ends
