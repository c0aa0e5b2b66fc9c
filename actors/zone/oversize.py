"""A ZoneOutput that is too large for one message of the bus goes out in parts, each for some of its viewers.

Only a dense crowd behind one gateway comes to that: a viewer's row costs 4 bytes once its entity is in the table.
"""

from __future__ import annotations

import numpy as np

from actors.zone.rows import MOVE_OUT, PLACE_OUT
from realm_proto import internal_pb2

# NATS takes 1 MiB unless it is told otherwise.
MAX_BYTES = 1_000_000


def parts(out: internal_pb2.ZoneOutput, limit: int = MAX_BYTES) -> list[bytes]:
    """`out`, serialised: one message of at most `limit` bytes if that will do. What a single viewer gets is never parted."""
    data = out.SerializeToString()
    viewers = len(out.viewers) // 2
    if len(data) <= limit or viewers < 2:
        return [data]
    middle = viewers // 2
    return parts(_part(out, 0, middle), limit) + parts(_part(out, middle, viewers), limit)


def _part(out: internal_pb2.ZoneOutput, start: int, stop: int) -> internal_pb2.ZoneOutput:
    """The message for the viewers at positions `start` to `stop`, with only those rows and states that they see."""
    viewers = np.frombuffer(out.viewers, "<u2")[start:stop]
    part = internal_pb2.ZoneOutput(zone_id=out.zone_id, epoch=out.epoch, tick=out.tick)
    part.viewers = viewers.tobytes()
    part.acks = out.acks[4 * start : 4 * stop]
    part.moves, part.move_end, part.move_index = _rows(out.moves, out.move_end, out.move_index, MOVE_OUT, start, stop)
    if out.place_index:
        part.places, part.place_end, part.place_index = _rows(
            out.places, out.place_end, out.place_index, PLACE_OUT, start, stop
        )
    if not part.place_index:
        part.ClearField("place_end")
    wanted = set(viewers.tolist())
    place: dict[int, int] = {}
    for event in out.events:
        if event.viewer in wanted:
            copy = part.events.add()
            copy.CopyFrom(event)
            copy.states[:] = [place.setdefault(state, len(place)) for state in event.states]
    part.states.extend(out.states[state] for state in place)
    return part


def _rows(table: bytes, end: bytes, index: bytes, dtype: np.dtype, start: int, stop: int) -> tuple[bytes, bytes, bytes]:
    """A table, the ends and the indexes, for the viewers at these positions only."""
    ends = np.frombuffer(end, "<u4")
    first = int(ends[start - 1]) if start else 0
    used, at = np.unique(np.frombuffer(index, "<u4")[first : int(ends[stop - 1])], return_inverse=True)
    kept = np.frombuffer(table, dtype)[used].tobytes()
    return kept, (ends[start:stop] - np.uint32(first)).tobytes(), at.astype("<u4").tobytes()
