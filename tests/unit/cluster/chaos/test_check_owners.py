"""Two owners of a zone are found where they are believed, and on the bus."""

from __future__ import annotations

import pytest

from tests.unit.cluster.chaos.stories import Story, good_story


@pytest.fixture
def story() -> Story:
    return good_story()


class TestAtTheClients:
    def test_a_newer_incarnation_counts_its_ticks_anew(self, story: Story) -> None:
        for bot in ("ann", "ben", "cid"):
            story.view(bot, 1, "zon_a", 2)
            story.view(bot, 2)
        assert story.found() == {}

    def test_the_ticks_of_two(self, story: Story) -> None:
        story.view("ann", 1, "zon_a", 2)
        story.view("ann", 7)
        story.view("ann", 2)
        assert story.found() == {"double_owners": 1}

    def test_a_tick_twice(self, story: Story) -> None:
        story.view("ann", 6)
        assert story.found() == {"double_owners": 1}

    def test_back_to_an_older_one(self, story: Story) -> None:
        story.view("ann", 1, "zon_a", 2)
        story.view("ann", 8, "zon_a", 1)
        assert story.found() == {"double_owners": 1}

    def test_other_zones_have_other_epochs(self, story: Story) -> None:
        story.view("ann", 1, "zon_a", 2)
        story.view("ann", 1, "zon_b", 1)
        story.view("ann", 3, "zon_a", 2)
        assert story.found() == {}

    def test_over_a_border_and_back(self, story: Story) -> None:
        """One zone after the other: each has its own epochs and ticks, which go on."""
        story.view("ann", 900, "zon_b", 7)
        story.view("ann", 901)
        story.view("ann", 7, "zon_a", 1)
        story.view("ann", 8)
        story.view("ann", 903, "zon_b", 7)
        assert story.found() == {}
        crossings = story.verdict().crossings
        assert (crossings["count"], crossings["p50"]) == (3, 100)

    def test_crossings_while_something_is_broken_are_counted_apart(self, story: Story) -> None:
        story.view("ann", 7)
        story.view("ann", 1, "zon_b", 1)
        story.add("fault", number=1, fault="zone")
        story.view("ann", 8, "zon_a", 1)
        story.add("recovered", number=1, missed=0)
        story.view("ann", 2, "zon_b", 1)
        story.view("ann", 9, "zon_a", 1)
        verdict = story.verdict()
        assert (verdict.crossings["count"], verdict.undisturbed["count"]) == (4, 2)

    def test_a_zone_that_was_left_behind_is_not_believed(self, story: Story) -> None:
        story.view("ann", 900, "zon_b", 7)
        story.view("ann", 7)
        assert story.found() == {"double_owners": 1}

    def test_back_to_a_zone_that_has_another_owner_by_now(self, story: Story) -> None:
        story.view("ben", 1, "zon_a", 2)
        story.view("ann", 1, "zon_b", 1)
        story.view("ann", 2, "zon_a", 2)
        assert story.found() == {}
        story.view("ann", 2, "zon_b", 1)
        story.view("ann", 7, "zon_a", 1)
        assert story.found() == {"double_owners": 1}

    def test_an_entry_is_no_crossing(self, story: Story) -> None:
        story.done("ann", "leave", stay=1)
        story.done("ann", "enter", stay=2, zone="zon_b")
        story.view("ann", 1, "zon_b", 1)
        assert story.verdict().crossings == {"count": 0, "p50": None, "max": None}

    def test_one_is_shown_the_old_one_for_a_moment(self, story: Story) -> None:
        story.view("ann", 1, "zon_a", 2)
        story.view("ben", 7)
        assert story.found() == {}

    def test_but_no_longer(self, story: Story) -> None:
        story.view("ann", 1, "zon_a", 2)
        story.t += 3.0
        story.view("ben", 7)
        story.view("ben", 8)
        assert story.found() == {"double_owners": 1}


class TestWholeViews:
    def test_an_entry_begins_with_a_reset(self, story: Story) -> None:
        story.done("ann", "leave", stay=1)
        story.done("ann", "enter", stay=2, zone="zon_b")
        story.view("ann", 1, "zon_b", 1)
        story.view("ann", 2)
        assert story.found() == {}

    def test_one_that_does_not(self, story: Story) -> None:
        story.done("ann", "leave", stay=1)
        story.done("ann", "enter", stay=2, zone="zon_b")
        story.view("ann", 1)
        story.view("ann", 2)
        assert story.found() == {"wrong_views": 1}

    def test_what_is_not_seen_as_it_is(self, story: Story) -> None:
        story.add("sight", bot="ann", wrong=[], near=3, across=1)
        assert story.found() == {}
        story.add("sight", bot="ann", wrong=["does not see ent_1", "still sees ent_2"], near=2, across=2)
        assert story.found() == {"wrong_views": 2}
        verdict = story.verdict()
        assert (verdict.looked_for, verdict.looked_across) == (5, 3)


class TestOnTheBus:
    def test_one_that_was_replaced_may_speak_for_a_moment(self, story: Story) -> None:
        story.output(2, 1)
        for tick in range(7, 17):
            story.output(1, tick)
        verdict = story.verdict()
        assert verdict.good
        assert verdict.stale_outputs == 10

    def test_but_not_for_ever(self, story: Story) -> None:
        story.output(2, 1)
        for tick in range(7, 67):
            story.output(1, tick)
        assert story.found() == {"double_owners": 1}

    def test_silence_between_is_no_speech(self, story: Story) -> None:
        story.output(2, 1)
        story.output(1, 7)
        story.t += 10.0
        story.output(1, 8)
        assert story.found() == {}

    def test_two_under_one_epoch(self, story: Story) -> None:
        story.output(1, 6)
        assert story.found() == {"double_owners": 1}
        story.output(1, 3)
        assert story.found() == {"double_owners": 2}

    def test_a_large_tick_comes_in_parts(self, story: Story) -> None:
        story.output(1, 7, (0, 1))
        story.output(1, 7, (2, 3))
        story.output(1, 7, (3, 4), gateway="gw_2")
        assert story.found() == {}
        story.output(1, 7, (1, 4))
        assert story.found() == {"double_owners": 1}

    @pytest.mark.parametrize(("ended", "found"), [(True, {}), (False, {"double_owners": 1})])
    def test_a_replaced_owner_must_end(self, story: Story, ended: bool, found: dict[str, int]) -> None:
        story.add("fenced", zone="zon_a", who="the frozen one", ended=ended)
        assert story.found() == found


class TestInTheStore:
    def test_the_newer_one_writes(self, story: Story) -> None:
        story.add("written", zone="zon_a", newest=1, by={"entities": "1.7", "places": "1.9"})
        story.add("written", zone="zon_a", newest=2, by={"entities": "1.7", "places": "1.9"})
        story.add("written", zone="zon_a", newest=2, by={"entities": "2.1", "places": "1.9"})
        story.add("written", zone="zon_b", newest=1, by={"entities": "1.3"})
        assert story.found() == {}

    def test_what_was_written_just_before_the_change(self, story: Story) -> None:
        story.add("written", zone="zon_a", newest=1, by={"entities": "1.7"})
        story.add("written", zone="zon_a", newest=2, by={"entities": "1.8"})
        assert story.found() == {}

    @pytest.mark.parametrize("between", ["1.7", "2.1"])
    def test_one_that_was_replaced_does_not(self, story: Story, between: str) -> None:
        story.add("written", zone="zon_a", newest=1, by={"entities": "1.7"})
        story.add("written", zone="zon_a", newest=2, by={"entities": between})
        story.add("written", zone="zon_a", newest=2, by={"entities": "1.8"})
        assert story.found() == {"double_owners": 1}
