"""Moves on their way to the next tick: taken in as they come, judged at the tick. Plain Python over the zone's columns."""

from __future__ import annotations

from collections import Counter

import numpy as np

from actors.zone.entities import EntityTable
from actors.zone.movement import OK, REASONS, STALE_SEQUENCE, Rules, judge, newest
from actors.zone.rows import MOVE_IN

ROWS_PER_ENTITY = 8


class Intake:
    """Counts what it `applied`, `refused` by reason (the mover is told) and `dropped` by reason (nobody is)."""

    def __init__(self, table: EntityTable, rules: Rules) -> None:
        self.refused: Counter[str] = Counter()
        self.dropped: Counter[str] = Counter()
        self.applied = 0
        self._table = table
        self._rules = rules
        self._batches: list[tuple[int, np.ndarray]] = []
        self._rows = 0

    def __bool__(self) -> bool:
        return bool(self._batches)

    @property
    def waiting(self) -> int:
        """Moves for the next tick."""
        return self._rows

    def use(self, rules: Rules) -> None:
        """Other rules from now on, because the zone's ground has changed; what waits is judged by them."""
        self._rules = rules

    def take(self, gateway: int | None, rows: bytes) -> None:
        """MOVE_IN rows from a gateway, by its index. Not a whole number of rows, or too much for a tick: dropped and counted."""
        if len(rows) % MOVE_IN.itemsize:
            self.dropped["torn"] += 1
            return
        moves = np.frombuffer(rows, MOVE_IN)
        if self._rows + len(moves) > ROWS_PER_ENTITY * self._table.capacity:
            self.dropped["overflow"] += len(moves)
            return
        if gateway is None:
            self.dropped["unknown_gateway"] += len(moves)
            return
        self._batches.append((gateway, moves))
        self._rows += len(moves)

    def apply(self, now: float, moved: np.ndarray, acked: np.ndarray) -> dict[int, str]:
        """Judge what came in since the last tick, oldest first. Returns who is to be corrected, and why."""
        batches, self._batches, self._rows = self._batches, [], 0
        moves = np.concatenate([rows for _, rows in batches])
        sender = np.repeat([index for index, _ in batches], [len(rows) for _, rows in batches])
        table = self._table
        known = moves["number"] < table.capacity
        moves, sender = moves[known], sender[known]
        # A gateway speaks only for the entities attached to it; alive is implied by having a gateway.
        held = table.gateway[moves["number"]] == sender
        self.dropped["not_attached"] += int(len(known) - np.count_nonzero(held))
        moves = moves[held]
        # The next owner judges moves from where the entity stands when it is handed over.
        frozen = table.frozen[moves["number"]]
        self.dropped["handed_over"] += int(np.count_nonzero(frozen))
        mine = moves[~frozen]
        moves = newest(mine, ROWS_PER_ENTITY)
        self.dropped["too_many"] += len(mine) - len(moves)
        refused: dict[int, str] = {}
        while len(moves):
            _, first = np.unique(moves["number"], return_index=True)
            later = np.ones(len(moves), bool)
            later[first] = False
            self._judge(moves[first], now, moved, acked, refused)
            moves = moves[later]
        return refused

    def _judge(
        self, moves: np.ndarray, now: float, moved: np.ndarray, acked: np.ndarray, refused: dict[int, str]
    ) -> None:
        """At most one move of each entity."""
        numbers = moves["number"].astype(np.intp)
        verdict = judge(self._table, self._rules, moves, now)
        good = verdict == OK
        moved[numbers[good]] = True
        acked[numbers[verdict != STALE_SEQUENCE]] = True
        self.applied += int(np.count_nonzero(good))
        for number, why in zip(numbers[~good].tolist(), verdict[~good].tolist(), strict=True):
            self.refused[REASONS[why]] += 1
            refused[number] = REASONS[why]
