"""How news get to session actors: the newest of each, once for all who see the same, again if they were not taken."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import replace
from typing import Any

import orjson
import pytest
from structlog.testing import capture_logs

from actors.presence import telling
from actors.presence.telling import Courier, Encoder, Message, announcement, presences
from cluster.errors import Unavailable
from cluster.ports.social import Profile
from tests.unit.actors.presence.stage import Stage, apart, friends, session

DEADLINE_S = 5.0


class Desk:
    """A session actor's `post`; each call waits for leave. `past` is what the social store has."""

    def __init__(self) -> None:
        self.stage = Stage(ann=friends("bob"), bob=friends("ann"), dan=apart("ann"))
        self.posts: list[list[tuple[set[str], dict[str, Any]]]] = []
        self.raw: list[bytes] = []
        self.failures = 0
        self.gate = asyncio.Event()
        self.gate.set()
        self.past = {"usr_ann": Profile(last_online=5.0, name="Ann")}
        self.asked: list[list[str]] = []
        index = self.stage.index
        self.courier = Courier("sessions/0", index, Encoder(index), self._post, self._past, random.Random(1))

    async def _post(self, actor: str, messages: list[Message]) -> None:
        assert actor == "sessions/0"
        await self.gate.wait()
        if self.failures:
            self.failures -= 1
            raise Unavailable("sessions")
        self.raw += [data for _, _, data in messages]
        assert {method for _, method, _ in messages} == {"presence.changed"}
        self.posts.append([(set(to), orjson.loads(data)) for to, _, data in messages])

    async def _past(self, user_ids: list[str]) -> Mapping[str, Profile]:
        self.asked.append(user_ids)
        return {user_id: self.past.get(user_id, Profile()) for user_id in user_ids}

    def hand_over(self) -> None:
        for untold in self.stage.index.take_news().watchers.values():
            self.courier.add(untold)

    async def until(self, true: Callable[[], bool]) -> None:
        async with asyncio.timeout(DEADLINE_S):
            while not true():  # noqa: ASYNC110 - states that nothing announces
                await asyncio.sleep(0)


@pytest.fixture
async def desk(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Desk]:
    """Bob (a friend), Cid and Dan (who are nothing to her) watch Ann."""
    monkeypatch.setattr(telling, "RETRY_S", (0.0, 0.0))
    desk = Desk()
    desk.stage.apply(
        session("b", "bob", watching=("ann",)),
        session("c", "cid", watching=("ann",)),
        session("d", "dan", watching=("ann",)),
    )
    desk.hand_over()
    running = asyncio.create_task(desk.courier.run())
    yield desk
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running


async def test_those_who_see_the_same_get_the_same_message(desk: Desk) -> None:
    desk.stage.apply(session("1", zone_id="zon_a"))
    desk.hand_over()
    await desk.until(lambda: bool(desk.posts))
    [messages] = desk.posts
    assert sorted(sorted(to) for to, _ in messages) == [["ses_b"], ["ses_c", "ses_d"]]
    assert {said["version"] for _, said in messages} == {desk.stage.index.version}
    assert {said["zone"] for _, said in messages} == {"zon_a"}


async def test_what_comes_meanwhile_goes_with_the_next_and_the_newest_counts(desk: Desk) -> None:
    desk.gate.clear()
    desk.stage.apply(session("1"))
    desk.hand_over()
    await desk.until(lambda: not desk.courier._untold)
    for status in ("busy", "away"):
        desk.stage.apply(session("1", status=status))
        desk.hand_over()
    desk.gate.set()
    await desk.until(lambda: len(desk.posts) == 2)
    first, second = ({said["status"] for _, said in messages} for messages in desk.posts)
    assert (first, second) == ({"online"}, {"away"})


async def test_what_was_not_taken_is_told_again_as_it_is_then(desk: Desk) -> None:
    desk.failures = 2
    desk.stage.apply(session("1"))
    desk.hand_over()
    await desk.until(lambda: desk.failures == 0)
    desk.stage.apply(session("1", status="busy"))
    await desk.until(lambda: bool(desk.posts))
    told = {name: said for to, said in desk.posts[-1] for name in to}
    assert told.keys() == {"ses_b", "ses_c", "ses_d"}
    desk.hand_over()
    await desk.until(lambda: {said["status"] for _, said in desk.posts[-1]} == {"busy"})


async def test_a_friend_hears_when_one_was_there(desk: Desk) -> None:
    desk.stage.apply(session("1"))
    desk.stage.index.take_news()
    desk.stage.apply(replace(session("1"), present=False))
    desk.hand_over()
    await desk.until(lambda: bool(desk.posts))
    told = {name: said for to, said in desk.posts[-1] for name in to}
    assert (told["ses_b"]["last_online"], told["ses_b"]["name"]) == (5.0, "Ann")
    assert "last_online" not in told["ses_c"]
    assert told["ses_c"]["name"] == ""
    assert desk.asked == [["usr_ann"]]


async def test_many_go_in_parts(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(telling, "TOLD_AT_ONCE", 2)
    people = [f"p{number}" for number in range(5)]
    desk.stage.apply(session("b", "bob", watching=people), *(session(name, name) for name in people))
    desk.hand_over()
    await desk.until(lambda: sum(len(messages) for messages in desk.posts) == 5)
    assert [len(messages) for messages in desk.posts] == [2, 2, 1]


async def test_what_cannot_be_told_holds_up_nothing_else(desk: Desk) -> None:
    broken = session("1", metadata={"song": "\ud800"})  # no text can be made of it
    desk.stage.apply(broken)
    desk.hand_over()
    with capture_logs() as logs:
        await desk.until(lambda: bool(logs))
    assert [(line["event"], line["users"]) for line in logs] == [("presence_not_told", 1)]
    desk.stage.apply(session("1", status="busy"))
    desk.hand_over()
    await desk.until(lambda: bool(desk.posts))
    assert {said["status"] for _, said in desk.posts[-1]} == {"busy"}


async def test_it_is_encoded_once(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = Encoder(desk.stage.index)
    desk.stage.apply(session("1"))
    [(presence, place)] = desk.stage.index.see("usr_cid", ["usr_ann"])
    once = encoder.encode(presence, place)
    assert encoder.encode(presence, place) is once
    desk.stage.apply(session("2", "eve"))
    later = encoder.encode(presence, place)
    assert orjson.loads(later)["version"] == orjson.loads(once)["version"] + 1, "what is told is how it is now"


async def test_answers() -> None:
    stage = Stage(ann=friends("bob"), bob=friends("ann", "cid"), cid=friends("bob"))
    stage.apply(session("1", status="invisible"), session("b", "bob"))

    async def past(user_ids: list[str]) -> Mapping[str, Profile]:
        assert user_ids == ["usr_ann", "usr_cid"], "who is invisible, and who is not there: alike"
        return {"usr_ann": Profile(last_online=5.0), "usr_cid": Profile(last_online=6.0)}

    seen = stage.index.see("usr_bob", ["usr_ann", "usr_cid", "usr_dan", "usr_bob"])
    said = await presences(stage.index, seen, past)
    assert [(p["user_id"], p["status"], p.get("last_online")) for p in said] == [
        ("usr_ann", "offline", 5.0),
        ("usr_cid", "offline", 6.0),
        ("usr_dan", "offline", None),
        ("usr_bob", "online", None),
    ]
    assert {p["version"] for p in said} == {stage.index.version}


def test_what_other_services_are_told() -> None:
    stage = Stage()
    stage.apply(session("1", zone_id="zon_a", status="busy"))
    event_id, body = announcement(stage.index, "usr_ann", 9.5)
    assert event_id == f"usr_ann-{stage.index.version}"
    assert (body["user_id"], body["status"], body["zone"], body["at"]) == ("usr_ann", "busy", "zon_a", 9.5)
