"""Numbers left out, repeated, or of another session; and characters that left the world by themselves."""

from __future__ import annotations

import pytest

from tests.unit.cluster.chaos.stories import Story, good_story


@pytest.fixture
def story() -> Story:
    return good_story()


def test_a_recovery_that_goes_on_is_fine(story: Story) -> None:
    story.ready("ann", zone="zon_a")
    story.say("ann", "again", "m3")
    assert story.found() == {}


def test_a_number_left_out(story: Story) -> None:
    story.skip("ann", 2)
    story.say("ben", "more", "m3")
    assert story.found() == {"gaps": 2}


def test_a_number_that_comes_again(story: Story) -> None:
    story.skip("ann", -1)
    story.hear("ann", "other", "u1", method="presence.changed")
    assert story.found() == {"duplicates": 1}


def test_a_reliable_one_without_a_number(story: Story) -> None:
    story.add("notice", bot="ann", seq=None, method="presence.changed", id="", channel="", text="")
    story.add("notice", bot="ann", seq=None, method="system.degraded", id="", channel="", text="")
    assert story.found() == {"gaps": 1}


def test_not_recovered(story: Story) -> None:
    story.ready("ann", zone="zon_a", recovered=False, seq=10)
    story.say("ben", "more", "m3")
    assert story.found() == {"gaps": 1}


def test_recovered_from_elsewhere(story: Story) -> None:
    story.ready("ann", zone="zon_a", seq=4)
    assert story.found() == {"gaps": 2}
    story.ready("ann", zone="zon_a", seq=3)
    assert story.found() == {"gaps": 2, "duplicates": 1}
    story.ready("ann", zone="zon_a", stream="other")
    assert story.found() == {"gaps": 3, "duplicates": 1}


def test_told_of_a_gap(story: Story) -> None:
    story.hear("ann", "", "", method="session.gap")
    assert story.found() == {"gaps": 1}


@pytest.mark.parametrize("changes", [{"session": "ses_new", "resumed": False}, {"resumed": False}])
def test_another_session(story: Story, changes: dict[str, object]) -> None:
    story.ready("ann", recovered=False, seq=0, **changes)
    assert story.found() == {"lost_sessions": 1}
    assert story.verdict().sessions == 4


def test_one_that_was_sent_away(story: Story) -> None:
    story.add("ended", bot="ann", why="too many errors (4502)")
    assert story.found() == {"lost_sessions": 1}


class TestTheWorld:
    def test_a_character_that_is_not_there_any_more(self, story: Story) -> None:
        story.ready("ann", zone=None)
        assert story.found() == {"lost_acks": 1}

    def test_the_same_at_the_end(self, story: Story) -> None:
        story.add("session", bot="ann", zone="zon_a", shown="zon_a", channels=["all", "few"])
        assert story.found() == {}
        story.add("session", bot="ann", zone=None, shown="zon_a", channels=["all"])
        assert story.found() == {"lost_acks": 1}

    def test_a_channel_that_it_is_no_member_of_any_more(self, story: Story) -> None:
        story.add("session", bot="ann", zone="zon_a", shown="zon_a", channels=[])
        assert story.found() == {"lost_acks": 1}

    def test_it_may_have_walked_to_another_zone(self, story: Story) -> None:
        story.ready("ann", zone="zon_b")
        story.add("session", bot="ann", zone="zon_b", shown="zon_b", channels=["all"])
        assert story.found() == {}

    def test_its_session_elsewhere_than_its_views(self, story: Story) -> None:
        story.add("session", bot="ann", zone="zon_b", shown="zon_a", channels=["all"])
        assert story.found() == {"wrong_views": 1}

    @pytest.mark.parametrize(
        ("zones", "found"),
        [
            (["zon_b"], {}),
            ([], {"lost_acks": 1}),
            (["zon_a", "zon_b"], {"double_owners": 1}),
            (["zon_a"], {"wrong_views": 1}),
        ],
    )
    def test_one_zone_has_it(self, story: Story, zones: list[str], found: dict[str, int]) -> None:
        story.add("held", bot="ann", zones=zones, zone="zon_b")
        assert story.found() == found

    def test_who_comes_or_goes_may_be_anywhere(self, story: Story) -> None:
        op = story.invoke("ann", "leave", stay=1)
        story.add("unknown", op=op, why="no answer")
        story.ready("ann", zone=None)
        story.invoke("ann", "enter", stay=2, zone="zon_b")
        story.ready("ann", zone="zon_b")
        assert story.found() == {}
