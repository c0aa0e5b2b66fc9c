"""Views applied one by one, merged, and in any mixture: the same entities."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from rayrealm_client.view import Correction, Entity, Move, Position, Reset, State, View, apply, merge


def state(number: int, entity_id: str = "", version: int = 1) -> State:
    return State(number, entity_id or f"ent_{number}", "player", f"N{number}", version, {"v": version})


def move(number: int, sequence: int, x: float = 0.0) -> Move:
    return Move(number, sequence, x, 0.0, 0.0, 0.5)


class TestApply:
    def test_someone_comes_moves_changes_and_leaves(self) -> None:
        entities: dict[int, Entity] = {}
        changes = apply(View(1, 0, (move(7, 3, 1.5),), (state(7),)), entities)
        assert [e.number for e in changes.entered] == [7]
        assert entities[7].position == Position(1.5, 0.0, 0.0)
        assert (entities[7].sequence, entities[7].tick, entities[7].yaw) == (3, 1, 0.5)
        changes = apply(View(2, 0, (move(7, 4, 2.5),), (state(7, version=2),)), entities)
        assert not changes.entered
        assert [e.version for e in changes.restated] == [2]
        assert entities[7].properties == {"v": 2}
        changes = apply(View(3, 0, leaves=(7,)), entities)
        assert [e.position.x for e in changes.left] == [2.5]
        assert not entities

    def test_the_order_is_the_protocols(self) -> None:
        """Reset, leaves, states, moves: a number can leave and mean someone else in one view."""
        entities = {7: Entity(7, "ent_a", "player", "A"), 8: Entity(8, "ent_b", "player", "B")}
        changes = apply(View(1, 0, (move(7, 1, 4.0),), (state(7, "ent_c"),), (7,)), entities)
        assert [e.entity_id for e in changes.left] == ["ent_a"]
        assert [e.entity_id for e in changes.entered] == ["ent_c"]
        assert entities[7].position.x == 4.0
        changes = apply(View(2, 0, (move(9, 1),), (state(9),), reset=Reset("zon_a", 1)), entities)
        assert [e.entity_id for e in changes.left] == ["ent_b", "ent_c"]
        assert list(entities) == [9]

    def test_a_number_given_anew_without_a_leave_is_someone_new(self) -> None:
        entities = {7: Entity(7, "ent_a", "player", "A", position=Position(1, 2, 3))}
        changes = apply(View(1, 0, states=(state(7, "ent_c"),)), entities)
        assert [e.entity_id for e in changes.left] == ["ent_a"]
        assert [e.entity_id for e in changes.entered] == ["ent_c"]

    def test_a_move_of_an_unknown_number_is_passed_over(self) -> None:
        entities: dict[int, Entity] = {}
        apply(View(1, 0, (move(7, 1),)), entities)
        assert not entities


numbers = st.integers(0, 4)


@st.composite
def histories(draw: st.DrawFn) -> list[View]:
    """What a zone may send: whoever comes has a move in the same view; moves are only of those in view."""
    present: dict[int, str] = {}
    sequence, views = 0, []
    for tick in range(draw(st.integers(2, 8))):
        reset = Reset("zon_a", tick) if draw(st.integers(0, 5)) == 0 else None
        if reset is not None:
            present.clear()
        leaves = draw(st.sets(st.sampled_from(sorted(present)))) if present else set()
        for number in leaves:
            del present[number]
        states, moves = [], []
        for number in sorted(draw(st.sets(numbers, max_size=3))):
            came = number not in present or draw(st.booleans())
            sequence += 1
            present[number] = f"ent_{number}_{sequence}" if came else present[number]
            states.append(state(number, present[number], sequence))
            if came:
                moves.append(move(number, sequence, float(sequence)))
        for number in sorted(draw(st.sets(st.sampled_from(sorted(present))))) if present else ():
            if all(m.number != number for m in moves):
                sequence += 1
                moves.append(move(number, sequence, float(sequence)))
        correction = Correction(tick, Position(0, 0, 0), "too_fast", 0.0) if draw(st.booleans()) else None
        views.append(View(tick, tick, tuple(moves), tuple(states), tuple(leaves), reset, correction))
    return views


def after(views: list[View]) -> dict[int, Entity]:
    entities: dict[int, Entity] = {}
    for view in views:
        apply(view, entities)
    return {number: replace(entity, tick=0) for number, entity in entities.items()}


class TestMerge:
    @given(histories(), st.data())
    def test_merged_views_leave_the_same_entities(self, views: list[View], data: st.DataObject) -> None:
        """Any two neighbours, as often as there are any, in any order."""
        expected, shorter = after(views), list(views)
        while len(shorter) > 1:
            at = data.draw(st.integers(0, len(shorter) - 2))
            shorter[at : at + 2] = [merge(shorter[at], shorter[at + 1])]
            assert after(shorter) == expected

    def test_the_newest_correction_and_acknowledgement_stay(self) -> None:
        old = View(1, 5, correction=Correction(3, Position(1, 2, 3), "too_fast", 0.0))
        new = View(2, 6)
        assert merge(old, new).correction == old.correction
        assert merge(old, new).ack == 6

    def test_only_the_newest_place_is_kept(self) -> None:
        merged = merge(View(1, 0, (move(7, 1), move(8, 1))), View(2, 0, (move(7, 2),)))
        assert merged.moves == (move(7, 2), move(8, 1))


def test_a_player_loses_the_connection_and_comes_back() -> None:
    entities: dict[int, Entity] = {}
    bob = State(9, "ent_9", "player", "Bob", 1, {})
    seen = []
    for tick, link_dead in enumerate((False, True, False)):
        changes = apply(View(tick, 0, states=(replace(bob, link_dead=link_dead),)), entities)
        assert (changes.entered or changes.restated) == (entities[9],)
        seen.append(entities[9].link_dead)
    assert seen == [False, True, False]
