"""Presences come as answers and as notifications, and the newest counts (row 3.2)."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from rayrealm_client.errors import CodecError
from rayrealm_client.people import OwnPresence, Presence, Privacy
from rayrealm_client.presence import Presences
from rayrealm_client.wishes import Wishes
from tests.unit.rayrealm_client.asked import Asked


def bob(status: str, version: int = 0, **more: Any) -> dict[str, Any]:
    return {"user_id": "usr_bob", "status": status, "zone": None, "character_id": None, "version": version} | more


@pytest.fixture
def asked() -> Asked:
    return Asked()


@pytest.fixture
def wishes() -> Wishes:
    return Wishes()


@pytest.fixture
def presences(asked: Asked, wishes: Wishes) -> Presences:
    return Presences(asked, wishes)


async def test_only_what_is_given_is_changed_and_it_is_wished_for(
    presences: Presences, asked: Asked, wishes: Wishes
) -> None:
    asked.answer("presence.update", {"status": "busy"}, {"status": "busy", "text": "raid", "metadata": {"lfg": "2"}})
    assert await presences.update("busy") == OwnPresence("busy")
    assert await presences.update(text="raid", metadata={"lfg": "2"}) == OwnPresence("busy", "raid", {"lfg": "2"})
    assert asked.calls == [
        ("presence.update", {"status": "busy"}),
        ("presence.update", {"text": "raid", "metadata": {"lfg": "2"}}),
    ]
    assert wishes.presence == {"status": "busy", "text": "raid", "metadata": {"lfg": "2"}}


async def test_a_user_in_full(presences: Presences, asked: Asked) -> None:
    body = bob("away", 7, zone="zon_a", character_id="chr_1", name="Bob", text="tea", metadata={"a": "b"})
    asked.answer("presence.get", {"presences": [body, bob("offline", 8, last_online=12)]})
    full, gone = await presences.get(["usr_bob", "usr_eve"])
    assert full == Presence("usr_bob", "away", "zon_a", "chr_1", "Bob", "tea", {"a": "b"}, 7)
    assert gone.last_online == 12.0
    assert presences.known == {}


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
async def test_the_newest_counts_in_whatever_order_they_come(
    presences: Presences, asked: Asked, order: tuple[int, ...]
) -> None:
    """The answer of a subscription and two changes may overtake each other."""
    bodies = [bob("online", 1), bob("away", 2), bob("offline", 3)]
    told: list[int] = []
    presences.on_change(lambda presence: told.append(presence.version))
    first, *later = [bodies[index] for index in order]
    asked.answer("presence.subscribe", {"presences": [first]})
    await presences.subscribe(["usr_bob"])
    for body in later:
        presences.take(body)
        presences.take(body)
    assert presences.known["usr_bob"].version == 3
    assert told == sorted(set(told)), "none twice, and none that is older"


async def test_an_answer_that_is_overtaken_gives_what_is_newer(presences: Presences, asked: Asked) -> None:
    asked.answer("presence.subscribe", {"presences": [bob("online", 1)]})
    await presences.subscribe(["usr_bob"])
    presences.take(bob("busy", 5))
    (newest,) = await presences.subscribe(["usr_bob"])
    assert newest.status == "busy"


async def test_without_a_version_everything_is_told(presences: Presences, wishes: Wishes) -> None:
    told: list[str] = []
    presences.on_change(lambda presence: told.append(presence.status))
    wishes.watched.add("usr_bob")
    for status in ("online", "online", "away"):
        presences.take(bob(status))
    assert told == ["online", "online", "away"]


async def test_what_was_missed_is_told_and_nothing_else(presences: Presences, asked: Asked) -> None:
    asked.answer("presence.subscribe", {"presences": [bob("online", 4)]}, {"presences": [bob("online", 4)]}, {})
    await presences.subscribe(["usr_bob"])
    told: list[Presence] = []
    presences.on_change(told.append)
    await presences.watch_again(asked.request)
    assert told == []
    asked.answer("presence.subscribe", {"presences": [bob("offline", 9)]})
    await presences.watch_again(asked.request)
    assert [presence.status for presence in told] == ["offline"]


async def test_an_end_of_watching_forgets(presences: Presences, asked: Asked, wishes: Wishes) -> None:
    asked.answer("presence.subscribe", {"presences": [bob("online", 4)]})
    asked.answer("presence.unsubscribe", {"watching": 0})
    await presences.subscribe(["usr_bob"])
    assert await presences.unsubscribe(["usr_bob"]) == 0
    assert (presences.known, wishes.watched) == ({}, set())


async def test_an_iterator(presences: Presences) -> None:
    changes = presences.changes()
    presences.take(bob("away", 1))
    assert (await anext(changes)).status == "away"
    presences.close()
    assert [change async for change in changes] == []


async def test_nonsense_is_passed_over_as_a_notification_and_an_error_as_an_answer(
    presences: Presences, asked: Asked
) -> None:
    told: list[Presence] = []
    presences.on_change(told.append)
    nonsense: tuple[Any, ...] = (None, [], {"user_id": "usr_bob"}, bob("away", 1, metadata={"a": 5}))
    for params in nonsense:
        presences.take(params)
    assert told == []
    asked.answer("presence.get", {"presences": [{"status": "online"}]})
    with pytest.raises(CodecError):
        await presences.get(["usr_bob"])


async def test_privacy(presences: Presences, asked: Asked) -> None:
    asked.answer("presence.privacy", {"zone": "friends", "character": "all"})
    assert await presences.privacy(zone="friends") == Privacy("friends", "all")
    assert asked.calls == [("presence.privacy", {"zone": "friends"})]
