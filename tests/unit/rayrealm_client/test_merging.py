"""Views merged in any mixture leave the same entities as one by one, and travel as they are."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from rayrealm_client.merging import merge
from rayrealm_client.scene import Scene
from rayrealm_client.view import Correction, Entity, Move, Place, Position, Reset, State, View
from rayrealm_client.views import from_proto, to_proto

numbers = st.integers(0, 4)
OWN = 9


def a_state(draw: st.DrawFn, number: int, entity_id: str, version: int) -> State:
    """Whole, or a change of one that is held (`entity_id` empty)."""
    values = st.integers(0, 3) if entity_id else st.none() | st.integers(0, 3)
    properties = draw(st.dictionaries(st.sampled_from("abc"), values))
    link_dead = draw(st.booleans())
    if not entity_id:
        return State(number, "", "", "", version, properties, link_dead, True)
    return State(number, entity_id, "player", f"N{number}", version, properties, link_dead)


@st.composite
def histories(draw: st.DrawFn) -> list[View]:
    """What a zone may send: whoever comes has a place in the same view; rows and changes are only of those in view."""
    present: dict[int, str] = {}
    sequence, views = 0, []
    for tick in range(draw(st.integers(2, 8))):
        reset = Reset("zon_a", tick, OWN) if tick == 0 or draw(st.integers(0, 5)) == 0 else None
        states, places, moves = [], [], []
        if reset is not None:
            present.clear()
        leaves = draw(st.sets(st.sampled_from(sorted(present)))) if present else set()
        for number in leaves:
            del present[number]
        for number in sorted(draw(st.sets(numbers, max_size=3))):
            came = number not in present or draw(st.booleans())
            whole = came or draw(st.booleans())
            sequence += 1
            present[number] = f"ent_{number}_{sequence}" if came else present[number]
            states.append(a_state(draw, number, present[number] if whole else "", sequence))
            if came:
                places.append(Place(number, sequence, draw(st.integers(-300, 300)), sequence, 0, 0.0))
        if reset is not None or draw(st.booleans()):
            states.append(a_state(draw, OWN, "ent_me" if reset is not None or draw(st.booleans()) else "", sequence))
        for number in draw(st.lists(st.sampled_from(sorted(present)), max_size=4)) if present else ():
            sequence += 1
            if draw(st.integers(0, 3)) or any(place.number == number for place in places):
                moves.append(Move(number, sequence, draw(st.integers(-128, 127)), draw(st.integers(-128, 127)), 1, 0.0))
            elif all(move.number != number for move in moves):
                places.append(Place(number, sequence, draw(st.integers(-300, 300)), 0, 0, 0.0))
        correction = Correction(tick, Position(0, 0, 0), "too_fast", 0.0) if draw(st.booleans()) else None
        views.append(View(tick, tick, tuple(places), tuple(moves), tuple(states), tuple(leaves), reset, correction))
    return views


def after(views: list[View]) -> tuple[dict[int, Entity], Entity | None, str, int]:
    scene = Scene()
    for view in views:
        scene.apply(view)
    return {n: replace(entity, tick=0) for n, entity in scene.entities.items()}, scene.own, scene.zone, scene.epoch


class TestMerge:
    @given(histories(), st.data())
    def test_merged_views_leave_the_same_entities(self, views: list[View], data: st.DataObject) -> None:
        """Any two neighbours, as often as there are any, in any order; and what was merged can be said in rows."""
        expected, shorter = after(views), list(views)
        while len(shorter) > 1:
            at = data.draw(st.integers(0, len(shorter) - 2))
            shorter[at : at + 2] = [merge(shorter[at], shorter[at + 1])]
            assert after(shorter) == expected
        assert after([from_proto(to_proto(shorter[0]))]) == expected

    def test_the_newest_correction_and_acknowledgement_stay(self) -> None:
        old = View(1, 5, correction=Correction(3, Position(1, 2, 3), "too_fast", 0.0))
        new = View(2, 6)
        assert merge(old, new).correction == old.correction
        assert merge(old, new).ack == 6
        newest = Correction(4, Position(1, 2, 3), "blocked", 0.0)
        assert merge(old, replace(new, correction=newest)).correction == newest

    def test_moves_add_up_and_a_place_takes_their_place(self) -> None:
        first = View(1, 0, moves=(Move(7, 1, 100, 0, 0, 0.0), Move(8, 1, 1, 0, 0, 0.0)))
        second = View(2, 0, (Place(8, 2, 5, 5, 5, 0.0),), (Move(7, 2, 100, -1, 0, 1.0),))
        both = merge(first, second)
        assert both.moves == (Move(7, 2, 200, -1, 0, 1.0),)
        assert both.places == (Place(8, 2, 5, 5, 5, 0.0),)
        third = merge(both, View(3, 0, moves=(Move(8, 3, 1, 1, 1, 2.0),)))
        assert third.places == (Place(8, 3, 6, 6, 6, 2.0),)

    def test_a_change_of_a_change_keeps_what_it_takes_away(self) -> None:
        first = View(1, 0, states=(State(7, "", "", "", 2, {"a": 1, "b": None}, change=True),))
        second = View(2, 0, states=(State(7, "", "", "", 3, {"a": None, "c": 1}, True, change=True),))
        (state,) = merge(first, second).states
        assert state == State(7, "", "", "", 3, {"a": None, "b": None, "c": 1}, True, change=True)
        whole = View(0, 0, states=(State(7, "ent_7", "player", "N", 1, {"a": 0, "b": 0, "d": 0}),))
        (state,) = merge(whole, merge(first, second)).states
        assert state == State(7, "ent_7", "player", "N", 3, {"c": 1, "d": 0}, True)
