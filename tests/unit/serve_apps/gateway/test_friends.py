"""friends.*: who is told what of each change, and what no answer tells (row 3.3)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from cluster.errors import Unavailable
from cluster.ports.calls import presence_actor
from cluster.ports.social import Limits
from cluster.social_settings import SocialSettings
from tests.unit.serve_apps.gateway.fakes import WALL
from tests.unit.serve_apps.gateway.people_rig import People

A, B, C = "usr_a", "usr_b", "usr_c"
NO_LIMITS = Limits(1_000, 1_000, 1_000, 1_000)


@pytest.fixture
async def people() -> People:
    """Ann and Bob, who play characters of these names."""
    made = People()
    for user_id, name in ((A, "Ann"), (B, "Bob")):
        await made.character(user_id, name)
        await made.services.social.seen(user_id, WALL - 60, name)
        made.come(user_id, name)
    return made


def limited(people: People, monkeypatch: pytest.MonkeyPatch, **limits: int) -> None:
    settings = people.services.settings.model_copy(update={"social": SocialSettings(**limits)})
    services = replace(people.services, settings=settings)
    monkeypatch.setattr(people.gateway.hub._dispatcher, "_services", services)


class TestRequests:
    async def test_both_sides_are_told_of_each_step(self, people: People) -> None:
        assert await people.ask(A, "friends.request", user_id=B) == {"user_id": B, "result": "requested"}
        assert await people.kinds(A) == [("asked", B, "Bob")]
        assert await people.kinds(B) == [("request", A, "Ann")]
        assert people.presence.refreshed == [[A, B]]
        assert await people.ask(B, "friends.accept", user_id=A) == {"user_id": A, "changed": True}
        assert await people.kinds(A) == [("friends", B, "Bob")]
        assert await people.kinds(B) == [("friends", A, "Ann")]
        assert await people.ask(B, "friends.accept", user_id=A) == {"user_id": A, "changed": False}
        assert await people.ask(A, "friends.request", user_id=B) == {"user_id": B, "result": "already_friends"}
        assert await people.ask(A, "friends.remove", user_id=B) == {"user_id": B, "changed": True}
        assert await people.kinds(A) == [("removed", B, "Bob")]
        assert await people.kinds(B) == [("removed", A, "Ann")]
        assert len(people.presence.refreshed) == 3

    async def test_by_name_as_anybody_writes_it(self, people: People) -> None:
        assert await people.ask(A, "friends.request", name="bOB") == {"user_id": B, "result": "requested"}

    async def test_who_was_asked_and_asks_is_a_friend(self, people: People) -> None:
        await people.ask(A, "friends.request", user_id=B)
        assert (await people.ask(B, "friends.request", name="Ann"))["result"] == "friends"
        assert (await people.kinds(A))[-1] == ("friends", B, "Bob")
        assert (await people.kinds(B))[-1] == ("friends", A, "Ann")

    @pytest.mark.parametrize(("who", "method", "kind"), [(A, "cancel", "cancelled"), (B, "decline", "declined")])
    async def test_a_request_that_goes(self, people: People, who: str, method: str, kind: str) -> None:
        await people.ask(A, "friends.request", user_id=B)
        await people.told(A), await people.told(B)
        other = B if who == A else A
        assert await people.ask(who, f"friends.{method}", user_id=other) == {"user_id": other, "changed": True}
        assert await people.kinds(A) == [(kind, B, "Bob")]
        assert await people.kinds(B) == [(kind, A, "Ann")]
        assert await people.ask(who, f"friends.{method}", user_id=other) == {"user_id": other, "changed": False}
        assert await people.told(A) == await people.told(B) == []

    async def test_a_name_that_nobody_has(self, people: People) -> None:
        assert await people.refused(A, "friends.request", name="Nobody") == (-32602, "no_such_player")
        assert await people.refused(A, "friends.block", name="Nobody") == (-32602, "no_such_player")

    @pytest.mark.parametrize("method", ["request", "accept", "decline", "cancel", "remove", "block", "unblock"])
    async def test_nobody_has_to_do_with_oneself(self, people: People, method: str) -> None:
        assert await people.refused(A, f"friends.{method}", user_id=A) == (-32602, "is yourself")
        assert await people.told(A) == []

    @pytest.mark.parametrize("method", ["request", "block"])
    async def test_nor_by_name(self, people: People, method: str) -> None:
        assert await people.refused(A, f"friends.{method}", name="Ann") == (-32602, "is yourself")

    @pytest.mark.parametrize(
        "params",
        [
            {},
            {"user_id": B, "name": "Bob"},
            {"user_id": "bob"},
            {"user_id": [B] * 1_000},
            {"name": ["a"] * 10_000},
            {"name": ""},
            {"name": "x" * 65},
            {"user_id": None},
            {"user_id": B, "colour": "red"},
        ],
    )
    @pytest.mark.parametrize("method", ["friends.request", "friends.block"])
    async def test_who_is_meant_must_be_clear(self, people: People, method: str, params: dict[str, Any]) -> None:
        assert (await people.ask(A, method, **params))["code"] == -32602

    async def test_no_request_to_accept(self, people: People) -> None:
        assert await people.refused(A, "friends.accept", user_id=B) == (-32602, "no_such_request")


class TestWhatIsNotTold:
    async def test_strangers_ids_and_blockers_look_like_anybody(self, people: People) -> None:
        people.come(C, "Cat")
        await people.character(C, "Cat")
        await people.ask(B, "friends.block", user_id=A)
        await people.told(B)
        for other in (B, C, "usr_nobody"):
            assert await people.ask(A, "friends.request", user_id=other) == {"user_id": other, "result": "requested"}
            again = {"user_id": other, "result": "already_requested"}
            assert await people.ask(A, "friends.request", user_id=other) == again
        assert [kind for kind, _, _ in await people.kinds(A)] == ["asked"] * 3
        assert await people.told(B) == []
        assert [kind for kind, _, _ in await people.kinds(C)] == ["request"]
        mine = await people.ask(A, "friends.list")
        assert [link["user_id"] for link in mine["outgoing"]] == [B, C, "usr_nobody"]
        for other in (B, C, "usr_nobody"):
            assert await people.ask(A, "friends.cancel", user_id=other) == {"user_id": other, "changed": True}
        assert await people.told(B) == [], "it never saw the request"
        assert [kind for kind, _, _ in await people.kinds(C)] == ["cancelled"]

    async def test_a_full_inbox_too(self, people: People, monkeypatch: pytest.MonkeyPatch) -> None:
        limited(people, monkeypatch, max_incoming=1)
        people.come(C, "Cat")
        await people.ask(C, "friends.request", user_id=B)
        await people.told(B)
        assert (await people.ask(A, "friends.request", user_id=B))["result"] == "requested"
        assert await people.told(B) == []

    @pytest.mark.parametrize(
        ("before", "seen"),
        [
            ([], []),
            ([(A, B)], ["cancelled"]),
            ([(B, A)], ["declined"]),
            ([(A, B), (B, A)], ["removed"]),
        ],
    )
    async def test_being_blocked_looks_like_an_ordinary_end(
        self, people: People, before: list[tuple[str, str]], seen: list[str]
    ) -> None:
        for who, whom in before:
            await people.ask(who, "friends.request", user_id=whom)
        await people.told(A), await people.told(B)
        people.presence.refreshed.clear()
        assert await people.ask(A, "friends.block", name="Bob") == {"user_id": B, "changed": True}
        assert await people.kinds(A) == [("blocked", B, "Bob")]
        assert [kind for kind, _, _ in await people.kinds(B)] == seen
        assert people.presence.refreshed == [[A, B]]
        assert await people.refused(A, "friends.request", user_id=B) == (-32003, "blocked")
        assert await people.ask(A, "friends.unblock", user_id=B) == {"user_id": B, "changed": True}
        assert await people.kinds(A) == [("unblocked", B, "Bob")]
        assert await people.told(B) == []
        assert people.presence.refreshed == [[A, B]] * 2

    async def test_two_who_block_each_other(self, people: People) -> None:
        await people.ask(B, "friends.block", user_id=A)
        await people.ask(A, "friends.request", user_id=B)  # hidden
        await people.told(B)
        await people.ask(A, "friends.block", user_id=B)
        assert await people.told(B) == [], "what it never saw does not end for it"

    async def test_a_name_that_is_not_shown(self, people: People) -> None:
        await people.services.social.choose(B, {"show_character": "friends"})
        await people.ask(A, "friends.request", user_id=B)
        assert await people.kinds(A) == [("asked", B, "")]
        assert (await people.ask(A, "friends.list"))["outgoing"][0]["name"] == ""
        await people.ask(B, "friends.accept", user_id=A)
        assert await people.kinds(A) == [("friends", B, "Bob")]
        assert (await people.ask(A, "friends.list"))["friends"][0]["name"] == "Bob"
        await people.services.social.choose(B, {"show_character": "nobody"})
        assert (await people.ask(A, "friends.list"))["friends"][0]["name"] == ""


class TestTheList:
    async def test_all_of_it(self, people: People) -> None:
        people.come(C, "Cat")
        for user_id, name in ((C, "Cat"), ("usr_d", "Dan"), ("usr_e", "Eve")):
            await people.services.social.seen(user_id, WALL, name)
        await people.services.social.request(B, A, NO_LIMITS, WALL)
        await people.services.social.accept(A, B, NO_LIMITS, WALL + 1)
        await people.services.social.request(C, A, NO_LIMITS, WALL + 2)
        await people.services.social.request(A, "usr_d", NO_LIMITS, WALL + 3)
        await people.services.social.block(A, "usr_e", NO_LIMITS, WALL + 4)
        presence = {"user_id": B, "status": "online", "version": 1, "for": A}
        assert await people.ask(A, "friends.list") == {
            "friends": [{"user_id": B, "name": "Bob", "at": WALL + 1, "presence": presence}],
            "incoming": [{"user_id": C, "name": "Cat", "at": WALL + 2}],
            "outgoing": [{"user_id": "usr_d", "name": "Dan", "at": WALL + 3}],
            "blocked": [{"user_id": "usr_e", "name": "Eve", "at": WALL + 4}],
        }

    async def test_of_nobody(self, people: People) -> None:
        del people.gateway.actors[presence_actor()]  # is not needed
        assert await people.ask(A, "friends.list") == {"friends": [], "incoming": [], "outgoing": [], "blocked": []}

    async def test_who_is_not_in_the_world_is_called_as_last_time(self, people: People) -> None:
        people.come(A)
        await people.ask(A, "friends.request", user_id=B)
        assert await people.kinds(B) == [("request", A, "Ann")]


class TestLimits:
    async def test_requests_come_at_a_pace(self, people: People, monkeypatch: pytest.MonkeyPatch) -> None:
        limited(people, monkeypatch, requests_per_minute=3)
        for n in range(3):
            assert (await people.ask(A, "friends.request", user_id=f"usr_{n}"))["result"] == "requested"
        error = await people.ask(A, "friends.request", user_id="usr_9")
        assert (error["code"], error["data"]["reason"]) == (-32001, "requests")
        assert 0 < error["data"]["retryAfter"] <= 20
        assert await people.refused(A, "party.invite", user_id=B) == (-32001, "requests")
        assert (await people.ask(B, "friends.request", user_id=C))["result"] == "requested", "each has its own"
        people.gateway.clock.now += error["data"]["retryAfter"]
        assert (await people.ask(A, "friends.request", user_id="usr_9"))["result"] == "requested"

    @pytest.mark.parametrize("method", ["block", "unblock", "accept", "decline", "cancel", "remove"])
    async def test_everything_else_too(self, people: People, monkeypatch: pytest.MonkeyPatch, method: str) -> None:
        limited(people, monkeypatch, requests_per_minute=1)
        codes = [(await people.ask(A, f"friends.{method}", user_id=B)).get("code") for _ in range(7)]
        assert codes.count(-32001) == 1
        assert codes[-1] == -32001

    @pytest.mark.parametrize(
        ("limit", "method", "reason"),
        [("max_outgoing", "request", "too_many_requests"), ("max_blocked", "block", "too_many_blocked")],
    )
    async def test_of_one_s_own_lists(
        self, people: People, monkeypatch: pytest.MonkeyPatch, limit: str, method: str, reason: str
    ) -> None:
        limited(people, monkeypatch, **{limit: 1})
        await people.ask(A, f"friends.{method}", user_id=B)
        assert await people.refused(A, f"friends.{method}", user_id=C) == (-32005, reason)

    async def test_of_friends(self, people: People, monkeypatch: pytest.MonkeyPatch) -> None:
        limited(people, monkeypatch, max_friends=1)
        people.come(C)
        await people.ask(C, "friends.request", user_id=A)
        await people.ask(B, "friends.request", user_id=A)
        await people.ask(A, "friends.accept", user_id=C)
        assert await people.refused(A, "friends.accept", user_id=B) == (-32005, "too_many_friends")


class TestOutages:
    async def test_a_store_that_is_away_is_said_to_be(self, people: People, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(people.services.social, "request", unavailable)
        assert await people.refused(A, "friends.request", user_id=B) == (-32006, "redis is away")
        assert await people.told(A) == []

    async def test_what_is_changed_is_told_later(self, people: People, monkeypatch: pytest.MonkeyPatch) -> None:
        """The request does not fail: it has happened."""
        waits: list[Callable[[], None]] = []

        async def sleep(_: float) -> None:
            for step in waits:
                step()

        monkeypatch.setattr("serve_apps.gateway.consequences.asyncio.sleep", sleep)
        people.presence.away = True
        monkeypatch.setattr(people.gateway.topics, "publish_many", unavailable)
        waits.append(monkeypatch.undo)
        waits.append(lambda: setattr(people.presence, "away", False))
        assert await people.ask(A, "friends.request", user_id=B) == {"user_id": B, "result": "requested"}
        assert await people.told(B) == []
        await next(iter(people.gateway.hub._background))
        assert await people.kinds(A) == [("asked", B, "Bob")]
        assert await people.kinds(B) == [("request", A, "Ann")]
        assert people.presence.refreshed == [[A, B]]


async def unavailable(*_: Any, **__: Any) -> Any:
    raise Unavailable("redis")
