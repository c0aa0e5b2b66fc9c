"""Where the own character is before the zone has said so, and putting it right when the zone disagrees (row 7.1). No clock."""

from __future__ import annotations

import math
from collections import deque

from rayrealm_client.view import ORIGIN, Correction, Position

MOST_PENDING = 512  # at 10 a second the zone has been silent for most of a minute


class Prediction:
    """`position`, `yaw`: where the character is if the zone takes every move. `sequence`: of the newest move; `acked`: the newest
    one that the zone has judged.
    """

    def __init__(self) -> None:
        self.position: Position = ORIGIN
        self.yaw = 0.0
        self.sequence = 0
        self.acked = 0
        self._judged: Position = ORIGIN  # where the newest judged move led, as it was sent or corrected
        self._pending: deque[tuple[int, Position]] = deque(maxlen=MOST_PENDING)

    @property
    def pending(self) -> int:
        """How many moves are not judged yet."""
        return len(self._pending)

    def move(self, x: float, y: float, z: float, yaw: float) -> int:
        """The character has moved. Returns the move's sequence."""
        self.sequence += 1
        self.position, self.yaw = Position(x, y, z), yaw
        self._pending.append((self.sequence, self.position))
        return self.sequence

    def acknowledge(self, ack: int) -> None:
        """The zone has judged all moves up to this one."""
        self.acked = max(self.acked, ack)
        while self._pending and self._pending[0][0] <= ack:
            self._judged = self._pending.popleft()[1]

    def correct(self, correction: Correction) -> None:
        """Take the zone's place, and walk the moves that it has not judged again from there."""
        self.acknowledge(correction.sequence)
        self.sequence = max(self.sequence, correction.sequence)
        shift = [there - here for there, here in zip(correction.position, self._judged, strict=True)]
        self._judged = correction.position
        if not all(map(math.isfinite, (*shift, *self.position))):  # the move that was refused led nowhere
            self._pending.clear()
        self._pending = deque(((number, _shifted(at, shift)) for number, at in self._pending), MOST_PENDING)
        if self._pending:
            self.position = self._pending[-1][1]
        else:
            self.position, self.yaw = correction.position, correction.yaw

    def rebase(self, position: Position, yaw: float, sequence: int) -> None:
        """The zone says where the character is, whatever was sent: after an entry or a resumed session."""
        self._pending.clear()
        self._judged = self.position = position
        self.yaw = yaw
        self.sequence, self.acked = max(self.sequence, sequence), max(self.acked, sequence)


def _shifted(at: Position, shift: list[float]) -> Position:
    return Position(at.x + shift[0], at.y + shift[1], at.z + shift[2])
