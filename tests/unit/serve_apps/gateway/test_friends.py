"""friends.*: who is told what of each change, and what no answer tells (row 3.3)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import orjson
import pytest

from cluster.errors import Unavailable
from cluster.ports.calls import presence_actor
from cluster.ports.social import Limits
from cluster.social_settings import SocialSettings
from tests.unit.serve_apps.gateway.fakes import WALL
from tests.unit.serve_apps.gateway.people_rig import People

A, B, C = "usr_a", "usr_b", "usr_c"
NO_LIMITS = Limits(1_000, 1_000, 1_000, 1_000)
SILENT = ("", "", "")
NO_METHOD = {"method": "", "sender": "", "refresh": "ties"}


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
    monkeypatch.setattr(people.gateway.hub.intake.dispatcher, "_services", services)


class TestRequests:
    async def test_both_sides_are_told_of_each_step(self, people: People) -> None:
        assert await people.ask(A, "friends.request", name="Bob") == {"user_id": B, "result": "requested"}
        assert await people.kinds(A) == [("asked", B, "Bob")]
        assert await people.kinds(B) == [("request", A, "Ann")]
        assert people.presence.refreshed == [[A, B]]
        assert await people.ask(B, "friends.accept", user_id=A) == {"user_id": A, "changed": True}
        assert await people.kinds(A) == [("friends", B, "Bob")]
        assert await people.kinds(B) == [("friends", A, "Ann")]
        assert people.presence.refreshed == [[A, B], [B, A]]
        assert await people.ask(A, "friends.remove", user_id=B) == {"user_id": B, "changed": True}
        assert await people.kinds(A) == [("removed", B, "Bob")]
        assert await people.kinds(B) == [("removed", A, "Ann")]
        assert people.presence.refreshed == [[A, B], [B, A], [A, B]]

    async def test_by_name_as_anybody_writes_it(self, people: People) -> None:
        assert await people.ask(A, "friends.request", name="bOB") == {"user_id": B, "result": "requested"}

    async def test_who_was_asked_and_asks_is_a_friend(self, people: People) -> None:
        await people.ask(A, "friends.request", user_id=B)
        assert (await people.ask(B, "friends.request", name="Ann"))["result"] == "friends"
        assert (await people.kinds(A))[-1] == ("friends", B, "Bob")
        assert (await people.kinds(B))[-1] == ("friends", A, "Ann")

    @pytest.mark.parametrize(("who", "method", "kind"), [(A, "cancel", "cancelled"), (B, "decline", "declined")])
    async def test_a_request_that_goes(self, people: People, who: str, method: str, kind: str) -> None:
        await people.ask(A, "friends.request", name="Bob")
        await people.told(A), await people.told(B)
        other = B if who == A else A
        assert await people.ask(who, f"friends.{method}", user_id=other) == {"user_id": other, "changed": True}
        assert await people.kinds(A) == [(kind, B, "Bob")]
        assert await people.kinds(B) == [(kind, A, "Ann")]
        assert await people.ask(who, f"friends.{method}", user_id=other) == {"user_id": other, "changed": False}
        assert await people.kinds(who) == [SILENT]
        assert await people.told(other) == []

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
            {"name": ["a"] * 1_000},
            {"name": ""},
            {"name": "x" * 65},
            {"user_id": None},
            {"userid": B},
        ],
    )
    @pytest.mark.parametrize("method", ["friends.request", "friends.block"])
    async def test_who_is_meant_must_be_clear(self, people: People, method: str, params: dict[str, Any]) -> None:
        assert (await people.ask(A, method, **params))["code"] == -32602

    async def test_no_request_to_accept(self, people: People) -> None:
        assert await people.refused(A, "friends.accept", user_id=B) == (-32602, "no_such_request")


class TestRepeated:
    """What was lost in telling of a change is healed by asking for it again; clients see nothing of it."""

    @pytest.mark.parametrize(
        ("before", "method", "answer"),
        [
            ([(B, "request"), (A, "accept")], "accept", {"changed": False}),
            ([(B, "request"), (A, "accept")], "request", {"result": "already_friends"}),
            ([(A, "request")], "request", {"result": "already_requested"}),
            ([(A, "block")], "block", {"changed": False}),
            ([(A, "block"), (A, "unblock")], "unblock", {"changed": False}),
            ([(B, "request"), (A, "accept"), (A, "remove")], "remove", {"changed": False}),
        ],
    )
    async def test_the_user_s_sessions_look_again(
        self, people: People, before: list[tuple[str, str]], method: str, answer: dict[str, Any]
    ) -> None:
        for who, step in before:
            await people.ask(who, f"friends.{step}", user_id=B if who == A else A)
        await people.told(A), await people.told(B)
        people.presence.refreshed.clear()
        for _ in range(2):
            assert await people.ask(A, f"friends.{method}", user_id=B) == {"user_id": B, **answer}
        assert await people.told(A) == [NO_METHOD] * 2
        assert await people.told(B) == []
        assert people.presence.refreshed == [[A, B]] * 2


class TestWhatIsNotTold:
    async def test_strangers_ids_and_blockers_look_like_anybody(self, people: People) -> None:
        people.come(C, "Cat")
        await people.character(C, "Cat")
        await people.services.social.seen(C, WALL, "Cat")
        await people.ask(B, "friends.block", user_id=A)
        await people.told(B)
        said = []
        for other in (B, C, "usr_nobody"):
            heard: list[Any] = []
            for method, row in (
                ("request", "outgoing"),
                ("request", ""),
                ("cancel", ""),
                ("block", "blocked"),
                ("unblock", ""),
            ):
                heard.append(await people.ask(A, f"friends.{method}", user_id=other))
                heard.append(await people.told(A))
                mine = await people.ask(A, "friends.list")
                assert [name for name, rows in mine.items() if rows] in ([row] if row else [], ["outgoing"])
                heard.append(mine)
            said.append([orjson.loads(orjson.dumps(each).replace(other.encode(), b"usr_x")) for each in heard])
        assert said[0] == said[1] == said[2]
        assert said[0][0] == {"user_id": "usr_x", "result": "requested"}
        assert said[0][2]["outgoing"] == [{"user_id": "usr_x", "name": "", "at": WALL}]
        assert await people.told(B) == [], "it never saw the request"
        assert await people.kinds(C) == [("request", A, "Ann"), ("cancelled", A, "Ann")]

    async def test_the_name_that_one_used_stays(self, people: People) -> None:
        """It does not follow the other's characters, and tells nobody more than was said."""
        await people.ask(B, "friends.block", user_id=A)
        for method, row, kind in (("request", "outgoing", "asked"), ("block", "blocked", "blocked")):
            await people.told(A)
            await people.ask(A, f"friends.{method}", **({"name": "bOB"} if row == "outgoing" else {"user_id": B}))
            await people.services.social.seen(B, WALL, "Other")
            assert (await people.ask(A, "friends.list"))[row] == [{"user_id": B, "name": "Bob", "at": WALL}]
            assert await people.kinds(A) == [(kind, B, "Bob")]
        await people.ask(A, "friends.unblock", user_id=B)
        assert await people.kinds(A) == [("unblocked", B, "Bob")]

    async def test_who_declines_does_not_say_its_name(self, people: People) -> None:
        await people.ask(A, "friends.request", user_id=B)
        await people.ask(B, "friends.decline", user_id=A)
        assert await people.kinds(A) == [("asked", B, ""), ("declined", B, "")]
        assert await people.kinds(B) == [("request", A, "Ann"), ("declined", A, "Ann")]

    async def test_whom_one_knows_one_blocks_by_name(self, people: People) -> None:
        await people.ask(B, "friends.request", user_id=A)
        await people.ask(A, "friends.accept", user_id=B)
        await people.told(A)
        await people.ask(A, "friends.block", user_id=B)
        assert await people.kinds(A) == [("blocked", B, "Bob")]
        assert (await people.ask(A, "friends.list"))["blocked"] == [{"user_id": B, "name": "Bob", "at": WALL}]

    async def test_a_request_that_is_shown_later(self, people: People) -> None:
        """The other is told then; for the asker it is as before."""
        await people.ask(B, "friends.block", user_id=A)
        await people.ask(A, "friends.request", user_id=B)
        again = await people.ask(A, "friends.request", user_id=B)
        await people.told(A)
        await people.ask(B, "friends.unblock", user_id=A)
        await people.told(B)
        assert (
            await people.ask(A, "friends.request", user_id=B) == again == {"user_id": B, "result": "already_requested"}
        )
        assert await people.kinds(B) == [("request", A, "Ann")]
        assert await people.told(A) == [NO_METHOD]
        assert [link["user_id"] for link in (await people.ask(B, "friends.list"))["incoming"]] == [A]
        assert await people.ask(A, "friends.request", user_id=B) == again
        assert await people.told(B) == [], "once"
        assert await people.told(A) == [NO_METHOD]

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
        assert await people.ask(A, "friends.block", name="bob") == {"user_id": B, "changed": True}
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
        await people.ask(B, "friends.remove", user_id=A)
        assert await people.kinds(A) == [("removed", B, "")]


class TestTheList:
    async def test_all_of_it(self, people: People) -> None:
        people.come(C, "Cat")
        for user_id, name in ((C, "Cat"), ("usr_d", "Dan"), ("usr_e", "Eve")):
            await people.services.social.seen(user_id, WALL, name)
        await people.services.social.request(B, A, NO_LIMITS, WALL)
        await people.services.social.accept(A, B, NO_LIMITS, WALL + 1)
        await people.services.social.request(C, A, NO_LIMITS, WALL + 2)
        await people.services.social.request(A, "usr_d", NO_LIMITS, WALL + 3)
        await people.services.social.block(A, "usr_e", NO_LIMITS, WALL + 4, "Eva")
        presence = {"user_id": B, "status": "online", "version": 1, "for": A}
        assert await people.ask(A, "friends.list") == {
            "friends": [{"user_id": B, "name": "Bob", "at": WALL + 1, "presence": presence}],
            "incoming": [{"user_id": C, "name": "Cat", "at": WALL + 2}],
            "outgoing": [{"user_id": "usr_d", "name": "", "at": WALL + 3}],
            "blocked": [{"user_id": "usr_e", "name": "Eva", "at": WALL + 4}],
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
        assert await people.kinds(A) == [("asked", B, "")]
        assert await people.kinds(B) == [("request", A, "Ann")]
        assert people.presence.refreshed == [[A, B]]


async def unavailable(*_: Any, **__: Any) -> Any:
    raise Unavailable("redis")
