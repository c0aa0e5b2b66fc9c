"""SIGINT, SIGTERM and SIGHUP while a realm starts, runs and stops.

A thread reads them from the interpreter's wakeup descriptor. Handlers would run in the main thread, and so never while it waits
inside Ray's compiled code; and what they raise in the middle of an import or of a callback is swallowed there, or worse.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import threading
import time
from collections.abc import Callable
from typing import Any, Self

REQUESTS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
AGAIN_AFTER_S = 0.5  # what comes sooner belongs to the same request: a closed terminal sends two at once
CHECK_EVERY_S = 0.25


class Signals:
    """The first request is noted, and people are told. A second one calls `force`, and so does a stop that takes too long.

    `force` is called in another thread, and must end the process.
    """

    def __init__(self, force: Callable[[str], None], patience_s: float) -> None:
        self.asked: str | None = None
        self._force = force
        self._patience_s = patience_s
        self._asked_at = 0.0
        self._deadline: float | None = None
        self._former: list[tuple[signal.Signals, Any]] = []
        self._inlet, self._outlet = socket.socketpair()
        self._thread = threading.Thread(target=self._read, name="signals", daemon=True)

    def __enter__(self) -> Self:
        self._inlet.setblocking(False)
        self._former_descriptor = signal.set_wakeup_fd(self._inlet.fileno(), warn_on_full_buffer=False)
        for number in REQUESTS:
            self._former.append((number, signal.signal(number, _nothing)))
        self._thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        signal.set_wakeup_fd(self._former_descriptor)
        for number, former in self._former:
            signal.signal(number, former)
        self._deadline = None
        self._inlet.close()  # the thread reads what is left, and the end
        self._thread.join()

    def raise_if_asked(self) -> None:
        """Raises KeyboardInterrupt: to be called wherever the start or the run can be given up."""
        if self.asked is not None:
            raise KeyboardInterrupt(self.asked)

    def stopping(self) -> None:
        """The stop begins, asked for or not: from here on there is only so much time."""
        if self._deadline is None:
            self._deadline = time.monotonic() + self._patience_s

    def _read(self) -> None:
        with self._outlet:
            while True:
                readable, _, _ = select.select([self._outlet], [], [], CHECK_EVERY_S)
                if readable and not self._take(self._outlet.recv(64)):
                    return
                deadline = self._deadline
                if deadline is not None and time.monotonic() > deadline:
                    self._force(f"not stopped after {self._patience_s:.0f} s: killing what is left")

    def _take(self, numbers: bytes) -> bool:
        """False at the end."""
        for number in numbers:
            if number not in REQUESTS:
                continue
            now = time.monotonic()
            if self.asked is None:
                self.asked, self._asked_at = signal.Signals(number).name, now
                os.write(2, f"{self.asked}: stopping; once more stops at once\n".encode())
                self.stopping()
            elif now - self._asked_at > AGAIN_AFTER_S:
                self._force("stopping at once")
        return bool(numbers)


def _nothing(number: int, frame: object) -> None:
    """Installed so that the interpreter writes the number to the wakeup descriptor, and does nothing else."""
