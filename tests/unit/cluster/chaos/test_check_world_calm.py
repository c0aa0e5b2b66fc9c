"""What must agree when everyone rests, and how long a player may see nothing."""

from __future__ import annotations

from typing import ClassVar

import pytest

from tests.unit.cluster.chaos.world_stories import A, B, WorldStory, a_world


@pytest.fixture
def story() -> WorldStory:
    return a_world()


class TestCalm:
    ANN: ClassVar = [0.0, 0.0, 1, {}]

    def test_nobody_has_it(self, story: WorldStory) -> None:
        story.calm({A: {}, B: {}})
        assert story.found() == {"lost_entities": 1}

    def test_two_have_it(self, story: WorldStory) -> None:
        story.calm({A: {"ann": self.ANN}, B: {"ann": self.ANN}}, {A: {"ann": [1, {}]}, B: {}})
        assert story.found() == {"doubled_entities": 2}  # and the store names the other one

    def test_who_left_is_there(self, story: WorldStory) -> None:
        op = story.asked("leave", "ann")
        story.wrote(A, 1, 1, gone=(("ann", A, "in"),))
        story.heard(op)
        story.calm({A: {"ann": self.ANN}, B: {}}, sees={"ann": None})
        assert story.found() == {"came_back": 1}

    def test_it_never_arrived(self, story: WorldStory) -> None:
        story.calm({A: {"ann": self.ANN}, B: {}}, arriving=("ben",))
        assert story.found() == {"lost_entities": 1}

    @pytest.mark.parametrize("stored", [{A: {}, B: {}}, {A: {"ann": [2, {}]}, B: {}}, {A: {"ann": [1, {"a": 1}]}}])
    def test_the_store_has_something_else(self, story: WorldStory, stored: dict[str, dict[str, list[object]]]) -> None:
        story.calm({A: {"ann": self.ANN}, B: {}}, stored)
        assert story.found() == {"lost_acks": 1}

    def test_the_store_has_it_elsewhere(self, story: WorldStory) -> None:
        story.calm({A: {"ann": self.ANN}, B: {}}, {A: {}, B: {"ann": [1, {}]}})
        assert story.found() == {"doubled_entities": 1}

    def near(self, story: WorldStory, far: float, sees: dict[str, list[object]] | None) -> dict[str, int]:
        """Ann in A, Ben in B, so many metres apart; what Ann sees besides herself."""
        op = story.asked("enter", "ben")
        story.wrote(B, 1, 2, ("ben", B, "in", 4, {"a": 1}))
        story.heard(op)
        truth = {A: {"ann": self.ANN}, B: {"ben": [far, 0.0, 4, {"a": 1}]}}
        story.calm(truth, sees={"ann": None if sees is None else {"ann": self.ANN, **sees}})
        return story.found()

    def test_within_sight(self, story: WorldStory) -> None:
        assert self.near(story, 30.0, {"ben": [30.01, 0.0, 4, {"a": 1}]}) == {}

    def test_not_seen(self, story: WorldStory) -> None:
        assert self.near(story, 30.0, {}) == {"wrong_views": 1}

    def test_in_the_band_both_are_right(self, story: WorldStory) -> None:
        assert self.near(story, 53.0, {}) == {}
        assert self.near(a_world(), 53.0, {"ben": [53.0, 0.0, 4, {"a": 1}]}) == {}

    def test_seen_though_far_away(self, story: WorldStory) -> None:
        assert self.near(story, 60.0, {"ben": [60.0, 0.0, 4, {"a": 1}]}) == {"wrong_views": 1}

    @pytest.mark.parametrize("ben", [[31.0, 0.0, 4, {"a": 1}], [30.0, 0.0, 3, {"a": 1}], [30.0, 0.0, 4, {}]])
    def test_seen_otherwise(self, story: WorldStory, ben: list[object]) -> None:
        assert self.near(story, 30.0, {"ben": ben}) == {"wrong_views": 1}

    def test_seen_though_it_is_nowhere(self, story: WorldStory) -> None:
        sees: dict[str, list[object]] = {"ben": [30.0, 0.0, 4, {"a": 1}], "cid": [1.0, 0.0, 1, {}]}
        assert self.near(story, 30.0, sees) == {"wrong_views": 1}

    def test_blind(self, story: WorldStory) -> None:
        assert self.near(story, 30.0, None) == {"wrong_views": 1}

    def test_seen_without_a_place(self, story: WorldStory) -> None:
        story.calm({A: {"ann": self.ANN}, B: {}})
        sees = next(event for event in story.events if event["k"] == "sees")
        sees["entities"] = {"ann": [None, None, None, 1, {}]}  # one's own place is not in one's views
        assert story.found() == {}
        assert self.near(story, 30.0, {"ben": [None, 0.0, 4, {"a": 1}]}) == {"wrong_views": 1}

    def test_what_cannot_be_applied(self, story: WorldStory) -> None:
        story.add("broken", bot="ann", why="a move of 3, which is not in view")
        assert story.found() == {"wrong_views": 1}

    def test_itself_it_always_sees(self, story: WorldStory) -> None:
        story.calm({A: {"ann": self.ANN}, B: {}}, sees={"ann": {}})
        assert story.found() == {"wrong_views": 1}


class TestGaps:
    def test_a_short_one(self, story: WorldStory) -> None:
        story.add("gap", bot="ann", s=3.9)
        assert story.found() == {}

    def test_a_long_one(self, story: WorldStory) -> None:
        story.add("gap", bot="ann", s=4.5)
        assert story.found() == {"gaps": 1}
        assert story.verdict().longest_gap_s == 4.5

    def test_trouble_explains_it(self, story: WorldStory) -> None:
        fault = story.fault()
        story.add("gap", bot="ann", s=4.5)
        story.back(fault)
        story.t += 7.0
        story.add("gap", bot="ann", s=4.5)
        assert story.found() == {}

    def test_trouble_that_was_over(self, story: WorldStory) -> None:
        story.back(story.fault())
        story.t += 7.5
        story.add("gap", bot="ann", s=4.5)
        assert story.found() == {"gaps": 1}
