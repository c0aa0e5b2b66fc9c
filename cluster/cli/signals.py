"""SIGINT, SIGTERM and SIGHUP while a realm starts, runs and stops.

The handlers raise nothing: an exception in the middle of an import or of Ray's compiled code is swallowed there, or worse.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from types import FrameType
from typing import Self

REQUESTS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
AGAIN_AFTER_S = 0.5  # what comes sooner belongs to the same request: a closed terminal sends two at once


class Signals:
    """The first request is noted, and people are told. A second one calls `force`, and so does the end of `patience_s`."""

    def __init__(self, force: Callable[[str], None], patience_s: int) -> None:
        self.asked: str | None = None
        self._asked_at = 0.0
        self._force = force
        self._patience_s = patience_s
        self._former: list[tuple[signal.Signals, object]] = []

    def __enter__(self) -> Self:
        for number in REQUESTS:
            self._former.append((number, signal.signal(number, self._handle)))
        self._former.append((signal.SIGALRM, signal.signal(signal.SIGALRM, self._too_late)))
        return self

    def __exit__(self, *exc_info: object) -> None:
        signal.alarm(0)
        for number, former in self._former:
            signal.signal(number, former)  # type: ignore[arg-type]  # what signal.signal itself returned

    def raise_if_asked(self) -> None:
        """Raises KeyboardInterrupt: to be called wherever the start or the run can be given up."""
        if self.asked is not None:
            raise KeyboardInterrupt(self.asked)

    def stopping(self) -> None:
        """The stop begins, asked for or not: from here on there is only so much time."""
        signal.alarm(self._patience_s)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if self.asked is None:
            self.asked, self._asked_at = signal.Signals(number).name, now
            # Not print: this may have interrupted one.
            os.write(2, f"{self.asked}: stopping; once more stops at once\n".encode())
            self.stopping()
        elif now - self._asked_at > AGAIN_AFTER_S:
            self._force("stopping at once")

    def _too_late(self, number: int, frame: FrameType | None) -> None:
        self._force(f"not stopped after {self._patience_s} s: killing what is left")
