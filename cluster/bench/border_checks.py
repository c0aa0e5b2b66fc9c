"""What players see who walk over borders all day, held against where everyone is (row 7.2). Plain: times are arguments, in seconds.

One player is a Witness: it is told one thing after another by whatever zone it is in. The Watch has all of them, and knows what
each has sent.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from rayrealm_client.errors import CodecError
from rayrealm_client.models import Bounds
from rayrealm_client.scene import Scene
from rayrealm_client.view import CM_PER_M, View

ALLOWANCE_S = 0.75  # for a move to reach whom it concerns: the network, two ticks, and a hand-over
SLACK_M = 1.0  # of distances
OFF_CM = 1  # rounding
ASTRAY_M = 2.0 + 5.0 * ALLOWANCE_S + SLACK_M  # past its zone's border: the hysteresis, and as far as one gets meanwhile
KEPT_MOVES = 256
EXAMPLES = 8
NOT_SENT = -(1 << 62)
# Each is a fault. `refused`: a view that the client cannot make sense of; `ack_back`: the zone has forgotten moves it had judged;
# `astray`: the zone that tells is not where the player is.
FAULTS = (
    "missing",
    "ghosts",
    "stale",
    "wrong",
    "doubled",
    "oneself",
    "astray",
    "refused",
    "own_missing",
    "ack_back",
    "corrections",
)


@dataclass
class Findings:
    """`counts` by name of FAULTS, with the first few in words."""

    counts: Counter[str] = field(default_factory=Counter)
    examples: list[str] = field(default_factory=list)

    def add(self, fault: str, words: str) -> None:
        self.counts[fault] += 1
        if len(self.examples) < EXAMPLES:
            self.examples.append(f"{fault}: {words}")


class Witness:
    """One player's views. `gaps_s`: between one and the next, `crossing_gaps_s`: those that end with another zone's first."""

    def __init__(self, name: str, entity_id: str, findings: Findings) -> None:
        self.name, self.entity_id = name, entity_id
        self.scene = Scene()
        self.acked = 0
        self.crossings = 0
        self.gaps_s: list[float] = []
        self.crossing_gaps_s: list[float] = []
        self.measuring = False
        self._findings = findings
        self._last: float | None = None
        self._blind = False  # since a view was refused, until the next whole one

    def begin(self, now: float) -> None:
        """From now on gaps are counted; the first one begins now."""
        self.measuring, self._last = True, now

    def end(self, now: float) -> None:
        """What has not come until now is a gap, too."""
        self._gap(now)
        self.measuring = False

    def saw(self, at: float, view: View) -> None:
        gap = self._gap(at)
        zone = self.scene.zone
        if view.reset is not None:
            self._blind = False
        elif self._blind:
            return
        try:
            self.scene.apply(view)
        except CodecError as error:
            self._blind = True
            self._note("refused", str(error))
            return
        if view.ack < self.acked:
            self._note("ack_back", f"from {self.acked} to {view.ack}")
        self.acked = max(self.acked, view.ack)
        if view.correction is not None:
            self._note("corrections", f"{view.correction.reason} at {view.correction.sequence}")
        if view.reset is not None:
            if zone and zone != view.reset.zone:
                self.crossings += self.measuring
                if self.measuring and gap is not None:
                    self.crossing_gaps_s.append(gap)
            if all(state.number != view.reset.number for state in view.states):
                self._note("own_missing", f"in {view.reset.zone}")
        if view.reset is not None or view.states:
            self._look_for_doubles()

    def _gap(self, at: float) -> float | None:
        """Since the view before, unless this is the first."""
        gap = None if self._last is None else at - self._last
        self._last = at
        if gap is not None and self.measuring:
            self.gaps_s.append(gap)
        return gap

    def _look_for_doubles(self) -> None:
        ids = Counter(entity.entity_id for entity in self.scene.entities.values())
        for entity_id, count in ids.items():
            if count > 1:
                self._note("doubled", f"{entity_id}, {count} times")
        if self.entity_id in ids:
            self._note(
                "oneself",
                f"as number {next(n for n, e in self.scene.entities.items() if e.entity_id == self.entity_id)}",
            )

    def _note(self, fault: str, words: str) -> None:
        self._findings.add(fault, f"{self.name} in {self.scene.zone}: {words}")


class Watch:
    """All players, and where they are. `zones`: the ground of each; `radius_m`, `hysteresis_m`: of the zones' interest.

    Players are numbered; `said` and `sample` tell of every move.
    """

    def __init__(self, zones: Mapping[str, Bounds], radius_m: float, hysteresis_m: float) -> None:
        self.findings = Findings()
        self.witnesses: list[Witness] = []
        self._zones = dict(zones)
        self._near_m = radius_m - SLACK_M
        self._far_m = radius_m + hysteresis_m + SLACK_M
        self._player_of: dict[str, int] = {}
        self._at: list[tuple[float, float]] = []
        self._sequence: list[int] = []
        self._sent: list[dict[int, tuple[float, float]]] = []  # by player: sequence -> where
        self._samples: deque[tuple[float, np.ndarray, np.ndarray]] = deque()  # when, where, newest sequences

    def add(self, name: str, entity_id: str, x: float, z: float, sequence: int) -> Witness:
        """Another player, who stands there; `sequence`: of its newest move. Everyone must be there before the first `sample`."""
        self._player_of[entity_id] = len(self.witnesses)
        self._at.append((x, z))
        self._sequence.append(sequence)
        self._sent.append({})
        self.witnesses.append(Witness(name, entity_id, self.findings))
        return self.witnesses[-1]

    def remap(self, zones: Mapping[str, Bounds]) -> None:
        """The land is divided otherwise now."""
        self._zones = dict(zones)

    def said(self, player: int, sequence: int, x: float, z: float) -> None:
        """A player has sent a move."""
        self._at[player], self._sequence[player] = (x, z), sequence
        sent = self._sent[player]
        sent[sequence] = (x, z)
        sent.pop(sequence - KEPT_MOVES, None)

    def sample(self, now: float) -> None:
        """Remember where everyone is; ten times a second or so."""
        self._samples.append((now, np.array(self._at), np.array(self._sequence)))
        while len(self._samples) > 1 and self._samples[1][0] <= now - ALLOWANCE_S:
            self._samples.popleft()

    def look(self, now: float) -> None:
        """Whether everyone sees all that they should, now; all views that have come must have been given to their witnesses."""
        if not self._samples or self._samples[0][0] > now - ALLOWANCE_S:
            return  # it has not gone on for long enough to say
        where = np.stack([places for _, places, _ in self._samples])  # samples by players by x and z
        then = self._samples[0][2]
        for viewer, witness in enumerate(self.witnesses):
            away = np.hypot(*np.moveaxis(where - where[:, viewer : viewer + 1], 2, 0))
            near, far = away.max(0) < self._near_m, away.min(0) > self._far_m
            near[viewer] = far[viewer] = False
            self._look_at_zone(witness, where[:, viewer])
            self._look_around(witness, near, far, then)

    def _look_at_zone(self, witness: Witness, places: np.ndarray) -> None:
        ground = self._zones.get(witness.scene.zone)
        if ground is None:
            self.findings.add("astray", f"{witness.name} is in no zone: {witness.scene.zone!r}")
            return
        beyond = np.stack(
            [
                ground.min_x - places[:, 0],
                places[:, 0] - ground.max_x,
                ground.min_z - places[:, 1],
                places[:, 1] - ground.max_z,
            ]
        ).max(0)
        if beyond.min() > ASTRAY_M:
            x, z = places[-1]
            self.findings.add("astray", f"{witness.name} is told by {witness.scene.zone} at {x:.1f}, {z:.1f}")

    def _look_around(
        self, witness: Witness, near: np.ndarray, far: np.ndarray, then: Sequence[int] | np.ndarray
    ) -> None:
        """`near`, `far`: who must be seen, and who must not; `then`: the moves that everyone near must have been told of."""
        add, name, zone = self.findings.add, witness.name, witness.scene.zone
        seen = np.zeros(len(near), bool)
        for entity in witness.scene.entities.values():
            player = self._player_of.get(entity.entity_id)
            if player is None:
                continue  # not one of ours
            seen[player] = True
            other = self.witnesses[player].name
            told = self._told(player, entity.sequence)
            if near[player] and told < then[player]:
                add("stale", f"{name} in {zone} sees {other} at move {told}, which has made {then[player]} by then")
            place = self._sent[player].get(told)
            if place is None or entity.cm is None:
                continue
            x, _, z = entity.cm
            if max(abs(x - place[0] * CM_PER_M), abs(z - place[1] * CM_PER_M)) > OFF_CM + 0.5:
                add("wrong", f"{name} in {zone} sees {other} at {x / CM_PER_M}, {z / CM_PER_M}, which was at {place}")
        for player in np.flatnonzero(near & ~seen).tolist():
            add("missing", f"{name} in {zone} does not see {self.witnesses[player].name}")
        for player in np.flatnonzero(far & seen).tolist():
            add("ghosts", f"{name} in {zone} still sees {self.witnesses[player].name}")

    def _told(self, player: int, low: int) -> int:
        """The newest move of a player that ends in these 16 bits."""
        newest = self._sequence[player]
        return newest - ((newest - low) & 0xFFFF)
