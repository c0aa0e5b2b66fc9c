"""What every viewer was told, held against what is true: deliveries, latency, wrong updates, missing and ghosts.

Times are milliseconds of one clock. Plain numpy; `load.py` feeds it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from cluster.bench.holdings import NOBODY, Holdings
from cluster.bench.wire import MOVE_ROW, PLACE_ROW
from realm_proto import realtime_pb2 as pb

BIN_MS = 0.1
BINS = 200_000  # 20 s
EPSILON_M = 0.02  # of a distance between two places that were rounded to centimetres
OFF_CM = 1  # that an update may be from the truth: rounding
CM_PER_M = 100.0
YAW_STEPS = 1
NOT_MET = -(1 << 15)


Seen = tuple[int, float, int, pb.ViewFrame]
"""A view that came: its viewer, when (ms), its bytes on the wire with the frame's header, and the view."""


@dataclass(slots=True)
class Counts:
    """Of the measuring window. `updates`: rows read; `beyond`: newer ones of entities beyond the radius.

    `places`: rows that were whole places. `wire_bytes`: of all frames, views or not.
    """

    deliveries: int = 0
    beyond: int = 0
    updates: int = 0
    places: int = 0
    frames: int = 0
    wire_bytes: int = 0


@dataclass(slots=True)
class Faults:
    """Of the whole walk. `wrong`: updates that are not what that mover sent; `foreign`: of entities not in the crowd."""

    wrong: int = 0
    foreign: int = 0
    corrections: int = 0
    examples: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Round:
    """Views of different viewers: by view, who, when it came, and what it acknowledges."""

    viewer: np.ndarray
    at_ms: np.ndarray
    ack: np.ndarray


@dataclass(frozen=True, slots=True)
class _Rows:
    """Rows of one kind from a round. `frame`: which of the views each came with; `pair`, `mover`: as in Holdings."""

    rows: np.ndarray
    frame: np.ndarray
    pair: np.ndarray
    mover: np.ndarray

    def where(self, keep: np.ndarray) -> _Rows:
        return _Rows(self.rows[keep], self.frame[keep], self.pair[keep], self.mover[keep])


class Ledger:
    """`truth`: float32, steps + 1 by clients by x and z; `yaw`: the same in 1/65536 turn; sequence `first + k` is move k.

    Whoever sends move k says so: `sent_at[k, client]` (ms) and `newest[client]`. `zone_of`: each client's zone; None: all in one.
    """

    def __init__(
        self,
        truth: np.ndarray,
        yaw: np.ndarray,
        y: float,
        first: int,
        radius_m: float,
        zone_of: np.ndarray | None = None,
    ) -> None:
        steps, n = truth.shape[0] - 1, truth.shape[1]
        self.clients, self.steps, self.first = n, steps, first
        self.truth, self.yaw, self.y, self.radius_m = truth, yaw, np.float32(y), radius_m
        self.zone_of = np.zeros(n, np.int64) if zone_of is None else zone_of
        self.holdings = Holdings(self.zone_of)
        self.sent_at = np.full((steps + 1, n), np.nan)
        self.newest = np.zeros(n, np.int64)
        self.acked = np.zeros(n, np.int64)
        self.refused: dict[int, tuple[float, float]] = {}  # viewer -> where it really is (x, z)
        self.counts = Counts()
        self.faults = Faults()
        self.walking = False
        self.measuring = False
        self.latency = np.zeros(BINS, np.int64)
        cm = np.rint(truth.astype(np.float64) * CM_PER_M).astype(np.int32)
        self._truth_cm = cm[:, :, 0].copy(), cm[:, :, 1].copy()
        self._y_cm = round(float(self.y) * CM_PER_M)
        self._seen = np.full(n * self.holdings.width, NOT_MET, np.int16)  # by pair: the newest move it was told of
        self._scratch = np.zeros(n * self.holdings.width, np.int32)

    def learn(self, client: int, number: int) -> None:
        """The server's short name of a client's entity. Others may have been told of it first."""
        self.holdings.learn(client, number)

    def start(self, at_ms: float) -> None:
        """Everyone stands at row 0. From now on every update is checked."""
        self.sent_at[0] = at_ms
        self.walking = True

    def take(self, frames: Sequence[Seen], other_bytes: int = 0) -> None:
        """Views in the order they came. `other_bytes`: on the wire, of frames that are none."""
        if self.measuring:
            self.counts.frames += len(frames)
            self.counts.wire_bytes += sum(frame[2] for frame in frames) + other_bytes
        rest = frames
        while rest:  # at most one view of each viewer at a time, so that its newer one meets what the older one left
            now: list[Seen] = []
            later: list[Seen] = []
            met = set[int]()
            for frame in rest:
                (later if frame[0] in met else now).append(frame)
                met.add(frame[0])
            self._take_round(now)
            rest = later

    def _take_round(self, frames: Sequence[Seen]) -> None:
        places, place_bytes, moves, move_bytes, acks = [], [], [], [], []
        for viewer, _, _, view in frames:
            if view.leaves or view.states or view.HasField("reset") or view.HasField("correction"):
                self._take_seldom(viewer, view)
            rows = view.moves
            moves.append(rows)
            move_bytes.append(len(rows))
            rows = view.places
            places.append(rows)
            place_bytes.append(len(rows))
            acks.append(view.ack)
        viewers = np.array([frame[0] for frame in frames], np.int64)
        ack = np.array(acks, np.int64)
        self.acked[viewers] = np.maximum(self.acked[viewers], ack)
        views = _Round(viewers, np.array([frame[1] for frame in frames]), ack)
        stepped = self._read(MOVE_ROW, moves, move_bytes, viewers)
        if any(place_bytes):
            self._stand(self._read(PLACE_ROW, places, place_bytes, viewers), stepped.pair, views)
        self._step(stepped, views)

    def _take_seldom(self, viewer: int, view: pb.ViewFrame) -> None:
        self.holdings.hear(viewer, view)
        if view.HasField("correction"):
            place = view.correction.position
            self.refused[viewer] = (place.x, place.z)
            self.faults.corrections += self.walking

    def _read(self, kind: np.dtype, parts: Sequence[bytes], sizes: Sequence[int], viewers: np.ndarray) -> _Rows:
        rows = np.frombuffer(b"".join(parts), kind)
        frame = np.repeat(np.arange(len(viewers)), np.array(sizes) // kind.itemsize)
        read = _Rows(rows, frame, *self.holdings.locate(viewers[frame], rows["number"]))
        unheard = read.pair < 0
        if unheard.any():
            self.faults.foreign += int(unheard.sum()) if self.walking else 0
            read = read.where(~unheard)
        return read

    def _stand(self, read: _Rows, stepping: np.ndarray, views: _Round) -> None:
        """Places. `stepping`: the pairs that have moves in the same view, and are looked at after those."""
        scratch, pair, index = self._scratch, read.pair, np.arange(len(read.pair))
        scratch[pair] = index
        once = scratch[pair] == index
        cm = self.holdings.stand(pair, read.rows["at"])
        if self.measuring:
            self.counts.places += len(pair)
        scratch[stepping] = -1
        good = self.holdings.known[pair] & once
        step = (read.rows["sequence"] - np.uint16(self.first & 0xFFFF)).astype(np.int16).astype(np.int64)
        self._look(read, cm, step, good, (scratch[pair] >= 0) | ~good, views)

    def _step(self, read: _Rows, views: _Round) -> None:
        """Moves. Of several of one entity in a view the last one leads to where it is."""
        scratch, pair, index = self._scratch, read.pair, np.arange(len(read.pair))
        scratch[pair] = index
        last = scratch[pair] == index
        cm = self.holdings.step(pair, read.rows["by"], repeated=not last.all())
        good = self.holdings.known[pair] & self.holdings.placed[pair]
        # Eight bits: the mover's newest move that ends in them.
        newest = self.newest[read.mover] + self.first
        step = newest - ((newest - read.rows["sequence"]) & 0xFF) - self.first
        self._look(read, cm, step, good, last | ~good, views)

    def _look(
        self,
        read: _Rows,
        cm: Sequence[np.ndarray],
        step: np.ndarray,
        good: np.ndarray,
        keep: np.ndarray,
        views: _Round,
    ) -> None:
        """`keep`: the rows that are to be held against the truth."""
        if not self.walking:
            return
        strangers = read.mover == NOBODY
        self.faults.foreign += int(strangers.sum())
        if self.measuring:
            self.counts.updates += len(strangers) - int(strangers.sum())
        keep = keep & ~strangers
        if not keep.all():
            read, cm, step, good = read.where(keep), [column[keep] for column in cm], step[keep], good[keep]
        self._check(read, cm, step, good, views)

    def _check(self, read: _Rows, cm: Sequence[np.ndarray], step: np.ndarray, good: np.ndarray, views: _Round) -> None:
        """By row: where the viewer now holds the mover is where that was after its move `step`."""
        x, y, z = cm
        frame, pair, mover = read.frame, read.pair, read.mover
        viewer = views.viewer[frame]
        inside = (step >= 0) & (step <= self.steps)
        step = np.where(inside, step, 0)
        truth_x, truth_z = self._truth_cm
        sent = self.sent_at[step, mover]
        turned = (read.rows["yaw"] - self.yaw[step, mover]).astype(np.int16)
        right = (
            good
            & inside
            & (viewer != mover)
            & ~np.isnan(sent)
            & (np.abs(x - truth_x[step, mover]) <= OFF_CM)
            & (np.abs(z - truth_z[step, mover]) <= OFF_CM)
            & (np.abs(y - self._y_cm) <= OFF_CM)
            & (np.abs(turned) <= YAW_STEPS)
        )
        if not right.all():
            self._note_wrong(viewer, mover, step, np.stack(cm, 1), right)
        fresh = right & (step > self._seen[pair])
        self._seen[pair[fresh]] = step[fresh]
        if self.measuring:
            here = self.truth[np.clip(views.ack - self.first, 0, self.steps), views.viewer][frame]
            dx, dz = x / CM_PER_M - here[:, 0], z / CM_PER_M - here[:, 1]
            near = fresh & (dx * dx + dz * dz <= (self.radius_m + EPSILON_M) ** 2)
            self.counts.deliveries += int(near.sum())
            self.counts.beyond += int((fresh & ~near).sum())
            bins = ((views.at_ms[frame[near]] - sent[near]) / BIN_MS).astype(np.int64)
            np.add.at(self.latency, np.clip(bins, 0, BINS - 1), 1)

    def _note_wrong(
        self, viewer: np.ndarray, mover: np.ndarray, step: np.ndarray, cm: np.ndarray, right: np.ndarray
    ) -> None:
        wrong = np.flatnonzero(~right)
        self.faults.wrong += len(wrong)
        for i in wrong[: max(0, 5 - len(self.faults.examples))]:
            self.faults.examples.append(f"viewer {viewer[i]} about {mover[i]}: {cm[i].tolist()} cm at move {step[i]}")

    def percentile_ms(self, q: float) -> float:
        """Of the latency."""
        return percentile_ms(self.latency, q)

    def missing_and_ghosts(self, hysteresis_m: float) -> tuple[int, int]:
        """After the walk: pairs within the radius that are not known, and known ones beyond radius and hysteresis."""
        last = self.steps - np.argmax(~np.isnan(self.sent_at[::-1]), axis=0)
        here = self.truth[last, np.arange(self.clients)].astype(np.float64)
        known = self.holdings.known.reshape(self.clients, -1)
        missing = ghosts = 0
        for zone in range(int(self.zone_of.max()) + 1):
            mates = np.flatnonzero(self.zone_of == zone)
            columns = np.array([self.holdings.column(client) for client in mates.tolist()])
            for viewer in mates:
                away = np.hypot(*(here[mates] - here[viewer]).T)
                sees = known[viewer, columns]
                others = mates != viewer
                missing += int((others & ~sees & (away < self.radius_m - EPSILON_M)).sum())
                ghosts += int((others & sees & (away > self.radius_m + hysteresis_m + EPSILON_M)).sum())
        return missing, ghosts


def percentile_ms(latency: np.ndarray, q: float) -> float:
    """Of a histogram of latencies, upwards rounded to BIN_MS; 0 when nothing was delivered."""
    total = np.cumsum(latency)
    if not total[-1]:
        return 0.0
    return float((np.searchsorted(total, q / 100.0 * total[-1]) + 1) * BIN_MS)
