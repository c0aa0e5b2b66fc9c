"""Lost, undone and invented changes are found by name; what is only uncertain is none."""

from __future__ import annotations

import pytest

from tests.unit.cluster.chaos.stories import Story, good_story


@pytest.fixture
def story() -> Story:
    return good_story()


def test_the_good_one_is_good(story: Story) -> None:
    verdict = story.verdict()
    assert verdict.good, verdict.violations
    assert verdict.operations["state"] == {"acknowledged": 2, "failed": 0, "unknown": 0}
    assert (verdict.notices, verdict.views, verdict.outputs, verdict.sessions) == (6, 6, 2, 3)


def test_versions_go_on_in_the_next_zone(story: Story) -> None:
    story.view("ann", 1, "zon_b", 1)
    story.change("ann", 3, 3)
    story.read("ann", 4, 3)
    assert story.found() == {}


def test_one_that_the_next_zone_was_not_handed(story: Story) -> None:
    story.change("ann", 3, 3)
    story.view("ann", 1, "zon_b", 1)
    story.read("ann", 3, 2)
    assert story.found() == {"lost_acks": 1}


def test_one_that_came_into_the_next_zone_as_new(story: Story) -> None:
    story.view("ann", 1, "zon_b", 1)
    story.read("ann", 1, None)
    assert story.found() == {"lost_acks": 2}


def test_an_acknowledged_change_that_is_gone(story: Story) -> None:
    story.change("ann", 3, 3)
    story.change("ann", 4, 4)
    story.read("ann", 3, 2)
    assert story.found() == {"lost_acks": 2}


def test_one_that_was_overwritten_by_an_older_request(story: Story) -> None:
    op = story.invoke("ann", "state", stay=1, version=3, n=3)
    story.add("unknown", op=op, why="no answer")
    story.change("ann", 3, 4)
    story.read("ann", 4, 3)
    assert story.found() == {"lost_acks": 1}


def test_two_changes_of_one_version(story: Story) -> None:
    story.change("ben", 1, 1)
    story.change("ben", 1, 2)
    story.read("ben", 2, 2)
    assert story.found() == {"lost_acks": 1}


def test_a_change_that_skipped_a_version(story: Story) -> None:
    story.done("ben", "state", {"version": 3}, stay=1, version=1, n=1)
    story.read("ben", 3, 1)
    assert story.found()["lost_acks"] >= 1


def test_an_unknown_change_may_be_there(story: Story) -> None:
    op = story.invoke("ann", "state", stay=1, version=3, n=3)
    story.add("unknown", op=op, why="no answer")
    story.read("ann", 4, 3)
    story.change("ann", 4, 4)
    story.read("ann", 5, 4)
    assert story.found() == {}


def test_and_may_come_later(story: Story) -> None:
    op = story.invoke("ann", "state", stay=1, version=3, n=3)
    story.add("unknown", op=op, why="no answer")
    story.read("ann", 3, 2)
    story.read("ann", 4, 3)
    assert story.found() == {}


def test_a_refused_change_must_not_be_there(story: Story) -> None:
    op = story.invoke("ann", "state", stay=1, version=3, n=3)
    story.add("failed", op=op, why="conflict")
    story.read("ann", 4, 3)
    assert story.found() == {"phantoms": 1}


def test_a_version_nobody_made(story: Story) -> None:
    story.read("ben", 2, 9)
    assert story.found() == {"phantoms": 1}


def test_what_is_never_read_again(story: Story) -> None:
    story.change("cid", 1, 1)
    assert story.found() == {"unread": 1}
    story.done("cid", "leave", stay=1)
    assert story.found() == {}


def test_a_new_stay_begins_anew(story: Story) -> None:
    story.done("ann", "leave", stay=1)
    story.done("ann", "enter", stay=2, zone="zon_b")
    story.read("ann", 1, None, stay=2)
    assert story.found() == {}
    story.read("ann", 3, 2, stay=2)
    assert story.found() == {"phantoms": 1}


class TestStatus:
    def test_the_last_acknowledged_one_counts(self, story: Story) -> None:
        story.done("ann", "status", status="away")
        story.add("status", bot="ann", value="away")
        assert story.found() == {}
        story.add("status", bot="ann", value="online")
        assert story.found() == {"lost_acks": 1}

    def test_an_unknown_one_may_have_come(self, story: Story) -> None:
        story.done("ann", "status", status="away")
        op = story.invoke("ann", "status", status="busy")
        story.add("unknown", op=op, why="no answer")
        story.add("status", bot="ann", value="busy")
        assert story.found() == {}

    def test_it_must_be_read_again(self, story: Story) -> None:
        story.done("ann", "status", status="away")
        assert story.found() == {"unread": 1}


class TestAttributes:
    def test_the_last_acknowledged_one_counts(self, story: Story) -> None:
        story.done("ann", "attribute", name="a", n=8)
        story.add("attributes", bot="ann", values={"a": 7})
        assert story.found() == {"lost_acks": 1}

    def test_one_that_is_not_there(self, story: Story) -> None:
        story.done("ben", "attribute", name="a", n=1)
        story.add("attributes", bot="ben", values={})
        assert story.found() == {"lost_acks": 1}

    def test_an_unknown_one_may_come_at_any_time(self, story: Story) -> None:
        op = story.invoke("ann", "attribute", name="a", n=8)
        story.add("unknown", op=op, why="no answer")
        story.done("ann", "attribute", name="a", n=9)
        story.add("attributes", bot="ann", values={"a": 8})
        assert story.found() == {}

    def test_a_refused_one_must_not(self, story: Story) -> None:
        op = story.invoke("ann", "attribute", name="a", n=8)
        story.add("failed", op=op, why="too many")
        story.add("attributes", bot="ann", values={"a": 8})
        assert story.found() == {"lost_acks": 1}

    def test_what_is_never_read_again(self, story: Story) -> None:
        story.done("ben", "attribute", name="b", n=1)
        assert story.found() == {"unread": 1}
