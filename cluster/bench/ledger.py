"""What every viewer was told, held against what is true: deliveries, latency, wrong updates, missing and ghosts.

Times are milliseconds of one clock. Plain numpy; `load.py` feeds it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from cluster.bench.wire import ROW, TURN
from realm_proto import realtime_pb2 as pb

BIN_MS = 0.1
BINS = 200_000  # 20 s
EPSILON_M = 0.01  # of a distance that two programs compute from the same float32 numbers
YAW_STEPS = 1
NOT_MET = -(1 << 15)


Seen = tuple[int, float, int, pb.ViewFrame]
"""A view that came: its viewer, when (ms), its bytes on the wire with the frame's header, and the view."""


@dataclass(slots=True)
class Counts:
    """Of the measuring window. `updates`: rows read; `beyond`: newer ones of entities beyond the radius."""

    deliveries: int = 0
    beyond: int = 0
    updates: int = 0
    frames: int = 0
    wire_bytes: int = 0


@dataclass(slots=True)
class Faults:
    """Of the whole walk. `wrong`: updates that are not what that mover sent; `foreign`: of entities not in the crowd."""

    wrong: int = 0
    foreign: int = 0
    corrections: int = 0
    examples: list[str] = field(default_factory=list)


class Ledger:
    """`truth`: float32, steps + 1 by clients by x and z; `yaw`: the same in 1/65536 turn; sequence `first + k` is move k."""

    def __init__(self, truth: np.ndarray, yaw: np.ndarray, y: float, first: int, radius_m: float) -> None:
        steps, n = truth.shape[0] - 1, truth.shape[1]
        self.clients, self.steps, self.first = n, steps, first
        self.truth, self.yaw, self.y, self.radius_m = truth, yaw, np.float32(y), radius_m
        self.sent_at = np.full((steps + 1, n), np.nan)
        self.acked = np.zeros(n, np.int64)
        self.refused: dict[int, tuple[float, float]] = {}  # viewer -> where it really is (x, z)
        self.seen = np.full((n, n), NOT_MET, np.int16)
        self.known = np.zeros((n, n), bool)
        self.counts = Counts()
        self.faults = Faults()
        self.walking = False
        self.measuring = False
        self.latency = np.zeros(BINS, np.int64)
        self._client_of = np.full(TURN, -1, np.int32)
        self._unnamed: dict[int, set[int]] = {}  # number -> who knows it, before it was learnt
        self._scratch = np.zeros(n * n, np.int64)

    def learn(self, client: int, number: int) -> None:
        """The server's short name of a client's entity. Others may have been told of it first."""
        self._client_of[number] = client
        self.known[sorted(self._unnamed.pop(number, ())), client] = True

    def start(self, at_ms: float) -> None:
        """Everyone stands at row 0. From now on every update is checked."""
        self.sent_at[0] = at_ms
        self.walking = True

    def take(self, frames: Sequence[Seen]) -> None:
        """Views in the order they came."""
        if self.measuring:
            self.counts.frames += len(frames)
            self.counts.wire_bytes += sum(frame[2] for frame in frames)
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
        rows, lengths, acks = [], [], []
        for viewer, _, _, view in frames:
            if view.leaves or view.states or view.HasField("reset") or view.HasField("correction"):
                self._take_seldom(viewer, view)
            moves = view.moves
            rows.append(moves)
            lengths.append(len(moves) // ROW.itemsize)
            acks.append(view.ack)
        viewers = np.array([frame[0] for frame in frames], np.int64)
        ack = np.array(acks, np.int64)
        self.acked[viewers] = np.maximum(self.acked[viewers], ack)
        if self.walking and any(lengths):
            at = np.array([frame[1] for frame in frames])
            self._check(np.frombuffer(b"".join(rows), ROW), np.array(lengths), viewers, at, ack)

    def _take_seldom(self, viewer: int, view: pb.ViewFrame) -> None:
        known, client_of = self.known[viewer], self._client_of
        if view.HasField("reset"):
            known[:] = False
            for viewers in self._unnamed.values():
                viewers.discard(viewer)
        for number in view.leaves:
            if client_of[number] >= 0:
                known[client_of[number]] = False
            else:
                self._unnamed.get(number, set()).discard(viewer)
        for state in view.states:
            if client_of[state.number] >= 0:
                known[client_of[state.number]] = True
            else:
                self._unnamed.setdefault(state.number, set()).add(viewer)
        if view.HasField("correction"):
            place = view.correction.position
            self.refused[viewer] = (place.x, place.z)
            self.faults.corrections += self.walking

    def _check(
        self, row: np.ndarray, lengths: np.ndarray, viewers: np.ndarray, at_ms: np.ndarray, acks: np.ndarray
    ) -> None:
        viewer = np.repeat(viewers, lengths)
        at = np.repeat(at_ms, lengths)
        stood = np.repeat(np.clip(acks - self.first, 0, self.steps), lengths)
        mover = self._client_of[row["number"]].astype(np.int64)
        strangers = mover < 0
        if strangers.any():
            self.faults.foreign += int(strangers.sum())
            keep = ~strangers
            row, viewer, at, stood, mover = row[keep], viewer[keep], at[keep], stood[keep], mover[keep]
        step = (row["sequence"] - np.uint16(self.first & 0xFFFF)).astype(np.int16).astype(np.int64)
        pair = viewer * self.clients + mover
        inside = (step >= 0) & (step <= self.steps)
        step = np.where(inside, step, 0)
        truth = self.truth[step, mover]
        sent = self.sent_at[step, mover]
        turned = (row["yaw"] - self.yaw[step, mover]).astype(np.int16)
        self._scratch[pair] = np.arange(len(pair))
        right = (
            inside
            & ~np.isnan(sent)
            & (row["x"] == truth[:, 0])
            & (row["z"] == truth[:, 1])
            & (row["y"] == self.y)
            & (np.abs(turned) <= YAW_STEPS)
            & (viewer != mover)
            & self.known.ravel()[pair]
            & (self._scratch[pair] == np.arange(len(pair)))  # twice in one view
        )
        if not right.all():
            self._note_wrong(row, viewer, mover, right)
        seen = self.seen.ravel()
        fresh = right & (step > seen[pair])
        seen[pair[fresh]] = step[fresh]
        if self.measuring:
            here = self.truth[stood, viewer]
            dx, dz = row["x"] - here[:, 0], row["z"] - here[:, 1]
            near = fresh & (dx * dx + dz * dz <= (self.radius_m + EPSILON_M) ** 2)
            self.counts.updates += len(row)
            self.counts.deliveries += int(near.sum())
            self.counts.beyond += int((fresh & ~near).sum())
            bins = ((at[near] - sent[near]) / BIN_MS).astype(np.int64)
            np.add.at(self.latency, np.clip(bins, 0, BINS - 1), 1)

    def _note_wrong(self, row: np.ndarray, viewer: np.ndarray, mover: np.ndarray, right: np.ndarray) -> None:
        wrong = np.flatnonzero(~right)
        self.faults.wrong += len(wrong)
        for i in wrong[: max(0, 5 - len(self.faults.examples))]:
            self.faults.examples.append(f"viewer {viewer[i]} about {mover[i]}: {row[i]}")

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
        missing = ghosts = 0
        for viewer in range(self.clients):
            away = np.hypot(*(here - here[viewer]).T)
            known = self.known[viewer].copy()
            away[viewer], known[viewer] = np.inf, False
            missing += int((~known & (away < self.radius_m - EPSILON_M)).sum())
            ghosts += int((known & (away > self.radius_m + hysteresis_m + EPSILON_M)).sum())
        return missing, ghosts
