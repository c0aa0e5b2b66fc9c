"""SIGINT, SIGTERM and SIGHUP while a realm starts, runs and stops."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from types import FrameType
from typing import Self

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
AGAIN_AFTER_S = 0.5  # what comes sooner belongs to the same request: a closed terminal sends two at once


class Signals:
    """The first one raises KeyboardInterrupt in the main thread; one during the stop calls `force`, which must not return."""

    def __init__(self, force: Callable[[], None]) -> None:
        self.asked: str | None = None
        self._asked_at = 0.0
        self._force = force
        self._stopping = False
        self._former: list[tuple[signal.Signals, object]] = []

    def __enter__(self) -> Self:
        for number in SIGNALS:
            self._former.append((number, signal.signal(number, self._handle)))
        return self

    def __exit__(self, *exc_info: object) -> None:
        for number, former in self._former:
            signal.signal(number, former)  # type: ignore[arg-type]  # what signal.signal itself returned

    def raise_if_asked(self) -> None:
        """For the steps of the start: an exception that a handler raises inside a library may be swallowed there."""
        if self.asked is not None and not self._stopping:
            raise KeyboardInterrupt(self.asked)

    def stopping(self) -> None:
        """From here on a signal does not interrupt; the next one that is not part of the same request forces."""
        self._stopping = True

    def _handle(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        first = self.asked is None
        if first:
            self.asked, self._asked_at = signal.Signals(number).name, now
        if not self._stopping:
            raise KeyboardInterrupt(self.asked)
        if not first and now - self._asked_at > AGAIN_AFTER_S:
            self._force()
