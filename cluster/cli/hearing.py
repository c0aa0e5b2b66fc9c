"""Until everybody was heard: a command has only begun to listen when it has to know how all processes are."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection

from cluster.beats import RATE_OVER_S, Beat, Beats
from cluster.errors import InvalidInput
from cluster.ports.bus import Bus
from cluster.process_control import beat_now
from cluster.subjects import Subjects

LONGEST_S = 3.0  # for a round: who was not heard by then has ended, or is as good as that
PAUSE_S = 0.02


class Hearing:
    """Who was heard since `begin`."""

    def __init__(self, beats: Beats) -> None:
        self._beats = beats
        self._names: set[str] = set()

    def begin(self) -> None:
        self._names.clear()

    def take(self, data: bytes) -> None:
        try:
            beat: Beat = self._beats.heard(data)
        except InvalidInput:  # of another version: nothing is known of that process
            return
        self._names.add(beat.name)

    def has(self, names: Collection[str]) -> bool:
        return self._names.issuperset(names)


async def hear(
    bus: Bus,
    subjects: Subjects,
    hearing: Hearing,
    expected: Callable[[], Awaitable[Collection[str]]],
    rounds: int,
) -> None:
    """Asks all processes to say how they are, as often as `rounds`, and waits until those that are `expected` have."""
    for number in range(rounds):
        if number:
            await asyncio.sleep(RATE_OVER_S)
        hearing.begin()
        beat_now(bus, subjects)
        names = await expected()
        try:
            async with asyncio.timeout(LONGEST_S):
                while not hearing.has(names):  # noqa: ASYNC110 - who is heard when is not announced
                    await asyncio.sleep(PAUSE_S)
        except TimeoutError:
            return
