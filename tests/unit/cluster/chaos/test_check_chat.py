"""Messages that were acknowledged and did not come, came twice, or in another order."""

from __future__ import annotations

import pytest

from cluster.chaos.check_chat import ChatCheck, tangled
from tests.unit.cluster.chaos.stories import Story, good_story


@pytest.fixture
def story() -> Story:
    return good_story()


def test_an_acknowledged_message_that_one_does_not_hear(story: Story) -> None:
    story.say("ann", "x", "m3", to=("ann", "ben"))
    assert story.found() == {"lost_acks": 1}
    check = ChatCheck()
    for event in story.events:
        check.feed(event)
    assert check.missing_now() == [("cid", "x")]
    assert check.acknowledged == 3


def test_who_joined_later_need_not_hear_it(story: Story) -> None:
    story.done("ann", "join", channel="few")
    story.say("ann", "x", "f1", "few", to=("ann",))
    story.done("ben", "join", channel="few")
    assert story.found() == {}


def test_an_unknown_one_reaches_all_or_nobody(story: Story) -> None:
    for text in ("x", "y"):
        op = story.invoke("ann", "chat", channel="all", text=text)
        story.add("unknown", op=op, why="no answer")
    assert story.found() == {}
    story.hear("ben", "x", "m3")
    assert story.found() == {"gaps": 2}


def test_a_hole_is_counted_once(story: Story) -> None:
    story.done("ann", "chat", {"message_id": "m3"}, channel="all", text="x")
    story.hear("ann", "x", "m3")
    story.hear("ben", "x", "m3")
    story.ready("cid", zone="zon_a", recovered=False, seq=3)
    assert story.found() == {"gaps": 1}
    story.say("ann", "after", "m4", to=("ann", "ben"))
    assert story.found() == {"gaps": 1, "lost_acks": 1}


def test_one_that_comes_twice(story: Story) -> None:
    story.hear("ann", "hello", "m1")
    assert story.found() == {"duplicates": 1}


def test_a_repeated_request_is_kept_twice(story: Story) -> None:
    op = story.invoke("ann", "chat", channel="all", text="x")
    story.add("unknown", op=op, why="no answer")
    story.say("ann", "x", "m3")
    assert story.found() == {}
    story.say("ann", "x", "m4")
    found = story.found()
    assert found["duplicates"] == 4  # told so once, and heard by three
    assert "gaps" not in found


def test_an_id_that_is_not_the_acknowledged_one(story: Story) -> None:
    story.done("ann", "chat", {"message_id": "m3"}, channel="all", text="x")
    for bot in ("ann", "ben", "cid"):
        story.hear(bot, "x", "m4")
    assert story.found() == {"lost_acks": 3}


def test_one_that_nobody_said(story: Story) -> None:
    story.hear("ann", "boo", "m3")
    assert story.found() == {"phantoms": 1}


def test_another_order_for_one(story: Story) -> None:
    for text, id_ in (("x", "m3"), ("y", "m4")):
        story.done("ann", "chat", {"message_id": id_}, channel="all", text=text)
    for bot, order in (("ann", "xy"), ("ben", "yx"), ("cid", "xy")):
        for text in order:
            story.hear(bot, text, {"x": "m3", "y": "m4"}[text])
    assert story.found() == {"misordered": 2}


def test_orders_that_fit_together_though_nobody_heard_all() -> None:
    assert tangled([[("a", ""), ("b", "")], [("b", ""), ("c", "")], [("a", ""), ("c", "")]]) == set()


def test_a_cycle_over_three_that_no_pair_shows() -> None:
    lists = [[("a", ""), ("b", "")], [("b", ""), ("c", "")], [("c", ""), ("a", ""), ("d", "")]]
    assert tangled(lists) == {"a", "b", "c"}
