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


@dataclass(slots=True)
class _Rows:
    """Rows of one kind from a round of views. `frame`: which of the views each came with."""

    rows: np.ndarray
    frame: np.ndarray
    pair: np.ndarray


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
        self._truth_cm = np.rint(truth.astype(np.float64) * CM_PER_M).astype(np.int32)
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
        stood = self._rows(PLACE_ROW, places, place_bytes, viewers)
        stepped = self._rows(MOVE_ROW, moves, move_bytes, viewers)
        self._apply(stood, stepped, viewers, np.array([frame[1] for frame in frames]), ack)

    def _take_seldom(self, viewer: int, view: pb.ViewFrame) -> None:
        self.holdings.hear(viewer, view)
        if view.HasField("correction"):
            place = view.correction.position
            self.refused[viewer] = (place.x, place.z)
            self.faults.corrections += self.walking

    def _rows(self, kind: np.dtype, parts: Sequence[bytes], sizes: Sequence[int], viewers: np.ndarray) -> _Rows:
        rows = np.frombuffer(b"".join(parts), kind)
        frame = np.repeat(np.arange(len(viewers)), np.array(sizes) // kind.itemsize)
        pair = self.holdings.pairs(viewers[frame], rows["number"])
        if (pair < 0).any():
            self.faults.foreign += int((pair < 0).sum()) if self.walking else 0
            rows, frame, pair = rows[pair >= 0], frame[pair >= 0], pair[pair >= 0]
        return _Rows(rows, frame, pair)

    def _apply(self, stood: _Rows, stepped: _Rows, viewers: np.ndarray, at_ms: np.ndarray, acks: np.ndarray) -> None:
        """Places, then moves; of each entity in a view the last row is held against the truth."""
        holdings, scratch = self.holdings, self._scratch
        again = np.zeros(0, bool)  # places of whom the view has said a place
        if len(stood.pair):
            scratch[stood.pair] = np.arange(len(stood.pair))
            again = scratch[stood.pair] != np.arange(len(stood.pair))
            holdings.stand(stood.pair, stood.rows["at"])
        pair = np.concatenate([stood.pair, stepped.pair])
        index = np.arange(len(pair))
        scratch[pair] = index
        last = scratch[pair] == index
        had_place = holdings.placed[stepped.pair]
        holdings.step(stepped.pair, stepped.rows["by"], repeated=not last[len(stood.pair) :].all())
        if not self.walking or not len(pair):
            return
        frame = np.concatenate([stood.frame, stepped.frame])
        viewer = viewers[frame]
        mover = holdings.movers(viewer, pair)
        strangers = mover == NOBODY
        self.faults.foreign += int(strangers.sum())
        # A move says 8 bits: the mover's newest move that ends in them. A place says 16.
        newest = self.newest[mover] + self.first
        step = np.concatenate(
            [
                (stood.rows["sequence"] - np.uint16(self.first & 0xFFFF)).astype(np.int16).astype(np.int64),
                (newest[len(stood.pair) :] - ((newest[len(stood.pair) :] - stepped.rows["sequence"]) & 0xFF))
                - self.first,
            ]
        )
        good = holdings.known[pair] & np.concatenate([~again, had_place]) & (viewer != mover)
        yaw = np.concatenate([stood.rows["yaw"], stepped.rows["yaw"]])
        keep = ~strangers & (last | ~good)
        if not keep.all():
            viewer, mover, pair, step, good, yaw, frame = (
                column[keep] for column in (viewer, mover, pair, step, good, yaw, frame)
            )
        if self.measuring:
            self.counts.updates += int((~strangers).sum())
            self.counts.places += len(stood.pair)
        self._check(viewer, mover, pair, step, good, yaw, at_ms[frame], acks[frame])

    def _check(
        self,
        viewer: np.ndarray,
        mover: np.ndarray,
        pair: np.ndarray,
        step: np.ndarray,
        good: np.ndarray,
        yaw: np.ndarray,
        at_ms: np.ndarray,
        acks: np.ndarray,
    ) -> None:
        """By row: where the viewer now holds the mover is where that was after its move `step`."""
        cm = self.holdings.cm[pair]
        inside = (step >= 0) & (step <= self.steps)
        step = np.where(inside, step, 0)
        off = np.abs(cm[:, ::2] - self._truth_cm[step, mover]).max(1)
        sent = self.sent_at[step, mover]
        turned = (yaw - self.yaw[step, mover]).astype(np.int16)
        right = (
            good
            & inside
            & ~np.isnan(sent)
            & (off <= OFF_CM)
            & (np.abs(cm[:, 1] - self._y_cm) <= OFF_CM)
            & (np.abs(turned) <= YAW_STEPS)
        )
        if not right.all():
            self._note_wrong(viewer, mover, step, cm, right)
        fresh = right & (step > self._seen[pair])
        self._seen[pair[fresh]] = step[fresh]
        if self.measuring:
            here = self.truth[np.clip(acks - self.first, 0, self.steps), viewer]
            there = cm[:, ::2] / CM_PER_M
            dx, dz = there[:, 0] - here[:, 0], there[:, 1] - here[:, 1]
            near = fresh & (dx * dx + dz * dz <= (self.radius_m + EPSILON_M) ** 2)
            self.counts.deliveries += int(near.sum())
            self.counts.beyond += int((fresh & ~near).sum())
            bins = ((at_ms[near] - sent[near]) / BIN_MS).astype(np.int64)
            np.add.at(self.latency, np.clip(bins, 0, BINS - 1), 1)

    def _note_wrong(
        self, viewer: np.ndarray, mover: np.ndarray, step: np.ndarray, cm: np.ndarray, right: np.ndarray
    ) -> None:
        wrong = np.flatnonzero(~right)
        self.faults.wrong += len(wrong)
        for i in wrong[: max(0, 5 - len(self.faults.examples))]:
            self.faults.examples.append(f"viewer {viewer[i]} about {mover[i]}: {cm[i].tolist()} cm at move {step[i]}")

    def percentile_ms(self, q: float) -> float:
        """Of the latency, upwards rounded to BIN_MS; 0 when nothing was delivered."""
        total = np.cumsum(self.latency)
        if not total[-1]:
            return 0.0
        return float((np.searchsorted(total, q / 100.0 * total[-1]) + 1) * BIN_MS)

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
