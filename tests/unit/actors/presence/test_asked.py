"""What operators ask the presence index: how users are, whatever they show."""

from __future__ import annotations

from typing import Any

import pytest

from actors.presence.asked import Asked, beat
from actors.presence.changes import SessionPresence
from actors.presence.index import PresenceIndex


@pytest.fixture
def index() -> PresenceIndex:
    made = PresenceIndex(1)
    made.apply(
        [
            SessionPresence(
                "ses_1", "usr_ann", "sessions/0", "online", "zon_a", "chr_1", ("usr_bob",), name="Ánn the Bold"
            ),
            SessionPresence("ses_2", "usr_ann", "sessions/0", "busy"),
            SessionPresence("ses_3", "usr_bob", "sessions/1", "invisible", name="Bob", text="hush"),
            SessionPresence("ses_4", "usr_cid", "sessions/1", "online", idle=True),
        ],
        {},
    )
    return made


@pytest.fixture
def asked(index: PresenceIndex) -> Asked:
    async def get(viewer: str, users: list[str]) -> list[dict[str, Any]]:
        return [{"viewer": viewer, "user_id": user} for user in users]

    return Asked(index, get)


async def test_the_truth(asked: Asked) -> None:
    said = await asked.methods["list"]("", "", 0, 10)
    assert said["total"] == 3
    assert [(row["user"], row["status"], row["sessions"]) for row in said["users"]] == [
        ("usr_ann", "online", 2), ("usr_bob", "invisible", 1), ("usr_cid", "away", 1),
    ]  # fmt: skip
    assert (said["users"][0]["zone"], said["users"][0]["character"]) == ("zon_a", "Ánn the Bold")
    assert said["users"][1]["text"] == "hush"


@pytest.mark.parametrize(
    ("q", "user", "found"),
    [
        ("USR_B", "", ["usr_bob"]),
        ("án", "", ["usr_ann"]),
        ("nobody", "usr_cid", ["usr_cid"]),
        ("nobody", "usr_gone", []),
        ("bo", "", ["usr_ann", "usr_bob"]),
    ],
)
async def test_search(asked: Asked, q: str, user: str, found: list[str]) -> None:
    said = await asked.methods["list"](q, user, 0, 10)
    assert [row["user"] for row in said["users"]] == found
    assert said["total"] == len(found)


@pytest.mark.parametrize(
    ("status", "zone", "found"),
    [
        ("invisible", "", ["usr_bob"]),
        ("online", "zon_a", ["usr_ann"]),
        ("online", "zon_b", []),
        ("", "zon_a", ["usr_ann"]),
    ],
)
async def test_only_some(asked: Asked, status: str, zone: str, found: list[str]) -> None:
    said = await asked.methods["list"]("", "", 0, 10, status=status, zone=zone)
    assert [row["user"] for row in said["users"]] == found


async def test_pages(asked: Asked) -> None:
    said = await asked.methods["list"]("", "", 1, 1)
    assert (said["total"], [row["user"] for row in said["users"]]) == (3, ["usr_bob"])
    assert (await asked.methods["list"]("", "", 9, 10))["users"] == []


async def test_as_somebody_sees_others(asked: Asked) -> None:
    assert await asked.methods["see"]("usr_ann", ["usr_bob"]) == [{"viewer": "usr_ann", "user_id": "usr_bob"}]


def test_the_beat(index: PresenceIndex) -> None:
    assert beat(index) == {"users": 3, "watchers": 1}


@pytest.mark.parametrize(
    ("status", "zone", "found"),
    [
        ("online", "", ["usr_ann"]),
        ("invisible", "", ["usr_bob"]),
        ("", "zon_a", ["usr_ann"]),
        ("away", "zon_a", []),
    ],
)
async def test_of_a_status_or_in_a_zone(asked: Asked, status: str, zone: str, found: list[str]) -> None:
    said = await asked.methods["list"]("", "", 0, 10, status, zone)
    assert ([row["user"] for row in said["users"]], said["total"]) == (found, len(found))
