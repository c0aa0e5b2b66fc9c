"""What a zone tells its follower: where everybody stands (row 7.4). Plain Python."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from actors.zone.zone import Zone
from realm_proto import internal_pb2

FORGET_S = 5.0  # a follower that has not asked for so long
AT_LEAST_S = 0.1  # a follower hears at least so often
MAX_ROWS = 30_000  # in one message: less than a megabyte


class Replication:
    """Nothing is said unless a follower asks. Times are seconds on the zone's clock."""

    def __init__(self, zone: Zone, slot: int) -> None:
        self._zone = zone
        self._slot = slot
        self._asked_at = float("-inf")
        self._said_at = float("-inf")
        self._whole = False

    def asked(self, now: float) -> None:
        """A follower listens. It hears everything once for every time that it asks: what the bus has lost, it gets so."""
        self._asked_at = now
        self._whole = True

    def tell(self, moved: np.ndarray, now: float) -> Iterator[bytes]:
        """After a tick in which `moved` (a mask of entities) did: serialised ZoneReplicas."""
        if now - self._asked_at > FORGET_S:
            return
        whole, numbers = self._whole, np.flatnonzero(self._zone.table.mine if self._whole else moved)
        if not (whole or len(numbers)) and now - self._said_at < AT_LEAST_S:
            return
        self._said_at, self._whole = now, False
        for first in range(0, max(len(numbers), 1), MAX_ROWS):
            yield internal_pb2.ZoneReplica(
                zone_id=self._zone.id,
                epoch=self._zone.epoch,
                tick=self._zone.ticks,
                places=self._zone.places(numbers[first : first + MAX_ROWS]),
                whole=whole and not first,
                slot=self._slot,
            ).SerializeToString()
