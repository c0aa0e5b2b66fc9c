"""Work beside the main thread, which has to stay free for signals."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

from cluster.errors import Ours

CHECK_EVERY_S = 0.1

T = TypeVar("T")


class Background(Generic[T]):
    """Work in a thread of its own, which ends with the process if nobody waits for it."""

    def __init__(self, work: Callable[[], T], name: str) -> None:
        self._work = work
        self._results: list[T] = []
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._results.append(self._work())
        except BaseException as error:  # raised where it is waited for
            self._error = error

    def wait(self, deadline_s: float, checkpoint: Callable[[], None]) -> T:
        """Raises what the work raised, what `checkpoint` raises (it is called all the while), or Ours after the deadline."""
        until = time.monotonic() + deadline_s
        while self._thread.is_alive():
            checkpoint()
            if time.monotonic() > until:
                raise Ours(f"{self._thread.name}: not done after {deadline_s:.0f} s")
            self._thread.join(CHECK_EVERY_S)
        if self._error is not None:
            raise self._error
        return self._results[0]
