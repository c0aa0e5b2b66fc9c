"""What every viewer holds: who is in its view, and where it was told they are. Plain numpy, for hundreds of viewers at once.

A zone's short names are columns here, given out as they are first heard of, so that what a viewer was told of somebody counts
also before anyone has learnt who that is. A pair is viewer * width + column.
"""

from __future__ import annotations

import numpy as np

from cluster.bench.wire import TURN
from realm_proto import realtime_pb2 as pb

SPARE = 64  # names of a zone that are nobody's of the crowd
NOBODY = -1


class Holdings:
    """`zone_of`: the zone of each viewer, from 0. `cm`: x, y, z in centimetres, each by pair; `known`, `placed`: by pair.

    `client_at`: zone * width + column -> client, or NOBODY.
    """

    def __init__(self, zone_of: np.ndarray) -> None:
        zones = int(zone_of.max()) + 1
        self.zone_of = zone_of.astype(np.int64)
        self.width = int(np.bincount(zone_of).max()) + SPARE
        pairs = len(zone_of) * self.width
        self.known = np.zeros(pairs, bool)
        self.placed = np.zeros(pairs, bool)
        self.cm = tuple(
            np.zeros(pairs, np.int32) for _ in range(3)
        )  # apart, which is three times as fast as rows of three
        self.client_at = np.full(zones * self.width, NOBODY, np.int64)
        self._column_of = np.full(zones * TURN, NOBODY, np.int64)
        self._free = [0] * zones
        self._several = zones > 1
        self._own = [NOBODY] * len(zone_of)

    def learn(self, client: int, number: int) -> None:
        """The server's short name of a client's entity. Others may have been told of it first. Raises ValueError without room."""
        column = self._column(int(self.zone_of[client]), number)
        if column == NOBODY:
            raise ValueError("more entities than were counted on")
        self.client_at[self.zone_of[client] * self.width + column] = client

    def column(self, client: int) -> int:
        """Raises ValueError for a client whose name was not learnt."""
        (found,) = np.flatnonzero(self.client_at == client)
        return int(found) % self.width

    def hear(self, viewer: int, view: pb.ViewFrame) -> None:
        """A view that says who comes and goes; its rows are for `stand` and `step`."""
        zone, width = int(self.zone_of[viewer]), self.width
        first = viewer * width
        if view.HasField("reset"):
            self._own[viewer] = view.reset.number
            self.known[first : first + width] = self.placed[first : first + width] = False
        for number in view.leaves:
            column = self._column_of[zone * TURN + number]
            if column != NOBODY:
                self.known[first + column] = self.placed[first + column] = False
        own = self._own[viewer]
        for state in view.states:
            if state.number != own:
                column = self._column(zone, state.number)
                if column != NOBODY:
                    self.known[first + column] = True

    def locate(self, viewer: np.ndarray, number: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """By row: the pair, below 0 for a name that nobody was ever told of; and the client that has that name, or NOBODY."""
        zone = self.zone_of[viewer] if self._several else 0
        column = self._column_of[zone * TURN + number.astype(np.int64)]
        mover: np.ndarray = self.client_at[zone * self.width + column]
        return np.where(column >= 0, viewer * self.width + column, NOBODY), mover

    def stand(self, pair: np.ndarray, cm: np.ndarray) -> list[np.ndarray]:
        """Places, rows by x, y, z. Of one pair twice the last one counts. Returns them as columns."""
        columns = [cm[:, axis] for axis in range(3)]
        for held, column in zip(self.cm, columns, strict=True):
            held[pair] = column
        self.placed[pair] = True
        return columns

    def step(self, pair: np.ndarray, by: np.ndarray, *, repeated: bool) -> list[np.ndarray]:
        """Differences, rows by x, y, z. `repeated`: a pair may be there more than once. Returns where that led, as columns."""
        columns = []
        for axis, held in enumerate(self.cm):
            if repeated:
                np.add.at(held, pair, by[:, axis].astype(np.int32))
                columns.append(held[pair])
            else:
                now = held[pair]
                now += by[:, axis]
                held[pair] = now
                columns.append(now)
        return columns

    def _column(self, zone: int, number: int) -> int:
        at = zone * TURN + number
        column = int(self._column_of[at])
        if column == NOBODY and self._free[zone] < self.width:
            column = self._column_of[at] = self._free[zone]
            self._free[zone] += 1
        return column
