"""What the live feed tells, by topic: the newest state, and what of it has changed since somebody heard it last.

Each thing of a topic carries the number of the change that made it so. A reader is a number, too: the change that it knows. So one
who is slow costs nothing, and is told the newest of what it missed.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol

from cluster.operations.history import OF_NODES, OVERALL
from serve_apps.console.history import History

MOST_GONE = 10_000  # things that have gone, and are remembered for readers who do not know it yet
JOBS_SHOWN = 50
Whole = Mapping[str, Any]


class Topic(Protocol):
    async def refresh(self) -> None:
        """Brings it up to date. Raises what its source raises; then it is as it was."""

    def news(self, known: int | None) -> tuple[int, Any] | None:
        """The change it is at, and what to tell who knows `known` (None: nothing yet); None if there is nothing new, or nothing at
        all."""


class Diffed:
    """A topic whose things have names. `things`: the member that holds them, "" if there are none; `key`: the member that names
    one, "" if they are a mapping already.
    """

    def __init__(self, read: Callable[[], Awaitable[Whole]], things: str = "", key: str = "") -> None:
        self._read = read
        self._things_name, self._key = things, key
        self._change = 0
        self._floor = 0  # who knows less is told everything
        self._things: dict[str, tuple[Any, int]] = {}
        self._gone: OrderedDict[str, int] = OrderedDict()
        self._rest: dict[str, tuple[Any, int]] = {}

    async def refresh(self) -> None:
        self.learn(await self._read())

    def learn(self, whole: Whole) -> None:
        change = self._change + 1
        things, rest = self._split(whole)
        changed = _learn(self._things, things, change)
        for name in self._things.keys() - things.keys():
            del self._things[name]
            self._gone[name] = change
            changed = True
        for name in things:
            self._gone.pop(name, None)
        while len(self._gone) > MOST_GONE:
            _, self._floor = self._gone.popitem(last=False)
        changed = _learn(self._rest, rest, change) or changed
        if self._rest.keys() - rest.keys():  # a member that is no more: nothing can say so but the whole
            self._rest = {name: self._rest[name] for name in rest}
            self._floor, changed = change, True
        if changed or self._change == 0:
            self._change = change

    def news(self, known: int | None) -> tuple[int, Any] | None:
        if self._change == 0 or known == self._change:
            return None
        if known is None or known < self._floor:
            return self._change, self._whole()
        rest = {name: value for name, (value, change) in self._rest.items() if change > known}
        if not self._things_name:
            return self._change, {"changed": rest, "gone": []}
        things = {name: value for name, (value, change) in self._things.items() if change > known}
        gone = [name for name, change in self._gone.items() if change > known]
        return self._change, {**rest, "changed": things if not self._key else list(things.values()), "gone": gone}

    def _split(self, whole: Whole) -> tuple[dict[str, Any], dict[str, Any]]:
        if not self._things_name:
            return {}, dict(whole)
        held = whole[self._things_name]
        things = {str(each[self._key]): each for each in held} if self._key else dict(held)
        return things, {name: value for name, value in whole.items() if name != self._things_name}

    def _whole(self) -> dict[str, Any]:
        rest = {name: value for name, (value, _) in self._rest.items()}
        if not self._things_name:
            return rest
        things = {name: value for name, (value, _) in self._things.items()}
        return {**rest, self._things_name: list(things.values()) if self._key else things}


def _learn(held: dict[str, tuple[Any, int]], now: Mapping[str, Any], change: int) -> bool:
    changed = False
    for name, value in now.items():
        before = held.get(name)
        if before is None or before[0] != value:
            held[name] = value, change
            changed = True
    return changed


class Samples:
    """The rings: first whole, then the points since. Only series of the whole realm and of nodes: there may be a thousand zones."""

    def __init__(self, history: History) -> None:
        self._history = history

    async def refresh(self) -> None:
        """They are in this process."""

    def news(self, known: int | None) -> tuple[int, Any] | None:
        taken = self._history.taken
        if known == taken:
            return None
        nodes = tuple(f"{figure}:" for figure in OF_NODES)
        names = [name for name in self._history.names() if name in OVERALL or name.startswith(nodes)]
        series = self._history.series(names, known or 0)
        if known is None:
            return taken, {"full": True, "since": self._history.began_at, "series": series}
        return taken, {"series": {name: points for name, points in series.items() if points}}
