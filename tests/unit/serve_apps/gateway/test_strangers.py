"""How many strangers a user may speak to first."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from cluster.security_settings import LimitSettings
from tests.unit.serve_apps.gateway.people_rig import People

A, B, C, D = "usr_a", "usr_b", "usr_c", "usr_d"


@pytest.fixture
async def people(monkeypatch: pytest.MonkeyPatch) -> People:
    made = People()
    for user_id in (A, B, C, D):
        made.come(user_id)
    settings = made.services.settings.model_copy(update={"limits": LimitSettings(strangers_per_hour=2)})
    services = replace(made.services, settings=settings)
    monkeypatch.setattr(made.gateway.hub.intake.dispatcher, "_services", services)
    return made


async def write(people: People, user_id: str, other: str) -> Any:
    """Whether it was sent, or why not."""
    answer = await people.ask(user_id, "chat.message", channel=f"direct:{other}", text="hello")
    return True if "message_id" in answer else answer["data"]["reason"]


async def test_so_many_and_no_more(people: People) -> None:
    assert [await write(people, A, other) for other in (B, C, D)] == [True, True, "strangers"]
    assert [await write(people, A, other) for other in (B, C, B)] == [True] * 3, "these are no strangers any more"


async def test_who_wrote_first_is_no_stranger(people: People) -> None:
    assert await write(people, D, A) is True
    assert [await write(people, A, other) for other in (B, C, D)] == [True] * 3


async def test_friends_are_none(people: People) -> None:
    assert (await people.ask(A, "friends.request", user_id=D))["result"] == "requested"
    await people.ask(D, "friends.accept", user_id=A)
    assert [await write(people, A, other) for other in (B, C, D)] == [True] * 3


async def test_a_new_socket_knows_whom_the_old_one_met(people: People) -> None:
    assert [await write(people, A, other) for other in (B, C)] == [True] * 2
    people.come(A)
    assert [await write(people, A, other) for other in (B, C, D)] == [True, True, "strangers"]


async def test_after_a_while_there_is_room_for_more(people: People) -> None:
    assert [await write(people, A, other) for other in (B, C, D)] == [True, True, "strangers"]
    people.gateway.clock.now += 1_800.0
    assert await write(people, A, D) is True
