"""The checker finds what is wrong in a world's history, and nothing else. One story each, against one that is good."""

from __future__ import annotations

import pytest

from tests.unit.cluster.chaos.world_stories import A, B, WorldStory, a_world


@pytest.fixture
def story() -> WorldStory:
    return a_world()


def hand_over(story: WorldStory) -> None:
    """Ann goes from A to B, as it should be."""
    story.wrote(A, 1, 1, ("ann", B, "arriving", 1, {}), gone=(("ann", A, "in"),), what="hand_over")
    story.wrote(B, 1, 2, ("ann", B, "in", 1, {}), gone=(("ann", B, "arriving"),), what="claim")
    story.sample((A, 1, 1, {}), (B, 1, 2, {"ann": 1}))


class TestGoodStories:
    def test_a_life(self, story: WorldStory) -> None:
        change = story.asked("state", "ann", version=1, values={"a": 1})
        story.wrote(A, 1, 1, ("ann", A, "in", 2, {"a": 1}))
        story.heard(change, version=2)
        hand_over_at = story.t
        story.wrote(A, 1, 1, ("ann", B, "arriving", 2, {"a": 1}), gone=(("ann", A, "in"),), what="hand_over")
        story.wrote(B, 1, 2, ("ann", B, "in", 2, {"a": 1}), gone=(("ann", B, "arriving"),), what="claim")
        story.sample((A, 1, 1, {}), (B, 1, 2, {"ann": 2}))
        assert story.t > hand_over_at
        story.calm({A: {}, B: {"ann": [1.0, 2.0, 2, {"a": 1}]}})
        leave = story.asked("leave", "ann")
        story.wrote(B, 1, 2, gone=(("ann", B, "in"),))
        story.heard(leave)
        story.sample((A, 1, 1, {}), (B, 1, 2, {}))
        enter = story.asked("enter", "ann")
        story.wrote(A, 1, 1, ("ann", A, "in", 1, {}))
        story.heard(enter)
        story.sample((A, 1, 1, {"ann": 1}), (B, 1, 2, {}))
        story.calm({A: {"ann": [1.0, 2.0, 1, {}]}, B: {}})
        verdict = story.verdict()
        assert verdict.violations == ()
        assert verdict.good
        assert verdict.operations["enter"] == {"acknowledged": 2, "failed": 0, "unknown": 0}
        assert verdict.as_dict()["lost_entities"] == 0

    def test_a_restart(self, story: WorldStory) -> None:
        fault = story.fault()
        story.sample((B, 1, 2, {}))
        story.taken(A, 2, 3)
        story.back(fault)
        story.sample((A, 2, 3, {"ann": 1}), (B, 1, 2, {}))
        assert story.found() == {}


class TestOwners:
    def test_an_epoch_twice(self, story: WorldStory) -> None:
        story.taken(A, 1, 9)
        assert story.found() == {"double_owners": 1}

    def test_epochs_that_go_back(self, story: WorldStory) -> None:
        story.taken(A, 3, 3)
        story.taken(A, 2, 4)
        assert story.found() == {"double_owners": 1}

    def test_a_write_of_who_was_replaced(self, story: WorldStory) -> None:
        story.taken(A, 2, 3)
        story.wrote(A, 1, 1, ("ann", A, "in", 1, {}))
        assert story.found() == {"unfenced_writes": 1}

    def test_also_one_that_changes_nothing(self, story: WorldStory) -> None:
        story.taken(A, 2, 3)
        story.wrote(A, 1, 1, what="save_places")
        assert story.found() == {"unfenced_writes": 1}

    def test_a_write_with_anothers_epoch(self, story: WorldStory) -> None:
        story.wrote(A, 1, 7, ("ann", A, "in", 1, {}))
        assert story.found() == {"double_owners": 1}

    def test_who_was_replaced_goes_on_for_a_moment(self, story: WorldStory) -> None:
        story.taken(A, 2, 3)
        for _ in range(4):
            story.sample((A, 1, 1, {"ann": 1}), (A, 2, 3, {"ann": 1}))
        story.sample((A, 2, 3, {"ann": 1}))
        assert story.found() == {}

    def test_but_no_longer(self, story: WorldStory) -> None:
        story.taken(A, 2, 3)
        for _ in range(9):
            story.sample((A, 1, 1, {"ann": 1}), (A, 2, 3, {"ann": 1}))
        assert story.found() == {"double_owners": 1}

    def test_in_trouble_it_may(self, story: WorldStory) -> None:
        story.taken(A, 2, 3)
        fault = story.fault("store")
        for _ in range(9):
            story.sample((A, 1, 1, {"ann": 1}), (A, 2, 3, {"ann": 1}))
        story.back(fault)
        story.sample((A, 2, 3, {"ann": 1}))
        assert story.found() == {}

    def test_an_owner_that_never_was_given_the_zone(self, story: WorldStory) -> None:
        story.sample((A, 1, 1, {"ann": 1}), (A, 1, 8, {}))
        assert story.found() == {"double_owners": 1}

    def test_a_player_is_shown_an_older_one_again(self, story: WorldStory) -> None:
        story.taken(A, 2, 3)
        story.add("reset", bot="ann", zone=A, epoch=2)
        story.add("reset", bot="ann", zone=B, epoch=1)
        assert story.found() == {}
        story.add("reset", bot="ann", zone=A, epoch=1)
        assert story.found() == {"double_owners": 1}

    def test_or_one_that_never_was(self, story: WorldStory) -> None:
        story.add("reset", bot="ann", zone=A, epoch=5)
        assert story.found() == {"double_owners": 1}


class TestEntities:
    def test_a_hand_over_keeps_it_in_one_place(self, story: WorldStory) -> None:
        hand_over(story)
        assert story.found() == {}

    def test_added_before_it_is_removed(self, story: WorldStory) -> None:
        story.wrote(A, 1, 1, ("ann", B, "arriving", 1, {}), what="hand_over")
        story.wrote(A, 1, 1, gone=(("ann", A, "in"),))
        assert story.found() == {"doubled_entities": 1}

    def test_removed_before_it_is_added(self, story: WorldStory) -> None:
        story.wrote(A, 1, 1, gone=(("ann", A, "in"),), what="hand_over")
        story.wrote(B, 1, 2, ("ann", B, "in", 1, {}), what="claim")
        assert story.found() == {"lost_entities": 1}

    def test_a_stale_write_brings_it_back(self, story: WorldStory) -> None:
        hand_over(story)
        story.wrote(A, 1, 1, ("ann", A, "in", 1, {}))
        assert story.found() == {"doubled_entities": 1}

    def test_two_simulate_it(self, story: WorldStory) -> None:
        story.sample((A, 1, 1, {"ann": 1}), (B, 1, 2, {"ann": 1}))
        assert story.found() == {"doubled_entities": 1}

    def test_one_of_them_was_replaced(self, story: WorldStory) -> None:
        hand_over(story)
        story.taken(A, 2, 3)
        story.sample((A, 1, 1, {"ann": 1}), (A, 2, 3, {}), (B, 1, 2, {"ann": 1}))
        assert story.found() == {}

    def test_nobody_simulates_it_for_a_while(self, story: WorldStory) -> None:
        for _ in range(4):
            story.sample((A, 1, 1, {}), (B, 1, 2, {}))
        story.sample((A, 1, 1, {"ann": 1}), (B, 1, 2, {}))
        assert story.found() == {}

    def test_but_not_for_long(self, story: WorldStory) -> None:
        for _ in range(7):
            story.sample((A, 1, 1, {}), (B, 1, 2, {}))
        assert story.found() == {"lost_entities": 1}

    def test_while_the_store_is_away_it_may_be_long(self, story: WorldStory) -> None:
        fault = story.fault("store")
        for _ in range(30):
            story.sample((A, 1, 1, {}), (B, 1, 2, {}))
        story.back(fault)
        assert story.found() == {}

    def test_but_not_for_ever(self, story: WorldStory) -> None:
        story.fault("store")
        for _ in range(130):
            story.sample((A, 1, 1, {}), (B, 1, 2, {}))
        assert story.found() == {"lost_entities": 1}

    def test_dropped_though_nobody_asked(self, story: WorldStory) -> None:
        story.wrote(A, 1, 1, gone=(("ann", A, "in"),))
        assert story.found() == {"lost_entities": 1}

    def test_an_entry_that_nobody_kept(self, story: WorldStory) -> None:
        op = story.asked("enter", "ben")
        story.heard(op)
        assert story.found() == {"lost_acks": 1}

    def test_a_refused_entry_is_none(self, story: WorldStory) -> None:
        op = story.asked("enter", "ben")
        story.heard(op, "failed", why="full")
        story.calm({A: {"ann": [0.0, 0.0, 1, {}]}, B: {}})
        assert story.found() == {}

    def test_what_an_entry_without_an_answer_left_behind(self, story: WorldStory) -> None:
        op = story.asked("enter", "ben")
        story.wrote(B, 1, 2, ("ben", B, "in", 1, {}))
        story.heard(op, "unknown", why="unavailable")
        again = story.asked("enter", "ben")
        story.wrote(A, 1, 1, ("ben", A, "in", 1, {}))
        story.heard(again)
        for _ in range(30):
            story.sample((A, 1, 1, {"ann": 1, "ben": 1}), (B, 1, 2, {"ben": 1}))
        assert story.found() == {}
        for _ in range(12):
            story.sample((A, 1, 1, {"ann": 1, "ben": 1}), (B, 1, 2, {"ben": 1}))
        assert story.found() == {"doubled_entities": 1}


class TestTheRealmsOwn:
    """Entities that no player asked for: nobody takes them out, so they stay."""

    def test_they_come_by_themselves(self, story: WorldStory) -> None:
        story.sample((A, 1, 1, {"ann": 1}), (B, 1, 2, {"npc": 1}))  # before the store has it
        story.wrote(B, 1, 2, ("npc", B, "in", 1, {}))
        story.sample((A, 1, 1, {"ann": 1}), (B, 1, 2, {"npc": 1}))
        story.calm({A: {"ann": [0.0, 0.0, 1, {}]}, B: {"npc": [9.0, 0.0, 1, {}]}})
        assert story.found() == {}

    def test_and_do_not_go(self, story: WorldStory) -> None:
        story.wrote(B, 1, 2, ("npc", B, "in", 1, {}))
        story.wrote(B, 1, 2, gone=(("npc", B, "in"),))
        assert story.found() == {"lost_entities": 1}

    def test_nor_are_they_two(self, story: WorldStory) -> None:
        story.wrote(B, 1, 2, ("npc", B, "in", 1, {}))
        story.sample((A, 1, 1, {"ann": 1, "npc": 1}), (B, 1, 2, {"npc": 1}))
        assert story.found() == {"doubled_entities": 1}


class TestLeaving:
    def leave(self, story: WorldStory, *, drop: bool = True) -> None:
        op = story.asked("leave", "ann")
        if drop:
            story.wrote(A, 1, 1, gone=(("ann", A, "in"),))
        story.heard(op)

    def test_it_is_still_there(self, story: WorldStory) -> None:
        self.leave(story, drop=False)
        assert story.found() == {"lost_acks": 1}

    def test_it_is_stored_again(self, story: WorldStory) -> None:
        self.leave(story)
        story.wrote(A, 1, 1, ("ann", A, "in", 1, {}))
        assert story.found() == {"came_back": 1}

    def test_it_is_simulated_again(self, story: WorldStory) -> None:
        self.leave(story)
        story.sample((A, 1, 1, {"ann": 1}), (B, 1, 2, {}))
        assert story.found() == {"came_back": 1}

    def test_it_comes_by_itself(self, story: WorldStory) -> None:
        self.leave(story)
        op = story.asked("enter", "ann")
        story.wrote(A, 1, 1, ("ann", A, "in", 1, {}))
        story.heard(op)
        story.sample((A, 1, 1, {"ann": 1}), (B, 1, 2, {}))
        assert story.found() == {}


class TestChanges:
    def test_acknowledged_before_it_is_kept(self, story: WorldStory) -> None:
        op = story.asked("state", "ann", version=1, values={"a": 1})
        story.heard(op, version=2)
        story.wrote(A, 1, 1, ("ann", A, "in", 2, {"a": 1}))
        assert story.found() == {"lost_acks": 1}

    def test_kept_as_something_else(self, story: WorldStory) -> None:
        op = story.asked("state", "ann", version=1, values={"a": 1})
        story.wrote(A, 1, 1, ("ann", A, "in", 2, {"a": 2}))
        story.heard(op, version=2)
        assert story.found() == {"lost_acks": 1}

    def test_overwritten_by_a_later_one(self, story: WorldStory) -> None:
        op = story.asked("state", "ann", version=1, values={"a": 1})
        story.wrote(A, 1, 1, ("ann", A, "in", 2, {"a": 1}))
        story.wrote(A, 1, 1, ("ann", A, "in", 3, {"a": 2}))
        story.heard(op, version=2)
        assert story.found() == {}

    def test_a_refused_change_needs_not_be_there(self, story: WorldStory) -> None:
        op = story.asked("state", "ann", version=7, values={"a": 1})
        story.heard(op, "failed", why="stale_version")
        assert story.found() == {}

    def test_an_older_version_is_stored(self, story: WorldStory) -> None:
        story.wrote(A, 1, 1, ("ann", A, "in", 3, {"a": 2}))
        story.wrote(A, 1, 1, ("ann", A, "in", 2, {"a": 1}))
        assert story.found() == {"turned_back": 1}

    def test_one_version_is_two_states(self, story: WorldStory) -> None:
        story.wrote(A, 1, 1, ("ann", A, "in", 2, {"a": 2}))
        story.wrote(A, 1, 1, ("ann", A, "in", 2, {"a": 1}))
        assert story.found() == {"turned_back": 1}

    def test_an_owner_has_less_than_the_store(self, story: WorldStory) -> None:
        story.wrote(A, 1, 1, ("ann", A, "in", 3, {"a": 2}))
        story.sample((A, 1, 1, {"ann": 2}), (B, 1, 2, {}))
        assert story.found() == {"turned_back": 1}

    def test_lost_on_the_way_to_another_zone(self, story: WorldStory) -> None:
        story.wrote(A, 1, 1, ("ann", A, "in", 3, {"a": 2}))
        story.wrote(A, 1, 1, ("ann", B, "arriving", 2, {}), gone=(("ann", A, "in"),), what="hand_over")
        assert story.found() == {"turned_back": 1}
