"""Sessions merge into users: the most present one speaks (row 3.2)."""

from __future__ import annotations

import pytest

from actors.presence.merging import UserPresence, merged, speaker
from tests.unit.actors.presence.stage import session


@pytest.mark.parametrize(
    ("statuses", "status"),
    [
        ([], "offline"),
        (["online"], "online"),
        (["away"], "away"),
        (["busy"], "busy"),
        (["invisible"], "invisible"),
        (["away", "online"], "online"),
        (["away", "busy"], "busy"),
        (["busy", "online", "away"], "online"),
        (["invisible", "away"], "away"),
    ],
)
def test_the_most_present_device_speaks(statuses: list[str], status: str) -> None:
    sessions = [session(str(number), status=status) for number, status in enumerate(statuses)]
    assert merged("usr_ann", sessions).status == merged("usr_ann", sessions[::-1]).status == status


def test_an_idle_device_is_away() -> None:
    assert merged("usr_ann", [session("1", idle=True)]).status == "away"
    assert merged("usr_ann", [session("1", idle=True), session("2", status="busy")]).status == "busy"
    assert merged("usr_ann", [session("1", "ann", "busy", idle=True)]).status == "busy"
    assert merged("usr_ann", [session("1", "ann", "invisible", idle=True)]).status == "invisible"


def test_where_it_is_comes_from_the_same_device() -> None:
    away = session("1", status="away", zone_id="zon_a", character_id="chr_a", name="Ann", text="out")
    assert merged("usr_ann", [away, session("2")]) == UserPresence("usr_ann", "online")
    there = session("0", zone_id="zon_b", character_id="chr_b", name="Bea", text="here", metadata={"song": "x"})
    assert merged("usr_ann", [away, session("2"), there]) == UserPresence(
        "usr_ann", "online", "zon_b", "chr_b", "Bea", "here", {"song": "x"}
    )


def test_of_two_that_are_alike_it_is_always_the_same() -> None:
    one, two = session("1", text="one"), session("2", text="two")
    assert speaker([one, two]) is speaker([two, one]) is two


def test_what_is_over_says_nothing() -> None:
    assert speaker([session("1", present=False)]) is None
    assert merged("usr_ann", [session("1", present=False), session("2", status="away")]).status == "away"
