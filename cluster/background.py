"""Work beside the main thread, which has to stay free for signals."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

from cluster.errors import Ours

T = TypeVar("T")


class Background(Generic[T]):
    """Work in a thread of its own; `wait` returns its result, raises its error, or Ours after the deadline."""

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

    def wait(self, deadline_s: float) -> T:
        self._thread.join(deadline_s)
        if self._thread.is_alive():
            raise Ours(f"{self._thread.name}: not done after {deadline_s:.0f} s")
        if self._error is not None:
            raise self._error
        return self._results[0]
