"""Who may listen to server topics, and what they may bring (row 1.5)."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from cluster.errors import InvalidInput
from cluster.server_topics import MAX_DATA_BYTES, may_listen, message
from cluster.settings import Settings
from cluster.social_settings import TopicRule

RULES = (
    TopicRule(pattern="staff.secret", subscribe="operator"),
    TopicRule(pattern="staff.*", subscribe="moderator"),
    TopicRule(pattern="news-?"),
)


@pytest.mark.parametrize(
    ("topic", "role", "may"),
    [
        ("news-1", "player", True),
        ("news-1", "operator", True),
        ("news-12", "operator", False),
        ("staff.chat", "player", False),
        ("staff.chat", "moderator", True),
        ("staff.chat", "operator", True),
        ("staff.secret", "moderator", False),
        ("staff.secret", "operator", True),
        ("other", "operator", False),
        ("staff.chat", "king", False),
        ("news-1", "", True),
    ],
)
def test_the_first_rule_that_fits_counts(topic: str, role: str, may: bool) -> None:
    assert may_listen(RULES, topic, role) is may


def test_with_no_rules_of_one_s_own_everybody_may_and_with_none_nobody() -> None:
    assert may_listen(Settings(realm="test").topics, "anything", "player")
    assert not may_listen((), "anything", "operator")


@pytest.mark.parametrize("data", [None, 1, "ö", {"a": [1, {"b": True}]}, []])
def test_a_message(data: Any) -> None:
    assert orjson.loads(message("news", data)) == {"topic": "news", "data": data}


@pytest.mark.parametrize("topic", ["", "News", "chat:hall", "user:usr_1", "x" * 65, "a b", "-a", "news\n"])
def test_names_that_no_topic_can_have(topic: str) -> None:
    with pytest.raises(InvalidInput):
        message(topic, 1)


def test_what_is_too_much_or_no_json() -> None:
    message("news", "x" * (MAX_DATA_BYTES - 2))
    deep: list[Any] = []
    for _ in range(2_000):
        deep = [deep]
    for data in ("x" * (MAX_DATA_BYTES - 1), {1, 2}, {1: 2}, "\ud800", deep, 2**70):
        with pytest.raises(InvalidInput):
            message("news", data)
