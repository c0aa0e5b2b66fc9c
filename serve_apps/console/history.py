"""The last hour of the realm's figures, in this process's memory: no other server is needed, and a restart begins anew.

One matrix of 32-bit floats: a row for each series, a column for each moment, round and round. A thousand zones at 5 s for an hour,
with two series each, are 2,000 rows of 720 columns, 6 MB; the limit is MOST_SERIES rows.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

MOST_SERIES = 8_192  # rows: 23 MB at 720 columns
FIRST_ROWS = 64

Points = list[list[float | None]]


class History:
    """`began_at`: since when there is any, Unix seconds."""

    def __init__(self, samples_s: float, history_s: float, began_at: float) -> None:
        self.began_at = began_at
        self.samples_s = samples_s
        self._columns = max(1, math.ceil(history_s / samples_s))
        self._at: npt.NDArray[np.float64] = np.full(self._columns, np.nan)
        self._values: npt.NDArray[np.float32] = np.full((FIRST_ROWS, self._columns), np.nan, np.float32)
        self._rows: dict[str, int] = {}
        self._free: list[int] = list(range(FIRST_ROWS))[::-1]
        self._newest: dict[int, int] = {}  # row -> the number of its newest sample
        self._taken = 0  # samples so far

    @property
    def nbytes(self) -> int:
        return self._values.nbytes + self._at.nbytes

    @property
    def taken(self) -> int:
        """How many samples there were: grows with each."""
        return self._taken

    def take(self, at: float, values: Mapping[str, float]) -> None:
        """A moment's figures by series. Series that are silent for the whole history are forgotten; what is beyond the limit is
        not kept."""
        column = self._taken % self._columns
        self._at[column] = at
        self._values[:, column] = np.nan
        for name, value in values.items():
            row = self._row(name)
            if row is not None:
                self._values[row, column] = value
                self._newest[row] = self._taken
        self._taken += 1
        self._forget()

    def names(self) -> list[str]:
        return sorted(self._rows)

    def series(self, names: Iterable[str], since: int = 0) -> dict[str, Points]:
        """[Unix seconds, value] of each that there is, oldest first, from the sample of number `since` on; None: none was heard."""
        first = max(since, self._taken - self._columns, 0)
        columns = np.arange(first, self._taken) % self._columns
        at = [round(moment, 3) for moment in self._at[columns].tolist()]
        found: dict[str, Points] = {}
        for name in names:
            row = self._rows.get(name)
            if row is None:
                continue
            values = self._values[row, columns].tolist()
            heard = next((n for n, value in enumerate(values) if value == value), len(values))
            found[name] = [[moment, _rounded(value)] for moment, value in zip(at[heard:], values[heard:], strict=True)]
        return found

    def _row(self, name: str) -> int | None:
        row = self._rows.get(name)
        if row is None:
            if not self._free and not self._grow():
                return None
            row = self._rows[name] = self._free.pop()
            self._values[row, :] = np.nan
        return row

    def _grow(self) -> bool:
        rows = len(self._values)
        if rows >= MOST_SERIES:
            return False
        more = np.full((rows, self._columns), np.nan, np.float32)
        self._values = np.concatenate([self._values, more])
        self._free = list(range(rows, 2 * rows))[::-1]
        return True

    def _forget(self) -> None:
        gone = [name for name, row in self._rows.items() if self._newest[row] <= self._taken - 1 - self._columns]
        for name in gone:
            row = self._rows.pop(name)
            del self._newest[row]
            self._free.append(row)


def _rounded(value: float) -> float | None:
    """What 32 bits hold, and JSON need not say more of; None for nothing."""
    if value != value:
        return None
    return float(f"{value:.6g}")


def told(history: History, names: Iterable[str]) -> dict[str, Any]:
    """Whole series, for people."""
    return {"since": history.began_at, "samples_s": history.samples_s, "series": history.series(names)}
