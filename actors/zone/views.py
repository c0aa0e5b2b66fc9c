"""From edges to ZoneOutput: one message per gateway, each changed entity encoded once (row 3.5, DESIGN "A position update").

A gateway gets a table of encoded rows and, for each of its viewers, the indexes of the rows it sees.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np

from actors.zone.interest import MASK, SHIFT, Change
from actors.zone.rows import MOVE_OUT, yaw_to_u16
from realm_proto import internal_pb2, realtime_pb2


@dataclass(slots=True)
class Tick:
    """What happened in a tick, by entity number: masks of length capacity, and what only few entities have."""

    moved: np.ndarray
    acked: np.ndarray
    restated: set[int] = field(default_factory=set)  # properties changed
    fresh: dict[int, int] = field(default_factory=dict)  # viewers that start from nothing, and for which attach
    corrections: dict[int, bytes] = field(default_factory=dict)  # serialised Correction


class Columns:
    """The table's columns that views need; a plain holder so that this module does not know the zone."""

    def __init__(self, position: np.ndarray, yaw: np.ndarray, sequence: np.ndarray, gateway: np.ndarray) -> None:
        self.position, self.yaw, self.sequence, self.gateway = position, yaw, sequence, gateway


def encode_moves(columns: Columns, numbers: np.ndarray) -> bytes:
    """MOVE_OUT rows of `numbers`."""
    rows = np.empty(len(numbers), MOVE_OUT)
    rows["number"] = numbers
    rows["sequence"] = columns.sequence[numbers] & 0xFFFF
    place = columns.position[numbers]
    rows["x"], rows["y"], rows["z"] = place[:, 0], place[:, 1], place[:, 2]
    rows["yaw"] = yaw_to_u16(columns.yaw[numbers])
    return rows.tobytes()


def encode_correction(columns: Columns, number: int, reason: str) -> bytes:
    """A serialised Correction: where the entity really is."""
    x, y, z = (float(v) for v in columns.position[number])
    return realtime_pb2.Correction(
        sequence=int(columns.sequence[number]),
        position=realtime_pb2.Vector3(x=x, y=y, z=z),
        reason=reason,
        yaw=float(columns.yaw[number]),
    ).SerializeToString()


def outputs(
    change: Change, tick: Tick, columns: Columns, gateways: Iterable[int], state_of: Callable[[int], bytes]
) -> dict[int, internal_pb2.ZoneOutput]:
    """The messages of a tick by gateway index; a gateway without news gets none.

    `state_of(number)` is the serialised EntityState. zone_id, epoch and tick are left for the caller to fill in.
    """
    seer = change.edges >> SHIFT
    seen = change.edges & MASK
    tells = change.entered | tick.moved[seen]
    states = change.entered
    if tick.restated:
        restated = np.zeros(len(tick.moved), bool)
        restated[list(tick.restated)] = True
        states = states | restated[seen]
    gateway_of = columns.gateway
    owner = gateway_of[seer]
    ended_seer = change.ended >> SHIFT
    ended_owner = gateway_of[ended_seer] if len(ended_seer) else ended_seer
    fresh_or_corrected = tick.fresh.keys() | tick.corrections.keys()

    made = {}
    for gateway in gateways:
        mine = tells & (owner == gateway)
        seers, numbers = seer[mine], seen[mine]
        out = internal_pb2.ZoneOutput()
        events = _events(
            out,
            state_of,
            (seer[states & (owner == gateway)], seen[states & (owner == gateway)]),
            (ended_seer[ended_owner == gateway], change.ended[ended_owner == gateway] & MASK),
            tick,
            [number for number in fresh_or_corrected if gateway_of[number] == gateway],
        )
        has_view = np.zeros(len(tick.moved), bool)
        has_view[seers] = True
        has_view |= tick.acked & (gateway_of == gateway)
        has_view[list(events)] = True
        viewers = np.flatnonzero(has_view)
        if not len(viewers):
            continue
        in_table = np.zeros(len(tick.moved), bool)
        in_table[numbers] = True
        table = np.flatnonzero(in_table)
        place = np.zeros(len(tick.moved), np.uint32)
        place[table] = np.arange(len(table), dtype=np.uint32)
        out.moves = encode_moves(columns, table)
        out.viewers = viewers.astype("<u2").tobytes()
        out.acks = columns.sequence[viewers].astype("<u4").tobytes()
        out.move_end = np.searchsorted(seers, viewers, side="right").astype("<u4").tobytes()
        out.move_index = place[numbers].astype("<u4").tobytes()
        made[gateway] = out
    return made


def _events(
    out: internal_pb2.ZoneOutput,
    state_of: Callable[[int], bytes],
    states: tuple[np.ndarray, np.ndarray],
    leaves: tuple[np.ndarray, np.ndarray],
    tick: Tick,
    others: list[int],
) -> dict[int, internal_pb2.ViewerEvents]:
    """Fill `out.states` and `out.events`; both pairs are (viewers, entities). Returns the events by viewer."""
    events: dict[int, internal_pb2.ViewerEvents] = {}

    def of(viewer: int) -> internal_pb2.ViewerEvents:
        event = events.get(viewer)
        if event is None:
            event = events[viewer] = out.events.add(viewer=viewer)
        return event

    for viewer in others:
        event = of(viewer)
        if viewer in tick.fresh:
            event.reset, event.attach_epoch = True, tick.fresh[viewer]
        if viewer in tick.corrections:
            event.correction = tick.corrections[viewer]
    place: dict[int, int] = {}
    for viewer, number in zip(states[0].tolist(), states[1].tolist(), strict=True):
        at = place.get(number)
        if at is None:
            at = place[number] = len(out.states)
            out.states.append(state_of(number))
        of(viewer).states.append(at)
    for viewer, number in zip(leaves[0].tolist(), leaves[1].tolist(), strict=True):
        of(viewer).leaves.append(number)
    return events
