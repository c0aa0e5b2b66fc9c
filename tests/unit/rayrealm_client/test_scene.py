"""Views applied one by one: who is in view, where, and what is refused."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rayrealm_client.errors import CodecError
from rayrealm_client.scene import Scene
from rayrealm_client.view import Entity, Move, Place, Position, Reset, State, View, merged, newer_sequence


def state(number: int, entity_id: str = "", version: int = 1) -> State:
    return State(number, entity_id or f"ent_{number}", "player", f"N{number}", version, {"v": version})


def change(number: int, version: int, **properties: object) -> State:
    return State(number, "", "", "", version, properties, change=True)


def place(number: int, sequence: int = 1, x: int = 0) -> Place:
    return Place(number, sequence, x, 0, 0, 0.5)


def scene_with(*numbers: int) -> Scene:
    scene = Scene()
    scene.apply(View(0, 0, tuple(map(place, numbers)), states=tuple(map(state, numbers))))
    return scene


class TestApply:
    def test_someone_comes_moves_changes_and_leaves(self) -> None:
        scene = Scene()
        changes = scene.apply(View(1, 0, (place(7, 3, 150),), states=(state(7),)))
        assert [e.number for e in changes.entered] == [7]
        seen = scene.entities[7]
        assert seen.position == Position(1.5, 0.0, 0.0)
        assert (seen.sequence, seen.tick, seen.yaw, scene.tick) == (3, 1, 0.5, 1)
        changes = scene.apply(View(2, 0, moves=(Move(7, 4, 100, -3, 1, 0.75),), states=(state(7, version=2),)))
        assert not changes.entered
        assert [e.version for e in changes.restated] == [2]
        assert (seen.cm, seen.position, seen.yaw, seen.tick) == ((250, -3, 1), Position(2.5, -0.03, 0.01), 0.75, 2)
        changes = scene.apply(View(3, 0, leaves=(7,)))
        assert changes.left == (seen,)
        assert not scene.entities

    def test_the_order_is_the_protocols(self) -> None:
        """Reset, leaves, states, places, moves: a number can leave and mean someone else in one view."""
        scene = scene_with(7, 8)
        newcomer = View(
            1, 0, (place(7, 1, 400),), (Move(7, 2, 5, 0, 0, 0.0), Move(7, 2, 1, 0, 0, 0.0)), (state(7, "c"),), (7,)
        )
        changes = scene.apply(newcomer)
        assert [e.entity_id for e in changes.left] == ["ent_7"]
        assert [e.entity_id for e in changes.entered] == ["c"]
        assert scene.entities[7].cm == (406, 0, 0)
        changes = scene.apply(View(2, 0, (place(9),), states=(state(9),), reset=Reset("zon_a", 1, 3)))
        assert sorted(e.entity_id for e in changes.left) == ["c", "ent_8"]
        assert list(scene.entities) == [9]
        assert (scene.zone, scene.epoch, scene.number) == ("zon_a", 1, 3)

    def test_a_number_given_anew_without_a_leave_is_someone_new(self) -> None:
        scene = scene_with(7)
        changes = scene.apply(View(1, 0, states=(state(7, "ent_c"),)))
        assert [e.entity_id for e in changes.left] == ["ent_7"]
        assert [e.entity_id for e in changes.entered] == ["ent_c"]
        assert scene.entities[7].cm is None

    def test_thousands_of_differences_add_up_exactly(self) -> None:
        scene = scene_with(7)
        for tick in range(10_000):
            scene.apply(View(tick, 0, moves=(Move(7, (tick + 2) & 0xFF, 1, -1, 0, 0.0),)))
        assert scene.entities[7].cm == (10_000, -10_000, 0)
        assert scene.entities[7].sequence == 10_001

    def test_sequences_go_on_over_both_their_ends(self) -> None:
        assert newer_sequence(0x12FE, 0x01) == 0x1301
        assert newer_sequence(0xFFFF, 0x00) == 0
        assert newer_sequence(300, 300 & 0xFF) == 300


class TestChanges:
    def test_properties_merge_and_null_takes_away(self) -> None:
        scene = scene_with(7)
        scene.apply(View(1, 0, states=(change(7, 2, hp=5, at={"x": 1}),)))
        assert scene.entities[7].properties == {"v": 1, "hp": 5, "at": {"x": 1}}
        scene.apply(View(2, 0, states=(change(7, 3, hp=None, never=None, at={"y": None}),)))
        seen = scene.entities[7]
        assert (seen.properties, seen.version) == ({"v": 1, "at": {"y": None}}, 3)
        assert (seen.entity_id, seen.name, seen.entity_type) == ("ent_7", "N7", "player")

    def test_a_null_that_was_there_before_stays(self) -> None:
        assert merged({"a": None, "b": 1}, {"b": 2}) == {"a": None, "b": 2}

    def test_a_whole_state_replaces_all(self) -> None:
        scene = scene_with(7)
        scene.apply(View(1, 0, states=(change(7, 2, near=5),)))
        scene.apply(View(2, 0, states=(state(7, version=2),)))
        assert scene.entities[7].properties == {"v": 2}

    def test_a_whole_state_is_not_shared_with_the_view(self) -> None:
        scene, said = Scene(), state(7)
        scene.apply(View(1, 0, states=(said,)))
        scene.entities[7].properties["mine"] = 1
        assert said.properties == {"v": 1}

    def test_a_player_loses_the_connection_and_comes_back(self) -> None:
        scene = Scene()
        bob = State(9, "ent_9", "player", "Bob", 1, {})
        seen = []
        for tick, link_dead in enumerate((False, True, False)):
            changes = scene.apply(View(tick, 0, states=(replace(bob, link_dead=link_dead),)))
            assert (changes.entered or changes.restated) == (scene.entities[9],)
            seen.append(scene.entities[9].link_dead)
        assert seen == [False, True, False]


class TestOneself:
    def test_the_own_state_is_kept_apart(self) -> None:
        scene = Scene()
        changes = scene.apply(
            View(1, 0, (place(7),), states=(state(3, "ent_me"), state(7)), reset=Reset("zon_a", 1, 3))
        )
        assert changes.own
        assert [e.number for e in changes.entered] == [7]
        assert list(scene.entities) == [7]
        assert scene.own == Entity(3, "ent_me", "player", "N3", 1, {"v": 1})
        changes = scene.apply(View(2, 0, states=(change(3, 2, bag=["stone"]),)))
        assert (changes.own, changes.restated) == (True, ())
        assert (scene.own.properties, scene.own.version) == ({"v": 1, "bag": ["stone"]}, 2)

    def test_a_change_of_it_comes_after_the_whole(self) -> None:
        scene = Scene()
        scene.apply(View(1, 0, reset=Reset("zon_a", 1, 3)))
        with pytest.raises(CodecError, match="own state"):
            scene.apply(View(2, 0, states=(change(3, 2),)))
        scene.apply(View(2, 0, states=(state(3),)))
        scene.apply(View(3, 0, states=(change(3, 2),)))
        scene.apply(View(4, 0, reset=Reset("zon_b", 1, 5)))
        with pytest.raises(CodecError, match="own state"):
            scene.apply(View(5, 0, states=(change(5, 3),)))

    def test_there_are_no_rows_of_it(self) -> None:
        scene = Scene()
        scene.apply(View(1, 0, states=(state(3),), reset=Reset("zon_a", 1, 3)))
        with pytest.raises(CodecError):
            scene.apply(View(2, 0, (place(3),)))


class TestOverABorder:
    def test_who_stays_in_view_goes_on_as_the_same(self) -> None:
        """Other numbers, another own one, and neither a leave nor an entry of whom both zones show."""
        scene = Scene()
        scene.apply(
            View(
                9,
                4,
                (place(7, x=100), place(8)),
                states=(state(2, "me"), state(7), state(8)),
                reset=Reset("zon_a", 5, 2),
            )
        )
        seven, own = scene.entities[7], scene.own
        view = View(1, 4, (place(41, x=105), place(42)), states=(state(40, "me"), state(41, "ent_7"), state(42, "new")))
        changes = scene.apply(replace(view, reset=Reset("zon_b", 2, 40)))
        assert [e.entity_id for e in changes.left] == ["ent_8"]
        assert [e.entity_id for e in changes.entered] == ["new"]
        assert changes.restated == (seven,)
        assert scene.entities[41] is seven
        assert (seven.number, seven.cm) == (41, (105, 0, 0))
        assert scene.own is own
        assert (scene.own.number, scene.zone, scene.number) == (40, "zon_b", 40)

    def test_its_place_has_to_be_said_again(self) -> None:
        scene = scene_with(7)
        view = View(1, 0, moves=(Move(7, 2, 1, 0, 0, 0.0),), states=(state(7),), reset=Reset("zon_b", 2, 40))
        with pytest.raises(CodecError, match="no place"):
            scene.apply(view)


class TestRefused:
    """With all that was there before still there."""

    @pytest.mark.parametrize(
        "view",
        [
            View(1, 0, moves=(Move(9, 1, 0, 0, 0, 0.0),)),
            View(1, 0, (place(9),)),
            View(1, 0, (place(7), place(9))),
            View(1, 0, moves=(Move(7, 1, 0, 0, 0, 0.0), Move(9, 1, 0, 0, 0, 0.0))),
            View(1, 0, (place(7),), leaves=(7,)),
            View(1, 0, moves=(Move(7, 1, 0, 0, 0, 0.0),), leaves=(7,)),
            View(1, 0, moves=(Move(7, 1, 0, 0, 0, 0.0),), states=(state(7),), leaves=(7,)),
            View(1, 0, moves=(Move(7, 1, 0, 0, 0, 0.0),), states=(state(7, "ent_c"),)),
            View(1, 0, moves=(Move(9, 1, 0, 0, 0, 0.0),), states=(state(9),)),
            View(1, 0, (place(7),), reset=Reset("zon_b", 1)),
            View(1, 0, states=(state(7, version=5), change(9, 2))),
            View(1, 0, states=(change(7, 2),), leaves=(7,)),
            View(1, 0, states=(change(7, 2),), reset=Reset("zon_b", 1)),
        ],
    )
    def test_what_the_viewer_does_not_hold(self, view: View) -> None:
        scene = scene_with(7)
        with pytest.raises(CodecError):
            scene.apply(view)
        assert scene.entities == {7: Entity(7, "ent_7", "player", "N7", 1, {"v": 1}, (0, 0, 0), 0.5, 1, 0)}
        assert (scene.zone, scene.tick) == ("", 0)

    def test_someone_who_was_never_placed(self) -> None:
        scene = Scene()
        scene.apply(View(1, 0, states=(state(7),)))
        with pytest.raises(CodecError, match="no place"):
            scene.apply(View(2, 0, moves=(Move(7, 1, 0, 0, 0, 0.0),)))
        scene.apply(View(2, 0, (place(7),), (Move(7, 2, 1, 0, 0, 0.0),)))
        assert scene.entities[7].cm == (1, 0, 0)


def test_out_of_the_world_nothing_is_left() -> None:
    scene = Scene()
    scene.apply(View(1, 0, (place(7),), states=(state(3), state(7)), reset=Reset("zon_a", 1, 3)))
    assert [e.number for e in scene.clear()] == [7]
    assert (scene.entities, scene.own, scene.number, scene.zone) == ({}, None, None, "")
