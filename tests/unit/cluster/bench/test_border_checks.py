"""Two zones that touch, three players who walk over the border, and every way in which they could notice: each is found."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import pytest

from cluster.bench.border_checks import ALLOWANCE_S, FAULTS, KEPT_MOVES, Watch
from rayrealm_client.models import Bounds
from rayrealm_client.view import Correction, Place, Position, Reset, State, View

WEST, EAST = "zon_west", "zon_east"
ZONES = {WEST: Bounds(0, 0, 100, 100), EAST: Bounds(100, 0, 200, 100)}
RADIUS_M, HYSTERESIS_M, BORDER_M = 50.0, 5.0, 2.0
DT = 0.1
STARTS = [(60.0, 50.0), (80.0, 50.0), (30.0, 20.0)]
SPEED_M_S = 5.0

Spoil = Callable[["Stage", int, View], View | None]


class Stage:
    """Zones that always tell the whole truth, a step late. Player 0 and 1 walk east, 2 stands; numbers are a zone's own."""

    def __init__(self) -> None:
        self.watch = Watch(ZONES, RADIUS_M, HYSTERESIS_M)
        self.at = list(STARTS)
        self.zone = [WEST] * 3
        self.told = [(STARTS[n], 0) for n in range(3)]  # what the zones know: where, after which move
        self.sequence = [0] * 3
        self.now = 0.0
        self.spoil: Spoil | None = None
        for number, (x, z) in enumerate(STARTS):
            self.watch.add(f"bot {number}", f"ent_{number}", x, z, 0)
        for number in range(3):
            self.tell(number)
        for witness in self.watch.witnesses:
            witness.begin(self.now)

    def number(self, zone: str, player: int) -> int:
        return player + (10 if zone == WEST else 20)

    def tell(self, viewer: int) -> None:
        """Everything, as after a reset, so that each view can be spoilt alone."""
        (x, z), ack = self.told[viewer]
        if x > 100.0 + BORDER_M:
            self.zone[viewer] = EAST
        zone = self.zone[viewer]
        states, places = [self.state(zone, viewer)], []
        for other, ((ox, oz), sequence) in enumerate(self.told):
            if other != viewer and math.dist((x, z), (ox, oz)) <= RADIUS_M:
                states.append(self.state(zone, other))
                where = round(ox * 100), 0, round(oz * 100)
                places.append(Place(self.number(zone, other), sequence & 0xFFFF, *where, 0.0))
        reset = Reset(zone, 1, self.number(zone, viewer))
        view: View | None = View(0, ack, tuple(places), (), tuple(states), (), reset)
        if self.spoil is not None and view is not None:
            view = self.spoil(self, viewer, view)
        if view is not None:
            self.watch.witnesses[viewer].saw(self.now, view)

    def state(self, zone: str, player: int) -> State:
        return State(self.number(zone, player), f"ent_{player}", "player", f"N{player}", 1, {})

    def step(self) -> None:
        self.told = [(self.at[n], self.sequence[n]) for n in range(3)]
        self.now = round(self.now + DT, 6)
        for player in range(2):
            x, z = self.at[player]
            self.at[player] = (x + SPEED_M_S * DT, z)
            self.sequence[player] += 1
            self.watch.said(player, self.sequence[player], *self.at[player])
        self.watch.sample(self.now)
        for viewer in range(3):
            self.tell(viewer)
        self.watch.look(self.now)

    def play(self, steps: int) -> dict[str, int]:
        for _ in range(steps):
            self.step()
        return {name: count for name, count in self.watch.findings.counts.items() if count}


@pytest.fixture
def stage() -> Stage:
    return Stage()


def test_who_crosses_and_notices_nothing(stage: Stage) -> None:
    assert stage.play(140) == {}
    witnesses = stage.watch.witnesses
    assert [witness.crossings for witness in witnesses] == [1, 1, 0]
    assert [witness.scene.zone for witness in witnesses] == [EAST, EAST, WEST]
    gaps = [gap for witness in witnesses for gap in witness.gaps_s]
    assert len(gaps) == 3 * 140
    assert max(gaps) == pytest.approx(DT)
    assert [len(witness.crossing_gaps_s) for witness in witnesses] == [1, 1, 0]


def test_nothing_is_said_before_everyone_can_have_heard(stage: Stage) -> None:
    stage.spoil = lambda stage, viewer, view: None
    assert stage.play(int(ALLOWANCE_S / DT)) == {}
    assert set(stage.play(2)) == {"stale"}


def test_a_silence_is_a_gap_until_its_end(stage: Stage) -> None:
    def silent(stage: Stage, viewer: int, view: View) -> View | None:
        return None if viewer == 1 and 2.0 < stage.now < 2.35 else view

    stage.spoil = silent
    stage.play(40)
    assert max(stage.watch.witnesses[1].gaps_s) == pytest.approx(0.4)
    assert max(stage.watch.witnesses[0].gaps_s) == pytest.approx(DT)
    stage.watch.witnesses[0].end(stage.now + 7.0)
    assert max(stage.watch.witnesses[0].gaps_s) == pytest.approx(7.0)


def without(view: View, entity_id: str) -> View:
    gone = {state.number for state in view.states if state.entity_id == entity_id}
    return replace(
        view,
        states=tuple(state for state in view.states if state.number not in gone),
        places=tuple(place for place in view.places if place.number not in gone),
    )


def missing(stage: Stage, viewer: int, view: View) -> View:
    """The border hides the other from who is on this side of it."""
    return without(view, "ent_1") if viewer == 0 and stage.zone[0] != stage.zone[1] else view


def ghost(stage: Stage, viewer: int, view: View) -> View:
    """Who went over the border is still seen by whom it left behind, where it was last."""
    if viewer != 2 or any(state.entity_id == "ent_1" for state in view.states):
        return view
    state, place = stage.state(WEST, 1), Place(11, 1, 8050, 0, 5000, 0.0)
    return replace(view, states=(*view.states, state), places=(*view.places, place))


def frozen(stage: Stage, viewer: int, view: View) -> View:
    """The others stand still for who has crossed."""
    if viewer != 0 or stage.zone[0] == WEST:
        return view
    return replace(view, places=tuple(place._replace(x=10_200, sequence=80) for place in view.places))


def elsewhere(stage: Stage, viewer: int, view: View) -> View:
    return replace(view, places=tuple(place._replace(x=place.x + 5) for place in view.places)) if viewer == 1 else view


def twice(stage: Stage, viewer: int, view: View) -> View:
    """The ghost and the arrival of one entity."""
    if viewer != 0 or stage.zone[1] == stage.zone[0]:
        return view
    again = [place for place in view.places if place.number == 11]
    more = replace(stage.state(WEST, 1), number=31), tuple(place._replace(number=31) for place in again)
    return replace(view, states=(*view.states, more[0]), places=(*view.places, *more[1])) if again else view


def oneself(stage: Stage, viewer: int, view: View) -> View:
    """Its own ghost from the zone that it has left."""
    if viewer != 0 or stage.zone[0] == WEST:
        return view
    return replace(view, states=(*view.states, replace(stage.state(EAST, 0), number=55)))


def astray(stage: Stage, viewer: int, view: View) -> View:
    """Its views go on coming from the zone that it has left."""
    assert view.reset is not None
    return replace(view, reset=replace(view.reset, zone=WEST)) if viewer == 0 else view


def nowhere(stage: Stage, viewer: int, view: View) -> View:
    assert view.reset is not None
    return replace(view, reset=replace(view.reset, zone="zon_gone")) if viewer == 0 else view


def torn(stage: Stage, viewer: int, view: View) -> View:
    return replace(view, places=(*view.places, Place(99, 1, 0, 0, 0, 0.0))) if viewer == 0 else view


def nameless(stage: Stage, viewer: int, view: View) -> View:
    """Another zone's first view does not say who one is."""
    return without(view, "ent_0") if viewer == 0 and stage.zone[0] == EAST else view


def forgetful(stage: Stage, viewer: int, view: View) -> View:
    """The next zone does not know which moves were judged."""
    return replace(view, ack=0) if viewer == 0 and stage.zone[0] == EAST else view


def corrected(stage: Stage, viewer: int, view: View) -> View:
    put = Correction(view.ack, Position(99.9, 0.0, 50.0), "out_of_bounds", 0.0)
    return replace(view, correction=put) if viewer == 0 and stage.now == 9.0 else view


PLANTED: list[tuple[Spoil, set[str]]] = [
    (missing, {"missing"}),
    (ghost, {"ghosts"}),
    (frozen, {"stale", "wrong"}),
    (elsewhere, {"wrong"}),
    (twice, {"doubled"}),
    (oneself, {"oneself"}),
    (astray, {"astray"}),
    (nowhere, {"astray"}),
    (torn, {"refused", "missing", "stale", "ghosts", "astray"}),  # what it is not told it does not know
    (nameless, {"own_missing"}),
    (forgetful, {"ack_back"}),
    (corrected, {"corrections"}),
]


@pytest.mark.parametrize(("spoil", "found"), PLANTED, ids=[spoil.__name__ for spoil, _ in PLANTED])
def test_every_planted_fault_is_found_and_no_other(stage: Stage, spoil: Spoil, found: set[str]) -> None:
    stage.spoil = spoil
    told = set(stage.play(140))
    assert told
    assert told <= found
    assert stage.watch.findings.examples[0].partition(":")[0] in told


def test_each_fault_is_planted_by_some_test() -> None:
    assert set().union(*(found for _, found in PLANTED)) == set(FAULTS)


def test_one_refused_view_is_one_fault_until_the_next_whole_one(stage: Stage) -> None:
    witness = stage.watch.witnesses[0]
    bad = View(1, 0, (Place(99, 1, 0, 0, 0, 0.0),))
    for at in (0.1, 0.2, 0.3):
        witness.saw(at, bad)
    assert dict(stage.watch.findings.counts) == {"refused": 1}
    assert stage.play(30) == {"refused": 1}


def test_strangers_are_none_of_its_business(stage: Stage) -> None:
    def crowded(stage: Stage, viewer: int, view: View) -> View:
        stranger, place = State(77, "ent_npc", "npc", "Smith", 1, {}), Place(77, 1, 0, 0, 0, 0.0)
        return replace(view, states=(*view.states, stranger), places=(*view.places, place))

    stage.spoil = crowded
    assert stage.play(100) == {}


def test_what_is_kept_is_bounded(stage: Stage) -> None:
    for sequence in range(1, 2_000):
        stage.watch.said(0, sequence, 0.0, 0.0)
        stage.watch.sample(sequence * DT)
    assert len(stage.watch._sent[0]) <= KEPT_MOVES
    assert len(stage.watch._samples) <= ALLOWANCE_S / DT + 2
