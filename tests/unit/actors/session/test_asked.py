"""What operators ask a session actor: sessions found, shown and told, from memory."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from actors.session.asked import SORTS, TOLD_AT_ONCE, Asked, beat
from actors.session.outbox import Body, Limits
from actors.session.session import Session
from cluster.errors import InvalidInput, NotFound, Unavailable
from cluster.ports.sessions import SessionRecord

ANY: dict[str, Any] = {
    "q": "",
    "zone": "",
    "gateway": "",
    "state": "",
    "sort": "session",
    "descending": False,
    "most": 100,
}


def record(number: int, **more: Any) -> SessionRecord:
    given: dict[str, Any] = {
        "session_id": f"ses_{number}",
        "user_id": f"usr_{number}",
        "actor": "sessions/0",
        "state": "in_world",
        "gateway_id": "gtw_a",
        "attach_epoch": 1,
        "character_id": f"chr_{number}",
        "character_name": f"Hero {number}",
        "zone_id": "zon_a",
        "connected_at": 100.0 + number,
        "last_activity": 200.0 - number,
        "address": f"203.0.113.{number}",
    }
    return SessionRecord(**{**given, **more})


class Rig:
    def __init__(self, *records: SessionRecord, away: bool = False) -> None:
        self.sessions = {each.session_id: Session(each) for each in records}
        self.names = {"usr_1": "Ann", "usr_2": "bob"}
        self.posted: list[tuple[list[str], str, bytes]] = []
        self.away = away
        self.asked = Asked(self.sessions, self.names, self.post)

    async def post(self, messages: list[tuple[list[str], str, bytes]]) -> None:
        if self.away:
            raise Unavailable("outbox")
        self.posted += messages

    async def found(self, **more: Any) -> list[str]:
        said = await self.asked.methods["search"](**{**ANY, **more})
        return [session for _, session in said["found"]]

    async def tell(self, key: str = "k", zone: str = "", sessions: list[str] | None = None) -> int:
        said = await self.asked.methods["tell"](key, "system.message", {"text": "x"}, zone, sessions)
        return int(said["told"])


@pytest.fixture
def rig() -> Rig:
    return Rig(
        record(1),
        record(2, zone_id="zon_b"),
        record(3, gateway_id="", state="authenticated", zone_id="", role="moderator"),
    )


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ({}, ["ses_1", "ses_2", "ses_3"]),
        ({"q": "ann"}, ["ses_1"]),
        ({"q": "BOB"}, ["ses_2"]),
        ({"q": "hero 3"}, ["ses_3"]),
        ({"q": "usr_2"}, ["ses_2"]),
        ({"q": "chr_1"}, ["ses_1"]),
        ({"q": "203.0.113.3"}, ["ses_3"]),
        ({"q": "ses_"}, ["ses_1", "ses_2", "ses_3"]),
        ({"q": "nobody"}, []),
        ({"q": "1\nhero"}, []),
        ({"zone": "zon_b"}, ["ses_2"]),
        ({"gateway": "gtw_a"}, ["ses_1", "ses_2"]),
        ({"state": "authenticated"}, ["ses_3"]),
        ({"state": "detached"}, ["ses_3"]),
        ({"state": "attached"}, ["ses_1", "ses_2"]),
        ({"state": "attached", "zone": "zon_a"}, ["ses_1"]),
        ({"descending": True}, ["ses_3", "ses_2", "ses_1"]),
        ({"sort": "last_activity_at"}, ["ses_3", "ses_2", "ses_1"]),
        ({"sort": "zone"}, ["ses_3", "ses_1", "ses_2"]),
        ({"sort": "state", "descending": True}, ["ses_2", "ses_1", "ses_3"]),
        ({"most": 2}, ["ses_1", "ses_2"]),
        ({"most": 0}, []),
    ],
)
async def test_search(rig: Rig, wanted: dict[str, Any], found: list[str]) -> None:
    assert await rig.found(**wanted) == found


async def test_how_many_there_are_whatever_is_asked_for(rig: Rig) -> None:
    said = await rig.asked.methods["search"](**{**ANY, "most": 1})
    assert (said["total"], len(said["found"])) == (3, 1)


@pytest.mark.parametrize("sort", sorted(SORTS))
async def test_every_column_can_be_sorted_by(rig: Rig, sort: str) -> None:
    up = await rig.found(sort=sort)
    assert await rig.found(sort=sort, descending=True) == up[::-1]


async def test_no_such_column(rig: Rig) -> None:
    with pytest.raises(InvalidInput):
        await rig.found(sort="password")


async def test_rows_of_those_who_are_here(rig: Rig) -> None:
    rows = await rig.asked.methods["rows"](["ses_2", "ses_9", "ses_1"])
    assert [(row["session"], row["username"]) for row in rows] == [("ses_2", "bob"), ("ses_1", "Ann")]


async def test_one_is_shown_with_its_outbox(rig: Rig) -> None:
    outbox = rig.sessions["ses_1"].outbox
    outbox.keep(1, [Body("m", b"{}"), Body("m", b"{}")], 0.0, Limits(10, 1_000, 60.0))
    outbox.ack(1)
    shown = await rig.asked.methods["show"]("ses_1")
    assert shown["outbox"] == {"count": 1, "bytes": 3, "acked": 1}
    assert (shown["seq"], shown["attach_epoch"], shown["address"]) == (2, 1, "203.0.113.1")
    with pytest.raises(NotFound):
        await rig.asked.methods["show"]("ses_9")


class TestTell:
    async def test_all_and_once_for_a_key(self, rig: Rig) -> None:
        assert [await rig.tell("a"), await rig.tell("a")] == [3, 3]
        assert rig.posted == [(["ses_1", "ses_2", "ses_3"], "system.message", b'{"text":"x"}')]
        assert await rig.tell("b") == 3
        assert len(rig.posted) == 2

    async def test_a_zone_or_some(self, rig: Rig) -> None:
        assert await rig.tell("a", zone="zon_b") == 1
        assert await rig.tell("b", sessions=["ses_3", "ses_9"]) == 1
        assert [told for told, _, _ in rig.posted] == [["ses_2"], ["ses_3"]]

    async def test_one_that_never_had_a_socket_is_not_told(self) -> None:
        rig = Rig(record(1, attach_epoch=0, gateway_id=""))
        assert await rig.tell() == 0
        assert rig.posted == []

    async def test_many_go_in_parts(self) -> None:
        rig = Rig(*(record(number) for number in range(TOLD_AT_ONCE + 1)))
        assert await rig.tell() == TOLD_AT_ONCE + 1
        assert [len(part) for part, _, _ in rig.posted] == [TOLD_AT_ONCE, 1]

    async def test_what_was_not_kept_is_tried_again(self, rig: Rig) -> None:
        rig.away = True
        with pytest.raises(Unavailable):
            await rig.tell()
        rig.away = False
        assert await rig.tell() == 3
        assert len(rig.posted) == 1

    async def test_no_notification(self, rig: Rig) -> None:
        with pytest.raises(InvalidInput):
            await rig.asked.methods["tell"]("k", "nonsense", {}, "", None)


async def test_others_who_are_here(rig: Rig) -> None:
    others = rig.asked.methods["others"]
    assert await others([], []) == {"attached": 2}
    assert await others(["usr_1"], []) == {"attached": 1}
    assert await others([], ["player"]) == {"attached": 0}


def test_the_beat(rig: Rig) -> None:
    rig.sessions["ses_1"].outbox.keep(1, [Body("m", b"{}")], 0.0, Limits(10, 1_000, 60.0))
    lane: Any = SimpleNamespace(resent=7)
    assert beat(rig.sessions.values(), lane, 5) == {
        "sessions": 3, "attached": 2, "topics": 5, "resent": 7, "outbox_bytes": 3,
    }  # fmt: skip
