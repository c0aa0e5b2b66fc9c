"""Who is meant, and what somebody is called for whom."""

from __future__ import annotations

import pytest

from cluster.errors import InvalidInput, NotFound
from cluster.ports.social import Audience, Profile
from serve_apps.gateway.people import Person, find_named, find_other, friend_name, own_name
from tests.unit.serve_apps.gateway.fakes import WALL
from tests.unit.serve_apps.gateway.people_rig import People


@pytest.fixture
def people() -> People:
    return People()


async def test_an_id_is_taken_at_its_word(people: People) -> None:
    client = people.come("usr_a")
    assert await find_other(people.services, client, Person(user_id="usr_nobody")) == "usr_nobody"


async def test_a_name_is_a_character_s(people: People) -> None:
    client = people.come("usr_a")
    await people.character("usr_b", "Jörg")
    assert await find_other(people.services, client, Person(name="JÖRG")) == "usr_b"
    assert await find_named(people.services, client, Person(name="JÖRG")) == ("usr_b", "Jörg")
    assert await find_named(people.services, client, Person(user_id="usr_b")) == ("usr_b", ""), "it is not looked up"
    with pytest.raises(NotFound, match="no such player"):
        await find_other(people.services, client, Person(name="usr_b"))


async def test_nobody_means_oneself(people: People) -> None:
    client = people.come("usr_a")
    await people.character("usr_a", "Ann")
    for who, field in ((Person(user_id="usr_a"), "user_id"), (Person(name="Ann"), "name")):
        with pytest.raises(InvalidInput) as refused:
            await find_other(people.services, client, who)
        assert refused.value.errors == [(field, "is yourself")]


async def test_one_is_called_as_one_plays_or_played_last(people: People) -> None:
    assert await own_name(people.services, people.come("usr_a")) == ""
    await people.services.social.seen("usr_a", WALL, "Old")
    assert await own_name(people.services, people.come("usr_a")) == "Old"
    assert await own_name(people.services, people.come("usr_a", "New")) == "New"


@pytest.mark.parametrize(("shown", "name"), [("all", "X"), ("friends", "X"), ("nobody", "")])
def test_friends_see_a_name_that_is_shown_to_them(shown: Audience, name: str) -> None:
    assert friend_name(Profile(name="X", show_character=shown)) == name
