"""The kinds of channels, and who may do what in them."""

from __future__ import annotations

import pytest

from actors.chat.channels import (
    Kind,
    direct_topic,
    from_cursor,
    in_charge,
    kind_of,
    limited_as,
    may_join,
    subscription,
    to_cursor,
    zone_topic,
)
from cluster.errors import InvalidInput
from cluster.ports.chat import Channel

OPEN, PRIVATE = Channel("hall", "usr_ann", False, 0.0, 1.0), Channel("hall", "usr_ann", True, 0.0, 1.0)


@pytest.mark.parametrize(
    ("channel", "kind"),
    [
        ("global", Kind.NAMED),
        ("hall", Kind.NAMED),
        ("a:b.c-d_1", Kind.NAMED),
        ("x" * 48, Kind.NAMED),
        ("zones", Kind.NAMED),
        ("zone", Kind.ZONE),
        ("party", Kind.PARTY),
        ("say", Kind.RANGE),
        ("shout", Kind.RANGE),
        ("direct:usr_Ann-1", Kind.DIRECT),
    ],
)
def test_kinds(channel: str, kind: Kind) -> None:
    assert kind_of(channel) is kind
    assert kind.joined == (kind in (Kind.NAMED, Kind.ZONE))
    assert kind.has_history == (kind is not Kind.RANGE)


@pytest.mark.parametrize(
    "channel",
    [
        *("", "Hall", ":x", "x" * 49, "a b", "hall\n", "ö"),
        *("zone:zon_meadow", "direct", "direct:", "direct:ann", "direct:usr_a:usr_b", "direct:usr_" + "x" * 61),
        *("party:pty_1", "say:x", "shout:x"),
    ],
)
def test_what_is_no_channel(channel: str) -> None:
    with pytest.raises(InvalidInput):
        kind_of(channel)


def test_no_name_is_the_topic_of_another_kind() -> None:
    for topic in (zone_topic("zon_meadow"), direct_topic("usr_a", "usr_b")):
        assert topic.startswith("chat:")
        with pytest.raises(InvalidInput):
            kind_of(topic.removeprefix("chat:"))
    assert direct_topic("usr_b", "usr_a") == direct_topic("usr_a", "usr_b") == "chat:direct:usr_a:usr_b"
    assert subscription("zone") == "chat:zone"


def test_whose_limits_count() -> None:
    assert limited_as("direct:usr_a") == limited_as("direct:usr_b") == "direct"
    assert limited_as("hall") == "hall"


@pytest.mark.parametrize(
    ("record", "user", "role", "invited", "may"),
    [
        (None, "usr_b", "player", False, True),
        (OPEN, "usr_b", "player", False, True),
        (PRIVATE, "usr_b", "player", False, False),
        (PRIVATE, "usr_b", "player", True, True),
        (PRIVATE, "usr_ann", "player", False, True),
        (PRIVATE, "usr_b", "moderator", False, True),
        (PRIVATE, "usr_b", "operator", False, True),
    ],
)
def test_who_may_join(record: Channel | None, user: str, role: str, invited: bool, may: bool) -> None:
    assert may_join(record, user, role, invited) == may


def test_who_is_in_charge() -> None:
    assert in_charge(OPEN, "usr_ann", "player")
    assert in_charge(None, "usr_b", "moderator")
    assert not in_charge(OPEN, "usr_b", "player")
    assert not in_charge(None, "usr_b", "player")


def test_cursors_are_given_for_one_topic() -> None:
    cursor = to_cursor("chat:hall", "1700000000000-3")
    assert from_cursor("chat:hall", cursor) == "1700000000000-3"
    made_up = [
        "",
        "x",
        "1700000000000-3",
        "9" + cursor,
        cursor[:-1],
        cursor + ".",
        cursor.upper() + "A",
        "0-0.00000000",
    ]
    for topic, given in [("chat:den", cursor), *(("chat:hall", each) for each in made_up)]:
        with pytest.raises(InvalidInput, match="was not given"):
            from_cursor(topic, given)
