"""From a tick's news to ZoneOutput: one message per gateway, each changed entity encoded once (rows 3.5 and 3.6).

A gateway gets two tables of encoded rows, steps and places, and, for each of its viewers, the indexes of the rows it is sent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np

from actors.zone.entities import EntityTable
from actors.zone.interest import MASK, SHIFT
from actors.zone.pacing import Turn
from actors.zone.rows import MAX_HOP, MAX_STEP, MOVE_OUT, PLACE_OUT, to_cm, yaw_to_u16
from realm_proto import internal_pb2, realtime_pb2


class Broadcast:
    """Where viewers believe the entities to be: what was said of each last, in whole centimetres, so that steps add up exactly.

    `places` and `moves` are rows by entity number; a row of `moves` counts only in the tick that made it.
    """

    def __init__(self, table: EntityTable) -> None:
        numbers = np.arange(table.capacity)
        self.places = np.zeros(table.capacity, PLACE_OUT)
        self.moves = np.zeros(table.capacity, MOVE_OUT)
        self.places["number"] = self.moves["number"] = numbers
        self._cm = np.zeros((table.capacity, 3), np.int64)
        self._table = table

    def say(self, moved: np.ndarray, seen_anew: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The places of this tick. `moved`: a mask of who moved; `seen_anew`: numbers that may stand elsewhere than was said last.

        Returns masks: who has news, and for whom a step from the last place says it.
        """
        table, places = self._table, self.places
        looked_at = moved.copy()
        looked_at[seen_anew] = True
        numbers = np.flatnonzero(looked_at)
        cm = to_cm(table.position[numbers])
        yaw = yaw_to_u16(table.yaw[numbers])
        sequence = (table.sequence[numbers] & 0xFFFF).astype(np.uint16)
        step = cm - self._cm[numbers]
        hop = sequence - places["sequence"][numbers]
        told = moved[numbers] | step.any(1) | (yaw != places["yaw"][numbers]) | (hop != 0)
        fits = told & (np.abs(step).max(1, initial=0) <= MAX_STEP) & (hop <= MAX_HOP)
        self._cm[numbers] = cm
        places["sequence"][numbers] = sequence
        places["x"][numbers], places["y"][numbers], places["z"][numbers] = cm[:, 0], cm[:, 1], cm[:, 2]
        places["yaw"][numbers] = yaw
        small = numbers[fits]
        rows = np.empty(len(small), MOVE_OUT)
        rows["number"] = small
        rows["sequence"] = sequence[fits] & 0xFF
        step = step[fits]
        rows["dx"], rows["dy"], rows["dz"] = step[:, 0], step[:, 1], step[:, 2]
        rows["yaw"] = yaw[fits]
        self.moves[small] = rows
        news, steps = np.zeros(table.capacity, bool), np.zeros(table.capacity, bool)
        news[numbers[told]] = True
        steps[small] = True
        return news, steps


def encode_correction(table: EntityTable, number: int, reason: str) -> bytes:
    """A serialised Correction: where the entity really is."""
    x, y, z = (float(v) for v in table.position[number])
    return realtime_pb2.Correction(
        sequence=int(table.sequence[number]),
        position=realtime_pb2.Vector3(x=x, y=y, z=z),
        reason=reason,
        yaw=float(table.yaw[number]),
    ).SerializeToString()


@dataclass(frozen=True, slots=True)
class Beginning:
    """Views that start from nothing: for which attach; and, after a hand-over, whose they are."""

    attach_epoch: int
    session_id: str = ""
    transfer: int = 0


@dataclass(slots=True)
class News:
    """What a tick says beside rows.

    `acked`: a mask of those whose moves were judged. `told`, `keys`: viewers, sorted, and the key of a state that each is told.
    `ended`: edges. `fresh`, `corrections` (serialised Correction): by viewer.
    """

    acked: np.ndarray
    told: np.ndarray
    keys: np.ndarray
    ended: np.ndarray
    fresh: dict[int, Beginning] = field(default_factory=dict)
    corrections: dict[int, bytes] = field(default_factory=dict)


def outputs(
    turn: Turn,
    news: News,
    said: Broadcast,
    table: EntityTable,
    gateways: Iterable[int],
    state_of: Callable[[int], bytes],
) -> dict[int, internal_pb2.ZoneOutput]:
    """The messages of a tick by gateway index; a gateway without news gets none.

    `state_of(key)` is a serialised EntityState. zone_id, epoch and tick are left for the caller to fill in.
    """
    gateway_of = table.gateway
    steps = _Pairs(turn.seer[turn.steps], turn.seen[turn.steps], gateway_of)
    places = _Pairs(turn.seer[turn.places], turn.seen[turn.places], gateway_of)
    states = _Pairs(news.told, news.keys, gateway_of)
    leaves = _Pairs(news.ended >> SHIFT, news.ended & MASK, gateway_of)
    others = news.fresh.keys() | news.corrections.keys()
    made = {}
    for gateway in gateways:
        out = internal_pb2.ZoneOutput()
        mine = [number for number in others if gateway_of[number] == gateway]
        events = _events(out, state_of, states.of(gateway), leaves.of(gateway), news, mine)
        step_to, step_of = steps.of(gateway)
        place_to, place_of = places.of(gateway)
        has_view = news.acked & (gateway_of == gateway)
        has_view[step_to] = True
        has_view[place_to] = True
        has_view[events] = True
        viewers = np.flatnonzero(has_view)
        if not len(viewers):
            continue
        out.viewers = viewers.astype("<u2").tobytes()
        out.acks = table.sequence[viewers].astype("<u4").tobytes()
        out.moves, out.move_index = _gathered(said.moves, step_of)
        out.move_end = np.searchsorted(step_to, viewers, side="right").astype("<u4").tobytes()
        if len(place_to):
            out.places, out.place_index = _gathered(said.places, place_of)
            out.place_end = np.searchsorted(place_to, viewers, side="right").astype("<u4").tobytes()
        made[gateway] = out
    return made


class _Pairs:
    """(viewer, something) sorted by viewer, and which of them a gateway is told."""

    def __init__(self, viewers: np.ndarray, what: np.ndarray, gateway_of: np.ndarray) -> None:
        self._viewers, self._what = viewers, what
        self._gateway = gateway_of[viewers]

    def of(self, gateway: int) -> tuple[np.ndarray, np.ndarray]:
        mine = self._gateway == gateway
        if mine.all():
            return self._viewers, self._what
        return self._viewers[mine], self._what[mine]


def _gathered(rows: np.ndarray, numbers: np.ndarray) -> tuple[bytes, bytes]:
    """The rows of the entities among `numbers`, each once, and for each of `numbers` the index of its row."""
    used = np.zeros(len(rows), bool)
    used[numbers] = True
    table = np.flatnonzero(used)
    place = np.zeros(len(rows), "<u4")
    place[table] = np.arange(len(table), dtype=np.uint32)
    return rows[table].tobytes(), place[numbers].tobytes()


def _events(
    out: internal_pb2.ZoneOutput,
    state_of: Callable[[int], bytes],
    states: tuple[np.ndarray, np.ndarray],
    leaves: tuple[np.ndarray, np.ndarray],
    news: News,
    others: list[int],
) -> list[int]:
    """Fill `out.states` and `out.events`; the pairs are (viewers, keys) and (viewers, entities). Returns who has an event."""
    events: dict[int, internal_pb2.ViewerEvents] = {}

    def of(viewer: int) -> internal_pb2.ViewerEvents:
        event = events.get(viewer)
        if event is None:
            event = events[viewer] = out.events.add(viewer=viewer)
        return event

    for viewer in others:
        event = of(viewer)
        begins = news.fresh.get(viewer)
        if begins is not None:
            event.reset, event.attach_epoch = True, begins.attach_epoch
            event.session_id, event.transfer = begins.session_id, begins.transfer
        if viewer in news.corrections:
            event.correction = news.corrections[viewer]
    if len(states[0]):
        keys, index = np.unique(states[1], return_inverse=True)
        out.states.extend(map(state_of, keys.tolist()))
        for viewer, told in _by_viewer(states[0], index):
            of(viewer).states.extend(told)
    if len(leaves[0]):
        for viewer, left in _by_viewer(*leaves):
            of(viewer).leaves.extend(left)
    return list(events)


def _by_viewer(viewers: np.ndarray, what: np.ndarray) -> Iterable[tuple[int, list[int]]]:
    """`viewers` is sorted."""
    starts = np.flatnonzero(np.diff(viewers, prepend=-1))
    ends = [*starts[1:].tolist(), len(viewers)]
    told = what.tolist()
    return ((v, told[a:b]) for v, a, b in zip(viewers[starts].tolist(), starts.tolist(), ends, strict=True))
