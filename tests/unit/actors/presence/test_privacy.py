"""Who may see what of a user (rows 3.2 and 3.3)."""

from __future__ import annotations

from typing import Any

import pytest

from actors.presence.merging import UserPresence
from actors.presence.privacy import NOBODY, PLACES, Circle, Place, circle_of, may_see, public, shown, with_past
from cluster.ports.social import Profile, Ties

ANN = UserPresence("usr_ann", "busy", "zon_a", "chr_a", "Ann", "hm", {"song": "x"})
OFFLINE = UserPresence("usr_ann", "offline")


def test_where_one_stands() -> None:
    circle = Circle(friends=frozenset({"usr_bob", "usr_cid"}), apart=frozenset({"usr_cid"}))
    places = [circle.place("usr_ann", f"usr_{who}") for who in ("ann", "bob", "cid", "dan")]
    assert places == ["self", "friend", "hidden", "other"]


def test_blocks_of_either_side_count() -> None:
    ties = Ties(frozenset({"usr_f"}), blocked=frozenset({"usr_a"}), blocked_by=frozenset({"usr_b"}))
    circle = circle_of(ties, Profile(show_zone="friends", show_character="nobody"))
    assert circle == Circle(frozenset({"usr_f"}), frozenset({"usr_a", "usr_b"}), "friends", "nobody")


def test_those_without_ties_share_one() -> None:
    assert circle_of(None, None) is circle_of(Ties(), Profile(status="busy", text="x")) is NOBODY


@pytest.mark.parametrize(
    ("audience", "allowed"),
    [("all", {"self", "friend", "other"}), ("friends", {"self", "friend"}), ("nobody", {"self"})],
)
def test_audiences(audience: Any, allowed: set[str]) -> None:
    assert {place for place in PLACES if may_see(audience, place)} == allowed


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("status", ["invisible", "offline"])
def test_who_is_invisible_is_offline_and_nothing_else(status: str, place: Place) -> None:
    user = UserPresence("usr_ann", status, "zon_a", "chr_a", "Ann", "hm", {"song": "x"})
    assert shown(user, NOBODY, place) == (user if place == "self" else OFFLINE)


def test_what_is_shown() -> None:
    circle = Circle(zone="friends", character="nobody")
    assert shown(ANN, circle, "self") == ANN
    assert shown(ANN, circle, "hidden") == OFFLINE
    assert shown(ANN, circle, "friend") == UserPresence("usr_ann", "busy", "zon_a", "", "", "hm", {"song": "x"})
    assert shown(ANN, circle, "other") == UserPresence("usr_ann", "busy", "", "", "", "hm", {"song": "x"})
    assert shown(ANN, NOBODY, "other") == ANN


def test_as_the_protocol_has_it() -> None:
    assert public(ANN, 7) == {
        "user_id": "usr_ann",
        "status": "busy",
        "zone": "zon_a",
        "character_id": "chr_a",
        "name": "Ann",
        "text": "hm",
        "metadata": {"song": "x"},
        "version": 7,
    }


def test_the_past_of_a_friend() -> None:
    said = public(OFFLINE, 1)
    assert with_past(said, None) == said
    assert with_past(said, Profile()) == said, "never online"
    assert with_past(said, Profile(last_online=5.0, name="Ann")) == said | {"last_online": 5.0, "name": "Ann"}
    assert with_past(said, Profile(last_online=5.0, name="Ann", show_character="nobody")) == said | {"last_online": 5.0}
